"""Randomness of this room: it follows from what it is for, such as a kind of noise and the id of a clip."""

import numpy as np

from asr.seeds import derive

_SEED = 0


def generator(*purpose: str) -> np.random.Generator:
    """For one purpose."""
    return np.random.default_rng(derive(_SEED, *purpose))


def rank(*purpose: str) -> tuple[int, tuple[str, ...]]:
    """Where something stands in an order that looks random and never changes."""
    return derive(_SEED, *purpose), purpose
