"""`Seq2SeqTrainer` of transformers as people fine-tune Whisper with it, and with the usual remedies for padding.

The collator does what the widely copied one does (features of 30 s from raw audio, labels padded with -100, the start
token cut off where the model adds it again), in the data path, so that features cost what they cost. Audio is at hand
as float32 arrays and texts are tokenized before the clock starts, which is more than the usual script has.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler
from transformers import (
    PrinterCallback,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
    WhisperFeatureExtractor,
    WhisperTokenizer,
)
from transformers.trainer_pt_utils import get_length_grouped_indices

from asr.features import HOP
from asr.models.tokenizer import START
from asr.pcm import SAMPLE_RATE
from asr.training.guards.oom import free_memory, out_of_memory_of
from asr.training.objective import IGNORED
from benchmarks.mix import CACHE, Spoken
from benchmarks.step_bench import (
    BETAS,
    CLIP_NORM,
    LEARNING_RATE,
    WEIGHT_DECAY,
    Bench,
    Block,
    Tape,
    finished,
    now,
)

WINDOWS_OF = 50
"""Batches that are sorted by length together: what transformers takes for any corpus of more than 200 batches."""
Item = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """A way to use the trainer."""

    padding: Literal["max_length", "longest"]
    """To 30 s, or to the longest clip of a batch with an encoder that lets that pass."""
    features_before: bool = False
    """Make all features before the clock starts."""
    grouped: bool = False
    """Batches of clips of similar length."""


@dataclass(frozen=True)
class Collator:
    """Makes a batch of items with a `wave` or `input_features`, and `labels`."""

    extractor: WhisperFeatureExtractor
    tokenizer: WhisperTokenizer
    padding: str

    def __call__(self, items: Sequence[Item]) -> dict[str, torch.Tensor]:
        """Features of shape = (clips, mel bands, frames), labels of shape = (clips, tokens)."""
        padded = self.tokenizer.pad({"input_ids": [item["labels"] for item in items]}, return_tensors="pt")
        labels = padded.input_ids.masked_fill(padded.attention_mask == 0, IGNORED)
        if (labels[:, 0] == self.tokenizer.convert_tokens_to_ids(START)).all():
            labels = labels[:, 1:]
        return {"input_features": self._features(items), "labels": labels}

    def _features(self, items: Sequence[Item]) -> torch.Tensor:
        if "input_features" in items[0]:
            return torch.stack([item["input_features"] for item in items])
        return features(self.extractor, [item["wave"] for item in items], self.padding)


class Items(Dataset[Item]):
    """What the trainer draws from."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        return self.items[index]


class Grouped(Sampler[int]):
    """The library's own grouping by length, its window as wide as it is for a large corpus."""

    def __init__(self, lengths: Sequence[int], batch_size: int) -> None:
        self.lengths, self.batch_size = lengths, batch_size

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(get_length_grouped_indices(self.lengths, self.batch_size, WINDOWS_OF))


class Watch(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Takes the time from the first batch asked for to the last update."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.start, self.end = device, 0.0, 0.0

    def on_train_begin(self, *_: object, **__: object) -> None:
        """Model, optimizer and data are ready."""
        self.start = now(self.device)

    def on_train_end(self, *_: object, **__: object) -> None:
        """All steps are done."""
        self.end = now(self.device)


class WatchedTrainer(Seq2SeqTrainer):  # type: ignore[misc]  # transformers is not typed
    """Writes down shapes and losses, and can group by length."""

    def __init__(self, tape: Tape, sampler: Sampler[int] | None, **known: object) -> None:
        super().__init__(**known)
        self.tape, self.sampler = tape, sampler
        # Whisper takes the number of targets as an argument and ignores it: its loss is a mean, and the trainer would
        # add up those of the micro-batches of a step without dividing them.
        self.model_accepts_loss_kwargs = False

    def training_step(self, model: torch.nn.Module, inputs: dict[str, torch.Tensor], *rest: object) -> torch.Tensor:
        """Forward and backward of one micro-batch."""
        (clips, _, frames), tokens = inputs["input_features"].shape, inputs["labels"].shape[1]
        self.tape.note(clips, frames, tokens)
        loss: torch.Tensor = super().training_step(model, inputs, *rest)
        self.tape.losses.append(loss)
        return loss

    def _get_train_sampler(self, train_dataset: Dataset[Item] | None = None) -> Sampler[int] | None:
        return self.sampler or super()._get_train_sampler(train_dataset)


def train(bench: Bench, clips: Sequence[Spoken], peer: Peer, at_once: int) -> Block:
    """One epoch over the clips, `at_once` of them in a micro-batch."""
    tape, watch = Tape(), Watch(bench.compute.device)
    extractor = WhisperFeatureExtractor(feature_size=bench.model.network.config.num_mel_bins)
    sampler = Grouped([len(clip.pcm) for clip in clips], bench.batch_size) if peer.grouped else None
    trainer = WatchedTrainer(
        tape,
        sampler,
        model=bench.stock_network(unpadded=peer.padding == "longest"),
        args=_arguments(bench, len(clips), at_once),
        train_dataset=Items(_items(bench, clips, peer, extractor)),
        data_collator=Collator(extractor, bench.model.tokenizer, peer.padding),
        callbacks=[watch],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return finished(bench, clips, watch.end - watch.start, tape, bench.batch_size // at_once)


def largest_fitting(bench: Bench, clips: Sequence[Spoken], peer: Peer, sizes: Sequence[int]) -> int:
    """The first of falling micro-batch sizes with which a step passes; memory decides on a GPU alone.

    Raises:
        RuntimeError, MemoryError: none does.
    """
    if bench.compute.device.type != "cuda":
        return bench.batch_size
    longest = sorted(clips, key=lambda clip: -clip.seconds)[: bench.batch_size]
    for size in sizes:
        error = out_of_memory_of(partial(_try, bench, longest, peer, size))
        if error is None:
            return size
        free_memory(bench.compute.device, error)
    raise MemoryError(f"not even {sizes[-1]} clips at once")


def _try(bench: Bench, clips: Sequence[Spoken], peer: Peer, at_once: int) -> None:
    train(bench, clips, peer, at_once)


def features(extractor: WhisperFeatureExtractor, waves: Sequence[np.ndarray], padding: str) -> torch.Tensor:
    """Log-mel of shape = (clips, mel bands, frames), frames even."""
    made = extractor(waves, sampling_rate=SAMPLE_RATE, padding=padding, pad_to_multiple_of=2 * HOP, return_tensors="pt")
    return torch.as_tensor(made.input_features)


def _items(bench: Bench, clips: Sequence[Spoken], peer: Peer, extractor: WhisperFeatureExtractor) -> list[Item]:
    labels = bench.model.tokenizer([clip.text for clip in clips]).input_ids
    waves = [clip.pcm.astype(np.float32) / 32768 for clip in clips]
    if not peer.features_before:
        return [{"wave": wave, "labels": text} for wave, text in zip(waves, labels, strict=True)]
    made = [features(extractor, [wave], peer.padding)[0] for wave in waves]
    return [{"input_features": one, "labels": text} for one, text in zip(made, labels, strict=True)]


def _arguments(bench: Bench, clips: int, at_once: int) -> Seq2SeqTrainingArguments:
    assert bench.batch_size % at_once == 0, "a step is a whole number of micro-batches"
    return Seq2SeqTrainingArguments(
        output_dir=str(CACHE / "trainer"),  # nothing is written there
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=bench.batch_size // at_once,
        max_steps=-(-clips // bench.batch_size),
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        optim="adamw_torch_fused",
        adam_beta1=BETAS[0],
        adam_beta2=BETAS[1],
        weight_decay=WEIGHT_DECAY,
        max_grad_norm=CLIP_NORM,
        bf16=bench.compute.precision == "bf16",
        fp16=bench.compute.precision == "fp16",
        use_cpu=bench.compute.device.type == "cpu",
        dataloader_num_workers=bench.workers,
        remove_unused_columns=False,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
