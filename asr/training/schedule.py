"""The learning rate over time."""

import math
from typing import Literal


def rate_factor(
    step: int, max_steps: int, warmup_steps: int, schedule: Literal["linear", "cosine", "constant"]
) -> float:
    """What the peak learning rate is multiplied with at `step` (from 0): a linear rise, then the schedule's fall."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, max_steps - warmup_steps)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return 1 - progress if schedule == "linear" else 1.0
