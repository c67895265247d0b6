"""Contract: a file whose bytes contradict themselves is refused or noted, and a faultless one never is."""

import struct

import numpy as np
import pytest
import soundfile

from asr.audio import decode
from asr.pcm import AudioError, Sound
from tests.factories import encoded, speech_like, tone

SPEECH = speech_like(0.25)
SAMPLES = SPEECH.tobytes()
LIST = b"LIST" + struct.pack("<I", 16) + b"INFOISFT" + struct.pack("<I", 4) + b"abc\0"
ODD = b"JUNK" + struct.pack("<I", 3) + b"abc\0"


def verdict(data: bytes) -> str:
    """The code of a refusal, else the notes."""
    try:
        return " ".join(decode(data).notes)
    except AudioError as error:
        return error.code


def chunk(name: bytes, body: bytes, order: str = "<") -> bytes:
    return name + struct.pack(order + "I", len(body)) + body + b"\0" * (len(body) % 2)


def wav(
    samples: bytes = SAMPLES,
    *,
    tag: int = 1,
    channels: int = 1,
    rate: int = 16_000,
    bits: int = 16,
    block: int | None = None,
    byte_rate: int | None = None,
    size: int | None = None,
    riff: int | None = None,
    front: bytes = b"",
    behind: bytes = b"",
    order: str = "<",
) -> bytes:
    """A WAV whose every field can be made to lie; by default all are true."""
    block = channels * -(-bits // 8) if block is None else block
    byte_rate = rate * block if byte_rate is None else byte_rate
    form = struct.pack(order + "HHIIHH", tag, channels, rate, byte_rate, block, bits)
    data = b"data" + struct.pack(order + "I", len(samples) if size is None else size)
    data += samples + b"\0" * (len(samples) % 2)
    body = b"WAVE" + chunk(b"fmt ", form, order) + front + data + behind
    magic = b"RIFF" if order == "<" else b"RIFX"
    return magic + struct.pack(order + "I", len(body) if riff is None else riff) + body


def rf64(size: int, samples: bytes = SAMPLES, magic: bytes = b"RF64", data_size: int = 0xFFFFFFFF) -> bytes:
    """An RF64 whose `ds64` claims `size` bytes of samples."""
    long = struct.pack("<QQQI", 72 + len(samples), size & (1 << 64) - 1, size // 2 & (1 << 64) - 1, 0)
    form = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    head = magic + b"\xff" * 4 + b"WAVE" + chunk(b"ds64", long) + chunk(b"fmt ", form)
    return head + b"data" + struct.pack("<I", data_size) + samples


def aiff(frames: int = 4_000, size: int | None = None, behind: bytes = b"", form: int | None = None) -> bytes:
    """An AIFF of `SPEECH` whose counts can be made to lie."""
    samples = SPEECH.astype(">i2").tobytes()
    common = struct.pack(">HIH", 1, frames, 16) + bytes.fromhex("400cfa00000000000000")
    sound = b"SSND" + struct.pack(">I", len(samples) + 8 if size is None else size) + bytes(8) + samples
    body = b"AIFF" + chunk(b"COMM", common, ">") + sound + behind
    return b"FORM" + struct.pack(">I", len(body) if form is None else form) + body


def au(size: int = 8_000, behind: bytes = b"", encoding: int = 3, rate: int = 16_000, channels: int = 1) -> bytes:
    head = struct.pack(">4sIIIII", b".snd", 24, size, encoding, rate, channels)
    return head + SPEECH.astype(">i2").tobytes() + behind


def caf(size: int = 8_004, behind: bytes = b"", block: int = 2) -> bytes:
    form = struct.pack(">d4sIIIII", 16_000.0, b"lpcm", 0, block, 1, 1, 16)
    head = b"caff\0\1\0\0desc" + struct.pack(">q", 32) + form + b"data" + struct.pack(">q", size) + bytes(4)
    return head + SPEECH.astype(">i2").tobytes() + behind


def with_size(data: bytes, name: bytes, value: int) -> bytes:
    """`data` with the little-endian 64-bit size of a Wave64 chunk changed."""
    at = data.index(name) + 16
    return data[:at] + struct.pack("<Q", value) + data[at + 8 :]


W64 = encoded(SPEECH, kind="W64")
TRUNCATED, LONGER = "audio.truncated", "audio.header_length"
OPEN, TRAILING = "audio.header_open_size", "audio.trailing_bytes"

FAULTS = [
    # Sizes too large: something is missing.
    ("WAV claims one frame more", wav(size=8_002), TRUNCATED),
    ("WAV claims a minute", wav(size=32_000 * 60), TRUNCATED),
    ("WAV claims a day", wav(size=32_000 * 86_400 // 2), "audio.header_absurd"),
    ("RIFX claims more", wav(order=">", size=8_002), TRUNCATED),
    ("RF64 claims more", rf64(8_002), TRUNCATED),
    ("RIFF size beyond the file", wav(riff=9_000), TRUNCATED),
    ("WAV cut in the chunk behind", wav(behind=LIST)[:-3], TRUNCATED),
    ("WAV cut before the samples", wav()[:40], TRUNCATED),
    ("AIFF claims more frames", aiff(4_001), TRUNCATED),
    ("AIFF claims a day of frames", aiff(16_000 * 86_400), "audio.header_absurd"),
    ("AIFF claims more bytes", aiff(4_001, 8_012), TRUNCATED),
    ("AIFF with a FORM beyond the file", aiff(form=9_000), TRUNCATED),
    ("AU claims more", au(8_002), TRUNCATED),
    ("AU claims a day", au(32_000 * 86_400), "audio.header_absurd"),
    ("CAF claims more", caf(8_006), TRUNCATED),
    ("W64 claims more", with_size(W64, b"data", 8_026), TRUNCATED),
    ("W64 whose riff is longer than the file", with_size(W64, b"riff", 9_000), TRUNCATED),
    # Sizes too small: something would be hidden.
    ("WAV hides half", wav(size=4_000), LONGER),
    ("WAV hides one frame that RIFF counts", wav(size=7_998), LONGER),
    ("WAV hides half from RIFF too", wav(size=4_000, riff=4_036), LONGER),
    ("RIFX hides half", wav(order=">", size=4_000), LONGER),
    ("RF64 hides half", rf64(4_000), LONGER),
    ("two data chunks", wav(behind=chunk(b"data", SAMPLES)), LONGER),
    ("two WAV files joined", wav() + wav(), LONGER),
    ("AIFF hides frames", aiff(3_000), LONGER),
    ("AIFF hides bytes", aiff(2_000, 4_008), LONGER),
    ("two AIFF files joined", aiff() + aiff(), LONGER),
    ("AU hides half", au(4_000), LONGER),
    ("two AU files joined", au() + au(), LONGER),
    ("CAF hides half", caf(4_004), LONGER),
    ("W64 hides half", with_size(W64, b"data", 4_024), LONGER),
    # Sizes left open: read to the end.
    ("WAV of size 0", wav(size=0), OPEN),
    ("WAV of size 0xFFFFFFFF", wav(size=0xFFFFFFFF, riff=0xFFFFFFFF), OPEN),
    ("WAV as sox pipes it", wav(size=0x7FFFF000, riff=0x7FFFF024), OPEN),
    ("WAV of size 0 and RIFF 0", wav(size=0, riff=0), OPEN),
    ("RIFX of size 0", wav(SPEECH.astype(">i2").tobytes(), order=">", size=0), OPEN),
    ("RF64 without its size", rf64(-1), OPEN),
    ("RF64 of size 0", rf64(0), OPEN),
    ("AIFF of size 0", aiff(0, 0), OPEN),
    ("AIFF of size 0xFFFFFFFF", aiff(0, 0xFFFFFFFF), OPEN),
    ("AIFF of no frames", aiff(0), OPEN),
    ("AU of unknown size", au(0xFFFFFFFF), OPEN),
    ("AU of size 0", au(0), OPEN),
    ("CAF of unknown size", caf(-1), OPEN),
    # A header and nothing else.
    ("WAV of size 0 without samples", wav(b""), "audio.no_samples"),
    ("WAV of size 0 and a chunk", wav(b"", behind=LIST), "audio.no_samples"),
    ("WAV of open size without samples", wav(b"", size=0xFFFFFFFF), "audio.no_samples"),
    ("WAV header alone", wav()[:44], "audio.no_samples"),
    ("AIFF header alone", aiff()[:54], "audio.no_samples"),
    ("AU header alone", au()[:24], "audio.no_samples"),
    ("AU header alone, size unknown", au(0xFFFFFFFF)[:24], "audio.no_samples"),
    ("CAF header alone", caf()[:68], "audio.no_samples"),
    # Junk behind.
    ("WAV and 3 bytes", wav() + b"\1\2\3", TRAILING),
    ("WAV and an ID3v1 tag", wav() + b"TAG" + bytes(125), TRAILING),
    ("WAV with a RIFF size too small", wav(riff=4), TRAILING),
    ("WAV, a chunk and 3 bytes", wav(behind=LIST) + b"\1\2\3", TRAILING),
    ("AIFF and 3 bytes", aiff() + b"\1\2\3", TRAILING),
    ("AU and 3 bytes", au() + b"\1\2\3", TRAILING),
    ("CAF and 3 bytes", caf() + b"\1\2\3", TRAILING),
    ("W64 and 3 bytes", W64 + b"\1\2\3", TRAILING),
    # Fields that contradict each other.
    ("16 bits labelled 24", wav(bits=24, block=2), "audio.bad_format"),
    ("24 bits labelled 16", wav(bytes(9_000), bits=16, block=3), "audio.bad_format"),
    ("two channels over one", wav(channels=2, block=2), "audio.bad_format"),
    ("byte rate of another rate", wav(byte_rate=16_000), "audio.bad_format"),
    ("floats of 16 bits", wav(tag=3), "audio.bad_format"),
    ("A-law of 16 bits", wav(tag=6), "audio.bad_format"),
    ("frames of 0 bytes", wav(block=0), "audio.bad_format"),
    ("0 bits", wav(bits=0), "audio.bad_format"),
    ("half a frame", wav(SAMPLES[:-1]), "audio.bad_format"),
    (
        "no fmt chunk",
        b"RIFF" + struct.pack("<I", 20) + b"WAVEdata" + struct.pack("<I", 8) + bytes(8),
        "audio.bad_format",
    ),
    ("a short fmt chunk", b"RIFF\x1c\0\0\0WAVEfmt \4\0\0\0\1\0\1\0data\4\0\0\0\0\0\0\0", "audio.bad_format"),
    ("CAF of wide frames", caf(block=4), "audio.bad_format"),
    # Rates and channels.
    ("WAV of 0 Hz", wav(rate=0), "audio.bad_rate"),
    ("WAV of 2^31 - 1 Hz", wav(rate=2**31 - 1, byte_rate=0), "audio.bad_rate"),
    ("WAV of no channel", wav(channels=0, block=2), "audio.bad_channels"),
    ("WAV of 1024 channels", wav(channels=1024), "audio.bad_channels"),
    ("AU of 0 Hz", au(rate=0), "audio.bad_rate"),
    ("AU of 9 channels", au(channels=9), "audio.bad_channels"),
    ("AIFF of 0 Hz", aiff().replace(bytes.fromhex("400cfa"), bytes(3)), "audio.bad_rate"),
    # Codecs.
    ("MP3 in WAV", wav(tag=0x55), "audio.unsupported_codec"),
    ("64-bit integers", wav(bits=64), "audio.unsupported_codec"),
    ("an unheard-of codec", wav(tag=0x1234), "audio.unsupported_codec"),
    ("AU of an unheard-of encoding", au(encoding=99), "audio.unsupported_codec"),
]


@pytest.mark.parametrize(("data", "expected"), [pytest.param(d, e, id=name) for name, d, e in FAULTS])
def test_a_header_that_lies_is_refused_or_noted(data, expected):
    assert verdict(data) == expected


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (wav(tag=0x55), "MP3"),
        (wav(tag=0x1234), "0x1234"),
        (wav(bits=64), "PCM of 64 bits"),
        (wav(size=8_002), "8000 of the 8002 bytes"),
        (wav(bits=24, block=2), "1 channels of 24 bits need frames of 3 bytes, not 2"),
        (wav() + wav(), "8044 bytes follow the 8000"),
    ],
)
def test_a_refusal_names_the_figures(data, words):
    with pytest.raises(AudioError, match=words):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        wav(size=0),
        wav(size=0xFFFFFFFF),
        wav(size=0) + b"\1",
        wav(front=LIST, size=0xFFFFFFFF),
        wav(SPEECH.astype(">i2").tobytes(), order=">", size=0),
        rf64(-1),
        rf64(0),
        aiff(0, 0),
        aiff(0, 0xFFFFFFFF),
        aiff(0),
        au(0xFFFFFFFF),
        au(0),
        caf(-1),
        wav(front=ODD + LIST, behind=LIST + ODD),
        wav(riff=len(wav())),
        wav(riff=4),
        wav()[:-1] + SAMPLES[-1:] + b"\1\2",
        rf64(8_000, magic=b"BW64"),
        rf64(1, data_size=8_000),
    ],
)
def test_what_is_kept_despite_its_header_has_every_sample(data):
    assert np.array_equal(decode(data).pcm, SPEECH)


def test_more_junk_than_a_tenth_of_a_second_and_a_hundredth_of_the_clip_could_be_speech():
    long = speech_like(20.0).tobytes()  # a hundredth of it is 6400 bytes
    assert verdict(wav(long) + b"\1" * 6_400) == TRAILING
    assert verdict(wav(long) + b"\1" * 6_401) == LONGER
    assert verdict(wav() + b"\1" * 3_200) == TRAILING
    assert verdict(wav() + b"\1" * 3_201) == LONGER


# Faultless files

PLAIN = {"PCM_16": 0.5 / 32768, "PCM_24": 0, "PCM_32": 0, "FLOAT": 0, "DOUBLE": 0, "ULAW": 1 / 32, "ALAW": 1 / 32}
KINDS = ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3"]
NOT_READ_BACK = ("DWVW_16", "DWVW_24")
"""libsndfile 1.2.2 writes these and then fails to read its own files."""
BLOCKS = ("ADPCM", "G72", "GSM", "LAYER")
"""Codecs that may fill up the last block."""


def written(kind: str, subtype: str, samples: np.ndarray, rate: int) -> bytes:
    """A file as libsndfile writes it, or nothing where it cannot."""
    try:
        return encoded(samples, rate, kind, subtype)
    except (soundfile.LibsndfileError, AssertionError):
        return b""


def is_right(sound: Sound, frames: int, rate: int, channels: int, subtype: str) -> bool:
    """Whether length and description fit what was written; AIFF fills 8-bit samples up to an even count."""
    wanted = frames * 16_000 / rate
    block = 4_200 * 16_000 / rate if any(word in subtype for word in BLOCKS) else 2 * 16_000 / rate + 1
    resampled = ("signal.resampled",) if rate != 16_000 else ()
    return 0 <= len(sound.pcm) - wanted + 1 <= block + 1 and (sound.channels, sound.notes) == (channels, resampled)


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [(k, s) for k in KINDS for s in sorted(soundfile.available_subtypes(k)) if s not in NOT_READ_BACK],
)
def test_no_faultless_file_is_refused_noted_or_shortened(kind, subtype):
    wrong = []
    for rate in (8_000, 16_000, 44_100, 48_000):
        for channels in (1, 2, 3):
            for frames in (1, 2, 7, 160, 4_097):
                samples = 0.2 * np.random.default_rng(frames).uniform(-1, 1, (frames, channels))
                data = written(kind, subtype, samples, rate)
                try:
                    right = not data or is_right(decode(data), frames, rate, channels, subtype)
                except AudioError as error:
                    right = str(error)
                if right is not True:
                    wrong.append((rate, channels, frames, right))
    assert wrong == []


@pytest.mark.parametrize("subtype", NOT_READ_BACK)
def test_a_codec_that_libsndfile_only_writes_is_refused_by_name(subtype):
    with pytest.raises(AudioError, match="DWVW") as caught:
        decode(encoded(SPEECH, kind="AIFF", subtype=subtype))
    assert caught.value.code == "audio.unsupported_codec"


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF"])
@pytest.mark.parametrize("subtype", sorted(PLAIN))
def test_every_plain_encoding_decodes_within_its_own_quantisation(kind, subtype):
    wave = tone(440, 0.05)
    error = np.abs(decode(encoded(wave, kind=kind, subtype=subtype)).pcm / 32768 - wave).max()
    assert error <= PLAIN[subtype] + 0.5 / 32768 + 2**-23


@pytest.mark.parametrize(("bits", "kind"), [(8, "u1"), (12, "<i2"), (16, "<i2"), (20, "3"), (24, "3"), (32, "<i4")])
def test_every_width_of_integer_samples_decodes(bits, kind):
    wave = tone(440, 0.05)
    whole = -(-bits // 8) * 8
    steps = np.rint(wave * 2 ** (bits - 1)).astype(np.int64) << (whole - bits)
    if kind == "3":
        raw = steps.astype("<i4").view("u1").reshape(-1, 4)[:, :3].tobytes()
    else:
        raw = (steps + (128 if bits == 8 else 0)).astype(kind).tobytes()
    assert np.abs(decode(wav(raw, bits=bits)).pcm / 32768 - wave).max() <= 2.0 ** -(bits - 1) + 1 / 32768


# Files cut anywhere

CUT = {
    "WAV": encoded(SPEECH[:300]),
    "WAV of 24 bits": encoded(SPEECH[:301], subtype="PCM_24"),
    "WAV of floats": encoded(SPEECH[:300] / 32768, subtype="FLOAT"),
    "WAV of IMA ADPCM": encoded(SPEECH[:300], subtype="IMA_ADPCM"),
    "WAV of GSM": encoded(SPEECH[:700], 8_000, subtype="GSM610"),
    "WAV with chunks": wav(SAMPLES[:600], front=ODD, behind=LIST),
    "RIFX": wav(SAMPLES[:600], order=">"),
    "WAVEX": encoded(SPEECH[:300], kind="WAVEX"),
    "RF64": encoded(SPEECH[:300], kind="RF64"),
    "W64": encoded(SPEECH[:300], kind="W64"),
    "AIFF": encoded(SPEECH[:300], kind="AIFF"),
    "AIFF-C": encoded(SPEECH[:300] / 32768, kind="AIFF", subtype="FLOAT"),
    "AIFF of IMA ADPCM": encoded(SPEECH[:300], kind="AIFF", subtype="IMA_ADPCM"),
    "AU": encoded(SPEECH[:300], kind="AU"),
    "CAF": caf()[:2_000].replace(struct.pack(">q", 8_004), struct.pack(">q", 1_932 + 4)),
    "FLAC": encoded(SPEECH[:300], kind="FLAC"),
    "FLAC of 24 bits": encoded(SPEECH[:300], kind="FLAC", subtype="PCM_24"),
    "Vorbis": encoded(SPEECH[:300], kind="OGG", subtype="VORBIS"),
    "Opus": encoded(SPEECH[:300], kind="OGG", subtype="OPUS"),
    "MP3": encoded(SPEECH, kind="MP3", subtype="MPEG_LAYER_III"),
}


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in CUT.items()])
def test_a_file_cut_anywhere_is_refused_or_wholly_there(data):
    whole = decode(data)
    wrong = []
    for length in range(len(data)):
        try:
            if not np.array_equal(decode(data[:length]).pcm, whole.pcm):
                wrong.append(length)
        except AudioError:
            continue
    assert wrong == []


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in CUT.items()])
def test_a_file_cut_in_its_samples_is_called_truncated(data):
    for missing in (3, 10, len(data) // 3, len(data) // 2 if len(data) > 3000 else 50):
        assert verdict(data[:-missing]) == TRUNCATED, missing
