"""Small surgery on files, and headers of containers that libsndfile cannot write."""

import struct
from uuid import UUID


def patched(data: bytes, offset: int, kind: str, value: int) -> bytes:
    """`data` with one field overwritten; offsets of WAV are those of the canonical header of 44 bytes."""
    content = bytearray(data)
    struct.pack_into(kind, content, offset, value)
    return bytes(content)


def cut(data: bytes, share: float = 0.5) -> bytes:
    """The beginning of a file."""
    return data[: int(len(data) * share)]


def flipped(data: bytes) -> bytes:
    """A file with one other bit in its middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def flac_total(data: bytes, total: int) -> bytes:
    """A FLAC whose STREAMINFO states another number of samples (36 bits)."""
    fields = int.from_bytes(data[18:26]) >> 36 << 36 | total
    return data[:18] + fields.to_bytes(8) + data[26:]


def flac_empty(data: bytes) -> bytes:
    """The STREAMINFO of a FLAC alone, for no samples."""
    return flac_total(data[:4] + bytes([data[4] | 128]) + data[5:42], 0)


def flac_md5(data: bytes) -> bytes:
    """A FLAC with another MD5 in its STREAMINFO."""
    return data[:26] + bytes(byte ^ 255 for byte in data[26:42]) + data[42:]


def wav_of_codec(tag: int, payload: bytes) -> bytes:
    """A mono 16 kHz WAV whose samples are said to be in some codec."""
    form = struct.pack("<HHIIHH", tag, 1, 16_000, 4_000, 1, 0)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(payload)) + payload
    return b"RIFF" + struct.pack("<I", len(body)) + body


def avi(payload: bytes) -> bytes:
    """The beginning of a video."""
    return b"RIFF" + struct.pack("<I", len(payload) + 4) + b"AVI " + payload


def box(name: bytes, *content: bytes) -> bytes:
    """A box of an MP4 (ISO/IEC 14496-12)."""
    body = b"".join(content)
    return struct.pack(">I", len(body) + 8) + name + body


def mp4(*tracks: tuple[bytes, bytes]) -> bytes:
    """An MP4 with a track for each kind (`soun`, `vide`) and codec (`mp4a`, `enca`, `avc1`); no samples."""
    return box(b"ftyp", b"M4A \0\0\0\0") + box(b"moov", *(_track(*track) for track in tracks))


def _track(kind: bytes, codec: bytes) -> bytes:
    sample = bytes(16) + struct.pack(">HHIHH", 1, 16, 0, 16_000, 0)
    table = box(b"stbl", box(b"stsd", struct.pack(">II", 0, 1), box(codec, sample)))
    header = box(b"mdhd", struct.pack(">IIIII", 0, 0, 0, 16_000, 32_000))
    return box(b"trak", box(b"mdia", header, box(b"hdlr", bytes(8) + kind), box(b"minf", table)))


def wma(encrypted: bool) -> bytes:
    """The header of an ASF file, with a content encryption object or without."""
    objects = UUID("2211b3fb-bd23-11d2-b4b7-00a0c955fc6e").bytes_le + struct.pack("<Q", 24) if encrypted else b""
    head = UUID("75b22630-668e-11cf-a6d9-00aa0062ce6c").bytes_le
    return head + struct.pack("<QIH", 30 + len(objects), bool(encrypted), 0x0201) + objects
