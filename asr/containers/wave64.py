"""Sony Wave64: RIFF with GUIDs for names and 64-bit sizes that count the chunk's own 24-byte head."""

import struct

from asr.containers.promise import Promise, check_form, check_present, tail_notes, whole_frames
from asr.pcm import AudioError

HEAD = 24
"""Bytes of a chunk's GUID and size."""
GUID_TAIL = bytes.fromhex("f3ac d311 8cd1 00c0 4f8e db8a")
"""End of the GUIDs of `fmt `, `data` and most other chunks; they begin with the four letters of WAV."""
PLAIN = (1, 3, 6, 7, 0xFFFE)
"""Codec numbers whose frames all have the same size."""


def promise(data: bytes) -> Promise:
    """What a Wave64 file says of itself.

    Raises:
        AudioError: its sizes or fields contradict each other or the file.
    """
    position, form = 40, None
    while position + HEAD <= len(data):
        name, size = data[position : position + 16], int.from_bytes(data[position + 16 : position + HEAD], "little")
        body = position + HEAD
        if size < HEAD:
            raise AudioError("audio.bad_format", f"a Wave64 chunk of {size} bytes, at byte {position}")
        if name == b"fmt " + GUID_TAIL and body + 16 <= len(data):
            form = struct.unpack("<HHIIHH", data[body : body + 16])
        if name == b"data" + GUID_TAIL:
            return _samples(data, form, body, size - HEAD)
        position += size + -size % 8
    raise AudioError("audio.truncated", "the Wave64 ends before its samples begin")


def _samples(data: bytes, form: tuple[int, ...] | None, start: int, size: int) -> Promise:
    if form is None:
        raise AudioError("audio.bad_format", "the Wave64 has no format before its samples")
    tag, channels, rate, byte_rate, block, bits = form
    check_form(rate, channels)
    plain = tag in PLAIN
    if not block or (plain and (block != channels * -(-bits // 8) or byte_rate != rate * block)):
        message = f"{channels} channels of {bits} bits in frames of {block} bytes, {byte_rate} bytes a second"
        raise AudioError("audio.bad_format", message)
    check_present(size, len(data) - start, byte_rate)
    stated = int.from_bytes(data[16:24], "little")
    if stated > len(data) + 8:
        raise AudioError("audio.truncated", f"{len(data)} of the {stated} bytes in the header are there")
    junk = len(data) - _end_of_chunks(data, start + size)
    notes = tail_notes(junk, size, byte_rate, covered=stated >= len(data))
    frames = whole_frames(size, block) if plain else None
    # libsndfile reads to the end of the file, whatever follows the samples.
    content = data[: start + size] if start + size < len(data) else None
    return Promise("W64", rate, channels, frames, notes=notes, content=content)


def _end_of_chunks(data: bytes, position: int) -> int:
    """Where a run of well-formed chunks behind the samples ends; padding to 8 bytes may lack."""
    aligned = position + -position % 8
    while aligned + HEAD <= len(data):
        size = int.from_bytes(data[aligned + 16 : aligned + HEAD], "little")
        known = data[aligned + 4 : aligned + 16] == GUID_TAIL and data[aligned : aligned + 4] != b"data"
        if not known or size < HEAD or aligned + size > len(data):
            return position
        position = aligned + size
        aligned = position + -position % 8
    return len(data) if len(data) <= aligned else position
