"""Contract: containers that libsndfile lacks are read for their tracks, and decoded where a decoder is installed."""

import struct
from uuid import UUID

import audioread
import numpy as np
import pytest
from audioread.rawread import RawAudioFile

from asr.audio import decode
from asr.containers import asf
from asr.pcm import AudioError, Sound
from tests.factories import pcm16, tone


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + name + body


def track(
    kind: bytes = b"soun", codec: bytes = b"mp4a", seconds: float = 1.0, rate: int = 44_100, more: bytes = b""
) -> bytes:
    entry = box(codec, bytes(16), struct.pack(">HHII", 2, 16, 0, rate << 16), more)
    table = box(b"minf", box(b"stbl", box(b"stsd", bytes(8), entry)))
    clock = box(b"mdhd", bytes(12), struct.pack(">II", 1_000, round(1_000 * seconds)), bytes(4))
    return box(b"trak", box(b"mdia", clock, box(b"hdlr", bytes(8), kind, bytes(12)), table))


def mp4(*tracks: bytes) -> bytes:
    return box(b"ftyp", b"M4A \0\0\0\0") + box(b"moov", *tracks) + box(b"mdat", bytes(500))


def element(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(-(-kind.bit_length() // 8)) + (len(body) | 1 << 28).to_bytes(4) + body


def entry(kind: int = 2, codec: bytes = b"A_OPUS", more: bytes = b"") -> bytes:
    sound = element(0xE1, element(0xB5, struct.pack(">f", 44_100)) + element(0x9F, b"\2"))
    return element(0xAE, element(0x83, bytes([kind])) + element(0x86, codec) + sound + more)


def webm(*entries: bytes, seconds: float = 1.0) -> bytes:
    facts = element(0x2AD7B1, (1_000_000).to_bytes(3)) + element(0x4489, struct.pack(">d", 1_000 * seconds))
    body = element(0x1549A966, facts) + element(0x1654AE6B, b"".join(entries)) + element(0x1F43B675, bytes(300))
    return element(0x1A45DFA3, element(0x4282, b"webm")) + element(0x18538067, body)


def live_webm(*entries: bytes) -> bytes:
    """As a browser records it: sizes of all ones, no duration."""
    head = element(0x1A45DFA3, element(0x4282, b"webm"))
    unknown = b"\x01" + b"\xff" * 7
    return head + b"\x18\x53\x80\x67" + unknown + element(0x1654AE6B, b"".join(entries)) + b"\x1f\x43\xb6\x75" + unknown


def wma(*objects: bytes) -> bytes:
    body = struct.pack("<IBB", len(objects), 1, 2) + b"".join(objects)
    return bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + struct.pack("<Q", 24 + len(body)) + body + bytes(200)


def asf_object(name: bytes, body: bytes = bytes(40)) -> bytes:
    return name + struct.pack("<Q", 24 + len(body)) + body


AUDIO, VIDEO = asf_object(asf.STREAM, asf.AUDIO), asf_object(asf.STREAM, asf.VIDEO)
DRM = asf_object(UUID("2211b3fb-bd23-11d2-b4b7-00a0c955fc6e").bytes_le)
ENCRYPTED = element(0x6D80, element(0x6240, element(0x5035, b"\0")))
M4A, WEBM = mp4(track()), webm(entry())

FAULTS = [
    ("M4A", M4A, "audio.unsupported_codec", "MP4 with mp4a"),
    (
        "M4A whose tracks follow the samples",
        M4A[:16] + box(b"mdat", bytes(99)) + M4A[16:],
        "audio.unsupported_codec",
        "",
    ),
    ("M4A with a text track", mp4(track(), track(b"text", b"tx3g")), "audio.unsupported_codec", "mp4a"),
    ("M4A cut in its samples", M4A[:-100], "audio.truncated", "100 bytes"),
    ("M4A cut before its tracks", M4A[:16], "audio.truncated", "moov"),
    ("MP4 with video", mp4(track(), track(b"vide", b"avc1")), "audio.multi_stream", "1 audio and 1 video"),
    ("M4A of two languages", mp4(track(), track()), "audio.multi_stream", "2 audio and 0 video"),
    ("M4A without audio", mp4(track(b"text", b"tx3g")), "audio.multi_stream", "0 audio"),
    ("M4A under DRM", mp4(track(codec=b"enca")), "audio.encrypted", "DRM"),
    ("M4A with protection", mp4(track(more=box(b"sinf", bytes(8)))), "audio.encrypted", "DRM"),
    ("M4A of a day", mp4(track(seconds=86_400)), "audio.header_absurd", "86400 s"),
    ("M4A of 0 Hz", mp4(track(rate=0)), "audio.bad_rate", "0 Hz"),
    ("WebM", WEBM, "audio.unsupported_codec", "Matroska with A_OPUS"),
    ("WebM from a browser", live_webm(entry()), "audio.unsupported_codec", "A_OPUS"),
    ("WebM cut", WEBM[:-50], "audio.truncated", "50 bytes"),
    ("WebM with video", webm(entry(), entry(1, b"V_VP9")), "audio.multi_stream", "1 audio and 1 video"),
    ("WebM of two languages", webm(entry(), entry()), "audio.multi_stream", "2 audio and 0 video"),
    ("WebM encrypted", webm(entry(more=ENCRYPTED)), "audio.encrypted", "encrypted"),
    ("WebM of a day", webm(entry(), seconds=86_400), "audio.header_absurd", "86400 s"),
    ("WMA", wma(AUDIO), "audio.unsupported_codec", "ASF with WMA"),
    ("WMV", wma(AUDIO, VIDEO), "audio.multi_stream", "1 audio and 1 video"),
    ("WMA under DRM", wma(DRM, AUDIO), "audio.encrypted", "DRM"),
    ("WMA cut in its header", wma(AUDIO)[:40], "audio.truncated", "header"),
]


@pytest.fixture
def _no_decoder(monkeypatch):
    monkeypatch.setattr(audioread, "available_backends", lambda: [RawAudioFile])


@pytest.mark.usefixtures("_no_decoder")
@pytest.mark.parametrize(("data", "code", "words"), [pytest.param(d, c, w, id=name) for name, d, c, w in FAULTS])
def test_tracks_are_counted_without_a_decoder(data, code, words):
    with pytest.raises(AudioError, match=words) as caught:
        decode(data)
    assert caught.value.code == code


@pytest.mark.usefixtures("_no_decoder")
@pytest.mark.parametrize("data", [M4A, WEBM, wma(AUDIO), b"\xff\xf1\x50\x80" + bytes(99), b"#!AMR\n" + bytes(99)])
def test_without_a_decoder_the_user_is_told_what_to_type(data):
    with pytest.raises(AudioError, match=r"ffmpeg -i in -ar 16000 -ac 1 out\.wav"):
        decode(data)


class FakeDecoder:
    """A decoder of audioread: what it is asked to open was written to disk; what it gives is set by a test."""

    channels, samplerate, duration = 2, 44_100, 1.0
    samples = np.repeat(pcm16(tone(500, 1.0, 44_100)), 2)
    opened: bytes = b""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:  # noqa: PTH123  # as the libraries do
            type(self).opened = file.read()

    def __enter__(self) -> "FakeDecoder":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self):
        raw = self.samples.astype("<i2").tobytes()
        return iter([raw[at : at + 4_096] for at in range(0, len(raw), 4_096)])


def through(monkeypatch: pytest.MonkeyPatch, data: bytes, **facts: object) -> Sound:
    """`data` through a fake decoder of `facts`."""
    fake = type("Fake", (FakeDecoder,), facts)
    monkeypatch.setattr(audioread, "available_backends", lambda: [RawAudioFile, fake])
    sound = decode(data)
    assert fake.opened == data
    return sound


@pytest.mark.parametrize(("data", "encoding"), [(M4A, "MP4 mp4a"), (WEBM, "Matroska A_OPUS"), (wma(AUDIO), "ASF WMA")])
def test_a_decoder_that_is_installed_is_used(data, encoding, monkeypatch, recwarn):
    sound = through(monkeypatch, data)
    assert (sound.encoding, sound.rate, sound.channels, sound.notes) == (encoding, 44_100, 2, ("signal.resampled",))
    assert (len(sound.pcm), sound.channel_correlation) == (16_000, 1.0)
    assert int(np.argmax(np.abs(np.fft.rfft(sound.pcm)))) == 500
    assert not [w for w in recwarn if issubclass(w.category, FutureWarning)]


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"samples": FakeDecoder.samples[: 2 * 22_050]}, "audio.truncated"),
        ({"samples": np.tile(FakeDecoder.samples, 2)}, "audio.header_length"),
        ({"samples": FakeDecoder.samples[:0]}, "audio.truncated"),
        ({"samplerate": 0}, "audio.bad_rate"),
        ({"channels": 9}, "audio.bad_channels"),
        ({"duration": 86_400.0}, "audio.header_absurd"),
    ],
)
def test_what_a_decoder_gives_is_held_to_the_file_and_to_the_bounds(facts, code, monkeypatch):
    with pytest.raises(AudioError) as caught:
        through(monkeypatch, M4A, **facts)
    assert caught.value.code == code


def test_a_decoder_that_refuses_makes_the_file_undecodable(monkeypatch):
    class Refusing(FakeDecoder):
        def __init__(self, path: str) -> None:
            raise audioread.DecodeError(path)

    monkeypatch.setattr(audioread, "available_backends", lambda: [Refusing])
    with pytest.raises(AudioError, match="MP4 with mp4a cannot be decoded") as caught:
        decode(M4A)
    assert caught.value.code == "audio.undecodable"


@pytest.mark.usefixtures("_no_decoder")
@pytest.mark.parametrize("data", [M4A, WEBM, wma(AUDIO)], ids=["M4A", "WebM", "WMA"])
def test_a_foreign_file_cut_anywhere_only_earns_a_code(data):
    for length in range(len(data)):
        with pytest.raises(AudioError):
            decode(data[:length])
