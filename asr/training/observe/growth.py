"""Whether memory grows without end: a slope that outliers cannot bend, and a verdict that spikes cannot cause."""

from collections import deque

import numpy as np

WARM_UP_LOOKS = 10
"""Looks that do not count: allocators, libraries and the first evaluation take what they will keep."""
BLOCKS = 8
LOOKS_IN_A_BLOCK = 8
LOOKS = BLOCKS * LOOKS_IN_A_BLOCK
"""The last ones, which are judged."""
FLOOR_BYTES = 32 * 2**20
"""Growth over all blocks below which nothing is said; an allocator's own steps are of this size."""
EVENNESS = 0.5
"""A leak grows evenly: each block adds at least this share of the mean; 2 % of random walks do, too."""
_LATER, _EARLIER = np.tril_indices(LOOKS, -1)


class Growth:
    """The last looks at one figure."""

    def __init__(self) -> None:
        self._looks = 0
        self._points: deque[tuple[int, int]] = deque(maxlen=LOOKS)

    def add(self, step: int, size: int) -> None:
        """One look, in bytes; one at the same step as the last is left out."""
        self._looks += 1
        if self._looks > WARM_UP_LOOKS and not (self._points and step <= self._points[-1][0]):
            self._points.append((step, size))

    @property
    def steps(self) -> int:
        """Between the first and the last look."""
        return self._points[-1][0] - self._points[0][0] if self._points else 0

    def bytes_per_step(self) -> float:
        """The median slope over all pairs of looks (Theil 1950, Sen 1968); 0 until there are enough looks.

        SciPy has it as `theilslopes`, which takes 1 s to import.
        """
        if len(self._points) < LOOKS:
            return 0.0
        steps, sizes = np.array(self._points, dtype=float).T
        return float(np.median((sizes[_LATER] - sizes[_EARLIER]) / (steps[_LATER] - steps[_EARLIER])))

    def grown(self) -> int:
        """Bytes that the figure has grown by if it is a leak, else 0.

        Each block of looks counts by its lowest, which a spike cannot raise; a step up and a rise that levels off
        leave blocks that add nothing.
        """
        if len(self._points) < LOOKS:
            return 0
        sizes = np.array([size for _, size in self._points]).reshape(BLOCKS, LOOKS_IN_A_BLOCK)
        lowest = sizes.min(axis=1)
        total = int(lowest[-1] - lowest[0])
        even = np.diff(lowest).min() >= EVENNESS * total / (BLOCKS - 1)
        return total if even and total >= FLOOR_BYTES else 0
