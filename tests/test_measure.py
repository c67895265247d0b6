"""What is measured of a clip: known signals give known figures, and every clip gives finite ones."""

import dataclasses
import hashlib
import io
import math
import time
from functools import cache

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asr.corpus.index import IndexRow
from asr.corpus.measure import NOTHING, Measurements, measure
from asr.corpus.sample.plan import Room, SpokenAudio, sample_clips
from asr.pcm import SAMPLE_RATE, Pcm16
from tests.factories import pcm16, speech_like, tone

QUIET_ROOM = Room(lead=0.05, tail=0.05, peak=0.5, noise=0.0, colour=0.0, seed=1)
CLIPS = arrays(np.int16, st.integers(1, 3_000)) | st.builds(
    np.full, st.integers(1, 8_000), st.integers(-32_768, 32_767), st.just(np.int16)
)


@cache
def spoken(count: int) -> list[Pcm16]:
    """Sentences of the sample corpus in a silent room."""
    clips = [clip.audio for clip in sample_clips(1) if isinstance(clip.audio, SpokenAudio)]
    chosen = [clips[len(clips) // count * number] for number in range(count)]
    return [dataclasses.replace(audio, room=QUIET_ROOM).sound(never).pcm for audio in chosen]


def never(data: bytes, name: str, /):
    raise AssertionError(f"{name}: {len(data)} bytes to decode in a corpus without files")


def noise(seconds: float, level: float, seed: int = 0) -> np.ndarray:
    """White, with a standard deviation of `level`, full scale = 1."""
    return level * np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * SAMPLE_RATE))


def joined(*parts: np.ndarray) -> Pcm16:
    return pcm16(np.concatenate(parts))


def through(pcm: Pcm16, kind: str, subtype: str, rate: int = SAMPLE_RATE) -> Pcm16:
    """Encoded at `rate`, decoded, and brought back to 16 kHz."""
    buffer = io.BytesIO()
    soundfile.write(buffer, soxr.resample(pcm / 32768, SAMPLE_RATE, rate), rate, format=kind, subtype=subtype)
    buffer.seek(0)
    wave, found = soundfile.read(buffer)
    return pcm16(np.clip(soxr.resample(wave, found, SAMPLE_RATE), -1, 1))


def test_a_clip_computed_by_hand():
    found = measure(np.array([32767, -32768, 0, 1], np.int16))
    assert found.duration == 4 / 16_000
    assert found.peak == 1.0
    assert found.clipped == 2 / 4
    assert found.dc_offset == 0.0
    assert found.rms_dbfs == pytest.approx(10 * math.log10((32767**2 + 32768**2 + 1) / 4 / 32768**2))
    # sha256 of the little-endian bytes ff7f 0080 0000 0100
    assert found.sha256 == "1281e9357e943863bbbc8388a405f65f85b8f221813c6220af6cc2aee9eb420d"


@pytest.mark.parametrize(
    ("pcm", "rms_dbfs"),
    [(np.zeros(100, np.int16), -120.0), (np.full(100, -32768, np.int16), 0.0), (pcm16(tone(100, 1.0)), -9.03)],
)
def test_level_of_silence_full_scale_and_a_half_scale_sine(pcm, rms_dbfs):
    assert measure(pcm).rms_dbfs == pytest.approx(rms_dbfs, abs=0.01)


@given(CLIPS)
def test_levels_agree_with_floating_point_formulas(pcm):
    wave, found = pcm / 32768, measure(pcm)
    assert found.peak == np.abs(wave).max()
    assert found.dc_offset == pytest.approx(wave.mean(), abs=1e-12)
    assert 10 ** (found.rms_dbfs / 20) == pytest.approx(np.sqrt((wave**2).mean()), abs=1e-6)
    assert found.sha256 == hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest()


@given(CLIPS)
@settings(deadline=None)
def test_every_clip_gives_finite_figures_within_their_ranges(pcm):
    found = measure(pcm)
    numbers = [value for value in dataclasses.astuple(found) if not isinstance(value, str)]
    assert all(type(value) is float and math.isfinite(value) for value in numbers)
    assert 0 <= found.snr_db <= 97
    assert 0 <= found.silence <= 1
    assert 0 <= found.lead_silence <= found.duration
    assert 0 <= found.tail_silence <= found.duration
    assert 0 <= found.bandwidth <= 8_000
    assert 0 <= found.tone_share <= 1.001
    assert found.edge_db >= -120
    assert 0 <= found.zero_run <= found.duration
    assert len(found.fingerprint) in (0, 32)


@given(CLIPS)
@settings(deadline=None, max_examples=20)
def test_a_view_into_other_memory_measures_as_its_copy_does(pcm):
    wide = np.zeros((pcm.size, 2), np.int16)
    wide[:, 0] = pcm
    wide.flags.writeable = False
    assert measure(wide[:, 0]) == measure(pcm)


def test_measurements_are_the_same_in_the_index_by_name_and_type():
    columns = {field.name: field.type for field in dataclasses.fields(IndexRow)}
    measured = {field.name: field.type for field in dataclasses.fields(Measurements)}
    assert measured.items() <= columns.items()
    assert {field.name for field in dataclasses.fields(NOTHING)} == set(measured)
    assert set(dataclasses.astuple(NOTHING)) == {0.0, ""}


def test_digital_silence_is_silent_from_end_to_end():
    found = measure(joined(silence(2.0)))
    assert (found.lead_silence, found.tail_silence, found.silence) == (2.0, 2.0, 1.0)
    assert (found.snr_db, found.bandwidth, found.tone_share, found.zero_run) == (0.0, 0.0, 0.0, 0.0)
    assert (found.edge_db, found.fingerprint) == (-120.0, "")


def test_a_constant_offset_is_no_sound():
    found = measure(np.full(32_000, 3_000, np.int16))
    assert found.dc_offset == pytest.approx(3_000 / 32_768)
    assert (found.silence, found.snr_db, found.tone_share, found.fingerprint) == (1.0, 0.0, 0.0, "")


@pytest.mark.parametrize("offset", [0.0, 0.05])
@pytest.mark.parametrize(("lead", "tail"), [(1.5, 0.0), (0.0, 1.2), (0.4, 0.7)])
@pytest.mark.parametrize("background", [0.0, 0.003])
def test_padding_is_found_at_either_end(lead, tail, background, offset):
    wave = np.concatenate([silence(lead), noise(1.0, 0.1), silence(tail)])
    found = measure(pcm16(wave + noise(1.0 + lead + tail, background, seed=2) + offset))
    assert found.lead_silence == pytest.approx(lead, abs=0.001)
    assert found.tail_silence == pytest.approx(tail, abs=0.001)
    assert found.silence == pytest.approx((lead + tail) / (1 + lead + tail), abs=0.02)


@pytest.mark.parametrize("snr_db", [5, 10, 20, 30])
def test_snr_of_speech_in_noise_is_within_three_db(snr_db):
    for number, pcm in enumerate(spoken(12)):
        wave = pcm / 32768
        powers = np.square(wave[: wave.size // 160 * 160].reshape(-1, 160)).mean(axis=1)
        level = np.sqrt(powers[powers > powers.max() * 1e-4].mean() * 10 ** (-snr_db / 10))
        padded = np.concatenate([silence(0.5), wave, silence(0.5)])
        found = measure(pcm16(np.clip(padded + level * noise(padded.size / SAMPLE_RATE, 1.0, number), -1, 1)))
        assert found.snr_db == pytest.approx(snr_db, abs=3), number


def test_an_even_sound_has_no_snr_and_no_silence():
    found = measure(joined(noise(2.0, 0.1)))
    assert (found.snr_db, found.silence, found.lead_silence) == (0.0, 0.0, 0.0)
    assert found.edge_db == pytest.approx(0, abs=2)


def test_a_click_in_a_pause_does_not_set_the_loud_level():
    wave = np.concatenate([silence(1.0), noise(2.0, 0.02), silence(1.0)])
    clicked = wave.copy()
    clicked[500] = 0.9
    assert measure(pcm16(clicked)).edge_db == measure(pcm16(wave)).edge_db == -120
    assert measure(pcm16(clicked)).silence == pytest.approx(measure(pcm16(wave)).silence, abs=0.01)


@pytest.mark.parametrize(
    ("render", "narrow"),
    [
        (lambda pcm: pcm, False),
        (lambda pcm: pcm16(pcm / 32768 * 0.1), False),
        (lambda pcm: through(pcm, "MP3", "MPEG_LAYER_III"), False),
        (lambda pcm: through(pcm, "WAV", "PCM_16", 8_000), True),
        (lambda pcm: through(pcm, "WAV", "ULAW", 8_000), True),
        (lambda pcm: through(pcm, "MP3", "MPEG_LAYER_III", 8_000), True),
        (lambda pcm: through(through(pcm, "WAV", "ULAW", 8_000), "MP3", "MPEG_LAYER_III"), True),
    ],
    ids=["plain", "20 dB down", "mp3", "8 kHz", "G.711", "mp3 at 8 kHz", "G.711, then mp3"],
)
def test_telephone_speech_and_no_other_has_a_bandwidth_up_to_4100_hz(render, narrow):
    found = [measure(render(pcm)).bandwidth for pcm in spoken(25)]
    assert [bandwidth <= 4_100 for bandwidth in found] == [narrow] * 25


@pytest.mark.parametrize("frequency", [440, 1_000, 3_010])
@pytest.mark.parametrize("amplitude", [0.001, 0.03, 0.9])
def test_a_beep_of_any_level_is_a_tone(frequency, amplitude):
    assert measure(pcm16(tone(frequency, 1.0, amplitude=amplitude) + 0.02)).tone_share > 0.97


@pytest.mark.parametrize("frequency", [440, 1_010, 3_010, 7_490])
def test_the_bandwidth_of_a_tone_is_the_end_of_its_band(frequency):
    assert frequency <= measure(pcm16(tone(frequency, 1.0))).bandwidth <= frequency + 250


def test_speech_does_not_look_like_a_beep():
    assert max(measure(pcm).tone_share for pcm in spoken(25)) < 0.9


def test_speech_cut_in_a_vowel_is_loud_at_its_edge_and_whole_speech_is_not():
    whole, cut = [], []
    for pcm in spoken(40):
        whole.append(measure(pcm).edge_db)
        frames = pcm[: pcm.size // 160 * 160].reshape(-1, 160).astype(float)
        loudest = int(np.square(frames).sum(axis=1).argmax()) * 160
        cut.append([measure(part).edge_db for part in (pcm[loudest:], pcm[: loudest + 160])])
    assert max(whole) < -30
    assert (np.mean(np.array(cut) > -6, axis=0) > 0.9).all()  # at the start, at the end


@pytest.mark.parametrize("gap", [0.03, 0.05, 0.2137])
def test_a_dropout_is_measured_to_the_sample_and_padding_is_none(gap):
    wave = np.concatenate([silence(0.5), noise(0.7331, 0.1), silence(gap), noise(0.5, 0.1, 1), silence(0.5)])
    zeros = round(gap * SAMPLE_RATE)
    assert SAMPLE_RATE * measure(pcm16(wave)).zero_run == pytest.approx(zeros, abs=1)
    assert measure(joined(silence(0.5), noise(1.0, 0.1), silence(0.5))).zero_run == 0


def test_clipping_is_the_share_of_samples_at_full_scale():
    wave = np.clip(tone(100, 1.0, amplitude=2.0), -1, 1)
    assert measure(pcm16(wave)).clipped == pytest.approx(2 / 3, abs=0.01)  # |sin| > 1/2 two thirds of the time
    assert measure(pcm16(0.99 * wave)).clipped == 0


@pytest.mark.parametrize("gain_db", [-12, -6, 5])
def test_only_levels_change_with_gain(gain_db):
    for pcm in spoken(10):
        plain, louder = measure(pcm), measure(pcm16(np.clip(pcm / 32767 * 10 ** (gain_db / 20), -1, 1)))
        assert louder.rms_dbfs - plain.rms_dbfs == pytest.approx(gain_db, abs=0.05)
        assert louder.tone_share == pytest.approx(plain.tone_share, abs=0.005)
        assert louder.edge_db == pytest.approx(plain.edge_db, abs=1) or plain.edge_db < -45
        assert louder.silence == pytest.approx(plain.silence, abs=0.05)


def test_snr_does_not_change_with_gain():
    wave = np.concatenate([noise(0.5, 0.002), noise(1.0, 0.1, 1), noise(0.5, 0.002, 2)])
    assert measure(pcm16(0.25 * wave)).snr_db == pytest.approx(measure(pcm16(wave)).snr_db, abs=0.1)


@pytest.mark.parametrize(("samples", "microseconds"), [(54_720, 160), (16_000, 100)])
def test_a_clip_takes_no_more_than_four_times_the_microseconds_measured_when_this_was_written(samples, microseconds):
    pcm = speech_like(samples / SAMPLE_RATE)
    times = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(50):
            measure(pcm)
        times.append((time.process_time() - start) / 50)
    assert min(times) * 1e6 < 4 * microseconds
