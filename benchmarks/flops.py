"""The arithmetic of Whisper, counted from its shapes: a floor that no implementation can go below.

Letters: d width, T encoder positions, L decoder tokens, V vocabulary. A product of (m, k) and (k, n) counts 2 m k n;
what is no matrix product is left out. Backward costs twice forward, so that a training step is three times forward.
"""

import math
from collections.abc import Iterable

from transformers import WhisperConfig

from asr.corpus.edges import POSITIONS_PER_SECOND

STEP = 3
"""Forward and backward over forward."""


def positions_of(seconds: float) -> int:
    """Encoder positions of a clip without any padding."""
    return max(1, math.ceil(seconds * POSITIONS_PER_SECOND))


def forward_flops(config: WhisperConfig, positions: int, tokens: int) -> float:
    """One clip through encoder, decoder and head.

    Args:
        config: of the model.
        positions: T; two frames of log-mel each.
        tokens: L, with the prefix.
    """
    return encoder_flops(config, positions) + decoder_flops(config, positions, tokens)


def encoder_flops(config: WhisperConfig, positions: int) -> float:
    """Both convolutions; in each layer 24 d^2 T for the products with weights and 4 T^2 d for attention."""
    width, mel = config.d_model, config.num_mel_bins
    convolutions = 2 * (2 * positions) * (3 * mel) * width + 2 * positions * (3 * width) * width
    layer = 24 * width**2 * positions + 4 * positions**2 * width
    return float(convolutions + config.encoder_layers * layer)


def decoder_flops(config: WhisperConfig, positions: int, tokens: int) -> float:
    """All tokens at once, as in training; keys and values of the encoder's output cost 4 d^2 T in each layer."""
    width = config.d_model
    weights = 28 * width**2 * tokens + 4 * width**2 * positions
    attention = 4 * tokens * positions * width + 2 * tokens**2 * width  # the second one is causal: half of a square
    return float(config.decoder_layers * (weights + attention) + 2 * width * config.vocab_size * tokens)


def step_flops(config: WhisperConfig, clips: Iterable[tuple[int, int]]) -> float:
    """A training step over clips, given as pairs (positions, tokens)."""
    return STEP * sum(forward_flops(config, positions, tokens) for positions, tokens in clips)
