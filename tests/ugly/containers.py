"""Faults 1 to 22 of the catalogue: files that are no audio, or not the audio that their headers promise."""

from collections.abc import Callable

import numpy as np
import soxr

from asr.pcm import SAMPLE_RATE
from tests.ugly.fault import Clip, ClipFault, Special
from tests.ugly.headers import avi, cut, flac_empty, flac_md5, flac_total, flipped, mp4, patched, wav_of_codec, wma
from tests.ugly.studio import Studio, Take, file_of, with_serial

Damage = Callable[[bytes], bytes]

VORBIS, OPUS, MP3 = ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")
WAV, FLAC, AIFF, AU = ("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16")
HEADS = {"WAV": 44, "AIFF": 54, "AU": 24}
"""Bytes before the first sample."""
HTML = b"<!DOCTYPE html>\n<html><head><title>404</title></head><body>Not Found</body></html>\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 12345\n"


def _damaged(form: tuple[str, str], damage: Damage, extension: str = "") -> Callable[[Studio], list[Clip]]:
    """A file of a form, damaged; its row is right."""

    def build(studio: Studio) -> list[Clip]:
        take = studio.noise()
        extension_ = extension or f".{form[0].lower()}"
        return [Clip(damage(file_of(take.samples, *form)), take.text, take.seconds, extension_)]

    return build


def _content(content: bytes | Special, extension: str = ".wav") -> Callable[[Studio], list[Clip]]:
    """Something else than audio."""
    return lambda studio: [Clip(content, studio.line(), 2.0, extension)]


def _floats(studio: Studio, value: float) -> list[Clip]:
    take = studio.noise()
    samples = take.samples.copy()
    samples[len(samples) // 2] = value
    return [Clip(file_of(samples, subtype="FLOAT"), take.text, take.seconds)]


def _stated(factor: float) -> Callable[[Studio], list[Clip]]:
    """A good file whose row states another length."""

    def build(studio: Studio) -> list[Clip]:
        take = studio.noise()
        return [Clip(file_of(take.samples), take.text, round(take.seconds * factor, 3))]

    return build


def _two_in_one(form: tuple[str, str], rate: int, channels: int = 1) -> Callable[[Studio], list[Clip]]:
    """A file, and behind it another of the same kind, of a given rate and number of channels."""

    def build(studio: Studio) -> list[Clip]:
        take = studio.noise()
        other = np.repeat(_at(rate, take)[:, None], channels, axis=1)
        second = file_of(other, *form, rate)
        second = with_serial(second, 2) if form[0] == "OGG" else second
        return [Clip(file_of(take.samples, *form) + second, take.text, take.seconds, f".{form[0].lower()}")]

    return build


def _at(rate: int, take: Take) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(soxr.resample(take.samples, SAMPLE_RATE, rate), np.float64)


def _absurd_wav(data: bytes) -> bytes:
    return patched(data, 40, "<I", 0x7000_0000)


def _rate(hertz: int) -> Damage:
    return lambda data: patched(patched(data, 24, "<I", hertz), 28, "<I", 2 * hertz & 0xFFFFFFFF)


def _first(count: int) -> Damage:
    return lambda data: data[:count]


def _open(size: int) -> Damage:
    return lambda data: patched(patched(data, 40, "<I", size), 4, "<I", size)


MISSING: tuple[ClipFault, ...] = (
    ClipFault(1, "no such file", "audio.missing", _content(Special.ABSENT)),
    ClipFault(1, "dangling link", "audio.missing", _content(Special.DANGLING)),
    ClipFault(1, "a folder for a file", "audio.unreadable", _content(Special.FOLDER)),
    ClipFault(1, "a FIFO for a file", "audio.unreadable", _content(Special.FIFO)),
    ClipFault(2, "zero bytes", "audio.zero_bytes", _content(b"")),
    *(
        ClipFault(3, f"{form[0]} header only", "audio.no_samples", _damaged(form, _first(HEADS[form[0]])))
        for form in (WAV, AU)
    ),
    ClipFault(3, "WAV of zero samples", "audio.no_samples", _content(file_of(np.zeros(0)))),
    ClipFault(3, "FLAC of zero samples", "audio.no_samples", _damaged(FLAC, flac_empty)),
)
CUT: tuple[ClipFault, ...] = (
    *(
        ClipFault(4, f"{form[0]} cut in half", "audio.truncated", _damaged(form, cut))
        for form in (WAV, AIFF, AU, ("RF64", "PCM_16"), ("W64", "PCM_16"))
    ),
    *(
        ClipFault(4, f"{form[0]} less one byte", "audio.truncated", _damaged(form, lambda data: data[:-1]))
        for form in (WAV, AIFF, AU)
    ),
    ClipFault(4, "WAV cut in its header", "audio.truncated", _damaged(WAV, lambda data: data[:30])),
    *(
        ClipFault(5, f"{form[1]} cut in half", "audio.truncated", _damaged(form, cut, extension))
        for form, extension in ((VORBIS, ".ogg"), (OPUS, ".opus"), (MP3, ".mp3"))
    ),
    ClipFault(6, "FLAC cut in half", "audio.truncated", _damaged(FLAC, cut)),
    ClipFault(6, "FLAC less one byte", "audio.truncated", _damaged(FLAC, lambda data: data[:-1])),
    ClipFault(8, "FLAC with another MD5", "audio.hash_mismatch", _damaged(FLAC, flac_md5)),
    ClipFault(8, "a bit of an Ogg page flipped", "audio.undecodable", _damaged(VORBIS, flipped)),
    ClipFault(8, "a bit of a FLAC frame flipped", "audio.undecodable", _damaged(FLAC, flipped)),
)
FOREIGN: tuple[ClipFault, ...] = (
    ClipFault(9, "WAV named mp3", "audio.wrong_extension", _damaged(WAV, bytes, ".mp3")),
    ClipFault(9, "FLAC named wav", "audio.wrong_extension", _damaged(FLAC, bytes, ".wav")),
    ClipFault(10, "HTML page", "audio.not_audio", _content(HTML)),
    ClipFault(10, "JSON error", "audio.not_audio", _content(b'{"error": "Repository not found"}', ".flac")),
    ClipFault(10, "Git LFS pointer", "audio.not_audio", _content(POINTER)),
    ClipFault(10, "plain text", "audio.not_audio", _content("Bakı şəhəri.\n".encode() * 9, ".mp3")),
    ClipFault(10, "ZIP archive", "audio.not_audio", _content(b"PK\x03\x04" + bytes(200))),
    ClipFault(19, "unknown codec in WAV", "audio.unsupported_codec", _content(wav_of_codec(0x0161, bytes(8000)))),
    ClipFault(19, "AMR", "audio.unsupported_codec", _content(b"#!AMR\n" + bytes(400), ".amr")),
    ClipFault(20, "video", "audio.multi_stream", _content(avi(bytes(400)), ".avi")),
    ClipFault(
        20, "MP4 with a video", "audio.multi_stream", _content(mp4((b"soun", b"mp4a"), (b"vide", b"avc1")), ".mp4")
    ),
    ClipFault(20, "two Ogg streams", "audio.multi_stream", _two_in_one(VORBIS, SAMPLE_RATE)),
    ClipFault(21, "encrypted MP4", "audio.encrypted", _content(mp4((b"soun", b"enca")), ".m4a")),
    ClipFault(21, "encrypted WMA", "audio.encrypted", _content(wma(encrypted=True), ".wma")),
)
LYING: tuple[ClipFault, ...] = (
    ClipFault(11, "WAV of size 0", "audio.header_open_size", _damaged(WAV, _open(0))),
    ClipFault(11, "WAV of open size", "audio.header_open_size", _damaged(WAV, _open(0xFFFFFFFF))),
    ClipFault(
        11, "AU of open size", "audio.header_open_size", _damaged(AU, lambda data: patched(data, 8, ">I", 0xFFFFFFFF))
    ),
    ClipFault(
        12, "WAV longer than stated", "audio.header_length", _damaged(WAV, lambda data: patched(data, 40, "<I", 8000))
    ),
    ClipFault(
        12, "AU longer than stated", "audio.header_length", _damaged(AU, lambda data: patched(data, 8, ">I", 8000))
    ),
    ClipFault(
        12, "FLAC longer than stated", "audio.header_length", _damaged(FLAC, lambda data: flac_total(data, 9000))
    ),
    ClipFault(13, "stated longer than it is", "audio.duration_mismatch", _stated(1.5)),
    ClipFault(13, "stated shorter than it is", "audio.duration_mismatch", _stated(0.5)),
    ClipFault(
        14, "FLAC of 2^36 samples", "audio.header_absurd", _damaged(FLAC, lambda data: flac_total(data, 2**36 - 1))
    ),
    ClipFault(14, "WAV of 1.9 GB", "audio.header_absurd", _damaged(WAV, _absurd_wav)),
    ClipFault(15, "rate 0", "audio.bad_rate", _damaged(WAV, _rate(0))),
    ClipFault(15, "rate 2^31 - 1", "audio.bad_rate", _damaged(WAV, _rate(2**31 - 1))),
    ClipFault(16, "no channel", "audio.bad_channels", _damaged(WAV, lambda data: patched(data, 22, "<H", 0))),
    ClipFault(16, "1024 channels", "audio.bad_channels", _damaged(WAV, lambda data: patched(data, 22, "<H", 1024))),
    ClipFault(17, "16 bits said to be 24", "audio.bad_format", _damaged(WAV, lambda data: patched(data, 34, "<H", 24))),
    ClipFault(17, "mono said to be stereo", "audio.bad_format", _damaged(WAV, lambda data: patched(data, 22, "<H", 2))),
    ClipFault(18, "MP3 that becomes stereo", "audio.params_change", _two_in_one(MP3, SAMPLE_RATE, 2)),
    ClipFault(18, "MP3 of two rates", "audio.params_change", _two_in_one(MP3, 24_000)),
    ClipFault(18, "Ogg of two rates", "audio.params_change", _two_in_one(VORBIS, 22_050)),
    ClipFault(22, "junk behind a WAV", "audio.trailing_bytes", _damaged(WAV, lambda data: data + bytes(101))),
    ClipFault(22, "junk behind a FLAC", "audio.trailing_bytes", _damaged(FLAC, lambda data: data + b"junk" * 25)),
    ClipFault(22, "zeros behind a FLAC", "audio.trailing_bytes", _damaged(FLAC, lambda data: data + bytes(100))),
    ClipFault(
        22, "an old tag behind an Ogg", "audio.trailing_bytes", _damaged(VORBIS, lambda data: data + b"TAG" * 40)
    ),
)
NUMBERS: tuple[ClipFault, ...] = (
    ClipFault(23, "NaN", "signal.nonfinite", lambda studio: _floats(studio, np.nan)),
    ClipFault(23, "infinity", "signal.nonfinite", lambda studio: _floats(studio, -np.inf)),
    ClipFault(24, "a float of 1.5", "signal.out_of_range", lambda studio: _floats(studio, 1.5)),
    ClipFault(24, "integers in floats", "signal.out_of_range", lambda studio: _floats(studio, 20_000.0)),
)
STUNTS: tuple[ClipFault, ...] = (
    ClipFault(7, "a file that crashes its decoder", "audio.decode_crash", _content(b"CRASH", "")),
    ClipFault(7, "a file that hangs its decoder", "audio.decode_timeout", _content(b"HANG", "")),
)
"""They need the decoder of `tests.bad_decoders`, which obeys: no file is known that does it to the real one."""
FAULTS = (*MISSING, *CUT, *FOREIGN, *LYING, *NUMBERS)
