"""What a run prints: short lines, with a level for every module that the user may set.

The lines go through tqdm, which lifts its bars out of the way, and carry no times: those are in the log
(`asr.training.observe.journal`).
"""

import importlib.util
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from tqdm import tqdm

from asr.errors import UserError

ENVIRONMENT = "ASR_LOG"
"""The variable that holds the levels. It changes what is printed, never a result."""
DEFAULT = "info"
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
OURS = ("asr", "stages")
"""Packages that the level without a module is for."""
LIBRARIES = dict.fromkeys(("accelerate", "datasets", "transformers"), logging.WARNING) | {"urllib3": logging.ERROR}
"""They would print by themselves; here their lines are led through the same handler, from these levels up. urllib3
warns at every attempt to reach a tracker that is away, of which one warning tells already."""


@dataclass(frozen=True)
class Levels:
    """What is printed."""

    ours: int
    """Of this project's modules, a level of `logging`."""
    modules: Mapping[str, int]
    """Of single modules with all below them."""


def parse_levels(text: str) -> Levels:
    """Levels as the user writes them, such as `info` or `warning,asr.training.observe.memory=debug`.

    Raises:
        UserError: a level or a module that does not exist, or a second level for the same.
    """
    found: dict[str, int] = {}
    for word in (text.strip() or DEFAULT).split(","):
        name, _, word_of_level = word.rpartition("=")
        module, level = name.strip(), _level(word_of_level.strip(), text)
        if module in found:
            raise UserError(f"{ENVIRONMENT}={text}: {module or 'the level without a module'} stands twice; remove one")
        if module:
            _require_module(module, text)
        found[module] = level
    return Levels(found.pop("", LEVELS[DEFAULT]), found)


def configure_logging(levels: str, stream: TextIO | None = None, stage: str = "train") -> None:
    """Lets the loggers of this process print; called again, it replaces what it did before.

    Args:
        levels: see `parse_levels`; empty means `info`.
        stream: where the lines go; None for standard error as it is now.
        stage: what lines of this project begin with.

    Raises:
        UserError: see `parse_levels`.
    """
    chosen = parse_levels(levels)
    root = logging.getLogger()
    for earlier in [handler for handler in root.handlers if isinstance(handler, BarHandler)]:
        root.removeHandler(earlier)
        earlier.forget()
    for name in LIBRARIES:
        _lead_through_root(logging.getLogger(name))
    wanted = {**dict.fromkeys(OURS, chosen.ours), **LIBRARIES, **chosen.modules}
    handler = BarHandler(stream or sys.stderr, wanted)
    handler.setFormatter(_Calm(stage))
    root.addHandler(handler)


class BarHandler(logging.Handler):
    """Prints above tqdm's bars instead of into them, and holds the levels it has set."""

    def __init__(self, stream: TextIO, levels: Mapping[str, int]) -> None:
        super().__init__()
        self._stream = stream
        self._levels = levels
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one record; a terminal that is gone must not end a run of days."""
        try:
            tqdm.write(self.format(record), file=self._stream)
            self._stream.flush()
        except (OSError, ValueError):  # the other end hung up, or the stream is closed
            self.handleError(record)

    def forget(self) -> None:
        """Takes its levels back."""
        for name in self._levels:
            logging.getLogger(name).setLevel(logging.NOTSET)


class _Calm(logging.Formatter):
    """`train: text`, `train: warning: text`, `transformers: warning: text`; details name their module."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self._stage = stage

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name is the library's
        """The line without a traceback, which the library adds."""
        package = record.name.partition(".")[0]
        parts = [self._stage if package in OURS else package]
        if record.levelno < logging.INFO:
            parts.append(record.name)
        elif record.levelno >= logging.WARNING:
            parts.append(record.levelname.lower())
        return ": ".join([*parts, record.message])


def _level(word: str, text: str) -> int:
    if word.lower() not in LEVELS:
        raise UserError(f"{ENVIRONMENT}={text}: '{word}' is no level; write one of {', '.join(LEVELS)}")
    return LEVELS[word.lower()]


def _require_module(module: str, text: str) -> None:
    """Of other packages only the first name is looked up: to find a module below, Python would import them."""
    name = module if module.partition(".")[0] in OURS else module.partition(".")[0]
    try:
        known = importlib.util.find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):  # a parent that is no package; a name such as `.a`
        known = False
    if not known:
        raise UserError(
            f"{ENVIRONMENT}={text}: there is no module '{module}'; write its full name, such as asr.training, or a "
            f"level alone: {', '.join(LEVELS)}"
        )


def _lead_through_root(logger: logging.Logger) -> None:
    """Takes a library's own handlers away; they would write into the bars, or a second time."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = True
