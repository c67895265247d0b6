"""Contract: noises have the spectrum and the level they are named for, and a mix has the ratio that was asked for."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.pcm import SAMPLE_RATE, Pcm16
from asr.robustness import sounds
from asr.robustness.mixing import PEAK, Wave, at_level, mix, quieter, speech_level
from asr.robustness.sounds import Maker
from tests.factories import speech_like

MAKERS: dict[str, Maker] = {
    name: getattr(sounds, name) for name in ("silence", "white", "pink", "hum", "music", "breath")
}
SOUNDING = sorted(set(MAKERS) - {"silence"})


def made(name: str, samples: int = 1 << 17, seed: int = 1) -> Wave:
    return MAKERS[name](samples, np.random.default_rng(seed))


def bursts(rms: float, seconds: float = 2.0) -> Pcm16:
    """Tones of a known RMS, half of the time: the level of this speech is known without measuring it."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = np.sqrt(2) * rms * np.sin(2 * np.pi * 400 * times)
    return np.rint(tone * (times % 0.4 < 0.2)).astype(np.int16)


def gains(mixed: Pcm16, speech: Pcm16, noise: Wave) -> tuple[float, float, float]:
    """How much of speech and noise there is in a mix, by least squares, and the largest rest."""
    parts = np.stack([speech.astype(np.float64), noise], axis=1)
    found, *_ = np.linalg.lstsq(parts, mixed.astype(np.float64), rcond=None)
    return float(found[0]), float(found[1]), float(np.abs(mixed - parts @ found).max())


def slope_db_an_octave(wave: Wave) -> float:
    """Of the power density between 40 Hz and 7 kHz, from means over thirds of octaves."""
    power = np.abs(np.fft.rfft(wave)) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE)
    centres = 40 * 2 ** np.arange(0, 7.4, 1 / 3)
    bands = [power[(hertz >= f / 2 ** (1 / 6)) & (hertz < f * 2 ** (1 / 6))].mean() for f in centres]
    return float(np.polyfit(np.log2(centres), 10 * np.log10(bands), 1)[0])


def test_pink_noise_falls_by_3_db_an_octave_and_white_noise_does_not() -> None:
    assert slope_db_an_octave(made("pink")) == pytest.approx(-3.01, abs=0.2)
    assert slope_db_an_octave(made("white")) == pytest.approx(0.0, abs=0.2)


def test_hum_has_the_mains_and_its_harmonics_alone() -> None:
    wave = made("hum", SAMPLE_RATE)
    power = np.abs(np.fft.rfft(wave)) ** 2  # bins of 1 Hz
    assert power[50 : 50 * 20 + 1 : 50].sum() == pytest.approx(power.sum())
    assert power[100] == pytest.approx(power[50] / 4)


def test_breath_lies_in_the_band_of_the_mouth_and_swells() -> None:
    wave = made("breath", 4 * SAMPLE_RATE)
    power = np.abs(np.fft.rfft(wave)) ** 2
    assert power[4 * 200 : 4 * 4000].sum() > 0.7 * power.sum()
    levels = np.sqrt((wave.reshape(-1, 1600) ** 2).mean(axis=1))
    assert levels.min() < 0.1 < 1.2 < levels.max()


@pytest.mark.parametrize("samples", [1, 2, 399, 16_000, 48_001])
@pytest.mark.parametrize("name", SOUNDING)
def test_every_sound_has_its_length_and_an_rms_of_1(name: str, samples: int) -> None:
    wave = made(name, samples)
    assert wave.shape == (samples,)
    rms = np.sqrt(np.mean(wave**2))
    assert rms == pytest.approx(1) or (samples == 1 and rms == 0)


@pytest.mark.parametrize("name", SOUNDING)
def test_a_seed_makes_one_sound_and_another_seed_another(name: str) -> None:
    assert np.array_equal(made(name, 9_000), made(name, 9_000))
    assert not np.array_equal(made(name, 9_000), made(name, 9_000, seed=2))


def test_silence_is_digital() -> None:
    assert not made("silence", 100).any()


def test_babble_has_every_voice_at_the_same_level_and_no_gap() -> None:
    voices = [bursts(200.0), bursts(3000.0), speech_like(0.7, 5), speech_like(1.1, 6)]
    wave = sounds.babble(voices, 40_000, np.random.default_rng(1))
    assert np.sqrt(np.mean(wave**2)) == pytest.approx(1)
    assert wave[-10_000:].any(), "short voices are repeated"
    quiet_alone = sounds.babble(voices[:1], 40_000, np.random.default_rng(3))
    loud_alone = sounds.babble(voices[1:2], 40_000, np.random.default_rng(3))
    assert np.abs(quiet_alone - loud_alone).max() < 0.02


@pytest.mark.parametrize("rms", [100.0, 1000.0, 9000.0])
def test_the_level_of_speech_is_that_of_its_sounding_half(rms: float) -> None:
    assert speech_level(bursts(rms)) == pytest.approx(rms, rel=0.002)


@pytest.mark.parametrize("samples", [1, 100, 4000])
def test_silence_has_no_level_and_takes_no_noise(samples: int) -> None:
    pcm = np.zeros(samples, np.int16)
    assert speech_level(pcm) == 0
    assert np.array_equal(mix(pcm, made("white", samples), 0), pcm)


@settings(max_examples=30, deadline=None)
@given(
    rms=st.floats(200, 8000),
    snr_db=st.floats(-5, 25),
    name=st.sampled_from(["white", "pink", "hum"]),
    seed=st.integers(0, 99),
)
def test_a_mix_has_the_ratio_that_was_asked_for(rms: float, snr_db: float, name: str, seed: int) -> None:
    speech, noise = bursts(rms), made(name, 2 * SAMPLE_RATE, seed)
    of_speech, of_noise, rest = gains(mix(speech, noise, snr_db), speech, noise)
    assert 20 * np.log10(of_speech * rms / of_noise) == pytest.approx(snr_db, abs=0.1)
    assert rest <= 1, "nothing but rounding is left"
    assert of_speech <= 1.001


def clipped(speech: Pcm16, noise: Wave, snr_db: float) -> Pcm16:
    """The planted fault: what does not fit is cut."""
    return np.clip(speech + noise * speech_level(speech) * 10 ** (-snr_db / 20), -PEAK, PEAK).astype(np.int16)


@pytest.mark.parametrize(("mixer", "cut"), [(mix, False), (clipped, True)])
def test_a_mix_that_would_exceed_full_scale_is_scaled_and_not_cut(
    mixer: Callable[[Pcm16, Wave, float], Pcm16], cut: bool
) -> None:
    speech, noise = bursts(20_000.0), made("white", 2 * SAMPLE_RATE)
    mixed = mixer(speech, noise, 0.0)
    of_speech, of_noise, rest = gains(mixed, speech, noise)
    assert np.abs(mixed.astype(int)).max() <= PEAK
    assert (rest > 100) == cut
    if not cut:
        assert of_speech < 0.9
        assert 20 * np.log10(of_speech * 20_000 / of_noise) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("dbfs", [-60.0, -40.0, -25.0])
@pytest.mark.parametrize("name", SOUNDING)
def test_a_sound_has_the_level_that_was_asked_for(name: str, dbfs: float) -> None:
    pcm = at_level(made(name, SAMPLE_RATE), dbfs)
    assert 20 * np.log10(np.sqrt(np.mean(pcm.astype(float) ** 2)) / 32768) == pytest.approx(dbfs, abs=0.1)


def test_a_sound_too_loud_for_full_scale_is_refused() -> None:
    with pytest.raises(AssertionError, match="too loud"):
        at_level(made("white", SAMPLE_RATE), -1.0)


@pytest.mark.parametrize("decibels", [20, 40])
def test_quieter_speech_is_rounded_as_a_recording_of_it_would_be(decibels: int) -> None:
    speech = bursts(5000.0)
    exact = speech * 10 ** (-decibels / 20)
    assert np.abs(quieter(speech, decibels) - exact).max() <= 0.5
    assert speech_level(quieter(speech, decibels)) == pytest.approx(5000 * 10 ** (-decibels / 20), rel=0.01)
