"""WMA and WMV (ASF): streams counted from the header object, without decoding."""

from uuid import UUID

from asr.containers.promise import Promise
from asr.pcm import AudioError

STREAM = UUID("b7dc0791-a9b7-11cf-8ee6-00c00c205365").bytes_le
AUDIO = UUID("f8699e40-5b4d-11cf-a8fd-00805f5c442b").bytes_le
VIDEO = UUID("bc19efc0-5b4d-11cf-a8fd-00805f5c442b").bytes_le
ENCRYPTION = tuple(
    UUID(text).bytes_le
    for text in (
        "2211b3fb-bd23-11d2-b4b7-00a0c955fc6e",
        "298ae614-2622-4c17-b935-dae07ee9289c",
        "43058533-6981-49e6-9b74-ad12cb86d58c",
    )
)
"""Content, extended content and advanced content encryption objects."""


def promise(data: bytes) -> Promise:
    """What a WMA file says of itself; libsndfile cannot decode any.

    Raises:
        AudioError: it is cut short or encrypted, or has not exactly one audio stream and no video.
    """
    stop = int.from_bytes(data[16:24], "little")
    if stop > len(data):
        raise AudioError("audio.truncated", f"the ASF header has {stop} bytes, the file {len(data)}")
    position, kinds = 30, []
    while position + 24 <= stop:
        name, size = data[position : position + 16], int.from_bytes(data[position + 16 : position + 24], "little")
        if name in ENCRYPTION:
            raise AudioError("audio.encrypted", "the WMA is encrypted (DRM)")
        if name == STREAM:
            kinds.append(data[position + 24 : position + 40])
        position += max(size, 24)
    if VIDEO in kinds or kinds.count(AUDIO) > 1:
        message = f"{kinds.count(AUDIO)} audio and {kinds.count(VIDEO)} video streams in an ASF file; keep one audio"
        raise AudioError("audio.multi_stream", message)
    return Promise("ASF", codec="WMA")
