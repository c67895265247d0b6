"""The share of speech: what a detector hears, what it costs to leave it out, and how a share becomes a warning.

Tests that need the packages of requirements-vad.txt are skipped without them.
"""

import importlib.metadata
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from numpy.typing import NDArray

from asr.audio import decode
from asr.corpus import part, voice
from asr.corpus.clips import SourceClip
from asr.corpus.findings import corpus_of
from asr.corpus.index import OPTIONAL, Index, index_of, read_index
from asr.corpus.part import Job, decode_clip, decode_part
from asr.corpus.prepare import prepare
from asr.corpus.rules import judge
from asr.corpus.sample.plan import Room, SpokenAudio, coloured_noise
from asr.corpus.sources.selection import ListedPart, listed
from asr.corpus.voice import BLOCK, PACKAGES, SPEECH, WINDOW, VoiceDetector
from asr.corpus.workers import Crew
from asr.errors import UserError
from asr.pcm import SAMPLE_RATE, AudioError, Decode, Pcm16, Sound
from stages import prepare as stage
from tests.factories import ToneAudio, pcm16, samples_of, tone
from tests.index_rows import LIMITS, index_row, limits
from tests.pipeline import ROOT

TEXT = "Sabah hava yaxşı olsa, uşaqlar bağa gedib alma yığacaqlar."
VOICES = ("Andy", "Annie", "Gene", "f1", "m3", "steph")
CLIPS = [
    SourceClip("voice.wav", TEXT, SpokenAudio(TEXT, "Andy", 180, 50, Room(0.05, 0.05, 0.5, 0.001, 1.0, 7))),
    SourceClip("tone.wav", TEXT, ToneAudio(440, 4.0)),
    SourceClip("wordless.wav", "", ToneAudio(550, 4.0)),
]


def spoken(name: str = "Andy", noise: float = 0.0) -> Pcm16:
    """A sentence with hardly any pause, about four seconds, shape = (samples,)."""
    return samples_of(SpokenAudio(TEXT, name, 180, 50, Room(0.05, 0.05, 0.5, noise, 1.0, 7)))


def noise(exponent: float, deviation: float, seconds: float = 4.0) -> Pcm16:
    count = round(seconds * SAMPLE_RATE)
    return pcm16(np.clip(deviation * coloured_noise(count, exponent, np.random.default_rng(3)), -1, 1))


# What the network hears


@pytest.fixture(scope="module")
def hears() -> VoiceDetector:
    pytest.importorskip("onnxruntime", reason="optional: requirements-vad.txt")
    try:
        importlib.metadata.distribution("silero-vad")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("optional: requirements-vad.txt")
    return VoiceDetector()


@pytest.mark.parametrize("name", VOICES)
def test_a_sentence_is_speech_nearly_from_end_to_end(hears: VoiceDetector, name: str) -> None:
    assert hears.speech_share(spoken(name)) >= 0.8


def test_a_sentence_is_heard_in_noise(hears: VoiceDetector) -> None:
    assert hears.speech_share(spoken(noise=0.02)) >= 0.7


QUIET = {
    "digital silence": np.zeros(4 * SAMPLE_RATE, np.int16),
    "one sample": np.full(1, 20_000, np.int16),
    "a tone": pcm16(tone(440, 4.0)),
    "a low tone": pcm16(tone(120, 4.0)),
    "faint white noise": noise(0.0, 0.001),
    "loud white noise": noise(0.0, 0.3),
    "pink noise": noise(1.0, 0.1),
    "brown noise": noise(2.0, 0.1),
    "clicks": np.where(np.arange(4 * SAMPLE_RATE) % 4000 == 0, 30_000, 0).astype(np.int16),
}


@pytest.mark.parametrize("kind", QUIET)
def test_what_is_no_voice_is_not_heard_as_one(hears: VoiceDetector, kind: str) -> None:
    assert hears.speech_share(QUIET[kind]) <= 0.05


def test_the_share_is_that_of_the_clip_and_not_of_its_sounding_part(hears: VoiceDetector) -> None:
    alone = spoken()
    padded = np.concatenate([alone, np.zeros(3 * alone.size, np.int16)])
    assert hears.speech_share(padded) == pytest.approx(hears.speech_share(alone) / 4, abs=0.02)


def test_a_clip_is_heard_alike_whatever_was_heard_before(hears: VoiceDetector) -> None:
    first = hears.probabilities(spoken())
    hears.probabilities(spoken("Annie"))
    assert np.array_equal(hears.probabilities(spoken()), first)


@pytest.mark.parametrize("samples", [1, WINDOW - 1, WINDOW, WINDOW + 1, 10 * WINDOW])
def test_every_sample_lies_in_a_window(hears: VoiceDetector, samples: int) -> None:
    assert hears.probabilities(spoken()[:samples]).shape == (-(-samples // WINDOW),)


def test_blocks_of_a_long_clip_leave_no_seam(hears: VoiceDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    pcm = spoken()
    whole = hears.probabilities(pcm)
    assert whole.size < BLOCK
    monkeypatch.setattr(voice, "BLOCK", 7)
    assert np.array_equal(hears.probabilities(pcm), whole)


def test_the_probabilities_are_those_of_the_streaming_network(
    hears: VoiceDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An oracle: the network of the same release for one window at a time, with its state carried on by hand."""
    monkeypatch.setattr(voice, "MODEL", "silero_vad.onnx")
    streaming = VoiceDetector()._session
    pcm = spoken()[: 60 * WINDOW]
    wave = np.concatenate([np.zeros(64), pcm / 32_768]).astype(np.float32)
    state, expected = np.zeros((2, 1, 128), np.float32), []
    for start in range(0, pcm.size, WINDOW):
        window = {"input": wave[None, start : start + 64 + WINDOW], "state": state, "sr": np.array(SAMPLE_RATE)}
        told, state = streaming.run(None, window)
        expected.append(told.item())
    assert hears.probabilities(pcm) == pytest.approx(expected, abs=1e-6)
    assert min(expected) < SPEECH < max(expected)


def test_prepare_measures_in_its_workers(hears: VoiceDetector, tmp_path: Path) -> None:
    with Crew(1) as crew:
        prepare(listed(CLIPS, None, 1), tmp_path / "clips", tmp_path / "index", crew, vad=True)
    index = read_index(tmp_path / "index")
    assert shares(index) == {clip.name: hears.speech_share(samples_of(clip.audio)) for clip in CLIPS}
    assert warned(index) == {"tone.wav"}


# Without the packages


class ToldDetector(VoiceDetector):
    """One whose network says what it is told."""

    def __init__(self, *probabilities: float) -> None:
        self._told = np.array(probabilities, np.float32)

    def probabilities(self, _: Pcm16) -> NDArray[np.float32]:
        return self._told


@pytest.mark.parametrize(
    ("told", "share"), [((0.5,), 1.0), ((0.499,), 0.0), ((0.501, 0.499, 0.0), 0.333), ((1.0, 0.5, 0.4), 0.667)]
)
def test_the_share_is_that_of_the_windows_in_which_speech_is_at_least_as_likely_as_not(
    told: tuple[float, ...], share: float
) -> None:
    assert ToldDetector(*told).speech_share(spoken()[:1]) == share


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(UserError) as error:
        call()
    message = str(error.value)
    assert "\n" not in message
    assert "pip install -r requirements-vad.txt" in message
    return message


def without_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # an import then fails as if it were not there


def with_runtime_and(monkeypatch: pytest.MonkeyPatch, files: Callable[[str], object]) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", importlib.metadata)  # any module: the network is sought first
    monkeypatch.setattr(importlib.metadata, "files", files)
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "5.1")


def absent(name: str) -> None:
    raise importlib.metadata.PackageNotFoundError(name)


def test_a_missing_package_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    without_runtime(monkeypatch)
    assert "package onnxruntime is missing" in refusal(VoiceDetector)
    with_runtime_and(monkeypatch, absent)
    assert "package silero-vad is missing" in refusal(VoiceDetector)


@pytest.mark.parametrize("files", [None, [], [importlib.metadata.PackagePath("silero_vad/data/silero_vad.onnx")]])
def test_a_release_without_the_network_is_named(monkeypatch: pytest.MonkeyPatch, files: object) -> None:
    with_runtime_and(monkeypatch, lambda _: files)
    assert f"silero-vad 5.1 has no file {voice.MODEL}" in refusal(VoiceDetector)


def test_the_stage_misses_a_package_before_it_reads_anything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {"vad": True, "source": "manifest", "path": str(tmp_path / "none.csv")}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["prepare", "--params", str(tmp_path / "params.yaml")])
    monkeypatch.setattr(stage, "Crew", None)  # not even a process is started
    voice.detector.cache_clear()
    without_runtime(monkeypatch)
    assert refusal(stage.main).startswith("data.vad = true: ")


def test_where_no_share_is_wanted_no_package_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_runtime(monkeypatch)
    monkeypatch.setattr(importlib.metadata, "files", absent)
    monkeypatch.setattr(part, "detector", None)
    prepare(listed(CLIPS, None, 1), tmp_path / "clips", tmp_path / "index", InThisProcess(1))
    index = read_index(tmp_path / "index")
    assert set(shares(index).values()) == {None}
    assert warned(index) == set()


def test_the_packages_are_pinned_in_their_own_file_and_nowhere_else() -> None:
    pins = (ROOT / "requirements-vad.txt").read_text(encoding="utf-8")
    for package in PACKAGES:
        assert re.search(rf"^{package}==[\d.]+$", pins, re.M)
        assert package not in (ROOT / "requirements.txt").read_text(encoding="utf-8")


# From a share to a warning


@dataclass(frozen=True)
class FakeDetector:
    """Hears a voice in all that is no tone."""

    def speech_share(self, pcm: Pcm16) -> float:
        spectrum = np.abs(np.fft.rfft(pcm))
        return 0.125 if spectrum.max() > 0.5 * spectrum.sum() else 0.875


@dataclass(frozen=True)
class RefusedAudio:
    def sound(self, _: Decode) -> Sound:
        raise AudioError("audio.truncated", "found 3, wanted 4")


class InThisProcess(Crew):
    """A crew without processes, so that a test can put something else in the detector's place."""

    def run(self, jobs: Iterable[Job], progress: Callable[[int], object]) -> None:
        for job in jobs:
            decode_part(job, decode, lambda: progress(1))


def shares(index: Index) -> dict[str, float | None]:
    rows = [index.row(place) for place in range(len(index))]
    return {row.name: row.speech_share for row in rows}


def warned(index: Index) -> set[str]:
    """Names of the clips with little speech."""
    found = judge(corpus_of(index, "az"), LIMITS)
    return {index.texts["name"][n] for n, told in found.items() if "signal.little_speech" in {f.code for f in told}}


def test_a_share_reaches_the_index_and_the_rule(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(part, "detector", FakeDetector)
    clips = [*CLIPS, SourceClip("refused.wav", TEXT, RefusedAudio())]
    prepare(listed(clips, None, 1), tmp_path / "clips", tmp_path / "index", InThisProcess(1), vad=True)
    index = read_index(tmp_path / "index")
    heard = {"voice.wav": 0.875, "tone.wav": 0.125, "wordless.wav": 0.125, "refused.wav": None}
    assert shares(index) == heard
    assert warned(index) == {"tone.wav"}


def test_the_share_is_measured_of_the_samples_that_are_stored() -> None:
    """A large DC offset is removed first."""
    heard = []
    offset = Sound(pcm16(0.3 + tone(440, 1.0, amplitude=0.2)), "synthesis", SAMPLE_RATE, 1)

    class Offset:
        def sound(self, _: Decode) -> Sound:
            return offset

    def listen(pcm: Pcm16) -> float:
        heard.append(pcm)
        return 1.0

    row, stored = decode_clip(0, SourceClip("a.wav", TEXT, Offset()), "", decode, listen)
    assert row.speech_share == 1.0
    assert "signal.dc_offset" in row.notes
    assert stored is heard[0]


def test_parts_that_an_earlier_run_finished_without_shares_are_done_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / ".clips.partial"
    (folder / "clips").mkdir(parents=True)
    (folder / "key").write_text("k")
    source = listed(CLIPS, None, 1)
    decode_part(Job(0, source.parts[0], folder, ""), decode, lambda: None)
    monkeypatch.setattr(part, "detector", FakeDetector)
    prepare(source, tmp_path / "clips", tmp_path / "index", InThisProcess(1), key="k", vad=True)
    assert None not in shares(read_index(tmp_path / "index")).values()


def test_a_part_asks_for_its_detector_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = []
    monkeypatch.setattr(part, "detector", lambda: made.append(1) or FakeDetector())
    job = Job(0, ListedPart(tuple(enumerate(CLIPS))), tmp_path, "", vad=True)
    decode_part(job, decode, lambda: None)
    assert made == [1]
    assert pa.ipc.open_file(job.rows).read_all().column("speech_share").to_pylist() == [0.875, 0.125, 0.125]


def test_a_number_that_is_not_measured_is_null_in_the_file_and_none_in_a_row() -> None:
    assert OPTIONAL == ("declared", "speech_share")
    measured, not_measured = index_row(0, speech_share=0.5, declared=2.0), index_row(1)
    index = index_of([measured, not_measured])
    assert [index.row(0), index.row(1)] == [measured, not_measured]
    assert np.isnan(index.numbers["speech_share"]).tolist() == [False, True]


@pytest.mark.parametrize(("share", "limit", "codes"), [(0.3, 0.3, 0), (0.299, 0.3, 1), (0.0, 0.0, 0), (None, 1.0, 0)])
def test_less_than_the_limit_is_warned_of_and_what_is_not_measured_never(
    share: float | None, limit: float, codes: int
) -> None:
    found = judge(
        corpus_of(index_of([index_row(0, text=TEXT, duration=4.0, speech_share=share)]), "az"),
        limits(warn_speech_share=limit),
    )
    assert len(found.get(0, [])) == codes


def test_the_warning_says_what_was_heard_and_what_is_wanted() -> None:
    (finding,) = judge(corpus_of(index_of([index_row(0, text=TEXT, duration=4.0, speech_share=0.125)]), "az"), LIMITS)[
        0
    ]
    assert (finding.code, finding.value, finding.limit, finding.rejects) == ("signal.little_speech", 0.125, 0.3, False)
    assert finding.message.startswith("a voice is heard in 12.5% of the clip, less than 30.0%")
