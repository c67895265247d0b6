"""The training split as tensors: samples, labels, and what both need to be checked for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import WhisperTokenizer

from asr.corpus.clips import Clips, Utterance
from asr.corpus.edges import edge_indices
from asr.errors import UserError
from asr.features import Edges, padded_wave
from asr.models.tokenizer import end_id, prefix_ids
from asr.training.batches import MicroBatch
from asr.training.labels import collate, require_alignable, require_plain, require_room, require_sound
from asr.training.objective import Labels

TOKENIZED_TOGETHER = 1000
"""Texts."""


@dataclass(frozen=True)
class TrainingSet:
    """Utterances with their samples and their text as token ids."""

    utterances: Sequence[Utterance]
    clips: Clips
    texts: Sequence[Sequence[int]]
    """Text tokens of each utterance, without prefix and end."""
    edges: Edges
    prefix: tuple[int, ...]
    end: int

    @classmethod
    def build(
        cls, utterances: Sequence[Utterance], clips: Clips, tokenizer: WhisperTokenizer, edges: Edges, language: str
    ) -> "TrainingSet":
        """Tokenizes the transcripts."""
        if not utterances:
            raise UserError("the training split has no clips: see data/splits/rejected.jsonl and metrics/validate.json")
        texts = _tokenized([item.text for item in utterances], tokenizer)
        return cls(utterances, clips, texts, edges, tuple(prefix_ids(tokenizer, language)), end_id(tokenizer))

    def edge_indices(self) -> list[int]:
        """The edge of each clip."""
        found = edge_indices(np.array(self.samples()), self.edges.seconds, self.edges.tail)
        return [int(edge) for edge in found]

    def samples(self) -> list[int]:
        """The length of each clip."""
        return [len(self.clips[item.id]) for item in self.utterances]

    def require_start(self, start: int) -> None:
        """Refuses a tokenizer whose prefix does not begin with the model's `decoder_start_token_id`."""
        if self.prefix[0] != start:
            raise UserError(
                f"run.identity_mismatch: the tokenizer's prefix begins with token {self.prefix[0]}, the model's "
                f"decoder with {start}: set model.name to a folder or Hub id that holds both"
            )

    def require_fitting_labels(self, max_positions: int, ctc: bool) -> None:
        """Refuses labels that the model cannot learn, before the first step.

        Args:
            max_positions: decoder positions; prefix, text and end token must fit.
            ctc: also require room for a CTC alignment.
        """
        for item, text in zip(self.utterances, self.texts, strict=True):
            require_plain(item.id, text, self.end)
            require_room(item.id, len(self.prefix) + len(text) + 1, max_positions)
            if ctc:
                require_alignable(item.id, text, item.duration)

    def wave(self, batch: MicroBatch) -> torch.Tensor:
        """Samples with their tail of silence, shape = (clips, samples of the edge)."""
        samples = [self.clips[self.utterances[i].id] for i in batch.clips]
        return padded_wave(samples, self.edges.padded_samples(batch.edge))

    def labels(self, batch: MicroBatch) -> Labels:
        """Decoder input and targets, checked as built.

        Raises:
            UserError: the arrays lack their one prefix or end, or all targets of a clip are masked.
        """
        labels = collate([self.texts[i] for i in batch.clips], self.prefix, self.end)
        require_sound(labels, [self.utterances[i].id for i in batch.clips], self.prefix, self.end)
        return labels

    def tokens(self, batch: MicroBatch) -> int:
        """Targets of a micro-batch: text tokens and end tokens."""
        return sum(len(self.texts[i]) + 1 for i in batch.clips)


def _tokenized(texts: Sequence[str], tokenizer: WhisperTokenizer) -> list[list[int]]:
    """In parts, since a tokenizer keeps five kilobytes a text until all are done."""
    parts = (texts[start : start + TOKENIZED_TOGETHER] for start in range(0, len(texts), TOKENIZED_TOGETHER))
    return [ids for part in parts for ids in tokenizer(list(part), add_special_tokens=False).input_ids]
