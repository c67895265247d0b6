"""Cuts an endless signal into utterances: which frames hold speech, and where a segment begins and ends.

Nothing here looks ahead, and what is kept in memory is bounded by the longest segment.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from asr.errors import UserError
from asr.pcm import SAMPLE_RATE, Pcm16

FRAME = SAMPLE_RATE // 50
"""Samples that are judged together: 20 ms."""
FRAMES_PER_SECOND = SAMPLE_RATE // FRAME


@dataclass(frozen=True)
class Segment:
    """One utterance."""

    start_s: float
    """Seconds since the stream was opened."""
    pcm: Pcm16

    @property
    def end_s(self) -> float:
        """Seconds since the stream was opened."""
        return self.start_s + len(self.pcm) / SAMPLE_RATE


@dataclass(frozen=True)
class Notice:
    """What was odd about a stream."""

    code: str
    """One of the `stream.` codes (`docs/bad-data.md`)."""
    message: str
    at_s: float
    """Seconds since the stream was opened."""


Event = Segment | Notice


class Detector(Protocol):
    """Hears speech frame by frame; a neural detector may take the place of `EnergyGate`."""

    def voiced(self, frame: Pcm16, /) -> bool:
        """Whether the next frame, shape = (FRAME,), holds speech."""


@dataclass(frozen=True)
class GateLimits:
    """Parameters of `EnergyGate`."""

    margin_db: float = 9.0
    """How far speech stands above the quietest frame of the window."""
    window_s: float = 5.0
    """Seconds in which speech is sure to pause or dip at least once."""
    quietest_dbfs: float = -55.0
    """Below this level nothing is speech: silence may be digital, which any level exceeds by far."""


class EnergyGate:
    """Speech is what stands out from the quietest moment of the last seconds.

    The minimum as an estimate of the noise is Martin's (2001, "Noise power spectral density estimation based
    on optimal smoothing and minimum statistics"), here on whole frames. Steady noise of any level is no speech;
    noise that swells by more than the margin is taken for speech.
    """

    def __init__(self, limits: GateLimits) -> None:
        self._ratio = 10 ** (limits.margin_db / 10)
        self._quietest = FRAME * 32768.0**2 * 10 ** (limits.quietest_dbfs / 10)
        self._window: deque[int] = deque(maxlen=round(limits.window_s * FRAMES_PER_SECOND))

    def voiced(self, frame: Pcm16) -> bool:
        """Whether the frame is that much louder than the quietest one of the window, itself included."""
        loudness = energy(frame)
        self._window.append(loudness)
        return loudness > max(self._quietest, self._ratio * min(self._window))


@dataclass(frozen=True)
class SegmentLimits:
    """Where segments begin and end, in seconds."""

    lead_s: float = 0.1
    """Kept before the first speech, for its soft beginning; models trained on trimmed clips stand no more."""
    tail_s: float = 0.2
    """Kept behind the last speech."""
    pause_s: float = 0.5
    """So long without speech ends a segment."""
    shortest_s: float = 0.1
    """Less speech than this is a click."""
    longest_s: float = 10.0
    """A segment is never longer; at most the model's last edge."""

    def __post_init__(self) -> None:
        if not 0 <= self.tail_s <= self.pause_s or not 0 <= self.lead_s <= self.longest_s - self.pause_s:
            raise UserError(f"{self}: needs tail_s <= pause_s and lead_s + pause_s <= longest_s, none below 0")


class Segmenter:
    """Collects samples of one unbroken run after another into segments."""

    def __init__(self, limits: SegmentLimits, detector: Detector) -> None:
        self._detector = detector
        self._lead, self._tail, self._pause, self._shortest, self._longest = (
            round(seconds * FRAMES_PER_SECOND)
            for seconds in (limits.lead_s, limits.tail_s, limits.pause_s, limits.shortest_s, limits.longest_s)
        )
        self.begin(0.0)

    def begin(self, at_s: float) -> None:
        """A new run starts at a time of the stream; the one before must have been ended."""
        self._began_s = at_s
        self._frames = 0
        """Frames of this run so far."""
        self._kept: list[tuple[Pcm16, bool]] = []
        """The open segment, or what may become the lead of the next one: samples, and whether they are voiced."""
        self._open = False
        self._continued = False
        """The open segment is the rest of speech that was cut at the bound."""
        self._rest: Pcm16 = np.zeros(0, np.int16)
        """Samples of an unfinished frame."""

    def push(self, samples: Pcm16) -> Iterator[Event]:
        """Segments that end with these samples, shape = (samples,)."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // FRAME * FRAME
        self._rest = samples[whole:]
        for frame in samples[:whole].reshape(-1, FRAME):
            yield from self._frame(frame, self._detector.voiced(frame))

    def end(self) -> Iterator[Event]:
        """The segment that is still open, if there is one; the run is over."""
        if self._open:
            self._frames += 1
            self._kept.append((self._rest, False))
            yield from self._commit(len(self._kept) - max(0, self._quiet() - self._tail))
        self.begin(self._began_s)

    def _frame(self, frame: Pcm16, voiced: bool) -> Iterator[Event]:
        self._frames += 1
        self._kept.append((frame, voiced))
        self._open = self._open or voiced
        if not self._open:
            self._keep_lead()
        elif self._quiet() >= self._pause:
            yield from self._commit(len(self._kept) - self._quiet() + self._tail)
            self._open = self._continued = False
            self._keep_lead()
        elif len(self._kept) >= self._longest:
            cut = self._quietest_place()
            yield Notice(
                "stream.max_segment",
                f"speech without a pause for {len(self._kept) / FRAMES_PER_SECOND:g} s: cut at its quietest moment",
                self._time(cut),
            )
            yield from self._commit(cut)
            self._continued = True

    def _commit(self, count: int) -> Iterator[Event]:
        """The first `count` kept frames as a segment; the others stay, as the beginning of the next."""
        chosen, start_s = self._kept[:count], self._time(0)
        del self._kept[:count]
        voiced = sum(heard for _, heard in chosen)
        if voiced >= self._shortest or (voiced and self._continued):
            yield Segment(start_s, np.concatenate([frame for frame, _ in chosen]))
        elif voiced:
            seconds = voiced / FRAMES_PER_SECOND
            yield Notice("stream.no_speech", f"{seconds:g} s of sound: too short for speech, left out", start_s)

    def _keep_lead(self) -> None:
        del self._kept[: max(0, len(self._kept) - self._lead)]

    def _quiet(self) -> int:
        """Frames since the last voiced one; all that are kept if none is."""
        for count, (_, voiced) in enumerate(reversed(self._kept)):
            if voiced:
                return count
        return len(self._kept)

    def _quietest_place(self) -> int:
        """How many frames lie before the end of the quietest one in the second half of what is kept."""
        half = len(self._kept) // 2
        levels = [energy(frame) for frame, _ in self._kept[half:]]
        return half + levels.index(min(levels)) + 1

    def _time(self, place: int) -> float:
        """Seconds since the stream was opened at which a kept frame begins."""
        return self._began_s + (self._frames - len(self._kept) + place) / FRAMES_PER_SECOND


def energy(frame: Pcm16) -> int:
    """Sum of squared samples, exact."""
    wide = frame.astype(np.int64)
    return int(np.dot(wide, wide))
