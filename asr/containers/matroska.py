"""WebM and Matroska (RFC 9559): tracks counted from the EBML elements of `Tracks`, without decoding."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from asr.containers.promise import Promise, check_form, check_length
from asr.pcm import AudioError

SEGMENT, INFO, TRACKS, TRACK, AUDIO = 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE1
SCALE, DURATION, KIND, CODEC, RATE, CHANNELS = 0x2AD7B1, 0x4489, 0x83, 0x86, 0xB5, 0x9F
ENCODINGS, ENCODING, ENCRYPTION = 0x6D80, 0x6240, 0x5035
CLUSTER = 0x1F43B675
PARENTS = (SEGMENT, INFO, TRACKS, TRACK, AUDIO, ENCODINGS, ENCODING)
AUDIO_TRACK, VIDEO_TRACK = 2, 1


@dataclass
class Track:
    """What a TrackEntry says."""

    kind: int = 0
    codec: str = ""
    rate: float = 8000.0
    channels: int = 1
    encrypted: bool = False


@dataclass
class Segment:
    """What is told of the whole file."""

    scale: int = 1_000_000
    """Nanoseconds a tick."""
    duration: float = 0.0
    """Ticks; 0 where the writer was streaming."""
    missing: int = 0
    """Bytes by which an element reaches beyond the file."""
    tracks: list[Track] = field(default_factory=list)


def promise(data: bytes) -> Promise:
    """What a WebM or Matroska file says of itself; libsndfile cannot decode any.

    Raises:
        AudioError: it is cut short or encrypted, or has not exactly one audio track and no video.
    """
    found = Segment()
    _read(data, 0, len(data), found)
    if any(track.encrypted for track in found.tracks):
        raise AudioError("audio.encrypted", "the Matroska file is encrypted")
    audio = [track for track in found.tracks if track.kind == AUDIO_TRACK]
    videos = sum(track.kind == VIDEO_TRACK for track in found.tracks)
    if found.missing or not found.tracks:
        what = f"{found.missing} bytes are missing" if found.missing else "no track is listed"
        raise AudioError("audio.truncated", f"the Matroska file is cut short: {what}")
    if videos or len(audio) != 1:
        message = f"{len(audio)} audio and {videos} video tracks in a Matroska file; keep one audio"
        raise AudioError("audio.multi_stream", message)
    [track] = audio
    rate = int(track.rate) if 0 <= track.rate < 2**31 else 0
    check_form(rate, track.channels)
    seconds = found.duration * found.scale / 1e9
    frames = int(seconds * rate) if 0 < seconds < 1e9 else None
    check_length(frames or 0, rate)
    return Promise("Matroska", rate, track.channels, frames, codec=track.codec or "unnamed codec")


def _elements(data: bytes, position: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Id, start of the body and end of each element; an unknown size (all ones) reaches to `stop`."""
    while position < stop:
        id_bytes = 9 - data[position].bit_length()
        at = position + id_bytes
        if id_bytes > 4 or at >= stop:
            return
        size_bytes = 9 - data[at].bit_length()
        body = at + size_bytes
        if size_bytes > 8 or body > stop:
            return
        mask = (1 << 7 * size_bytes) - 1
        size = int.from_bytes(data[at:body]) & mask
        end = stop if size == mask else body + size
        yield int.from_bytes(data[position:at]), body, end
        position = end


def _read(data: bytes, position: int, stop: int, found: Segment) -> None:
    for kind, body, end in _elements(data, position, stop):
        if end > stop:
            found.missing = max(found.missing, end - stop)
        if kind == TRACK:
            found.tracks.append(Track())
        if kind in PARENTS:
            _read(data, body, min(end, stop), found)
        else:
            _take(kind, data[body : min(end, body + 64)], found)


def _take(kind: int, raw: bytes, found: Segment) -> None:
    """One value into the segment or its newest track."""
    if kind == SCALE:
        found.scale = int.from_bytes(raw)
    elif kind == DURATION:
        found.duration = _float(raw)
    elif not found.tracks:
        return
    elif kind == KIND:
        found.tracks[-1].kind = int.from_bytes(raw)
    elif kind == CODEC:
        found.tracks[-1].codec = raw.decode("latin-1").rstrip("\0")
    elif kind == RATE:
        found.tracks[-1].rate = _float(raw)
    elif kind == CHANNELS:
        found.tracks[-1].channels = int.from_bytes(raw)
    elif kind == ENCRYPTION:
        found.tracks[-1].encrypted = True


def _float(raw: bytes) -> float:
    formats = {4: ">f", 8: ">d"}
    return float(struct.unpack(formats[len(raw)], raw)[0]) if len(raw) in formats else 0.0
