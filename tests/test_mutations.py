"""Contract: no damaged file crashes, hangs or bloats the decoder, and damage that would be silent is flagged."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.audio import BLOCK
from asr.pcm import AudioError, Sound
from benchmarks.mutations import MUST_NOT, Report, figures, run
from tests.ugly.damage import FORMS, MUTATIONS

FILES = 2_000
SILENT = [
    f"{form.name}: {mutation.name}"
    for mutation in MUTATIONS
    for form in FORMS
    if mutation.fits(form) and mutation.flagged(form)
]
"""Form and kind of damage that a decoder alone may pass over."""


@pytest.fixture(scope="module")
def report() -> Report:
    return run(FILES, seed=1)


def kinds() -> list[Any]:
    return [pytest.param(kind) for kind in SILENT]


def test_every_file_is_a_sound_or_a_reason_and_none_is_lost(report: Report) -> None:
    assert report.files == FILES == sum(report.outcomes.values())
    assert sum(sum(counts.values()) for counts in report.by_kind.values()) == FILES


def test_no_file_harms_its_decoder(report: Report) -> None:
    assert {code: report.outcomes[code] for code in MUST_NOT} == dict.fromkeys(MUST_NOT, 0)


def test_no_file_takes_ten_seconds(report: Report) -> None:
    assert report.slowest_s < 10


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of a process needs Linux's /proc")
def test_the_memory_of_the_decoder_stays_within_bounds(report: Report) -> None:
    assert report.growth_mib is not None
    assert report.growth_mib < 512


@pytest.mark.parametrize("kind", kinds())
def test_damage_that_would_be_silent_is_flagged_wherever_it_hits(kind: str, report: Report) -> None:
    counts = report.by_kind[kind]
    assert counts["missed"] == 0, [line for line in report.missed if line.startswith(kind)]
    assert counts.total() >= 10


def test_equal_seeds_make_equal_damage_and_other_seeds_other_damage() -> None:
    one, again, other = (figures(run(300, seed))["outcomes"] for seed in (1, 1, 2))
    assert one == again != other


def trusting(data: "bytes | memoryview", _: str = "", /) -> Sound:
    """A decoder that believes libsndfile."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            samples = file.read(min(file.frames, BLOCK), dtype="int16", always_2d=True)
            return Sound(np.ascontiguousarray(samples[:, 0]), "any", file.samplerate, file.channels)
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        raise AudioError("audio.undecodable", str(error)) from error


def test_a_decoder_that_believes_libsndfile_would_miss_most_of_it() -> None:
    found = run(1_000, 1, trusting)
    missed = {line.partition(" (")[0] for line in found.missed}
    assert {"WAV stereo: cut anywhere", "AIFF: cut anywhere", "AU: cut anywhere", "WAV float: NaN"} <= missed
    assert {"Ogg Vorbis: cut anywhere", "MP3: cut anywhere", "FLAC: stated smaller"} <= missed
