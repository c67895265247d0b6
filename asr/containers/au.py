"""AU (Sun, NeXT): a header of six numbers, then samples; size 0xFFFFFFFF means unknown."""

from asr.containers.promise import (
    OPEN_SIZES,
    ByteOrder,
    Promise,
    check_form,
    check_present,
    tail_notes,
    unsupported,
    whole_frames,
)
from asr.pcm import AudioError

WIDTHS = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}
"""Bytes a sample of the plain encodings."""
BLOCK_CODECS = (23, 25, 26)
"""G.721 and G.723, whose frames cannot be counted from the size alone."""


def promise(data: bytes) -> Promise:
    """What an AU file says of itself.

    Raises:
        AudioError: its sizes or fields contradict each other or the file.
    """
    order: ByteOrder = "big" if data[:4] == b".snd" else "little"
    if len(data) < 24:
        raise AudioError("audio.truncated", f"{len(data)} of the 24 bytes of an AU header are there")
    start, size, encoding, rate, channels = (int.from_bytes(data[i : i + 4], order) for i in range(4, 24, 4))
    check_form(rate, channels)
    if start < 24:
        raise AudioError("audio.bad_format", f"samples start at byte {start}, inside the header")
    if encoding not in WIDTHS and encoding not in BLOCK_CODECS:
        return unsupported("AU", f"encoding {encoding}")
    if start > len(data):
        raise AudioError("audio.truncated", f"the AU ends before its samples begin, at byte {start}")
    width = WIDTHS.get(encoding)
    block = channels * (width or 1)
    present = len(data) - start
    if size in OPEN_SIZES:
        return _open(data, start, present // block * block, order, Promise("AU", rate, channels), width is not None)
    check_present(size, present, rate * block)
    frames = whole_frames(size, block) if width else None
    notes = tail_notes(present - size, size, rate * block, covered=False)
    return Promise("AU", rate, channels, frames, notes=notes)


def _open(data: bytes, start: int, size: int, order: ByteOrder, form: Promise, plain: bool) -> Promise:
    """A file whose writer never learnt its size: the samples reach to its end, in whole frames."""
    width = WIDTHS.get(int.from_bytes(data[12:16], order), 1)
    content = data[:8] + size.to_bytes(4, order) + data[12 : start + size]
    notes = ("audio.header_open_size",) if size else ()
    frames = size // ((form.channels or 1) * width) if plain or not size else None
    return Promise("AU", form.rate, form.channels, frames, notes=notes, content=content)
