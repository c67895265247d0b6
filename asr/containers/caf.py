"""Containers with 64-bit sizes: Apple's CAF, where -1 means unknown, and Sony's Wave64, whose chunks have GUIDs."""

import struct

from asr.containers.promise import Promise, check_form, check_present, is_chunk_name, tail_notes, unsupported
from asr.containers.promise import whole_frames as whole
from asr.pcm import AudioError

CAF_PLAIN = (b"lpcm", b"alaw", b"ulaw")


def promise(data: bytes) -> Promise:
    """What a CAF file says of itself.

    Raises:
        AudioError: its sizes or fields contradict each other or the file.
    """
    if data[8:12] != b"desc" or len(data) < 52:
        raise AudioError("audio.truncated", "the CAF ends inside its description")
    rate, codec, _, block, packet_frames, channels, bits = struct.unpack(">d4sIIIII", data[20:52])
    check_form(int(rate) if 0 <= rate < 2**31 else 0, channels)
    plain = codec in CAF_PLAIN
    if plain and (packet_frames != 1 or block != channels * -(-bits // 8)):
        raise AudioError("audio.bad_format", f"{channels} channels of {bits} bits in frames of {block} bytes")
    if not plain and codec != b"alac":
        return unsupported("CAF", f"codec {codec.decode('latin-1')!r}")
    start, size, stated_end, packets = _chunks(data)
    present = len(data) - start
    if size == -5:  # unknown (-1), less the edit count that the chunk begins with
        return _open(data, start, Promise("CAF", int(rate), channels), block)
    bytes_per_second = int(rate) * (block or 1)
    check_present(size, present, bytes_per_second)
    padding = 1 if data[stated_end:] == b"\0" else 0  # as libsndfile writes it behind an odd size
    notes = tail_notes(len(data) - stated_end - padding, size, bytes_per_second, covered=False)
    frames = whole(size, block) if plain else packets
    return Promise("CAF", int(rate), channels, frames, notes=notes)


def _chunks(data: bytes) -> tuple[int, int, int, int | None]:
    """Start and size of the samples, where the chunks end, and the frames that the packet table counts."""
    position, start, size, packets = 8, -1, 0, None
    while position + 12 <= len(data):
        name, claimed = data[position : position + 4], int.from_bytes(data[position + 4 : position + 12], signed=True)
        body = position + 12
        if not is_chunk_name(name) or (claimed < 0 and name != b"data") or (start >= 0 and name == b"data"):
            break
        if name == b"data":
            start, size = body + 4, claimed - 4
        elif name == b"pakt":
            packets = int.from_bytes(data[body + 8 : body + 16], signed=True)
        if claimed < 0 or body + claimed > len(data):
            if start < 0:
                break
            return start, size, len(data), packets
        position = body + claimed
    if start < 0:
        raise AudioError("audio.truncated", "the CAF ends before its samples begin")
    return start, size, position, packets


def _open(data: bytes, start: int, form: Promise, block: int) -> Promise:
    size = (len(data) - start) // max(block, 1) * max(block, 1)
    content = data[: start - 12] + (size + 4).to_bytes(8) + data[start - 4 : start + size]
    frames = size // block if block else None
    notes = ("audio.header_open_size",) if size else ()
    return Promise("CAF", form.rate, form.channels, frames, notes=notes, content=content)
