"""The training split as tensors: samples, labels, and what both need to be checked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from transformers import WhisperTokenizer

from asr.corpus.clips import Clips, Utterance
from asr.errors import UserError
from asr.features import POSITIONS_PER_SECOND, Edges, padded_wave
from asr.models.tokenizer import end_id, prefix_ids
from asr.training.batches import MicroBatch
from asr.training.objective import IGNORED, Labels


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
        texts = tokenizer([item.text for item in utterances], add_special_tokens=False).input_ids
        return cls(utterances, clips, texts, edges, tuple(prefix_ids(tokenizer, language)), end_id(tokenizer))

    def edge_indices(self) -> list[int]:
        """The edge of each clip."""
        return [self.edges.index(len(self.clips[item.id])) for item in self.utterances]

    def require_fitting_labels(self, max_positions: int, ctc: bool) -> None:
        """Refuses labels that the model cannot learn, before the first step.

        Args:
            max_positions: decoder positions; prefix, text and end token must fit.
            ctc: also require an encoder position for each token and a blank between equal neighbours
                (Graves et al. 2006), without which the CTC loss is infinite.
        """
        for item, text in zip(self.utterances, self.texts, strict=True):
            length = len(self.prefix) + len(text) + 1
            if length > max_positions:
                raise UserError(
                    f"label.too_long: clip {item.id} has {length} label tokens, the model {max_positions} positions; "
                    "lower validate.max_label_characters"
                )
            needed = len(text) + sum(a == b for a, b in pairwise(text))
            if ctc and needed > item.duration * POSITIONS_PER_SECOND:
                raise UserError(
                    f"label.ctc_too_short: clip {item.id} has {item.duration:.2f} s for {needed} CTC labels; "
                    "lower validate.max_characters_per_second or set train.ctc_weight to 0"
                )

    def wave(self, batch: MicroBatch) -> torch.Tensor:
        """Samples with their tail of silence, shape = (clips, samples of the edge)."""
        samples = [self.clips[self.utterances[i].id] for i in batch.clips]
        return padded_wave(samples, self.edges.padded_samples(batch.edge))

    def labels(self, batch: MicroBatch) -> Labels:
        """Decoder input and targets; positions behind a label are masked by length, never by token id."""
        texts = [list(self.texts[i]) for i in batch.clips]
        longest = max(map(len, texts))
        fill = [longest - len(text) for text in texts]
        return Labels(
            decoder_input=torch.tensor(
                [[*self.prefix, *text, *[self.end] * n] for text, n in zip(texts, fill, strict=True)]
            ),
            targets=torch.tensor([[*text, self.end, *[IGNORED] * n] for text, n in zip(texts, fill, strict=True)]),
            lengths=torch.tensor([len(text) for text in texts]),
        )

    def tokens(self, batch: MicroBatch) -> int:
        """Targets of a micro-batch: text tokens and end tokens."""
        return sum(len(self.texts[i]) + 1 for i in batch.clips)

    def seconds(self, batch: MicroBatch) -> float:
        """Real audio in a micro-batch, without padding."""
        return sum(self.utterances[i].duration for i in batch.clips)
