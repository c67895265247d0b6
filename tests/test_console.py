"""Contract: the user chooses what is printed, module by module, and lines never tear a progress bar."""

import io
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tqdm import tqdm

from asr.errors import UserError
from asr.training.observe.console import LIBRARIES, BarHandler, configure_logging, parse_levels
from tests.pipeline import ROOT

MEMORY = "asr.training.observe.journal"
"""Any module with others above and beside it."""


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Loggers are global: leave them as they were found."""
    libraries = [(log, log.level, log.propagate, list(log.handlers)) for log in map(logging.getLogger, LIBRARIES)]
    yield
    for handler in [handler for handler in logging.getLogger().handlers if isinstance(handler, BarHandler)]:
        logging.getLogger().removeHandler(handler)
        handler.forget()
    for log, level, propagate, handlers in libraries:
        log.setLevel(level)
        log.propagate, log.handlers = propagate, handlers


def printed(levels: str, *messages: tuple[str, int, str]) -> list[str]:
    stream = io.StringIO()
    configure_logging(levels, stream)
    for name, level, text in messages:
        logging.getLogger(name).log(level, text)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("name", "level", "line"),
    [
        ("asr.training.loop", logging.INFO, "train: text"),
        ("stages.train", logging.INFO, "train: text"),
        ("asr.training.loop", logging.WARNING, "train: warning: text"),
        ("asr.training.loop", logging.ERROR, "train: error: text"),
        ("transformers.models.whisper", logging.WARNING, "transformers: warning: text"),
        ("somewhere.else", logging.WARNING, "somewhere: warning: text"),
    ],
)
def test_a_line_says_who_speaks_and_its_level_from_warning_up(name: str, level: int, line: str) -> None:
    assert printed("info", (name, level, "text")) == [line]


def test_details_name_the_module_so_that_one_knows_what_to_switch_off() -> None:
    assert printed("debug", (MEMORY, logging.DEBUG, "text")) == [f"train: {MEMORY}: text"]


@pytest.mark.parametrize(
    ("levels", "ours", "module", "library"),
    [
        ("info", "iwe", "iwe", "we"),
        ("", "iwe", "iwe", "we"),
        ("debug", "diwe", "diwe", "we"),
        ("ERROR", "e", "e", "we"),
        (f"warning,{MEMORY}=debug", "we", "diwe", "we"),
        (f" {MEMORY} = error ", "iwe", "e", "we"),
        ("asr.training=error", "iwe", "e", "we"),
        ("error,transformers=info", "e", "e", "iwe"),
    ],
)
def test_levels_hold_for_a_module_and_all_below_it(levels: str, ours: str, module: str, library: str) -> None:
    """Levels that come through, by their first letters."""
    all_levels = [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR]
    for name, expected in (("asr.corpus", ours), (MEMORY, module), ("transformers.utils", library)):
        lines = printed(levels, *((name, level, logging.getLevelName(level)[0].lower()) for level in all_levels))
        assert "".join(line[-1] for line in lines) == expected, name


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ("loud", "'loud' is no level; write one of debug, info, warning, error"),
        ("info,", "'' is no level"),
        (f"{MEMORY}=", "'' is no level"),
        (f"{MEMORY}:debug", "is no level"),
        ("asr.training.observe.memroy=debug", "no module 'asr.training.observe.memroy'"),
        ("asr.errors.deeper=debug", "no module 'asr.errors.deeper'"),
        ("transfomers=debug", "no module 'transfomers'"),
        (".a=debug", "no module '.a'"),
        ("info,debug", "the level without a module stands twice"),
        (f"{MEMORY}=info,{MEMORY}=debug", f"{MEMORY} stands twice"),
    ],
)
def test_wrong_words_are_refused_with_the_choices(levels: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_levels(levels)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"ASR_LOG={levels}: ")
    assert "\n" not in str(caught.value)


def test_a_wrong_word_changes_nothing() -> None:
    before = logging.getLogger().handlers[:]
    with pytest.raises(UserError):
        configure_logging("loud")
    assert logging.getLogger().handlers == before


def test_a_second_call_replaces_the_first() -> None:
    stale = io.StringIO()
    configure_logging(f"{MEMORY}=debug", stale)
    assert printed("info", (MEMORY, logging.DEBUG, "no"), (MEMORY, logging.INFO, "yes")) == ["train: yes"]
    assert stale.getvalue() == ""
    assert sum(isinstance(handler, BarHandler) for handler in logging.getLogger().handlers) == 1


def test_a_library_that_prints_by_itself_prints_once_and_through_us(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("transformers").addHandler(logging.StreamHandler())
    logging.getLogger("transformers").propagate = False
    assert printed("info", ("transformers.x", logging.WARNING, "once")) == ["transformers: warning: once"]
    assert capsys.readouterr().err == ""


def test_a_traceback_follows_its_line() -> None:
    stream = io.StringIO()
    configure_logging("info", stream)
    try:
        raise RuntimeError("why")
    except RuntimeError:
        logging.getLogger("asr.x").warning("what", exc_info=True)
    lines = stream.getvalue().splitlines()
    assert (lines[0], lines[-1]) == ("train: warning: what", "RuntimeError: why")


def torn(text: str) -> bool:
    """Whether a line of the log shares its terminal line with a bar that is still there."""
    return any("a message" in line and line.rpartition("\r")[2] != "train: a message" for line in text.split("\n"))


def test_a_bar_is_cleared_before_a_line_and_drawn_again_after_it() -> None:
    terminal = io.StringIO()
    configure_logging("info", terminal)
    with tqdm(total=9, file=terminal, desc="bar") as bar:
        bar.update()
        logging.getLogger("asr.training").info("a message")
        assert terminal.getvalue().rpartition("a message\n")[2].startswith("\rbar:")
    assert not torn(terminal.getvalue())


def test_a_plain_handler_would_tear_the_bar() -> None:
    """A planted fault, to prove that `torn` sees one."""
    terminal = io.StringIO()
    with tqdm(total=9, file=terminal, desc="bar"):
        logging.StreamHandler(terminal).emit(logging.makeLogRecord({"msg": "train: a message"}))
    assert torn(terminal.getvalue())


class GoneTerminal(io.StringIO):
    def write(self, _: str, /) -> int:
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("gone", [True, False], ids=["hung up", "closed"])
def test_a_terminal_that_is_gone_does_not_end_the_run(gone: bool) -> None:
    stream = GoneTerminal() if gone else io.StringIO()
    configure_logging("info", stream)
    if not gone:
        stream.close()
    logging.getLogger("asr.x").info("text")


def test_the_libraries_as_they_are_print_once() -> None:
    """With real transformers and datasets, which set up handlers of their own when they are imported."""
    code = (
        "import logging, datasets, transformers; from transformers.utils.logging import get_logger\n"
        "from datasets.utils.logging import get_logger as other\n"
        "from asr.training.observe.console import configure_logging; configure_logging('info')\n"
        "get_logger('transformers.a').warning('one'); other('datasets.a').warning('two')\n"
        "get_logger('transformers.a').info('three'); logging.getLogger('asr.a').info('four')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    lines = ["transformers: warning: one", "datasets: warning: two", "train: four"]
    assert [line for line in done.stderr.splitlines() if line in lines or "three" in line] == lines
