"""MPEG audio (MP3): a row of frames, each with its own header, between tags that are no audio.

The frame count of a Xing, Info or VBRI header is compared with the frames that are walked.
"""

from dataclasses import dataclass
from functools import lru_cache

from asr.containers.promise import Promise, check_length
from asr.pcm import AudioError

RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Hz by version bits: 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5."""
KBITS = {
    (True, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""kbit/s by MPEG-1 or not, and layer bits (3 is layer I, 1 is layer III), for indices 1 to 14."""
SAME = 0xFFFE0C00
"""Bits of a header that one stream keeps: sync, version, layer, rate."""


@dataclass(frozen=True)
class Head:
    """The first frame's header: what all others have to share."""

    bits: int
    mono: bool
    rate: int
    samples: int
    """A frame."""
    sizes: tuple[int, ...]
    """Bytes of a frame by the 7 bits of bitrate, rate and padding; 0 where they are not allowed."""

    @property
    def side(self) -> int:
        """Bytes between the header and the place of a Xing header (layer III)."""
        return (17 if self.mono else 32) if self.samples == 1152 else (9 if self.mono else 17)

    def size(self, bits: int) -> int:
        """Bytes of the frame whose header is `bits`."""
        return self.sizes[bits >> 9 & 127]

    def fits(self, bitrate: int, wanted: int) -> bool:
        """Whether an unpadded frame of a bitrate index has at least `wanted` bytes."""
        return self.sizes[bitrate << 3 | self.bits >> 9 & 6] >= wanted


@dataclass(frozen=True)
class Information:
    """A first frame that holds no audio but facts on the others."""

    frames: int | None
    size: int
    """Bytes of all frames; 0 where it is not told."""
    added: int
    """Samples that the encoder put in front and behind."""


def promise(data: bytes) -> Promise:
    """What an MP3 says of itself.

    Raises:
        AudioError: it is cut inside a frame, frames are missing or damaged, or its form changes.
    """
    start, end = skip_id3(data), _without_tags(data)
    while start < end and data[start] == 0:
        start += 1
    head = parse_head(data[start : start + 4])
    if head is None:
        if end - start < 4:
            raise AudioError("audio.no_samples" if end <= start else "audio.truncated", "no MPEG frame is there")
        raise AudioError("audio.undecodable", f"no MPEG frame where the first should begin, at byte {start}")
    count, stop = _walk(data, start, end, head)
    notes = _rest(data, stop, end, head, count)
    info = _information(data, start, head)
    if info:
        count -= 1
        _compare(info, count, stop - start)
    check_length(count * head.samples, head.rate)
    content, added = None, info.added if info else 0
    if info is None or info.frames != count:
        first = start + (head.size(head.bits) if info else 0)
        content, added = _counted(data[first:stop], count, head), 0
    elif notes or start > skip_id3(data):
        content = data[start:stop]
    frames = max(0, count * head.samples - added)
    slack = head.samples if added else 2 * head.samples  # a decoder may drop its own delay
    return Promise("MP3", head.rate, 1 if head.mono else 2, frames, slack, notes=notes, content=content)


def _counted(frames: bytes, count: int, head: Head) -> bytes | None:
    """The frames behind a Xing header of ours: without a true count libsndfile guesses one, and reads no further.

    Only layer III has such headers.
    """
    if head.bits >> 17 & 3 != 1:
        return None
    at = 4 + head.side
    index, size = next((i, head.sizes[i << 3 | head.bits >> 9 & 6]) for i in range(1, 15) if head.fits(i, at + 16))
    bits = head.bits & ~(0xF << 12 | 1 << 9) | index << 12 | 1 << 16  # another bitrate, no padding, no checksum
    facts = b"Xing" + (3).to_bytes(4) + count.to_bytes(4) + (size + len(frames)).to_bytes(4)
    return (bits.to_bytes(4) + bytes(head.side) + facts).ljust(size, b"\0") + frames


def parse_head(raw: bytes) -> Head | None:
    """A frame header of 4 bytes, or None if it is none."""
    bits = int.from_bytes(raw)
    version, layer, rate = bits >> 19 & 3, bits >> 17 & 3, bits >> 10 & 3
    if len(raw) < 4 or bits >> 21 != 0x7FF or version == 1 or layer == 0 or rate == 3:
        return None
    hertz = RATES[version][rate]
    samples = 384 if layer == 3 else 1152 if layer == 2 or version == 3 else 576
    sizes = _sizes(version, layer, samples, hertz)
    head = Head(bits, bits >> 6 & 3 == 3, hertz, samples, sizes)
    return head if sizes[bits >> 9 & 127] else None


@lru_cache
def _sizes(version: int, layer: int, samples: int, hertz: int) -> tuple[int, ...]:
    rates = KBITS[version == 3, layer]
    return tuple(_size(index, layer, samples, hertz, rates) for index in range(128))


def _size(index: int, layer: int, samples: int, hertz: int, rates: tuple[int, ...]) -> int:
    """Bytes of a frame by bitrate (4 bits), rate (2 bits, the stream's own) and padding (1 bit)."""
    bitrate, padding = index >> 3, index & 1
    if not 1 <= bitrate <= 14:
        return 0
    bits = rates[bitrate - 1] * 1000
    return (12 * bits // hertz + padding) * 4 if layer == 3 else samples // 8 * bits // hertz + padding


def _walk(data: bytes, position: int, end: int, head: Head) -> tuple[int, int]:
    """Frames of the same form, and where they stop: behind `end` if the last is cut short."""
    count, wanted, sizes, mono = 0, head.bits & SAME, head.sizes, head.mono
    while position + 4 <= end:
        bits = int.from_bytes(data[position : position + 4])
        size = sizes[bits >> 9 & 127]
        if bits & SAME != wanted or not size:
            break
        if (bits >> 6 & 3 == 3) != mono:
            raise AudioError("audio.params_change", f"the number of channels changes in MPEG frame {count}")
        position += size
        count += 1
    return count, position


def _rest(data: bytes, stop: int, end: int, head: Head, count: int) -> tuple[str, ...]:
    """Notes on what follows the frames; raises AudioError for a cut, a change of form, or damage amid frames."""
    start_of_head = head.bits.to_bytes(4)[:2]
    if stop > end or (stop < end and end - stop < 4 and data[stop:end][:2] == start_of_head[: end - stop]):
        raise AudioError("audio.truncated", f"MPEG frame {count} is cut short")
    if stop == end:
        return ()
    other = parse_head(data[stop : stop + 4])
    following = stop + other.sizes[other.bits >> 9 & 127] if other else 0
    if other and parse_head(data[following : following + 4]):
        raise AudioError("audio.params_change", f"{head.rate} Hz becomes {other.rate} Hz in MPEG frame {count}")
    resumed = _resumes(data, stop, end, head)
    if resumed:
        raise AudioError("audio.undecodable", f"bytes {stop} to {resumed}, amid MPEG frames, are damaged")
    return ("audio.trailing_bytes",)


def _resumes(data: bytes, position: int, end: int, head: Head) -> int:
    """Where two frames of the same form follow each other again, or 0."""
    sync = head.bits.to_bytes(4)[:1]
    while (position := data.find(sync, position + 1, end)) >= 0:
        bits = int.from_bytes(data[position : position + 4])
        following = position + head.sizes[bits >> 9 & 127]
        heads = (bits, int.from_bytes(data[following : following + 4]))
        if following > position and all(bits & SAME == head.bits & SAME for bits in heads):
            return position
    return 0


def _compare(info: Information, count: int, size: int) -> None:
    """Some encoders count the information frame itself, so one frame more is judged by the bytes."""
    if info.frames is None:
        return
    short = count == info.frames - 1 and size < info.size
    if count < info.frames - 1 or short:
        raise AudioError("audio.truncated", f"{count} of the {info.frames} MPEG frames in the header are there")
    if count > info.frames + 1:
        message = f"{info.frames} MPEG frames in the header, but {count} in the file: two files joined?"
        raise AudioError("audio.header_length", message)


def _information(data: bytes, start: int, head: Head) -> Information | None:
    """What a Xing, Info or VBRI header in the first frame says, or None where that frame is audio."""
    for tag in (start + 4 + head.side, start + 6 + head.side):
        if data[tag : tag + 4] in (b"Xing", b"Info"):
            return _xing(data, tag)
    tag = start + 36
    if data[tag : tag + 4] == b"VBRI":
        return Information(int.from_bytes(data[tag + 14 : tag + 18]), int.from_bytes(data[tag + 10 : tag + 14]), 0)
    return None


def _xing(data: bytes, tag: int) -> Information:
    """Flags 1, 2, 4, 8 say which of frames, bytes, seek table (100 bytes) and quality are there; then LAME's part."""
    flags, position = int.from_bytes(data[tag + 4 : tag + 8]), tag + 8
    frames, size = None, 0
    if flags & 1:
        frames, position = int.from_bytes(data[position : position + 4]), position + 4
    if flags & 2:
        size, position = int.from_bytes(data[position : position + 4]), position + 4
    position += (100 if flags & 4 else 0) + (4 if flags & 8 else 0)
    delays = int.from_bytes(data[position + 21 : position + 24])
    known = data[position : position + 1].isalpha()
    return Information(frames, size, (delays >> 12) + (delays & 4095) if known else 0)


def skip_id3(data: bytes) -> int:
    """Where the ID3v2 tags at the beginning end."""
    position = 0
    while data[position : position + 3] == b"ID3" and len(data) >= position + 10:
        footer = 10 if data[position + 5] & 16 else 0
        position += 10 + footer + _syncsafe(data[position + 6 : position + 10])
    return position


def _syncsafe(raw: bytes) -> int:
    """Four bytes of 7 bits each."""
    return sum((byte & 127) << 7 * (3 - index) for index, byte in enumerate(raw))


def _without_tags(data: bytes) -> int:
    """Where the tags at the end begin: ID3v1, APEv2, Lyrics3v2 and ID3v2 with a footer."""
    end = len(data)
    while True:
        if data[end - 128 : end - 125] == b"TAG" and end >= 128:
            end -= 128
        elif data[end - 32 : end - 24] == b"APETAGEX" and end >= 32:
            header = 32 if data[end - 9] & 128 else 0
            end -= min(end, header + int.from_bytes(data[end - 20 : end - 16], "little"))
        elif data[end - 9 : end] == b"LYRICS200" and data[end - 15 : end - 9].isdigit():
            end -= min(end, 15 + int(data[end - 15 : end - 9]))
        elif data[end - 10 : end - 7] == b"3DI" and end >= 10:
            end -= min(end, 20 + _syncsafe(data[end - 4 : end]))
        else:
            return end
