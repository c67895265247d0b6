"""Validation while training: the words as evaluate hears them, greedily, and the loss with the true text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from asr.corpus.clips import Utterance
from asr.decoding.generate import Hypothesis, Transcriber
from asr.errors import UserError
from asr.models.build import SpeechModel
from asr.scoring.wer import score
from asr.text import Numbers
from asr.training.batches import MicroBatch
from asr.training.data import TrainingSet
from asr.training.guards.oom import free_memory, halved, is_out_of_memory, out_of_memory_of, split
from asr.training.guards.signals import Signals
from asr.training.history import EvaluationRecord, Heard
from asr.training.loading import Loaded, load
from asr.training.trainer import Trainer

DECODED_TOGETHER = 64
"""Clips; results do not depend on it beyond rounding."""
BETWEEN_SIGNALS = 640
"""Clips after which a waiting signal is looked for."""


class Abandoned(Exception):  # noqa: N818  # nothing went wrong
    """A signal came: the evaluation was given up and is done anew after the run goes on."""


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation found."""

    record: EvaluationRecord
    heard: list[Heard]


@dataclass(frozen=True)
class Validator:
    """Judges the weights as they are."""

    model: SpeechModel
    trainer: Trainer
    data: TrainingSet
    """The validation clips with text, as many as `train.evaluate_clips` says."""
    numbers: Numbers
    """How texts are normalised for the error rate."""
    signals: Signals | None
    """Looked at in between; None where the evaluation must be finished."""

    def __call__(self, step: int) -> Evaluation:
        """Decodes and scores.

        Raises:
            Abandoned: a signal came.
            UserError: the loss is not finite, though the weights are.
        """
        try:
            loss, heard = self._loss(), self._transcribed()
        finally:
            self.trainer.objective.train()
        if not math.isfinite(loss):
            raise UserError(
                f"train.not_finite: the validation loss after step {step} is {loss}: set train.precision to bf16 or "
                "fp32, or lower train.learning_rate"
            )
        utterances = self.data.utterances
        texts = [item.text for item in heard]
        scores = score([item.text for item in utterances], texts, self.model.language, self.numbers)
        watched = [
            Heard(step, item.id, item.text, text)
            for item, text in list(zip(utterances, texts, strict=True))[: self.trainer.params.watch_clips]
        ]
        capped = sum(item.capped for item in heard)
        return Evaluation(EvaluationRecord(step, scores.normalized.wer, loss, capped), watched)

    def _transcribed(self) -> list[Hypothesis]:
        """Of all clips in their order; every process decodes its share."""
        ranks = self.trainer.ranks
        mine = list(range(len(self.data.utterances)))[ranks.index :: ranks.count]
        found: list[tuple[int, Hypothesis]] = []
        for first in range(0, len(mine), BETWEEN_SIGNALS):
            self._look_for_signals()
            part = mine[first : first + BETWEEN_SIGNALS]
            found += zip(part, self._decode(part, DECODED_TOGETHER), strict=True)
        return [hypothesis for _, hypothesis in sorted(ranks.gather(found), key=lambda pair: pair[0])]

    def _decode(self, part: Sequence[int], together: int) -> list[Hypothesis]:
        """Where memory runs out, fewer clips are decoded together."""
        model, trainer = self.model, self.trainer
        transcriber = Transcriber(
            model.network, model.tokenizer, trainer.log_mel, model.edges, model.language, 1, together
        )
        try:
            return transcriber.transcribe([self.data.clips[self.data.utterances[i].id] for i in part], "validate")
        except (RuntimeError, MemoryError) as error:
            if together == 1 or not is_out_of_memory(error):
                raise
        free_memory(trainer.device)
        return self._decode(part, together // 2)

    def _loss(self) -> float:
        """Cross-entropy a token (nats) without augmentation and dropout."""
        trainer, edges = self.trainer, self.data.edge_indices()
        trainer.objective.eval()
        ranks, loss, tokens = trainer.ranks, 0.0, 0
        for edge in sorted(set(edges)):
            same = [i for i, value in enumerate(edges) if value == edge][ranks.index :: ranks.count]
            for first in range(0, len(same), DECODED_TOGETHER):
                self._look_for_signals()
                batch = MicroBatch(edge, tuple(same[first : first + DECODED_TOGETHER]))
                loss += self._loss_of(load(self.data, batch))
                tokens += self.data.tokens(batch)
        loss, count = ranks.total([loss, tokens])
        return loss / count

    def _loss_of(self, loaded: Loaded) -> float:
        """Sum over the tokens; where memory runs out, of halves."""
        found: list[float] = []
        error = out_of_memory_of(lambda: found.append(self._loss_at_once(loaded)))
        if error is None:
            return found[0]
        free_memory(self.trainer.device, error)
        fewer = halved(len(loaded.clips), self.data.edges.seconds[loaded.edge], error)
        return sum(self._loss_of(piece) for piece in split(loaded, fewer))

    def _loss_at_once(self, loaded: Loaded) -> float:
        trainer = self.trainer
        with torch.inference_mode():
            labels = loaded.labels.to(trainer.device)
            log_mel = trainer.log_mel(loaded.wave.to(trainer.device))  # not under autocast, as in training
            with trainer.accelerator.autocast():
                cross_entropy, _ = trainer.objective(log_mel, labels)
        return float(cross_entropy)

    def _look_for_signals(self) -> None:
        """With several processes an evaluation is always finished: they would have to agree at every look."""
        if self.signals and self.signals.received and self.trainer.ranks.count == 1:
            raise Abandoned


def chosen(validation: Sequence[Utterance], count: int | None) -> Sequence[Utterance]:
    """The first `count` clips with text: ids are hashes, so these are a random sample."""
    spoken = [item for item in validation if item.text]
    if not spoken:
        raise UserError("the validation split has no clips with text: raise validate.validation_share")
    return spoken[:count]
