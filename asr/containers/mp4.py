"""MP4, M4A and QuickTime (ISO/IEC 14496-12): tracks counted from `moov`, without decoding."""

from collections.abc import Iterator
from dataclasses import dataclass

from asr.containers.promise import Promise, check_form, check_length
from asr.pcm import AudioError

PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
"""Boxes that hold only boxes, on the way to a track's description."""
ENCRYPTED = (b"enca", b"encv", b"drms")
"""Sample entries of Common Encryption (ISO/IEC 23001-7) and of FairPlay."""


@dataclass
class Track:
    """What `moov` says of one track."""

    kind: bytes = b""
    """`soun`, `vide`, ..."""
    codec: bytes = b""
    rate: int = 0
    channels: int = 0
    ticks: int = 0
    scale: int = 1
    """Ticks a second."""
    encrypted: bool = False


def promise(data: bytes) -> Promise:
    """What an MP4 says of itself; libsndfile cannot decode any.

    Raises:
        AudioError: it is cut short or encrypted, or has not exactly one audio track and no video.
    """
    tracks: list[Track] = []
    for name, body, end in _boxes(data, 0, len(data)):
        if end > len(data):
            raise AudioError("audio.truncated", f"the MP4 ends {end - len(data)} bytes before its {_word(name)} box")
        _enter(data, name, body, end, tracks)
    if not tracks:
        raise AudioError("audio.truncated", "the MP4 has no list of tracks (moov): it was never finished, or is cut")
    if any(track.encrypted for track in tracks):
        raise AudioError("audio.encrypted", "the MP4 is encrypted (DRM)")
    audio = [track for track in tracks if track.kind == b"soun"]
    videos = sum(track.kind == b"vide" for track in tracks)
    if videos or len(audio) != 1:
        raise AudioError(
            "audio.multi_stream", f"{len(audio)} audio and {videos} video tracks in an MP4; keep one audio"
        )
    [track] = audio
    check_form(track.rate, track.channels)
    frames = track.ticks * track.rate // max(track.scale, 1) or None
    check_length(frames or 0, track.rate)
    return Promise("MP4", track.rate, track.channels, frames, codec=_word(track.codec))


def _word(name: bytes) -> str:
    return name.decode("latin-1").strip()


def _boxes(data: bytes, position: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start of the body and end of each box between two offsets."""
    while position + 8 <= stop:
        size, name, body = (
            int.from_bytes(data[position : position + 4]),
            data[position + 4 : position + 8],
            position + 8,
        )
        if size == 1:
            size, body = int.from_bytes(data[position + 8 : position + 16]), position + 16
        end = stop if size == 0 else position + size
        if end < body:
            raise AudioError("audio.bad_format", f"an MP4 box of {size} bytes, at byte {position}")
        yield name, body, end
        position = end


def _enter(data: bytes, name: bytes, body: int, end: int, tracks: list[Track]) -> None:
    """Reads one box, and those inside it, into the tracks."""
    if name == b"trak":
        tracks.append(Track())
    if name in PARENTS:
        for inner in _boxes(data, body, min(end, len(data))):
            _enter(data, *inner, tracks)
    elif tracks and name == b"hdlr" and not tracks[-1].kind:
        tracks[-1].kind = data[body + 8 : body + 12]
    elif tracks and name == b"mdhd":
        long = data[body : body + 1] == b"\1"
        at = body + (20 if long else 12)
        tracks[-1].scale = int.from_bytes(data[at : at + 4])
        tracks[-1].ticks = int.from_bytes(data[at + 4 : at + (12 if long else 8)])
    elif tracks and name == b"stsd":
        _describe(data, body + 8, end, tracks[-1])


def _describe(data: bytes, body: int, end: int, track: Track) -> None:
    """The sample entry: codec, channels, rate, encryption."""
    for name, entry, stop in _boxes(data, body, min(end, len(data))):
        track.codec = name
        track.channels = int.from_bytes(data[entry + 16 : entry + 18])
        track.rate = int.from_bytes(data[entry + 24 : entry + 26])
        track.encrypted = track.encrypted or name in ENCRYPTED or b"sinf" in data[entry:stop]
