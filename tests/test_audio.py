"""Decoding: every supported form ends as mono 16 kHz PCM16, every damaged one as a reason code."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asr import audio
from asr.audio import decode, decode_file, plain_wav, read_file, wav_bytes
from asr.containers import promise
from asr.pcm import SAMPLE_RATE, AudioError
from tests.factories import encoded, speech_like, tone

SPEECH = speech_like(0.5)
WAV = encoded(SPEECH)
FLAC = encoded(SPEECH, kind="FLAC")
MP3 = encoded(speech_like(3.0), kind="MP3", subtype="MPEG_LAYER_III")
CLIPS = arrays(np.int16, st.integers(1, 400))


def patched(data: bytes, offset: int, kind: str, value: int) -> bytes:
    """`data` with a field of its header overwritten; offsets are those of the canonical 44-byte WAV header."""
    content = bytearray(data)
    struct.pack_into(kind, content, offset, value)
    return bytes(content)


def code_of(data: bytes) -> str:
    with pytest.raises(AudioError) as caught:
        decode(data)
    return caught.value.code


def dominant_frequency(pcm: np.ndarray) -> float:
    """Hz of the strongest line of the spectrum."""
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(pcm))


def level(pcm: np.ndarray) -> float:
    """Root mean square in dB of full scale."""
    return float(10 * np.log10(np.mean((pcm / 32768) ** 2)))


FAULTS = [
    ("zero bytes", b"", "audio.zero_bytes"),
    ("HTML page", b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>", "audio.not_audio"),
    ("XML after a byte order mark", b"\xef\xbb\xbf<?xml version='1.0'?><Error/>", "audio.not_audio"),
    ("JSON error", b'{"error": "Repository not found"}', "audio.not_audio"),
    ("Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "audio.not_audio"),
    ("plain text", "Bakı şəhəri. ".encode() * 60, "audio.not_audio"),
    ("random bytes", np.random.default_rng(0).bytes(4000), "audio.undecodable"),
    ("ZIP archive", b"PK\x03\x04" + bytes(400), "audio.not_audio"),
    ("tar archive", bytes(257) + b"ustar" + bytes(400), "audio.not_audio"),
    ("gzip archive", b"\x1f\x8b\x08" + bytes(400), "audio.not_audio"),
    ("UTF-16 text", ("Bakı şəhəri. " * 9).encode("utf-16"), "audio.not_audio"),
    ("AAC stream", b"\xff\xf1\x50\x80" + bytes(400), "audio.unsupported_codec"),
    ("AMR stream", b"#!AMR\n" + bytes(400), "audio.unsupported_codec"),
    ("AVI video", b"RIFF\x90\1\0\0AVI " + bytes(400), "audio.multi_stream"),
    ("WAV header alone", WAV[:44], "audio.no_samples"),
    ("WAV of no samples", encoded(np.zeros(0, np.int16)), "audio.no_samples"),
    ("WAV cut in half", WAV[: len(WAV) // 2], "audio.truncated"),
    ("WAV cut by one byte", WAV[:-1], "audio.truncated"),
    ("WAV cut in its header", WAV[:30], "audio.truncated"),
    ("RF64 cut in half", encoded(SPEECH, kind="RF64")[: len(WAV) // 2], "audio.truncated"),
    ("big-endian WAV cut in half", b"RIFX" + patched(WAV, 40, ">I", 16_000)[4:9000], "audio.truncated"),
    ("FLAC cut in half", FLAC[: len(FLAC) // 2], "audio.truncated"),
    ("FLAC with a zeroed block", FLAC[:4000] + bytes(500) + FLAC[4500:], "audio.undecodable"),
    ("FLAC that claims 2^36 - 1 samples", FLAC[:21] + b"\xff" * 5 + FLAC[26:], "audio.header_absurd"),
    ("MP3 cut in half", MP3[: len(MP3) // 2], "audio.truncated"),
    ("absurd rate", patched(WAV, 24, "<I", 2**31 - 1), "audio.bad_rate"),
    ("rate of a seismograph", patched(WAV, 24, "<I", 100), "audio.bad_rate"),
    ("1024 channels", patched(WAV, 22, "<H", 1024), "audio.bad_channels"),
    ("NaN", encoded(np.where(np.arange(800) == 5, np.nan, 0.1), subtype="FLOAT"), "signal.nonfinite"),
    ("infinity", encoded(np.where(np.arange(800) == 5, np.inf, 0.1), subtype="DOUBLE"), "signal.nonfinite"),
    ("float in int16 range", encoded(SPEECH.astype(np.float32), subtype="FLOAT"), "signal.out_of_range"),
    ("float just beyond 1", encoded(np.full(800, -1.01), subtype="FLOAT"), "signal.out_of_range"),
]


@pytest.mark.parametrize(("data", "code"), [pytest.param(d, c, id=name) for name, d, c in FAULTS])
def test_a_damaged_or_foreign_file_is_refused_with_its_code(data, code):
    assert code_of(data) == code


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>", "HTML"),
        (b'{"a": 1}', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"PK\x03\x04", "ZIP"),
        (b"\xff\xf1\x50\x80" + bytes(9), "ffmpeg -i in -ar 16000 -ac 1 out.wav"),
        (WAV[:1044], "1000 of the 16000 bytes"),
    ],
)
def test_a_refusal_says_what_was_found(data, words):
    with pytest.raises(AudioError, match=words):
        decode(data)


@given(CLIPS)
def test_pcm16_at_16_khz_keeps_every_bit(pcm):
    assert np.array_equal(decode(wav_bytes(pcm)).pcm, pcm)


@pytest.mark.parametrize(
    ("kind", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("RF64", "PCM_16"), ("AIFF", "PCM_16")]
)
def test_extreme_samples_survive_every_lossless_container(kind, subtype):
    pcm = np.array([-32768, 32767, -1, 0, 1] * 40, np.int16)
    assert np.array_equal(decode(encoded(pcm, kind=kind, subtype=subtype)).pcm, pcm)


@given(CLIPS)
def test_floats_made_from_pcm16_come_back_as_the_same_pcm16(pcm):
    assert np.array_equal(decode(encoded(pcm / 32768, subtype="FLOAT")).pcm, pcm)


def test_float_full_scale_saturates_instead_of_wrapping_round():
    one_step_beyond = -32768 / 32767
    assert decode(encoded(np.array([1.0, -1.0, one_step_beyond]), subtype="FLOAT")).pcm.tolist() == [
        32767,
        -32768,
        -32768,
    ]


@pytest.mark.parametrize(("subtype", "step"), [("PCM_U8", 1 / 128), ("PCM_24", 0), ("PCM_32", 0), ("ULAW", 1 / 16)])
def test_other_sample_widths_decode_within_their_own_quantisation(subtype, step):
    wave = tone(440, 0.2)
    error = np.abs(decode(encoded(wave, subtype=subtype)).pcm / 32768 - wave).max()
    assert error <= step + 0.5 / 32768 + 2**-23


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_a_tone_keeps_its_frequency_and_length_through_resampling(rate):
    pcm = decode(encoded(tone(1_000, 1.0, rate), rate)).pcm
    assert len(pcm) == SAMPLE_RATE
    assert dominant_frequency(pcm) == pytest.approx(1_000, abs=1)
    assert level(pcm) == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.1)


def test_a_tone_above_8_khz_vanishes_instead_of_folding_back():
    pcm = decode(encoded(tone(10_000, 1.0, 44_100), 44_100)).pcm
    assert level(pcm[800:-800]) < -85  # without the clicks of switching the tone on and off


def test_stereo_becomes_the_mean_of_its_channels():
    left, right = speech_like(0.2, 1), speech_like(0.2, 2)
    mean = (left.astype(np.int32) + right) / 2
    assert np.abs(decode(encoded(np.stack([left, right], axis=1))).pcm - mean).max() <= 0.5


def test_44_khz_stereo_holds_the_tones_of_both_channels():
    stereo = np.stack([tone(500, 1.0, 44_100), tone(2_000, 1.0, 44_100)], axis=1)
    spectrum = np.abs(np.fft.rfft(decode(encoded(stereo, 44_100)).pcm))
    assert sorted(np.argsort(spectrum)[-2:].tolist()) == [500, 2_000]


def test_chunks_before_the_samples_are_stepped_over():
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"  # an odd chunk is followed by a padding byte
    assert np.array_equal(decode(WAV[:36] + odd + WAV[36:]).pcm, SPEECH)


def test_a_wav_written_to_a_pipe_is_read_to_its_end():
    assert np.array_equal(decode(patched(WAV, 40, "<I", 0xFFFFFFFF)).pcm, SPEECH)


def test_blocks_are_joined_without_a_seam(monkeypatch):
    monkeypatch.setattr(audio, "BLOCK", 777)
    assert np.array_equal(decode(FLAC).pcm, SPEECH)


def test_a_clip_beyond_the_cap_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(promise, "MAX_SECONDS", 1)
    monkeypatch.setattr(audio, "_read", lambda *_: pytest.fail("read"))
    for kind in ("WAV", "FLAC", "AIFF", "AU", "CAF", "RF64", "W64"):
        assert code_of(encoded(speech_like(1.1), kind=kind)) == "audio.header_absurd"


KINDS = [(kind, "PCM_16") for kind in ("WAV", "FLAC", "AIFF", "AU", "CAF", "RF64", "W64")]
KINDS += [("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")]


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
def test_a_recording_may_be_longer_than_a_clip(monkeypatch, tmp_path, kind, subtype):
    monkeypatch.setattr(promise, "MAX_SECONDS", 1)
    path = tmp_path / "recording"
    path.write_bytes(encoded(speech_like(1.5), kind=kind, subtype=subtype))
    assert abs(len(audio.decode_recording(path).pcm) - 24_000) <= 1
    assert code_of(path.read_bytes()) == "audio.header_absurd", "a clip may not, before and after"
    monkeypatch.setattr(promise, "RECORDING_SECONDS", 1)
    with pytest.raises(AudioError, match="the cap is 1 s"):
        audio.decode_recording(path)


def test_a_clip_of_unknown_length_is_read_no_further_than_the_cap(monkeypatch):
    monkeypatch.setattr(promise, "MAX_SECONDS", 1)
    monkeypatch.setattr(audio, "BLOCK", 4_000)
    unknown = bytearray(encoded(speech_like(1.5), kind="FLAC"))
    unknown[21:26] = bytes([unknown[21] & 0xF0]) + bytes(4)
    assert code_of(bytes(unknown)) == "audio.header_absurd"


def test_a_file_that_is_absent_or_a_folder_is_missing(tmp_path):
    for path in (tmp_path / "none.wav", tmp_path):
        with pytest.raises(AudioError) as caught:
            decode_file(path)
        assert caught.value.code == "audio.missing"


def test_a_file_that_may_not_be_read_is_unreadable(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "speech.wav").write_bytes(WAV)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(AudioError, match="Permission denied") as caught:
        read_file(tmp_path / "speech.wav")
    assert caught.value.code == "audio.unreadable"


def test_a_file_decodes_as_its_bytes_do_whatever_its_extension(tmp_path):
    path = tmp_path / "speech.mp3"
    path.write_bytes(WAV)
    assert np.array_equal(decode_file(path).pcm, SPEECH)


def test_an_oversized_file_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "speech.wav"
    path.write_bytes(WAV)
    monkeypatch.setattr(audio, "MAX_BYTES", len(WAV) - 1)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read"))
    with pytest.raises(AudioError) as caught:
        decode_file(path)
    assert caught.value.code == "audio.header_absurd"


def test_equal_samples_give_equal_wav_bytes():
    assert wav_bytes(SPEECH) == wav_bytes(SPEECH.copy()) == WAV


# The fast path


def patched_riff(data: bytes) -> bytes:
    """`data` with a RIFF size that fits its length."""
    return patched(data, 4, "<I", len(data) - 8)


LIST = b"LIST" + struct.pack("<I", 16) + b"INFOISFT" + struct.pack("<I", 4) + b"abc\0"
BAD_LIST = b"LIST" + struct.pack("<I", 10) + b"INFOISFT\0\0"
ODD = b"LIST" + struct.pack("<I", 3) + b"abc\0"
PLAIN_FORMS = {
    "canonical": WAV,
    "a chunk in front": patched_riff(WAV[:36] + LIST + WAV[36:]),
    "a chunk in front that libsndfile cannot read": patched_riff(WAV[:36] + BAD_LIST + WAV[36:]),
    "an odd chunk in front": patched_riff(WAV[:36] + ODD + WAV[36:]),
    "a chunk behind": patched_riff(WAV + LIST),
    "chunks behind": patched_riff(WAV + ODD + LIST),
    "extensible": encoded(SPEECH, kind="WAVEX"),
    "one sample": encoded(SPEECH[:1]),
}


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in PLAIN_FORMS.items()])
def test_the_fast_path_says_what_the_full_one_does(data):
    fast, full = plain_wav(data), audio._decode_any(data)
    assert fast is not None
    assert np.array_equal(fast.pcm, full.pcm)
    assert (fast.encoding, fast.rate, fast.channels, fast.notes) == ("WAV PCM_16", 16_000, 1, ())
    assert (full.encoding, full.rate, full.channels, full.notes) == ("WAV PCM_16", 16_000, 1, ())
    assert (full.channel_correlation, full.channel_gap_db) == (fast.channel_correlation, fast.channel_gap_db)


NOT_PLAIN = {
    **{name: data for name, data, _ in FAULTS},
    "stereo": encoded(np.stack([SPEECH, SPEECH], axis=1)),
    "8 kHz": encoded(SPEECH, 8_000),
    "24 bits": encoded(SPEECH, subtype="PCM_24"),
    "big-endian": b"RIFX" + WAV[4:],
    "RF64": encoded(SPEECH, kind="RF64"),
    "FLAC": FLAC,
    "size left open": patched(WAV, 40, "<I", 0),
    "wrong RIFF size": patched(WAV, 4, "<I", 4),
    "wrong byte rate": patched(WAV, 28, "<I", 32_001),
    "wrong block": patched(WAV, 32, "<H", 4),
    "odd size": patched(WAV, 40, "<I", len(WAV) - 45),
    "junk behind": WAV + b"\1\2\3",
}


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in NOT_PLAIN.items()])
def test_the_fast_path_leaves_everything_else_to_the_full_one(data):
    assert plain_wav(data) is None


def test_the_fast_path_copies_nothing_and_asks_no_library(monkeypatch):
    monkeypatch.setattr(audio.soundfile, "SoundFile", lambda *_: pytest.fail("opened"))
    pcm = decode(WAV).pcm
    assert np.shares_memory(pcm, np.frombuffer(WAV, np.uint8))


@given(CLIPS, st.integers(0, 43), st.integers(0, 255))
def test_the_fast_path_never_believes_a_changed_header(pcm, place, value):
    data = bytearray(wav_bytes(pcm))
    data[place] = value
    sound = plain_wav(bytes(data))
    assert sound is None or np.array_equal(sound.pcm, pcm)


# What is told of the file


@pytest.mark.parametrize(
    ("name", "data", "noted"),
    [
        ("a.mp3", WAV, True),
        ("a.flac", WAV, True),
        ("A.WAV", FLAC, True),
        ("a.ogg", MP3, True),
        ("a.wav", WAV, False),
        ("dir.mp3/A.WAVE", WAV, False),
        ("a.wav", encoded(SPEECH, kind="RF64"), False),
        ("a.mpga", MP3, False),
        ("a.aifc", encoded(SPEECH, kind="AIFF"), False),
        ("a.opus", encoded(SPEECH, kind="OGG", subtype="VORBIS"), False),
        ("a.oga", encoded(SPEECH, kind="OGG", subtype="OPUS"), False),
        ("a.part", WAV, False),
        ("mp3", WAV, False),
        ("", WAV, False),
    ],
)
def test_only_an_extension_that_contradicts_the_content_is_noted(name, data, noted):
    assert ("audio.wrong_extension" in decode(data, name).notes) == noted


def test_a_sound_says_what_its_file_was_like():
    stereo = encoded(np.stack([tone(500, 1.0, 44_100), tone(2_000, 1.0, 44_100)], axis=1), 44_100, "FLAC")
    sound = decode(stereo)
    assert (sound.encoding, sound.rate, sound.channels) == ("FLAC PCM_16", 44_100, 2)
    assert sound.notes == ("signal.resampled",)


LEFT, RIGHT = speech_like(0.5, 1), speech_like(0.5, 2)


@pytest.mark.parametrize(
    ("channels", "correlation", "gap"),
    [
        ((LEFT,), 1.0, 0.0),
        ((LEFT, LEFT), 1.0, 0.0),
        ((LEFT, -LEFT), -1.0, 0.0),
        ((LEFT, LEFT // 10), 1.0, 20.0),
        ((LEFT, 0 * LEFT), 1.0, 120.0),
        ((0 * LEFT, LEFT), 1.0, 120.0),
        ((0 * LEFT + 7, LEFT), 1.0, 120.0),
        ((0 * LEFT, 0 * LEFT), 1.0, 0.0),
        ((LEFT, LEFT, -LEFT), -1.0, 0.0),
        ((LEFT, RIGHT), float(np.corrcoef(LEFT, RIGHT)[0, 1]), 20 * np.log10(np.std(LEFT) / np.std(RIGHT))),
    ],
)
def test_channels_are_compared_as_numpy_would(channels, correlation, gap, monkeypatch):
    monkeypatch.setattr(audio, "BLOCK", 1_000)
    sound = decode(encoded(np.stack(channels, axis=1)))
    assert sound.channel_correlation == pytest.approx(correlation, abs=1e-3)
    assert sound.channel_gap_db == pytest.approx(abs(gap), abs=0.01)


def test_a_double_beyond_what_a_float_can_hold_is_out_of_range_and_not_infinite():
    assert code_of(encoded(np.array([0.1, 1e300]), subtype="DOUBLE")) == "signal.out_of_range"


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", "FLOAT"), ("AIFF", "FLOAT"), ("AU", "DOUBLE"), ("CAF", "FLOAT")])
@pytest.mark.parametrize(("value", "code"), [(np.nan, "signal.nonfinite"), (2.0, "signal.out_of_range")])
def test_one_impossible_float_among_many_blocks_is_found(kind, subtype, value, code, monkeypatch):
    monkeypatch.setattr(audio, "BLOCK", 500)
    samples = np.full((4_000, 2), 0.25)
    samples[3_123, 1] = value
    assert code_of(encoded(samples, kind=kind, subtype=subtype)) == code
