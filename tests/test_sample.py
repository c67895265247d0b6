"""Contract: the embedded corpus is the same in every run, and its splits share neither voices nor sentences."""

import hashlib
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest

from asr.corpus.clips import SPLITS, SourceClip
from asr.corpus.sample.plan import CLIPS, coloured_noise, sample_clips
from asr.corpus.sample.sentences import copula, dative, locative, sentences
from asr.corpus.sample.speech import UNSTABLE_VOICES, speak, voices
from asr.pcm import SAMPLE_RATE, AudioError
from tests.factories import samples_of

PLAN = sample_clips(seed=1)


def by_split(attribute: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for clip in PLAN:
        if clip.text and not clip.name.startswith("faulty"):
            found[clip.split].add(getattr(clip, attribute))
    return found


@pytest.mark.parametrize("attribute", ["group", "text"])
def test_no_two_splits_share_a_voice_or_a_sentence(attribute: str) -> None:
    found = by_split(attribute)
    assert set(found) == set(SPLITS)
    assert not found["train"] & found["validation"]
    assert not found["train"] & found["test"]
    assert not found["validation"] & found["test"]


def test_training_hears_many_voices_and_test_others() -> None:
    found = by_split("group")
    assert len(found["train"]) >= 32
    assert len(found["test"]) >= 8


def test_there_are_as_many_clips_as_announced_and_some_without_speech() -> None:
    spoken = [clip for clip in PLAN if clip.text and not clip.name.startswith("faulty")]
    quiet = [clip for clip in PLAN if not clip.text]
    assert len(spoken) == sum(CLIPS.values())
    assert 0.02 <= len(quiet) / len(spoken) <= 0.04
    assert len({clip.name for clip in PLAN}) == len(PLAN)


def test_the_plan_follows_from_the_seed() -> None:
    assert [(c.name, c.text, c.audio) for c in sample_clips(1)[:50]] == [(c.name, c.text, c.audio) for c in PLAN[:50]]
    assert [c.text for c in sample_clips(2)[:50]] != [c.text for c in PLAN[:50]]


def digest(clip: SourceClip) -> str:
    return hashlib.sha256(samples_of(clip.audio).tobytes()).hexdigest()


SPOKEN = [clip for clip in PLAN[::97] if clip.text and not clip.name.startswith("faulty")]


def test_a_clip_sounds_the_same_whatever_was_spoken_before() -> None:
    """eSpeak keeps state between utterances; the same clip must not depend on its neighbours."""
    forward = [digest(clip) for clip in SPOKEN]
    assert [digest(clip) for clip in reversed(SPOKEN)] == forward[::-1]
    assert len(set(forward)) == len(SPOKEN)


def test_another_process_with_other_memory_speaks_the_same_samples() -> None:
    code = "from tests.test_sample import SPOKEN, digest; print(*(digest(clip) for clip in SPOKEN[:12]))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"MALLOC_PERTURB_": "165"}
    )
    assert run.stdout.split() == [digest(clip) for clip in SPOKEN[:12]]


def test_every_voice_speaks_and_none_is_known_to_vary() -> None:
    assert len(voices()) >= 40
    assert not UNSTABLE_VOICES & set(voices())
    for voice in voices():
        assert np.abs(speak("salam", voice, 200, 50)).max() > 1000, voice


def test_spoken_clips_are_short_and_audible() -> None:
    for clip in SPOKEN:
        samples = samples_of(clip.audio)
        assert 0.5 * SAMPLE_RATE < len(samples) < 8 * SAMPLE_RATE
        assert 0.1 < np.abs(samples).max() / 32767 <= 1.0


def test_each_faulty_clip_is_unlike_a_good_one() -> None:
    faulty = [clip for clip in PLAN if clip.name.startswith("faulty/")]
    refused = set()
    for clip in faulty:
        try:
            samples_of(clip.audio)
        except AudioError as error:
            refused.add(error.code)
    assert len(faulty) >= 12
    assert {"audio.not_audio", "audio.zero_bytes", "audio.no_samples", "audio.truncated"} <= refused
    assert {"signal.nonfinite", "signal.out_of_range"} <= refused


@pytest.mark.parametrize(
    ("ending", "cases"),
    [
        (dative, {"bir": "birə", "iki": "ikiyə", "üç": "üçə", "altı": "altıya", "doqquz": "doqquza", "on": "ona"}),
        (locative, {"Bakı": "Bakıda", "Gəncə": "Gəncədə", "Quba": "Qubada", "Şəki": "Şəkidə", "may": "mayda"}),
        (copula, {"manat": "manatdır", "qəpik": "qəpikdir", "otuz": "otuzdur", "dörd": "dörddür"}),
    ],
)
def test_endings_follow_vowel_harmony(ending: "object", cases: dict[str, str]) -> None:
    assert {word: ending(word) for word in cases} == cases


def test_sentences_are_different_and_written_in_azerbaijani_letters() -> None:
    drawn = sentences(500, np.random.default_rng(3))
    assert len(set(drawn)) == 500
    letters = set("abcçdeəfgğhxıijkqlmnoöprsştuüvyzABCÇDEƏFGĞHXIİJKQLMNOÖPRSŞTUÜVYZ .,")
    assert set("".join(drawn)) <= letters


@pytest.mark.parametrize(("exponent", "ratio"), [(0.0, 1.0), (1.0, 16.0), (2.0, 256.0)])
def test_noise_has_unit_power_and_the_slope_of_its_colour(exponent: float, ratio: float) -> None:
    wave = coloured_noise(2**16, exponent, np.random.default_rng(1))
    power = np.abs(np.fft.rfft(wave)) ** 2
    assert wave.std() == pytest.approx(1.0)
    assert power[512:1024].mean() / power[8192:16384].mean() == pytest.approx(ratio, rel=0.15)
