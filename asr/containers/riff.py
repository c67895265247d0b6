"""WAV in its forms: RIFF, big-endian RIFX, and RF64 or BW64, whose `ds64` chunk holds 64-bit sizes (EBU Tech 3306)."""

import struct
from dataclasses import dataclass

from asr.containers.promise import (
    OPEN_SIZES,
    PIPE_SIZE,
    ByteOrder,
    Promise,
    check_form,
    check_present,
    is_chunk_name,
    tail_notes,
    unsupported,
    whole_frames,
)
from asr.pcm import SAMPLE_RATE, AudioError

PCM, FLOAT, ALAW, ULAW, EXTENSIBLE = 0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE
WIDTHS = {PCM: (8, 12, 16, 20, 24, 32), FLOAT: (32, 64), ALAW: (8,), ULAW: (8,)}
"""Bits a sample that each plain codec may have."""
BLOCK_CODECS = {0x0002: "MS ADPCM", 0x0011: "IMA ADPCM", 0x0031: "GSM 6.10", 0x0038: "NMS ADPCM", 0x0040: "G.721"}
"""Codecs of libsndfile whose frames cannot be counted from the size alone."""
FOREIGN_CODECS = {
    0x0045: "G.726",
    0x0050: "MPEG layer II",
    0x0055: "MP3",
    0x00FF: "AAC",
    0x0160: "WMA 1",
    0x0161: "WMA 2",
    0x0162: "WMA Pro",
    0x2000: "AC-3",
}
GSM, GSM_BLOCK = 0x0031, 320
"""Frames of a GSM block; libsndfile adds a whole block where the chunk is odd and padded."""
HARMLESS = {b"fmt ", b"fact", b"PEAK", b"JUNK", b"PAD "}
"""Chunks in front of the samples that libsndfile reads without trouble."""
GUID_TAIL = bytes.fromhex("0000 0000 1000 8000 00aa 0038 9b71")
"""End of a WAVE_FORMAT_EXTENSIBLE sub-format that begins with a plain codec number."""
AMBISONIC_TAIL = bytes.fromhex("0000 2107 d311 8644 c8c1 ca00 0000")


@dataclass(frozen=True)
class Format:
    """The `fmt ` chunk."""

    tag: int
    channels: int
    rate: int
    byte_rate: int
    block: int
    bits: int
    raw: bytes

    @property
    def plain(self) -> bool:
        """Whether every frame has `block` bytes."""
        return self.tag in WIDTHS


def promise(data: bytes) -> Promise:
    """What a WAV says of itself.

    Raises:
        AudioError: its sizes or fields contradict each other or the file.
    """
    order: ByteOrder = "big" if data[:4] == b"RIFX" else "little"
    form, start, size = _walk(data, order)
    if form is None:
        raise AudioError("audio.bad_format", "the WAV has no fmt chunk before its samples")
    check_form(form.rate, form.channels)
    _check_fields(form)
    codec = _foreign(form)
    if codec:
        return unsupported("WAV", codec)
    kind = "RF64" if data[:4] in (b"RF64", b"BW64") else "WAV"
    if size < 0 or size in OPEN_SIZES or size == PIPE_SIZE // form.block * form.block:
        return _open(data, form, start, order, kind)
    check_present(size, len(data) - start, form.byte_rate)
    notes = _tail(data, form, start, size, order)
    # libsndfile stumbles over some LIST and bext chunks, believes a false ds64, and does not know BW64.
    simple = _names(data, start, order) <= HARMLESS
    content = None if simple or not form.plain else _rebuilt(form, data[start : start + size], order)
    return _promise(kind, form, size, notes, content)


def plain_samples(data: bytes) -> tuple[int, int] | None:
    """Start and size of the samples of a faultless little-endian WAV of PCM16, mono, `SAMPLE_RATE`; else None."""
    try:
        found = promise(data)
    except AudioError:
        return None
    if found.notes or not found.frames or (found.rate, found.channels) != (SAMPLE_RATE, 1):
        return None
    form, start, size = _walk(data, "little")
    return (start, size) if form and (form.tag, form.bits) == (PCM, 16) else None


def _walk(data: bytes, order: ByteOrder) -> tuple[Format | None, int, int]:
    """The format, where the samples start and how many bytes of them are claimed; -1 where RF64 leaves it open."""
    position, form, long_size = 12, None, -1
    while position + 8 <= len(data):
        name, size = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], order)
        body = position + 8
        if name == b"data":
            long = size == 0xFFFFFFFF and data[:4] in (b"RF64", b"BW64")
            return form, body, long_size if long else size
        if name == b"ds64":
            long_size = int.from_bytes(data[body + 8 : body + 16], "little", signed=True)
        elif name == b"fmt " and body + size <= len(data):
            form = _format(data[body : body + size], order)
        elif not is_chunk_name(name):
            raise AudioError("audio.bad_format", f"no chunk where one should begin, at byte {position} of the WAV")
        position = body + size + size % 2
    raise AudioError("audio.truncated", "the WAV ends before its samples begin")


def _names(data: bytes, start: int, order: ByteOrder) -> set[bytes]:
    """Of the chunks in front of the samples, which have been walked before."""
    names, position = set(), 12
    while position < start - 8:
        names.add(data[position : position + 4])
        size = int.from_bytes(data[position + 4 : position + 8], order)
        position += 8 + size + size % 2
    return names


def _format(raw: bytes, order: ByteOrder) -> Format:
    if len(raw) < 16:
        raise AudioError("audio.bad_format", f"the fmt chunk has {len(raw)} bytes, not at least 16")
    tag, channels, rate, byte_rate, block, bits = struct.unpack((">" if order == "big" else "<") + "HHIIHH", raw[:16])
    if tag == EXTENSIBLE:
        if len(raw) < 40 or raw[26:40] not in (GUID_TAIL, AMBISONIC_TAIL):
            raise AudioError("audio.bad_format", "a WAVE_FORMAT_EXTENSIBLE without a known sub-format")
        tag = int.from_bytes(raw[24:26], order)
        valid = int.from_bytes(raw[18:20], order)
        if valid > bits:
            raise AudioError("audio.bad_format", f"{valid} valid bits in samples of {bits}")
    return Format(tag, channels, rate, byte_rate, block, bits, raw)


def _check_fields(form: Format) -> None:
    if not form.block:
        raise AudioError("audio.bad_format", "frames of 0 bytes")
    if not form.plain:
        return
    wanted = form.channels * -(-form.bits // 8)
    if form.block != wanted:
        message = f"{form.channels} channels of {form.bits} bits need frames of {wanted} bytes, not {form.block}"
        raise AudioError("audio.bad_format", message)
    if form.byte_rate != form.rate * form.block:
        message = f"{form.rate} frames of {form.block} bytes a second are not {form.byte_rate} bytes a second"
        raise AudioError("audio.bad_format", message)
    if form.bits not in WIDTHS[form.tag] and form.tag != PCM:
        raise AudioError("audio.bad_format", f"{form.bits} bits a sample under codec 0x{form.tag:04x}")


def _foreign(form: Format) -> str:
    """The codec's name where libsndfile lacks it, else nothing."""
    if form.plain:
        return "" if form.bits in WIDTHS[form.tag] else f"PCM of {form.bits} bits"
    if form.tag in BLOCK_CODECS:
        return ""
    return FOREIGN_CODECS.get(form.tag, f"codec 0x{form.tag:04x}")


def _promise(kind: str, form: Format, size: int, notes: tuple[str, ...], content: bytes | None) -> Promise:
    limit = size // form.block * GSM_BLOCK if form.tag == GSM else None
    frames = whole_frames(size, form.block) if form.plain else limit
    return Promise(kind, form.rate, form.channels, frames, limit=limit, notes=notes, content=content)


def _open(data: bytes, form: Format, start: int, order: ByteOrder, kind: str) -> Promise:
    """A file whose writer never learnt its size: the samples reach to its end, in whole frames."""
    size = (len(data) - start) // form.block * form.block
    if _end_of_chunks(data, start, order) >= len(data):
        return Promise(kind, form.rate, form.channels, 0, content=_rebuilt(form, b"", order))
    content = _rebuilt(form, data[start : start + size], order)
    return _promise(kind, form, size, ("audio.header_open_size",), content)


def _rebuilt(form: Format, samples: bytes, order: ByteOrder) -> bytes:
    """A WAV of the same format with true sizes."""
    magic = b"RIFX" if order == "big" else b"RIFF"
    chunks = [(b"fmt ", form.raw), (b"data", samples)]
    body = b"".join(name + len(part).to_bytes(4, order) + part + b"\0" * (len(part) % 2) for name, part in chunks)
    return magic + (4 + len(body)).to_bytes(4, order) + b"WAVE" + body


def _tail(data: bytes, form: Format, start: int, size: int, order: ByteOrder) -> tuple[str, ...]:
    """Notes on what lies behind the samples: other chunks, or bytes that nothing accounts for."""
    length, end = len(data), start + size
    stated = 8 + int.from_bytes(data[4:8], order)
    known = data[:4] in (b"RIFF", b"RIFX") and stated - 8 not in OPEN_SIZES and stated < PIPE_SIZE
    if known and stated > length + 8:
        raise AudioError("audio.truncated", f"{length} of the {stated} bytes in the header are there")
    walked = _end_of_chunks(data, end + size % 2, order)
    if walked < length:
        if known and stated > length + 1:
            raise AudioError("audio.truncated", f"the WAV ends inside a chunk, at byte {length} of {stated}")
        return tail_notes(length - walked, size, form.byte_rate, known and stated >= length - 1)
    return ("audio.trailing_bytes",) if known and stated < end else ()


def _end_of_chunks(data: bytes, position: int, order: ByteOrder) -> int:
    """Where a run of well-formed chunks that begins at `position` ends; a last padding byte may lack.

    Another `data` chunk or another file is none: libsndfile would pass it over.
    """
    while position + 8 <= len(data):
        name, size = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], order)
        if not is_chunk_name(name) or name in (b"data", b"RIFF", b"RIFX", b"RF64"):
            return position
        if position + 8 + size > len(data):
            return position
        position += 8 + size + size % 2
    return position
