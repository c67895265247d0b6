"""Contract: training that is killed at random moments, again and again, ends in the bytes of an undisturbed run.

200 kills on the whole smoke preset are in benchmarks/results/kills.json.
"""

import os
import re
import subprocess
import sys

import pytest

from tests.pipeline import ROOT


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_twenty_kills_at_random_moments_change_nothing() -> None:
    """Of the stage itself, in processes of their own; see `benchmarks.kills` for where the blows fall."""
    command = [sys.executable, "-m", "benchmarks.kills", "--kills", "20", "--short", "--workers", "2", "--no-record"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    kills = re.search(r"'kills': (\d+)", done.stdout)
    assert kills
    print(done.stdout)
    assert int(kills[1]) >= 20


def test_the_comparison_sees_a_run_that_forgets_its_optimizer() -> None:
    """A planted fault: without it, equal bytes would prove little."""
    planted = (
        "import sys, asr.training.saving as saving\n"
        "saving.restore_optimizer = lambda *_: None\n"
        "sys.argv = ['kills', '--kills', '3', '--short', '--seed', '4', '--no-record']\n"
        "import benchmarks.kills; benchmarks.kills.main()"
    )
    done = subprocess.run([sys.executable, "-c", planted], cwd=ROOT, capture_output=True, text=True, check=False)
    assert re.search(r"'runs that ended otherwise': [1-9]", done.stdout), done.stdout[-3000:] + done.stderr[-3000:]
