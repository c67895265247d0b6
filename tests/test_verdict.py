"""A verdict on one clip: what kind of input, what answer, and the same answer as the pipeline gives."""

from dataclasses import replace

import numpy as np
import pytest

from asr.corpus.verdict import DEFAULTS, verdict, verdicts
from asr.knobs import build, read_yaml
from asr.params import ValidateParams
from tests.factories import encoded, pcm16, speech_like, tone
from tests.pipeline import ROOT

TEXT = "Sabah hava yaxşı olacaq."
SPEECH = speech_like(2.0)
"""Noise that swells like speech, PCM16."""
LENIENT = replace(DEFAULTS, warn_edge_db=0.0, warn_snr_db=-100.0, warn_tone_share=1.0, warn_bandwidth=0.0)
"""Noise and tones stand for speech in these tests, so that rules about its sound have to be lenient."""
FLOATS = SPEECH / 32_768


def codes(found):
    return [issue.partition(":")[0] for issue in found["issues"]]


def warned(found):
    return [warning.partition(":")[0] for warning in found["warnings"]]


def resampled(rate):
    return tone(440.0, 2.0, rate)


GOOD = {
    "PCM16": (SPEECH, 16_000),
    "PCM16 in big-endian order": (SPEECH.astype(">i2"), 16_000),
    "float64": (FLOATS, 16_000),
    "float32": (FLOATS.astype(np.float32), 16_000),
    "float16": (FLOATS.astype(np.float16), 16_000),
    "a list": (FLOATS.tolist(), 16_000),
    "one column": (FLOATS[:, None], 16_000),
    "stereo": (np.stack([FLOATS, FLOATS], axis=1), 16_000),
    "a slice in steps": (np.repeat(SPEECH, 2)[::2], 16_000),
    "8 kHz": (resampled(8_000), 8_000),
    "44.1 kHz": (resampled(44_100), 44_100),
}

BAD = {
    "NaN": (np.where(np.arange(32_000) == 7, np.nan, FLOATS), "signal.nonfinite"),
    "infinity": (np.where(np.arange(32_000) == 7, np.inf, FLOATS).astype(np.float32), "signal.nonfinite"),
    "the range of int16 in floats": (SPEECH.astype(np.float32), "signal.out_of_range"),
    "nothing": (np.zeros(0), "audio.no_samples"),
    "no samples in two channels": (np.zeros((0, 2), np.int16), "audio.no_samples"),
    "no bytes": (b"", "audio.zero_bytes"),
    "a number": (np.float32(0.5), "audio.bad_format"),
    "three dimensions": (np.zeros((10, 2, 2)), "audio.bad_format"),
    "int32": (SPEECH.astype(np.int32), "audio.bad_format"),
    "booleans": (SPEECH > 0, "audio.bad_format"),
    "complex": (SPEECH.astype(np.complex64), "audio.bad_format"),
    "words": (np.array(["a", "b"]), "audio.bad_format"),
    "channels first": (np.stack([FLOATS, FLOATS]), "audio.bad_channels"),
    "nine channels": (np.zeros((100, 9)), "audio.bad_channels"),
    "text in place of a file": (b"<html>not found</html>", "audio.not_audio"),
    "half a file": (encoded(FLOATS)[:20_000], "audio.truncated"),
    "no such file": ("no/such/clip.wav", "audio.missing"),
    "antiphase": (np.stack([FLOATS, -FLOATS], axis=1), "signal.antiphase"),
    "silence": (np.zeros(32_000), "signal.silent_with_text"),
    "clipping": (np.clip(FLOATS * 30, -1, 1), "signal.clipped"),
    "too short": (SPEECH[:1000], "signal.too_short"),
    "too long": (np.tile(SPEECH, 16), "signal.too_long"),
}


@pytest.mark.parametrize("kind", GOOD)
def test_every_kind_of_array_with_sound_speech_is_valid(kind):
    samples, rate = GOOD[kind]
    assert verdict(samples, TEXT, rate, LENIENT) == {"valid": True, "issues": [], "warnings": []}


@pytest.mark.parametrize("kind", BAD)
def test_bad_audio_is_an_answer_and_not_an_exception(kind):
    audio, code = BAD[kind]
    found = verdict(audio, TEXT, params=LENIENT)
    assert found["valid"] is False
    assert code in codes(found)
    assert all(": " in issue for issue in found["issues"])


@pytest.mark.parametrize("rate", [0, -1, 3_999, 192_001])
def test_an_absurd_rate_is_an_answer(rate):
    assert codes(verdict(SPEECH, TEXT, rate)) == ["audio.bad_rate"]


def test_a_file_is_judged_alike_by_its_path_and_by_its_bytes(tmp_path):
    data = encoded(FLOATS, kind="FLAC")
    path = tmp_path / "clip.flac"
    path.write_bytes(data)
    answers = [verdict(path, TEXT), verdict(str(path), TEXT), verdict(data, TEXT), verdict(pcm16(FLOATS), TEXT)]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["valid"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("...", "text.empty"),
        ("<|az|> salam", "text.special_token"),
        ("a\x00b", "text.control"),
        (TEXT * 9, "text.char_rate"),
    ],
)
def test_a_bad_text_is_an_issue(text, code):
    assert code in codes(verdict(SPEECH, text))


def test_an_empty_text_is_a_wanted_example_of_silence():
    found = verdict(np.zeros(32_000), "")
    assert found["valid"]
    assert warned(found) == ["signal.negative_example"]


def test_without_a_text_only_the_sound_is_judged_and_as_speech():
    assert verdict(SPEECH, params=LENIENT) == {"valid": True, "issues": [], "warnings": []}
    strict = replace(LENIENT, warn_bandwidth=8000.0)
    assert warned(verdict(resampled(16_000), params=strict)) == ["signal.narrowband"]
    assert not [code for code in codes(verdict(np.zeros(32_000))) if code.startswith(("text.", "label."))]


def test_warnings_leave_a_clip_valid():
    late = np.concatenate([np.zeros(24_000), FLOATS])
    found = verdict(late, TEXT, params=LENIENT)
    assert found["valid"]
    assert "signal.long_silence" in warned(found)


def test_limits_can_be_given():
    assert codes(verdict(SPEECH, TEXT, params=replace(LENIENT, max_duration=1.0))) == ["signal.too_long"]


def test_several_clips_are_judged_as_each_alone_and_in_their_order():
    audios, texts = [SPEECH, np.zeros(0), SPEECH[:100], FLOATS], [TEXT, TEXT, None, ""]
    assert verdicts(audios, texts) == [verdict(audio, text) for audio, text in zip(audios, texts, strict=True)]
    assert verdicts(audios) == [verdict(audio) for audio in audios]
    assert verdicts([]) == []


def test_more_texts_than_clips_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="1 clips and 2 texts"):
        verdicts([SPEECH], [TEXT, TEXT])


def test_an_unknown_language_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="xx"):
        verdict(SPEECH, TEXT, language="xx")


def test_the_defaults_are_those_of_the_sample_preset_but_for_whispers_window():
    preset = build(ValidateParams, read_yaml(ROOT / "presets" / "sample.yaml")["validate"], "validate")
    assert replace(preset, max_duration=30.0) == DEFAULTS
