"""Which container some bytes are, by their beginning; and what they are where they are no audio."""

import codecs

from asr.containers.mpeg import parse_head, skip_id3

SIGNATURES = (
    (0, b"fLaC", "FLAC"),
    (0, b"OggS", "OGG"),
    (0, b".snd", "AU"),
    (0, b"dns.", "AU"),
    (0, b"caff", "CAF"),
    (0, b"riff.\x91", "W64"),
    (4, b"ftyp", "MP4"),
    (4, b"moov", "MP4"),
    (4, b"mdat", "MP4"),
    (0, b"\x1aE\xdf\xa3", "Matroska"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "ASF"),
    (0, b"#!AMR", "AMR"),
    (0, b"NIST_1A", "NIST SPHERE"),
    (0, b"Creative Voice File", "VOC"),
    (0, b"FLV\x01", "FLV video"),
    (0, b"\x00\x00\x01\xba", "MPEG video"),
    (0, b"\x00\x00\x01\xb3", "MPEG video"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"wvpk", "WavPack"),
    (0, b".RMF", "RealMedia"),
    (0, b"MThd", "MIDI"),
    (0, b"ADIF", "AAC"),
)
"""Offset, bytes and name of audio and video containers; WAV, AIFF and MPEG frames are recognised below."""
NO_AUDIO = (
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"PK\x05\x06", "an empty ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\x00", "an XZ archive"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (0, b"\x89PNG\r\n", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"PAR1", "a Parquet table"),
    (0, b"\x93NUMPY", "a NumPy array"),
)
"""Offset, bytes and name of what is sometimes found under an audio file's name."""
WAVES = (b"RIFF", b"RIFX", b"RF64", b"BW64")


def container(data: bytes) -> str:
    """The container's name, or nothing where the beginning is unknown."""
    if data[:4] in WAVES:
        return {b"WAVE": "WAV", b"AVI ": "AVI video"}.get(data[8:12], "WAV" if len(data) < 12 else "RIFF")
    if data[:4] == b"FORM" and (data[8:12] in (b"AIFF", b"AIFC") or len(data) < 12):
        return "AIFF"
    for offset, signature, name in SIGNATURES:
        if data.startswith(signature, offset):
            return name
    if data[:3] == b"ID3":
        start = skip_id3(data)
        return (container(data[start : start + 64]) if start < len(data) else "") or "MP3"
    if data[:2] in (b"\xff\xf0", b"\xff\xf1", b"\xff\xf8", b"\xff\xf9"):
        return "AAC"
    return "MP3" if parse_head(data[:4]) else ""


def no_audio(data: bytes) -> str:
    """What the bytes are instead of audio, in words, or nothing where that is unknown."""
    for offset, signature, name in NO_AUDIO:
        if data.startswith(signature, offset):
            return name
    return _text_kind(data[:512])


def _text_kind(head: bytes) -> str:
    """What kind of text `head` begins, or nothing for binary data."""
    wide = head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    decoder = codecs.getincrementaldecoder("utf-16" if wide else "utf-8-sig")()
    try:
        text = decoder.decode(head).lstrip()  # a character cut at the end of `head` is no error
    except UnicodeDecodeError:
        return ""
    if text.startswith("version https://git-lfs"):
        return "a Git LFS pointer (`git lfs pull` fetches the file)"
    if text.startswith(("<", "{", "[")):
        return "an HTML or XML page" if text[0] == "<" else "a JSON document"
    return "plain text" if text and all(letter.isprintable() or letter.isspace() for letter in text) else ""
