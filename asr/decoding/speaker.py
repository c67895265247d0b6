"""What greedy and beam search ask of a model: a text begun, and what may come next."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import WhisperForConditionalGeneration

from asr.decoding.decoder_step import DecoderState, DecoderWeights

STEPS_BETWEEN_LOOKS = 8
"""On a GPU: asking which texts have ended makes it wait for the CPU, so they run on for a few tokens, cut off later."""


@dataclass(frozen=True)
class Speaker:
    """All that a search needs of a model, as its weights are now."""

    weights: DecoderWeights
    output: torch.Tensor
    """Of the output layer, shape = (vocabulary, C)."""
    suppressed: torch.Tensor
    """Ids up to the end that are never said, shape = (ids,)."""
    prefix: tuple[int, ...]
    """Ids before the text."""
    end: int
    """Id of the end of a text; smaller ids are text."""

    @classmethod
    def of(
        cls, model: WhisperForConditionalGeneration, prefix: Sequence[int], end: int, suppressed: Sequence[int]
    ) -> "Speaker":
        """For one decoding: to be made again when weights may have changed, under `torch.inference_mode`."""
        below = torch.tensor([i for i in suppressed if i <= end], dtype=torch.long, device=model.device)
        return cls(DecoderWeights.of(model), model.proj_out.weight, below, tuple(prefix), end)

    def begin(self, encoded: torch.Tensor, cap: int, beams: int = 1) -> tuple[DecoderState, torch.Tensor]:
        """Empty texts, and the prefix that each is to begin with, shape = (clips x beams, prefix).

        Args:
            encoded: the encoder's output, shape = (clips, S, C).
            cap: tokens that a text may have.
            beams: texts of each clip.
        """
        state = DecoderState(self.weights, encoded, len(self.prefix) + cap, beams)
        return state, torch.tensor([self.prefix] * len(encoded) * beams, device=encoded.device)

    def forbid(self, values: torch.Tensor) -> torch.Tensor:
        """Logits or log-probabilities, shape = (B, ids), with the suppressed ids out of the race; changes them."""
        return values.index_fill_(1, self.suppressed, -torch.inf) if len(self.suppressed) else values


def steps_between_looks(device: torch.device) -> int:
    """Tokens after which a search asks which texts have ended."""
    return 1 if device.type == "cpu" else STEPS_BETWEEN_LOOKS
