"""Stateless randomness: a seed follows from what it is for, never from what was drawn before.

So a run that stops and goes on draws the same numbers as one that never stopped.
"""

import hashlib


def derive(seed: int, *purpose: int | str) -> int:
    """A 63-bit seed for one purpose, such as `derive(seed, "order", epoch)`."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1
