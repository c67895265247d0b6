"""Decoding: every supported form ends as mono 16 kHz PCM16, every damaged one as a reason code."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asr import audio
from asr.audio import decode, decode_file, wav_bytes
from asr.corpus.measure import measure
from asr.pcm import SAMPLE_RATE, AudioError
from tests.factories import encoded, pcm16, speech_like, tone

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


FAULTS = [
    ("zero bytes", b"", "audio.zero_bytes"),
    ("HTML page", b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>", "audio.not_audio"),
    ("XML after a byte order mark", b"\xef\xbb\xbf<?xml version='1.0'?><Error/>", "audio.not_audio"),
    ("JSON error", b'{"error": "Repository not found"}', "audio.not_audio"),
    ("Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "audio.not_audio"),
    ("plain text", "Bakı şəhəri. ".encode() * 60, "audio.not_audio"),
    ("random bytes", np.random.default_rng(0).bytes(4000), "audio.undecodable"),
    ("M4A", b"\0\0\0\x20ftypM4A " + bytes(400), "audio.unsupported_codec"),
    ("WebM", b"\x1aE\xdf\xa3" + bytes(400), "audio.unsupported_codec"),
    ("AAC stream", b"\xff\xf1\x50\x80" + bytes(400), "audio.unsupported_codec"),
    ("WAV header alone", WAV[:44], "audio.no_samples"),
    ("WAV of no samples", encoded(np.zeros(0, np.int16)), "audio.no_samples"),
    ("WAV cut in half", WAV[: len(WAV) // 2], "audio.truncated"),
    ("WAV cut by one byte", WAV[:-1], "audio.truncated"),
    ("WAV cut in its header", WAV[:30], "audio.truncated"),
    ("RF64 cut in half", encoded(SPEECH, kind="RF64")[: len(WAV) // 2], "audio.truncated"),
    ("big-endian WAV cut in half", b"RIFX" + patched(WAV, 40, ">I", 16_000)[4:9000], "audio.truncated"),
    ("FLAC cut in half", FLAC[: len(FLAC) // 2], "audio.undecodable"),
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
        (b"\0\0\0\x20ftypM4A ", "M4A"),
        (WAV[:1044], "1000 of the 16000 bytes"),
    ],
)
def test_a_refusal_says_what_was_found(data, words):
    with pytest.raises(AudioError, match=words):
        decode(data)


@given(CLIPS)
def test_pcm16_at_16_khz_keeps_every_bit(pcm):
    assert np.array_equal(decode(wav_bytes(pcm)), pcm)


@pytest.mark.parametrize(
    ("kind", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("RF64", "PCM_16"), ("AIFF", "PCM_16")]
)
def test_extreme_samples_survive_every_lossless_container(kind, subtype):
    pcm = np.array([-32768, 32767, -1, 0, 1] * 40, np.int16)
    assert np.array_equal(decode(encoded(pcm, kind=kind, subtype=subtype)), pcm)


@given(CLIPS)
def test_floats_made_from_pcm16_come_back_as_the_same_pcm16(pcm):
    assert np.array_equal(decode(encoded(pcm / 32768, subtype="FLOAT")), pcm)


def test_float_full_scale_saturates_instead_of_wrapping_round():
    one_step_beyond = -32768 / 32767
    assert decode(encoded(np.array([1.0, -1.0, one_step_beyond]), subtype="FLOAT")).tolist() == [32767, -32768, -32768]


@pytest.mark.parametrize(("subtype", "step"), [("PCM_U8", 1 / 128), ("PCM_24", 0), ("PCM_32", 0), ("ULAW", 1 / 16)])
def test_other_sample_widths_decode_within_their_own_quantisation(subtype, step):
    wave = tone(440, 0.2)
    error = np.abs(decode(encoded(wave, subtype=subtype)) / 32768 - wave).max()
    assert error <= step + 0.5 / 32768 + 2**-23


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_a_tone_keeps_its_frequency_and_length_through_resampling(rate):
    pcm = decode(encoded(tone(1_000, 1.0, rate), rate))
    assert len(pcm) == SAMPLE_RATE
    assert dominant_frequency(pcm) == pytest.approx(1_000, abs=1)
    assert measure(pcm).rms_dbfs == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.1)


def test_a_tone_above_8_khz_vanishes_instead_of_folding_back():
    pcm = decode(encoded(tone(10_000, 1.0, 44_100), 44_100))
    assert measure(pcm[800:-800]).rms_dbfs < -85  # without the clicks of switching the tone on and off


def test_stereo_becomes_the_mean_of_its_channels():
    left, right = speech_like(0.2, 1), speech_like(0.2, 2)
    mean = (left.astype(np.int32) + right) / 2
    assert np.abs(decode(encoded(np.stack([left, right], axis=1))) - mean).max() <= 0.5


def test_44_khz_stereo_holds_the_tones_of_both_channels():
    stereo = np.stack([tone(500, 1.0, 44_100), tone(2_000, 1.0, 44_100)], axis=1)
    spectrum = np.abs(np.fft.rfft(decode(encoded(stereo, 44_100))))
    assert sorted(np.argsort(spectrum)[-2:].tolist()) == [500, 2_000]


def test_chunks_before_the_samples_are_stepped_over():
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"  # an odd chunk is followed by a padding byte
    assert np.array_equal(decode(WAV[:36] + odd + WAV[36:]), SPEECH)


def test_a_wav_written_to_a_pipe_is_read_to_its_end():
    assert np.array_equal(decode(patched(WAV, 40, "<I", 0xFFFFFFFF)), SPEECH)


def test_blocks_are_joined_without_a_seam(monkeypatch):
    monkeypatch.setattr(audio, "BLOCK", 777)
    assert np.array_equal(decode(FLAC), SPEECH)


def test_a_clip_beyond_the_cap_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(audio, "MAX_SECONDS", 1)
    monkeypatch.setattr(audio, "_read", lambda *_: pytest.fail("read"))
    assert code_of(encoded(speech_like(1.1))) == "audio.header_absurd"


def test_a_file_that_is_absent_or_a_folder_is_missing(tmp_path):
    for path in (tmp_path / "none.wav", tmp_path):
        with pytest.raises(AudioError) as caught:
            decode_file(path)
        assert caught.value.code == "audio.missing"


def test_a_file_decodes_as_its_bytes_do_whatever_its_extension(tmp_path):
    path = tmp_path / "speech.mp3"
    path.write_bytes(WAV)
    assert np.array_equal(decode_file(path), SPEECH)


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


def test_measurements_of_a_clip_computed_by_hand():
    found = measure(np.array([32767, -32768, 0, 1], np.int16))
    assert found.duration == 4 / 16_000
    assert found.peak == 1.0
    assert found.clipped == 2 / 4
    assert found.dc_offset == 0.0
    assert found.rms_dbfs == pytest.approx(10 * np.log10((32767**2 + 32768**2 + 1) / 4 / 32768**2))
    # sha256 of the little-endian bytes ff7f 0080 0000 0100
    assert found.sha256 == "1281e9357e943863bbbc8388a405f65f85b8f221813c6220af6cc2aee9eb420d"


@pytest.mark.parametrize(
    ("pcm", "rms_dbfs"),
    [(np.zeros(100, np.int16), -120.0), (np.full(100, -32768, np.int16), 0.0), (pcm16(tone(100, 1.0)), -9.03)],
)
def test_level_of_silence_full_scale_and_a_half_scale_sine(pcm, rms_dbfs):
    assert measure(pcm).rms_dbfs == pytest.approx(rms_dbfs, abs=0.01)


@given(CLIPS)
def test_measurements_agree_with_floating_point_formulas(pcm):
    wave, found = pcm / 32768, measure(pcm)
    assert found.peak == np.abs(wave).max()
    assert found.dc_offset == pytest.approx(wave.mean(), abs=1e-12)
    assert 10 ** (found.rms_dbfs / 20) == pytest.approx(np.sqrt((wave**2).mean()), abs=1e-6)
