"""Takes in a stream of raw PCM, chunk by chunk, and gives its utterances with their times.

How a stream is cut into chunks changes nothing: the same bytes give the same segments, bit for bit. A chunk
that cannot be used is refused as a whole with a `Notice`; its time passes, a segment ends before it, and the next
chunk is taken as if nothing had happened. No audio is invented where some was lost.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import soxr
from numpy.typing import NDArray

from asr.decoding.segments import Detector, EnergyGate, Event, GateLimits, Notice, Segment, Segmenter, SegmentLimits
from asr.errors import UserError
from asr.pcm import SAMPLE_RATE, Pcm16

MIN_RATE, MAX_RATE = 4_000, 192_000
"""Hz, as for files."""
MAX_CHANNELS = 8
FULL_SCALE = 32_768
"""PCM16 steps from zero to full scale."""
_DTYPES: dict[str, "np.dtype[Any]"] = {"s16le": np.dtype("<i2"), "f32le": np.dtype("<f4")}


@dataclass(frozen=True)
class PcmFormat:
    """What the bytes of a stream mean; channels are interleaved."""

    rate: int
    """Frames a second (Hz)."""
    channels: int = 1
    encoding: Literal["s16le", "f32le"] = "s16le"
    """Signed 16-bit integers, or floats with full scale = 1; both little-endian."""

    def __post_init__(self) -> None:
        if not MIN_RATE <= self.rate <= MAX_RATE:
            raise UserError(f"rate = {self.rate}: out of range; a stream has {MIN_RATE} to {MAX_RATE} Hz")
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise UserError(f"channels = {self.channels}: out of range; a stream has 1 to {MAX_CHANNELS}")
        if self.encoding not in _DTYPES:
            raise UserError(f"encoding = {self.encoding!r}: not a choice; write one of {', '.join(_DTYPES)}")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * _DTYPES[self.encoding].itemsize


@dataclass(frozen=True)
class Chunk:
    """Some bytes of a stream; any number of them, also half a sample."""

    data: bytes
    position: int | None = None
    """Number of the frame in which the data begin, since the stream was opened (the timestamp of RFC 3550);
    None where the transport loses nothing."""
    format: PcmFormat | None = None
    """What this chunk says of itself; None for what was declared."""


class Intake:
    """A stream's way in: `push` every chunk, then `close`. A context manager that sees to it."""

    def __init__(
        self, declared: PcmFormat, limits: SegmentLimits | None = None, detector: Detector | None = None
    ) -> None:
        self._declared = declared
        self._signal = _Signal(declared)
        self._segmenter = Segmenter(limits or SegmentLimits(), detector or EnergyGate(GateLimits()))
        self._frames = 0
        """Frames of the stream whose time has passed."""
        self._carry = b""
        """Beginning of a frame whose end is in the next chunk."""
        self._counts: Counter[str] = Counter()
        self._segments = 0
        self._closed = False

    @property
    def counts(self) -> Mapping[str, int]:
        """Notices so far, by code."""
        return self._counts

    def push(self, chunk: Chunk) -> list[Event]:
        """What the chunk completes, in the order of time.

        Raises:
            UserError: `stream.protocol`, the stream is closed.
        """
        self._require_open("push")
        return self._counted(self._take(chunk))

    def close(self) -> list[Event]:
        """The last segment; without this call it would be lost.

        Raises:
            UserError: `stream.protocol`, the stream is closed already.
        """
        self._require_open("close")
        self._closed = True
        return self._counted(self._finish())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None and not self._closed:
            raise UserError("stream.protocol: the stream ends without close(): call it, its events may be speech")

    def _require_open(self, call: str) -> None:
        if self._closed:
            raise UserError(f"stream.protocol: {call}() after close(): open another Intake for another stream")

    def _counted(self, events: Iterable[Event]) -> list[Event]:
        found = list(events)
        self._counts.update(event.code for event in found if isinstance(event, Notice))
        self._segments += sum(isinstance(event, Segment) for event in found)
        return found

    def _take(self, chunk: Chunk) -> Iterator[Event]:
        if not chunk.data:
            yield self._notice("stream.empty_chunk", "a chunk of no bytes: passed over")
            return
        if chunk.format is not None and chunk.format != self._declared:
            yield self._stranger(chunk.format)
            seconds = len(chunk.data) / chunk.format.frame_bytes / chunk.format.rate
            yield from self._lose(round(seconds * self._declared.rate))
            return
        if chunk.position is not None and chunk.position > self._frames:
            yield from self._gap(chunk.position)
        data = chunk.data
        if chunk.position is not None and chunk.position < self._frames:
            data = self._unheard(chunk.position, data)
            yield self._notice("stream.repeat", f"frame {chunk.position} again: what was heard is left out")
        yield from self._hear(data)

    def _finish(self) -> Iterator[Event]:
        yield from self._drop_carry("the stream ends inside a sample")
        yield from self._end_run()
        if not self._segments:
            yield self._notice("stream.no_speech", "only silence or steady noise: the text is empty")

    def _hear(self, data: bytes) -> Iterator[Event]:
        data = self._carry + data
        whole = len(data) // self._declared.frame_bytes * self._declared.frame_bytes
        self._carry = data[whole:]
        samples = np.frombuffer(data[:whole], _DTYPES[self._declared.encoding]).reshape(-1, self._declared.channels)
        fault = _fault(samples)
        if fault is not None:
            yield self._notice(*fault)
            yield from self._lose(len(samples))
            return
        for start in range(0, len(samples), self._declared.rate):  # a second at a time bounds what is made of it
            part = samples[start : start + self._declared.rate]
            self._frames += len(part)
            yield from self._segmenter.push(self._signal.push(part))

    def _gap(self, position: int) -> Iterator[Event]:
        seconds = (position - self._frames) / self._declared.rate
        yield self._notice("stream.gap", f"{seconds:g} s are missing before frame {position}: a segment ends here")
        yield from self._drop_carry("the stream breaks off inside a sample")
        yield from self._lose(position - self._frames)

    def _unheard(self, position: int, data: bytes) -> bytes:
        """What of `data` lies behind the frames that have been heard."""
        rest = data[(self._frames - position) * self._declared.frame_bytes :]
        if rest:
            self._carry = b""  # `rest` begins with the same frame
        return rest

    def _lose(self, frames: int) -> Iterator[Event]:
        """Lets the time of audio pass that cannot be had; what comes next is another run."""
        yield from self._end_run()
        self._frames += frames
        self._segmenter.begin(self._now())

    def _end_run(self) -> Iterator[Event]:
        yield from self._segmenter.push(self._signal.flush())
        yield from self._segmenter.end()

    def _drop_carry(self, what: str) -> Iterator[Notice]:
        if self._carry:
            kept, self._carry = len(self._carry), b""
            yield self._notice(
                "stream.partial_sample", f"{what}: {kept} of {self._declared.frame_bytes} bytes left out"
            )

    def _stranger(self, found: PcmFormat) -> Notice:
        wanted = self._declared
        if (found.rate, found.channels) != (wanted.rate, wanted.channels):
            return self._notice(
                "stream.format_change",
                f"a chunk of {found.rate} Hz, {found.channels} channels in a stream of {wanted.rate} Hz, "
                f"{wanted.channels} channels: left out",
            )
        return self._notice("stream.dtype_change", f"a chunk of {found.encoding} in {wanted.encoding}: left out")

    def _notice(self, code: str, message: str) -> Notice:
        return Notice(code, message, self._now())

    def _now(self) -> float:
        return self._frames / self._declared.rate


def listen(chunks: Iterable[Chunk], intake: Intake) -> Iterator[Event]:
    """All events of a stream, to its end and with its last segment."""
    with intake:
        for chunk in chunks:
            yield from intake.push(chunk)
        yield from intake.close()


class _Signal:
    """Samples of the declared format as mono 16 kHz PCM16, rendered as for files."""

    def __init__(self, declared: PcmFormat) -> None:
        self._exact = declared == PcmFormat(SAMPLE_RATE)
        self._resampler = (
            None
            if declared.rate == SAMPLE_RATE
            else soxr.ResampleStream(declared.rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
        )

    def push(self, samples: NDArray[Any]) -> Pcm16:
        """Shape = (frames, channels) to shape = (samples,); the resampler holds some back."""
        if self._exact:
            exact: Pcm16 = samples[:, 0]
            return exact
        scale = 1 if samples.dtype.kind == "f" else FULL_SCALE
        mono = (samples.astype(np.float32) / np.float32(scale)).mean(axis=1, dtype=np.float32)
        return _pcm16(mono if self._resampler is None else self._resampler.resample_chunk(mono))

    def flush(self) -> Pcm16:
        """What the resampler held back; the next samples are those of another run."""
        if self._resampler is None:
            return np.zeros(0, np.int16)
        rest = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        self._resampler.clear()
        return _pcm16(rest)


def _pcm16(mono: NDArray[np.float32]) -> Pcm16:
    return np.clip(np.rint(mono * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def _fault(samples: NDArray[Any]) -> tuple[str, str] | None:
    """Code and message for what only floats can hold."""
    if samples.dtype.kind != "f":
        return None
    bad = int(np.count_nonzero(~np.isfinite(samples)))
    if bad:
        return "stream.nonfinite", f"{bad} samples are NaN or infinite: the chunk of {len(samples)} frames is left out"
    peak = float(np.abs(samples).max(initial=0))
    if peak > 1 + 1 / FULL_SCALE:  # one step beyond is what int16 / 32767 makes of -32768
        return "stream.dtype_change", f"a float of {peak:g}, full scale is 1: integers sent as floats? left out"
    return None
