"""One micro-batch as tensors, read from the store; a clip that cannot be read has a name."""

from dataclasses import dataclass, replace

import torch

from asr.errors import UserError
from asr.training.batches import MicroBatch
from asr.training.data import TrainingSet
from asr.training.objective import Labels

UNREADABLE = (KeyError, IndexError, OSError, ValueError)
"""What damaged or missing samples show as."""


@dataclass(frozen=True)
class Loaded:
    """The tensors of one micro-batch, on the CPU."""

    edge: int
    """Index of the common length."""
    clips: tuple[int, ...]
    """Positions in the training set."""
    wave: torch.Tensor
    """Samples with their tail of silence, shape = (clips, samples of the edge), float32, full scale = 1."""
    labels: Labels

    def pin_memory(self) -> "Loaded":
        """The same in page-locked memory, from which a CUDA device copies beside its work."""
        labels = self.labels
        pinned = Labels(labels.decoder_input.pin_memory(), labels.targets.pin_memory(), labels.lengths.pin_memory())
        return replace(self, wave=self.wave.pin_memory(), labels=pinned)


Batch = tuple[Loaded, ...]
"""What one optimizer step needs: a `Loaded` for each of its micro-batches."""


def load(data: TrainingSet, batch: MicroBatch) -> Loaded:
    """Reads the samples and builds the labels of one micro-batch.

    Raises:
        UserError: `data.clip_unreadable` with the clip's id, or labels that teach something wrong.
    """
    try:
        wave = data.wave(batch)
    except UNREADABLE as error:
        fault = str(error) if isinstance(error, UserError) else f"{type(error).__name__} {error}"
        raise UserError(
            f"data.clip_unreadable: clip {_unreadable(data, batch)}: {fault}; `dvc checkout data/clips` brings the "
            "audio store back, `dvc repro prepare` writes it anew"
        ) from error
    return Loaded(batch.edge, batch.clips, wave, data.labels(batch))


def _unreadable(data: TrainingSet, batch: MicroBatch) -> str:
    """Id of the first clip that cannot be read alone; all ids where each can by now."""
    for clip in batch.clips:
        try:
            data.wave(MicroBatch(batch.edge, (clip,)))
        except UNREADABLE:
            return data.utterances[clip].id
    return ", ".join(data.utterances[clip].id for clip in batch.clips)
