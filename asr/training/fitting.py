"""How many clips pass through the model at once: settled, and tried, before the first step."""

from asr.training.batches import Planner
from asr.training.guards.rehearsal import limits_from_seconds, rehearse, search_limits, worst_batch
from asr.training.progress import Progress
from asr.training.trainer import Trainer
from asr.training.update import attempt

SEARCHED = ("cuda", "mps")
"""Devices that say when their memory is full. A CPU's process is killed instead, so nothing is searched there."""


def fit_into_memory(trainer: Trainer, planner: Planner, progress: Progress) -> None:
    """Sets the limits of a new run and rehearses its worst micro-batch, so that it fails in its first minute or not.

    A run that goes on keeps its limits: they decide how a batch is cut, and so its last bits.

    Raises:
        UserError: the worst micro-batch does not fit; says which parameter to lower.
    """
    if progress.clips_at_once:
        return
    seconds, wanted = trainer.data.edges.seconds, wanted_at_once(planner)

    def try_out(edge: int, clips: int) -> None:
        attempt(trainer, worst_batch(trainer.data, edge, clips, planner.candidates[edge]))

    if trainer.params.micro_batch_seconds is None and trainer.device.type in SEARCHED:
        found = trainer.ranks.gather([search_limits(try_out, seconds, wanted, trainer.device)])
        progress.clips_at_once = {edge: min(limits[edge] for limits in found) for edge in wanted}
        return
    chosen = trainer.params.micro_batch_seconds
    allowed = wanted if chosen is None else limits_from_seconds(seconds, chosen)
    progress.clips_at_once = {edge: min(clips, allowed[edge]) for edge, clips in wanted.items()}
    rehearse(try_out, seconds, progress.clips_at_once)


def wanted_at_once(planner: Planner) -> dict[int, int]:
    """Most clips of each edge that one batch can hold for this process."""
    share = -(-planner.batch_size // planner.ranks)
    return {edge: min(len(clips), share) for edge, clips in sorted(planner.candidates.items())}
