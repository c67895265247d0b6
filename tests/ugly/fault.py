"""A fault, and what is planted to show it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

from asr.corpus.codes import ACTIONS, Action
from tests.ugly.studio import Studio

Build = TypeVar("Build")


class Special(Enum):
    """What stands in the place of a file's content."""

    ABSENT = auto()
    DANGLING = auto()
    """A link to nothing."""
    LINK_OUT = auto()
    """A link to a file outside the corpus."""
    FOLDER = auto()
    FIFO = auto()
    """Opening it would wait for ever."""


@dataclass(frozen=True)
class Clip:
    """One row of the manifest and the file behind it."""

    content: bytes | Special
    text: str
    stated: object = None
    """Seconds in the manifest; whatever JSON can hold."""
    extension: str = ".wav"
    name: str = ""
    """In the manifest; made from the fault and the extension unless given."""
    speaker: str = ""
    split: str = "train"
    faulty: bool = True
    """Whether this clip earns the code; the others of a fault are there to be compared with, and are kept."""


@dataclass(frozen=True)
class Fault(Generic[Build]):
    """One way in which a corpus, a run or a stream can be wrong."""

    number: int
    """In the catalogue of faults; several faults may stand for one entry."""
    name: str
    code: str
    build: Build
    """Makes what shows the fault."""

    @property
    def action(self) -> Action:
        """What the code leads to."""
        return ACTIONS[self.code]

    @property
    def slug(self) -> str:
        """Number and name as a file name."""
        return f"{self.number:02d}-{'-'.join(self.name.split())}"


ClipFault = Fault[Callable[[Studio], list[Clip]]]
"""A fault of single clips; `build` makes the clips."""
