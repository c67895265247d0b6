"""Contract: a recording of any length becomes text; each of its samples is heard once, or was silence."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding import longform
from asr.decoding.generate import Hypothesis, Transcriber
from asr.decoding.longform import Cuts, cut, cut_at_pauses, transcribe_recordings
from asr.decoding.segments import FRAME, EnergyGate, GateLimits, Segment, SegmentLimits
from asr.features import Edges, LogMel, padded_wave
from asr.pcm import SAMPLE_RATE, Pcm16
from tests.factories import pcm16, speech_like
from tests.models import tiny_model

EDGES = Edges((1.0, 2.0, 3.0), 0.1)
SHORTEST_FRAMES = round(SegmentLimits.shortest_s * SAMPLE_RATE) // FRAME


def silence(seconds: float) -> Pcm16:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)


def hiss(seconds: float, dbfs: float = -60.0) -> Pcm16:
    noise = np.random.default_rng(3).standard_normal(round(seconds * SAMPLE_RATE))
    return pcm16(np.clip(noise * 10 ** (dbfs / 20), -1, 1))


def joined(*parts: Pcm16) -> Pcm16:
    return np.concatenate([*parts, np.zeros(0, np.int16)])


def sentences(count: int) -> Pcm16:
    """Speech of 0.5 to 2 s between pauses."""
    durations = np.random.default_rng(count).uniform(0.5, 2.0, count)
    return joined(*(joined(silence(0.6), speech_like(d, seed)) for seed, d in enumerate(durations)), silence(0.7))


def spans(cuts: Cuts) -> list[tuple[int, int]]:
    starts = [round(segment.start_s * SAMPLE_RATE) for segment in cuts.segments]
    return [(start, start + len(segment.pcm)) for start, segment in zip(starts, cuts.segments, strict=True)]


def voiced_frames(pcm: Pcm16, knows_beginning: bool = True) -> list[bool]:
    """What the gate says of each whole frame, with its first window known as the frames of a file are."""
    frames = pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME)
    gate = EnergyGate(GateLimits())
    for frame in frames[: round(GateLimits.window_s * 50) if knows_beginning else 0]:
        gate.voiced(frame)
    return [gate.voiced(frame) for frame in frames]


def longest_run(frames: list[bool]) -> int:
    runs = "".join("x" if heard else " " for heard in frames).split()
    return max(map(len, runs), default=0)


def require_sound(pcm: Pcm16, cuts: Cuts, edges: Edges = EDGES) -> None:
    """The invariants of `cut_at_pauses`."""
    found = spans(cuts)
    bound = (edges.seconds[-1] - edges.tail) * SAMPLE_RATE
    for segment, (start, end) in zip(cuts.segments, found, strict=True):
        assert 0 <= start < end <= len(pcm)
        assert len(segment.pcm) <= bound + 1e-6
        assert np.array_equal(segment.pcm, pcm[start:end]), "audio of its own time"
    assert all(end <= start for (_, end), (start, _) in pairwise(found)), "no sample twice"
    left = voiced_frames(pcm)
    for start, end in found:
        left[start // FRAME : -(-end // FRAME)] = [False] * (-(-end // FRAME) - start // FRAME)
    clicks = [notice for notice in cuts.notices if "too short for speech" in notice.message]
    assert longest_run(left) < SHORTEST_FRAMES, "no speech is lost"
    assert any(left) == bool(clicks), "what is left out is said"


SPEECH = [speech_like(0.11, 4), speech_like(0.7, 1), speech_like(2.3, 2), speech_like(5.1, 3)[:-77]]
QUIET = [silence(0.3), silence(0.9), silence(6.0), hiss(0.7, -70), hiss(1.3, -50)]
CLICK = hiss(0.06, -10)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*SPEECH, *QUIET, CLICK]), max_size=8))
def test_no_sample_is_used_twice_and_none_is_lost_that_the_gate_heard(pieces: list[Pcm16]) -> None:
    pcm = joined(*pieces)
    require_sound(pcm, cut_at_pauses(pcm, EDGES))


@pytest.mark.parametrize("fault", ["shifted", "twice", "dropped", "too long", "silent about a click"])
def test_the_invariants_find_a_planted_fault(fault: str) -> None:
    pcm = joined(sentences(4), CLICK, silence(1.0))
    good = cut_at_pauses(pcm, EDGES)
    require_sound(pcm, good)
    segments = list(good.segments)
    if fault == "shifted":
        segments[1] = Segment(segments[1].start_s + 0.02, segments[1].pcm)
    elif fault == "twice":
        segments.insert(1, segments[1])
    elif fault == "dropped":
        del segments[2]
    elif fault == "too long":
        segments[:2] = [Segment(0.0, pcm[: round(segments[1].end_s * SAMPLE_RATE)])]
    notices = () if fault == "silent about a click" else good.notices
    with pytest.raises(AssertionError):
        require_sound(pcm, Cuts(tuple(segments), notices))


@pytest.mark.parametrize("size", [1, 319, 1_600, 44_101, 1 << 30])
def test_the_cuts_do_not_depend_on_how_the_samples_are_handed_over(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    pcm = joined(sentences(2), speech_like(4.0, 9))[: 3 * SAMPLE_RATE if size == 1 else None]
    wanted = cut_at_pauses(pcm, EDGES)
    monkeypatch.setattr(longform, "CHUNK", size)
    found = cut_at_pauses(pcm, EDGES)
    assert spans(found) == spans(wanted)
    assert found.notices == wanted.notices
    assert len(wanted.segments) >= 2


def test_speech_without_a_pause_is_cut_where_it_is_quietest_and_goes_on_at_the_next_sample() -> None:
    """The dip of 60 ms is too short for a pause; it lies in the second half of what fits."""
    pcm = joined(speech_like(2.1, 1), hiss(0.06, -50), speech_like(2.0, 2))
    first, second = cut_at_pauses(pcm, EDGES).segments
    assert 2.1 <= first.end_s <= 2.161
    assert second.start_s == first.end_s
    assert np.array_equal(joined(first.pcm, second.pcm), pcm)


@pytest.mark.parametrize(("pause", "count"), [(0.2, 1), (0.4, 2)])
def test_sentences_are_parted_at_pauses_that_a_live_stream_would_not_wait_for(pause: float, count: int) -> None:
    pcm = joined(speech_like(1.0, 1), silence(pause), speech_like(1.0, 2), silence(1.0))
    assert len(cut_at_pauses(pcm, EDGES).segments) == count
    assert SegmentLimits.pause_s > 0.4


def test_speech_in_the_very_first_frame_is_heard() -> None:
    """A live stream cannot know how loud it will be in a quiet moment; of a file that is known."""
    pcm = joined(speech_like(1.5)[5_000:], silence(3.0))
    assert voiced_frames(pcm)[0]
    assert not voiced_frames(pcm, knows_beginning=False)[0]
    assert spans(cut_at_pauses(pcm, EDGES))[0][0] == 0


@pytest.mark.parametrize("samples", [2, 399, SAMPLE_RATE, 3 * SAMPLE_RATE - 1, 3 * SAMPLE_RATE])
def test_what_fits_the_last_edge_stays_whole(samples: int) -> None:
    pcm = joined(silence(0.8), hiss(2.2, -20))[-samples:]
    assert spans(cut(pcm, EDGES)) == [(0, samples)]
    assert cut(pcm, EDGES).notices == ()


def test_one_sample_more_than_the_last_edge_is_cut() -> None:
    pcm = speech_like(3.01)[: 3 * SAMPLE_RATE + 1]
    assert len(cut(pcm, EDGES).segments) == 2
    require_sound(pcm, cut(pcm, EDGES))


@pytest.mark.parametrize(
    "pcm",
    [silence(0), silence(0.5), silence(3.0), silence(40.0), hiss(8.0, -70), hiss(8.0, -20)],
    ids=["nothing", "short", "the edge", "long", "quiet", "steady noise"],
)
def test_silence_is_not_heard_at_all_and_that_is_said(pcm: Pcm16) -> None:
    assert cut(pcm, EDGES).segments == ()
    assert [notice.code for notice in cut(pcm, EDGES).notices] == ["stream.no_speech"]


@pytest.mark.parametrize("last", [1.0, 2.99, 7.9, 29.95, 30.0])
@pytest.mark.parametrize("tail", [0.0, 0.1, 0.2])
def test_a_segment_leaves_room_for_the_tail_at_any_last_edge(last: float, tail: float) -> None:
    edges = Edges((last,), tail)
    pcm = speech_like(last + 1.0)
    cuts = cut(pcm, edges)
    require_sound(pcm, cuts, edges)
    assert len(cuts.segments) >= 2


def test_cutting_takes_no_memory_that_grows_with_the_recording() -> None:
    def peak(pcm: Pcm16) -> int:
        tracemalloc.start()
        cut_at_pauses(pcm, EDGES)
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    minute = sentences(30)
    peak(minute)
    assert peak(np.tile(minute, 3)) < 1.2 * peak(minute) < 1_000_000


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    torch.manual_seed(4)
    model = tiny_model(dropout=0.0)
    with torch.no_grad():  # random weights this small say one token for ever; larger ones say something
        for parameter in model.network.model.decoder.parameters():
            parameter.mul_(12)
    return Transcriber(model.network, model.tokenizer, LogMel(80), model.edges, "az", 1, 4)


def test_the_text_is_that_of_each_segment_alone_and_those_of_all_recordings_come_in_order(
    transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings = [sentences(3), speech_like(0.7, 1), silence(5.0), sentences(2)[::-1], hiss(1.0, -30), silence(0)]
    real, calls = Transcriber.transcribe, []

    def counted(self: Transcriber, clips: list[Pcm16], title: str) -> list[Hypothesis]:
        calls.append(len(clips))
        return real(self, clips, title)

    monkeypatch.setattr(Transcriber, "transcribe", counted)
    together = transcribe_recordings(transcriber, recordings)
    monkeypatch.undo()
    assert calls == [sum(len(item.lines) for item in together)], "all are decoded in one go"
    for pcm, found in zip(recordings, together, strict=True):
        parts = [pcm[start:end].copy() for start, end in spans(cut(pcm, EDGES))]
        alone = [transcriber.transcribe([part], "t")[0].text for part in parts]
        assert [line.text for line in found.lines] == alone
        assert found.text == " ".join(text for text in alone if text)
    assert [len(item.lines) for item in together] == [3, 1, 0, 2, 1, 0]
    assert len({item.text for item in together}) > 2, "the test needs texts that differ"


def test_what_fits_gives_the_text_that_the_transcriber_gives(transcriber: Transcriber) -> None:
    clips = [speech_like(seconds, 5) for seconds in (0.3, 1.7, 3.0)]
    wanted = [hypothesis.text for hypothesis in transcriber.transcribe(clips, "t")]
    assert [item.text for item in transcribe_recordings(transcriber, clips)] == wanted


def test_features_of_a_segment_are_those_of_its_samples_alone() -> None:
    pcm = sentences(3)
    for segment, (start, end) in zip(cut(pcm, EDGES).segments, spans(cut(pcm, EDGES)), strict=True):
        room = EDGES.padded_samples(EDGES.index(end - start))
        inside, alone = (LogMel(80)(padded_wave([clip], room)) for clip in (segment.pcm, pcm[start:end].copy()))
        assert torch.equal(inside, alone)


def test_no_recordings_give_no_transcripts(transcriber: Transcriber) -> None:
    assert transcribe_recordings(transcriber, []) == []
