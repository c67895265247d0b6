"""AIFF and AIFF-C: big-endian chunks inside a FORM, frames counted in COMM, samples in SSND."""

from dataclasses import dataclass

from asr.containers.promise import (
    OPEN_SIZES,
    Promise,
    check_form,
    check_length,
    check_present,
    is_chunk_name,
    tail_notes,
    unsupported,
)
from asr.pcm import AudioError

LINEAR = {
    b"NONE": 0,
    b"twos": 0,
    b"sowt": 0,
    b"raw ": 1,
    b"in24": 3,
    b"42ni": 3,
    b"42n1": 3,
    b"in32": 4,
    b"23ni": 4,
    b"23n1": 4,
    b"fl32": 4,
    b"FL32": 4,
    b"fl64": 8,
    b"FL64": 8,
    b"alaw": 1,
    b"ALAW": 1,
    b"ulaw": 1,
    b"ULAW": 1,
}
"""Compression types with bytes a sample; 0 where COMM's bits decide."""
BLOCK_CODECS = (b"ima4", b"GSM ")
"""Codecs of libsndfile whose frames cannot be counted from the size alone."""


@dataclass(frozen=True)
class Common:
    """The COMM chunk."""

    position: int
    channels: int
    frames: int
    rate: int
    codec: bytes
    width: int
    """Bytes a sample; 0 for codecs with blocks."""

    @property
    def block(self) -> int:
        """Bytes a frame, at least 1."""
        return max(1, self.channels * self.width)


@dataclass(frozen=True)
class Samples:
    """The SSND chunk: where the samples start, bytes claimed, and where the size field stands."""

    start: int
    size: int
    field: int


def promise(data: bytes) -> Promise:
    """What an AIFF says of itself.

    Raises:
        AudioError: its sizes or fields contradict each other or the file.
    """
    common, samples, walked = _walk(data)
    if common is None or samples is None:
        raise AudioError("audio.truncated", "the AIFF ends before its format and its samples are found")
    check_form(common.rate, common.channels)
    if not common.width and common.codec not in BLOCK_CODECS:
        return unsupported("AIFF", f"codec {common.codec.decode('latin-1')!r}")
    present = len(data) - samples.start
    if present > 0 and (samples.size <= 0 or samples.size + 8 in OPEN_SIZES or (not common.frames and common.width)):
        return _open(data, common, samples, present)
    check_present(samples.size, present, common.rate * common.block)
    stated = 8 + int.from_bytes(data[4:8], "big")
    if stated > len(data) + 8 or (stated > len(data) + 1 and walked < len(data)):
        raise AudioError("audio.truncated", f"{len(data)} of the {stated} bytes in the header are there")
    notes = tail_notes(len(data) - walked, samples.size, common.rate * common.block, stated >= len(data) - 1)
    if common.width:
        _check_frames(common, samples.size)
    return Promise("AIFF", common.rate, common.channels, common.frames if common.width else None, notes=notes)


def _walk(data: bytes) -> tuple[Common | None, Samples | None, int]:
    """COMM, SSND, and where the run of chunks ends."""
    position, common, samples = 12, None, None
    while position + 8 <= len(data):
        name, size = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "big")
        body = position + 8
        fits = body + size <= len(data)
        if name == b"COMM" and fits:
            common = _common(data[body : body + size], body, data[8:12] == b"AIFC")
        elif name == b"SSND" and samples is None:
            offset = int.from_bytes(data[body : body + 4], "big")
            samples = Samples(body + 8 + offset, size - 8 - offset, position + 4)
            if size in (0, 8):
                return common, samples, position
        elif not is_chunk_name(name) or name in (b"FORM", b"SSND") or not fits:
            return common, samples, position
        position = body + size + size % 2
    return common, samples, position


def _common(raw: bytes, position: int, compressed: bool) -> Common:
    if len(raw) < (22 if compressed else 18):
        raise AudioError("audio.bad_format", f"the COMM chunk has only {len(raw)} bytes")
    channels, frames, bits = (int.from_bytes(raw[a:b], "big") for a, b in ((0, 2), (2, 6), (6, 8)))
    codec = raw[18:22] if compressed else b"NONE"
    width = LINEAR.get(codec, 0) or (-(-bits // 8) if codec in LINEAR else 0)
    if codec in LINEAR and not 1 <= bits <= 64:
        raise AudioError("audio.bad_format", f"samples of {bits} bits")
    return Common(position, channels, frames, _rate(raw[8:18]), codec, width)


def _rate(extended: bytes) -> int:
    """Hz from an 80-bit float; 0 for what is no positive number of moderate size."""
    exponent, mantissa = int.from_bytes(extended[:2], "big") - 16383, int.from_bytes(extended[2:], "big")
    return mantissa >> (63 - exponent) if 0 <= exponent <= 40 else 0


def _check_frames(common: Common, size: int) -> None:
    """COMM's frames against SSND's bytes; up to a frame of padding is none."""
    claimed = common.frames * common.block
    if claimed > size:
        check_length(common.frames, common.rate)
        message = f"{common.frames} frames of {common.block} bytes in the header; SSND has {size} bytes"
        raise AudioError("audio.truncated", message)
    if size - claimed > max(1, common.block - 1):
        message = f"{common.frames} frames of {common.block} bytes in the header, but {size} bytes of samples"
        raise AudioError("audio.header_length", message)


def _open(data: bytes, common: Common, samples: Samples, present: int) -> Promise:
    """A file whose writer never learnt its size: the samples reach to its end, in whole frames."""
    frames = present // common.block
    size = frames * common.block
    mended = bytearray(data[: samples.start + size])
    mended[4:8] = (len(mended) - 8).to_bytes(4, "big")
    mended[samples.field : samples.field + 4] = (len(mended) - samples.field - 4).to_bytes(4, "big")
    if common.width:
        mended[common.position + 2 : common.position + 6] = frames.to_bytes(4, "big")
    stated = frames if common.width else None
    notes = ("audio.header_open_size",)
    return Promise("AIFF", common.rate, common.channels, stated, notes=notes, content=bytes(mended))
