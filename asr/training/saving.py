"""What a checkpoint of a run holds, and how a run goes on from one.

Weights, optimizer and random generators are tensors; `Progress`, the loss scale and the key of the run are JSON.
Where the plan goes on follows from `Progress.batch`, and every draw from its own seed (`asr.seeds`), so a run
that goes on takes the same steps, to the bit, as one that was never stopped.
"""

import logging
from dataclasses import dataclass, field

from asr.errors import UserError
from asr.training.checkpoint.scratch import scratch_folder
from asr.training.checkpoint.store import Checkpoint, SaveError, Store
from asr.training.checkpoint.tensors import optimizer_tensors, restore_optimizer, restore_rng, rng_tensors
from asr.training.progress import Progress
from asr.training.trainer import Trainer

LOG = logging.getLogger(__name__)


@dataclass
class Saver:
    """Writes the checkpoints of one run and finds the newest good one."""

    trainer: Trainer
    store: Store
    key: str
    """What the run depends on; a checkpoint with another one is refused."""
    saved_step: int = field(default=-1)
    """Updates at the last checkpoint."""
    tried_step: int = field(default=-1)
    """Updates when one was last tried, so that a full disk is not tried at every batch."""

    def resume(self) -> Progress:
        """Puts the newest whole checkpoint into model and optimizer; a new `Progress` where there is none.

        Raises:
            UserError: the checkpoint belongs to another run.
        """
        checkpoint = self._newest()
        if checkpoint is None:
            return Progress()
        if checkpoint.state["key"] != self.key:
            raise UserError(
                f"run.identity_mismatch: the checkpoints in {scratch_folder(self.key)} are of run "
                f"{checkpoint.state['key']}, this is run {self.key}: remove this folder, or restore the parameters "
                "that they belong to"
            )
        self._restore(checkpoint)
        progress = Progress.from_plain(checkpoint.state["progress"])
        self.saved_step = self.tried_step = progress.step
        return progress

    def save(self, progress: Progress) -> bool:
        """Writes a checkpoint; whether it could, which only a later resume would miss."""
        self.tried_step = progress.step
        self._agree(progress)
        failed = ""
        if self.trainer.ranks.is_main:
            try:
                self._write(progress)
            except SaveError as error:
                failed = str(error)
                LOG.warning("%s", error)
        if self.trainer.ranks.any(bool(failed)):
            return False
        self.saved_step = progress.step
        return True

    def keep_weights(self, step: int) -> None:
        """Stores the weights as they are after `step`, for the best model and for averages.

        Raises:
            SaveError: they cannot be written; the checkpoints before stay.
        """
        failed = ""
        if self.trainer.ranks.is_main:
            try:
                self.store.keep_weights(step, self.trainer.weights())
            except SaveError as error:
                failed = str(error)
        if self.trainer.ranks.any(bool(failed)):
            reason = failed or f"the first process could not keep the weights of step {step}"
            raise SaveError(f"{reason}; without them the best model would be lost: mend it and start again")

    def _agree(self, progress: Progress) -> None:
        """With several processes each may have met the end of its memory: the checkpoint holds what all can do."""
        every = self.trainer.ranks.gather([progress.clips_at_once])
        progress.clips_at_once = {edge: min(limits[edge] for limits in every) for edge in progress.clips_at_once}
        progress.batches_split = max(self.trainer.ranks.gather([progress.batches_split]))

    def _newest(self) -> Checkpoint | None:
        """The main process looks first: it may have to put back what a save that was cut short had moved."""
        ranks = self.trainer.ranks
        checkpoint = self.store.newest() if ranks.is_main else None
        ranks.wait()
        if not ranks.is_main:
            checkpoint = self.store.newest()
        found = ranks.gather([checkpoint.batch if checkpoint else 0])
        if len(set(found)) > 1:
            raise UserError(
                f"the processes find checkpoints of different batches ({', '.join(map(str, found))}): give all of them "
                "the same folder .scratch, or remove it"
            )
        return checkpoint

    def _write(self, progress: Progress) -> None:
        trainer, scaler = self.trainer, self.trainer.accelerator.scaler
        state = {
            "key": self.key,
            "progress": progress.plain(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }
        tensors = {
            "model": {name: value.detach() for name, value in trainer.objective.state_dict().items()},
            "optimizer": optimizer_tensors(trainer.optimizer, trainer.names()),
            "rng": rng_tensors(trainer.device),
        }
        self.store.save(progress.batch, state, tensors, [record.step for record in progress.kept])

    def _restore(self, checkpoint: Checkpoint) -> None:
        trainer, scaler = self.trainer, self.trainer.accelerator.scaler
        trainer.objective.load_state_dict(checkpoint.tensors["model"])
        restore_optimizer(trainer.optimizer, trainer.names(), checkpoint.tensors["optimizer"])
        restore_rng(checkpoint.tensors["rng"], trainer.device)
        if scaler is not None and checkpoint.state["scaler"] is not None:
            scaler.load_state_dict(checkpoint.state["scaler"])
