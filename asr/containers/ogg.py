"""Ogg (RFC 3533): pages with checksums, one logical stream wanted, and an end that says it is the end."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from struct import Struct

from asr.containers import flac
from asr.containers.promise import Promise, check_form, check_length, unsupported
from asr.pcm import AudioError

HEAD = Struct("<4sBBqIIIB")
"""Capture pattern, version, flags, granule position, serial, sequence, checksum, segments."""
FIRST, LAST = 2, 4
"""Flags of the first and the last page of a logical stream."""
MIRROR = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
"""Each byte with its bits in reverse: Ogg's CRC-32 takes bits in the other direction than zlib's."""
OPUS_RATE = 48_000
"""Hz of Opus granule positions, whatever the recording had (RFC 7845)."""


@dataclass(frozen=True)
class Page:
    """One page that is wholly there and whose checksum is right."""

    flags: int
    granule: int
    """Position at its end; -1 where no packet ends on it."""
    serial: int
    sequence: int
    body: int
    """Where the body begins."""
    end: int


@dataclass
class Stream:
    """One logical stream, as its pages are met."""

    name: str
    rate: int
    channels: int
    skip: int = 0
    """Samples before the first one to be heard (Opus)."""
    sequence: int = 0
    granule: int = 0
    ended: bool = False
    bodies: list[tuple[int, int]] = field(default_factory=list)
    """Where the content of its pages begins and ends."""


def promise(data: bytes) -> Promise:
    """What an Ogg file says of itself.

    Raises:
        AudioError: a page is damaged or missing, the end is, or there is more than one stream.
    """
    streams: dict[int, Stream] = {}
    end, chained = 0, False
    for page in _pages(data):
        if page.flags & FIRST:
            chained = chained or any(stream.ended for stream in streams.values())
            if page.serial in streams:
                raise AudioError("audio.multi_stream", "two Ogg streams of one serial number: two files joined?")
            streams[page.serial] = _begin(data, page)
        _follow(streams, page)
        end = page.end
    found = list(streams.values())
    _check_single(found, chained)
    stream = found[0]
    check_form(stream.rate, stream.channels)
    if not stream.ended:
        raise AudioError("audio.truncated", f"the Ogg {stream.name} stream has no end: its last page is missing")
    notes = ("audio.trailing_bytes",) if end < len(data) else ()
    if stream.name == "FLAC":
        return _native_flac(data, stream, notes)
    return _promise(stream, notes)


def _native_flac(data: bytes, stream: Stream, notes: tuple[str, ...]) -> Promise:
    """FLAC in Ogg is native FLAC behind 9 bytes, in pieces; libsndfile's FLAC decoder is built without Ogg."""
    content = b"".join(data[start:end] for start, end in stream.bodies)[9:]
    found = flac.promise(content)
    return replace(found, container="OGG", content=found.content or content, notes=(*found.notes, *notes))


def _promise(stream: Stream, notes: tuple[str, ...]) -> Promise:
    frames = stream.granule - stream.skip
    if stream.name not in ("Vorbis", "Opus"):
        return unsupported("OGG", stream.name)
    if frames < 0:
        raise AudioError("audio.header_length", f"the last page ends at sample {frames}")
    check_length(frames, stream.rate)
    slack = 2 if stream.name == "Opus" else 0  # resampled from 48 kHz to the recording's rate
    return Promise("OGG", stream.rate, stream.channels, frames, slack, notes=notes)


def _check_single(streams: list[Stream], chained: bool) -> None:
    if len(streams) == 1:
        return
    forms = {(stream.rate, stream.channels) for stream in streams}
    names = ", ".join(f"{stream.name} {stream.rate} Hz x {stream.channels}" for stream in streams)
    if chained and len(forms) > 1:
        raise AudioError("audio.params_change", f"streams of differing form follow each other: {names}")
    raise AudioError("audio.multi_stream", f"{len(streams)} streams in one Ogg file ({names}); keep one")


def _follow(streams: dict[int, Stream], page: Page) -> None:
    """Adds a page to its stream; raises AudioError where a page of it is missing or it runs backwards."""
    stream = streams.get(page.serial)
    if stream is None:
        raise AudioError("audio.truncated", "the beginning of the Ogg file is missing: a page of no known stream")
    if not page.flags & FIRST and page.sequence != stream.sequence + 1:
        message = f"page {stream.sequence + 1} of the Ogg file is missing: {page.sequence} follows"
        raise AudioError("audio.undecodable", message)
    stream.sequence = page.sequence
    stream.bodies.append((page.body, page.end))
    if page.granule >= 0:
        if page.granule < stream.granule:
            message = f"the Ogg file runs backwards, from sample {stream.granule} to {page.granule}"
            raise AudioError("audio.header_length", message)
        stream.granule = page.granule
    stream.ended = bool(page.flags & LAST)


def _pages(data: bytes) -> Iterator[Page]:
    """The pages; stops at trailing bytes that hold no page.

    Checksums: zlib's CRC-32 over mirrored bytes, with its initial and final inversion undone, is Ogg's
    (polynomial 0x04c11db7, most significant bit first) mirrored. That is as fast as zlib.

    Raises:
        AudioError: a page is cut short, or fails its checksum, or something else stands between two.
    """
    mirrored = memoryview(data.translate(MIRROR))
    position, last = 0, False
    while position < len(data):
        if not data.startswith(b"OggS"[: len(data) - position], position):
            if last and data.find(b"OggS", position) < 0:
                return
            raise AudioError("audio.undecodable", f"no Ogg page where one should begin, at byte {position}")
        page = _page(data, position)
        if page is None:
            raise AudioError("audio.truncated", f"the last Ogg page, at byte {position}, is cut short")
        check = zlib.crc32(mirrored[position : position + 22], 0xFFFFFFFF)
        check = zlib.crc32(mirrored[position + 26 : page.end], zlib.crc32(b"\0\0\0\0", check)) ^ 0xFFFFFFFF
        if check != int.from_bytes(mirrored[position + 22 : position + 26]):
            raise AudioError("audio.undecodable", f"the Ogg page at byte {position} is damaged: its checksum is wrong")
        yield page
        position, last = page.end, bool(page.flags & LAST)


def _page(data: bytes, position: int) -> Page | None:
    """The page at `position`, unchecked; None where the file ends inside it."""
    if position + HEAD.size > len(data):
        return None
    _, _, flags, granule, serial, sequence, _, segments = HEAD.unpack_from(data, position)
    table = position + HEAD.size
    body = table + segments
    end = body + sum(data[table:body])
    return Page(flags, granule, serial, sequence, body, end) if end <= len(data) else None


def _begin(data: bytes, page: Page) -> Stream:
    """A stream by the first packet of it."""
    head = data[page.body : page.end]
    if head.startswith(b"\x01vorbis") and len(head) >= 16:
        return Stream("Vorbis", int.from_bytes(head[12:16], "little"), head[11], sequence=page.sequence)
    if head.startswith(b"OpusHead") and len(head) >= 19:
        skip = int.from_bytes(head[10:12], "little")
        return Stream("Opus", OPUS_RATE, head[9], skip, sequence=page.sequence)
    if head.startswith(b"\x7fFLAC") and len(head) >= 51:
        fields = int.from_bytes(head[27:35])
        return Stream("FLAC", fields >> 44, (fields >> 41 & 7) + 1, sequence=page.sequence)
    if head.startswith(b"Speex   ") and len(head) >= 52:
        rate, channels = int.from_bytes(head[36:40], "little"), int.from_bytes(head[48:52], "little")
        return Stream("Speex", rate, channels, sequence=page.sequence)
    known = {b"\x80theora": "Theora video", b"fishead": "Skeleton", b"OVP80": "VP8 video", b"\x80daala": "Daala video"}
    name = next((name for start, name in known.items() if head.startswith(start)), "unknown")
    return Stream(name, 16_000, 1, sequence=page.sequence)
