"""How far a run is: all that changes while it trains, beside the weights and the optimizer.

A checkpoint holds it as JSON, so every field is made of numbers, words and lists. Python writes the shortest
decimal that reads back as the same float, so nothing is lost on the way.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from asr.training.history import EvaluationRecord, Heard, History, StepRecord


@dataclass(frozen=True)
class Skip:
    """A batch that did not change the weights."""

    batch: int
    """Its number in the run, from 1."""
    step: int
    """Updates before it."""
    cause: str
    """`features`, `loss`, `gradient` (NaN or infinity there), or `overflow`: fp16's scale was too high."""
    clips: tuple[str, ...]


@dataclass
class Sums:
    """Losses of the updates since the last point of the curves."""

    cross_entropy: float = 0.0
    ctc: float = 0.0
    gradient_norm: float = 0.0
    tokens: int = 0
    updates: int = 0


@dataclass
class Progress:
    """Counters, curves and decisions of a run."""

    step: int = 0
    """Updates of the weights so far; the schedule, `max_steps` and all that is due every so often count these."""
    batch: int = 0
    """Batches taken from the plan so far, skipped ones included: where the plan goes on."""
    sums: Sums = field(default_factory=Sums)
    history: History = field(default_factory=History)
    best: EvaluationRecord | None = None
    waited: int = 0
    """Evaluations since the best one."""
    rate_factor: float = 1.0
    """What the schedule `plateau` has made of the rate."""
    rate_waited: int = 0
    """Evaluations after the warm-up since the best one or the last fall of the rate."""
    kept: list[EvaluationRecord] = field(default_factory=list)
    """Evaluations whose weights are kept: the best one and those to be averaged."""
    skipped: list[Skip] = field(default_factory=list)
    skipped_in_a_row: int = 0
    clips_at_once: dict[int, int] = field(default_factory=dict)
    """Most clips of an edge in one micro-batch, where memory has set a limit."""
    batches_split: int = 0
    """Times that memory ran out and a batch was done again in smaller pieces."""
    seconds_of_audio: float = 0.0
    """Real audio seen, without padding."""
    padded_seconds: float = 0.0
    """The same with padding."""

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "Progress":
        """What `plain` gave, read back from JSON."""
        history = plain["history"]
        parts = {
            "sums": Sums(**plain["sums"]),
            "history": History(
                [StepRecord(**row) for row in history["steps"]],
                [EvaluationRecord(**row) for row in history["evaluations"]],
                [Heard(**row) for row in history["heard"]],
            ),
            "best": EvaluationRecord(**plain["best"]) if plain["best"] else None,
            "kept": [EvaluationRecord(**row) for row in plain["kept"]],
            "skipped": [Skip(**{**row, "clips": tuple(row["clips"])}) for row in plain["skipped"]],
            "clips_at_once": {int(edge): clips for edge, clips in plain["clips_at_once"].items()},
        }
        return cls(**{**plain, **parts})
