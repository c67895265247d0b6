"""Faults 84 to 92 of the catalogue: chunks of a stream that cannot be taken as they come."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.decoding.segments import SegmentLimits
from asr.decoding.stream import Chunk, Intake, PcmFormat
from asr.pcm import SAMPLE_RATE, Pcm16
from tests.factories import speech_like
from tests.ugly.fault import Fault
from tests.ugly.tables import Stop

PLAIN, FLOATS = PcmFormat(SAMPLE_RATE), PcmFormat(SAMPLE_RATE, encoding="f32le")

USUAL = SegmentLimits()


@dataclass(frozen=True)
class Heard:
    """A stream, and what is to be heard of it."""

    chunks: list[Chunk]
    segments: int
    """Utterances that are heard in spite of the fault."""
    declared: PcmFormat = PLAIN
    limits: SegmentLimits = USUAL


Stream = Fault[Callable[[], Heard]]
"""A fault of a stream; `build` makes the stream."""


def _silence(seconds: float) -> Pcm16:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)


def _said(seed: int) -> Pcm16:
    """An utterance between pauses, 2.5 s."""
    return np.concatenate([_silence(0.5), speech_like(1.0, seed), _silence(1.0)])


def _bytes(pcm: Pcm16, declared: PcmFormat = PLAIN) -> bytes:
    return pcm.astype("<i2").tobytes() if declared.encoding == "s16le" else (pcm / 32768).astype("<f4").tobytes()


def _between(*chunks: Chunk, declared: PcmFormat = PLAIN) -> Callable[[], Heard]:
    """Chunks between two utterances, both of which have to be heard."""
    first, last = (Chunk(_bytes(_said(seed), declared)) for seed in (1, 2))
    return lambda: Heard([first, *chunks, last], 2, declared)


def _floats(value: float) -> Chunk:
    return Chunk(np.full(1600, value, "<f4").tobytes())


def _half_a_sample() -> Heard:
    data = _bytes(_said(1))
    return Heard([Chunk(data[:33_001]), Chunk(data[33_001:] + b"\1")], 1)


def _gap() -> Heard:
    return Heard([Chunk(_bytes(_said(1)), 0), Chunk(_bytes(_said(2)), 10 * SAMPLE_RATE)], 2)


def _repeat() -> Heard:
    first, last = _bytes(_said(1)), _bytes(_said(2))
    return Heard([Chunk(first, 0), Chunk(first, 0), Chunk(last, len(first) // 2)], 2)


def _reordered() -> Heard:
    first, middle, last = (Chunk(_bytes(_said(seed)), 40_000 * place) for place, seed in enumerate((1, 2, 3)))
    return Heard([first, last, middle], 2)


def _endless() -> Heard:
    return Heard([Chunk(_bytes(speech_like(7.0)))], 5, limits=SegmentLimits(longest_s=2.0))


def _noise() -> Heard:
    hiss = np.rint(30 * np.random.default_rng(1).standard_normal(3 * SAMPLE_RATE)).astype(np.int16)
    return Heard([Chunk(_bytes(hiss))], 0)


def _one_chunk() -> Heard:
    """Half a minute at once, far more than a window."""
    return Heard([Chunk(_bytes(speech_like(30.0)))], 4)


def _after_end(_: Path) -> object:
    intake = Intake(PLAIN)
    intake.close()
    return intake.push(Chunk(b"\0\0"))


def _never_closed(_: Path) -> object:
    with Intake(PLAIN) as intake:
        return intake.push(Chunk(_bytes(_said(1))))


STREAMS: tuple[Stream, ...] = (
    Stream(84, "a chunk of no bytes", "stream.empty_chunk", _between(Chunk(b""))),
    Stream(85, "half a sample at the end", "stream.partial_sample", _half_a_sample),
    Stream(86, "floats among integers", "stream.dtype_change", _between(Chunk(bytes(6400), format=FLOATS))),
    Stream(86, "integers sent as floats", "stream.dtype_change", _between(_floats(9000.0), declared=FLOATS)),
    Stream(87, "another rate", "stream.format_change", _between(Chunk(bytes(3200), format=PcmFormat(8_000)))),
    Stream(
        87, "another channel", "stream.format_change", _between(Chunk(bytes(3200), format=PcmFormat(SAMPLE_RATE, 2)))
    ),
    Stream(88, "NaN", "stream.nonfinite", _between(_floats(np.nan), declared=FLOATS)),
    Stream(88, "infinity", "stream.nonfinite", _between(_floats(-np.inf), declared=FLOATS)),
    Stream(89, "a gap", "stream.gap", _gap),
    Stream(89, "a chunk twice", "stream.repeat", _repeat),
    Stream(89, "a chunk that comes late", "stream.repeat", _reordered),
    Stream(90, "speech without end", "stream.max_segment", _endless),
    Stream(90, "half a minute in one chunk", "stream.max_segment", _one_chunk),
    Stream(91, "noise alone", "stream.no_speech", _noise),
)
STOPS: tuple[Stop, ...] = (
    Stop(92, "use after the end", "stream.protocol", _after_end),
    Stop(92, "never closed", "stream.protocol", _never_closed),
)
