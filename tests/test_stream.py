"""Contract: a stream gives the same utterances however it is cut, keeps its clock, and survives every bad chunk."""

import tracemalloc
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.corpus.codes import ACTIONS
from asr.decoding.segments import FRAME, Event, Notice, Segment, SegmentLimits
from asr.decoding.stream import Chunk, Intake, PcmFormat, listen
from asr.errors import UserError
from asr.pcm import SAMPLE_RATE, Pcm16
from tests.factories import pcm16, speech_like, tone

PLAIN = PcmFormat(SAMPLE_RATE)
FLOATS = PcmFormat(SAMPLE_RATE, encoding="f32le")
FORMATS = [PLAIN, FLOATS, PcmFormat(SAMPLE_RATE, 2), PcmFormat(8_000), PcmFormat(44_100, 2, "f32le"), PcmFormat(11_025)]
LIMITS = SegmentLimits()


class Always:
    """Hears speech in every frame."""

    def voiced(self, _: Pcm16) -> bool:
        return True


def silence(seconds: float) -> Pcm16:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)


def hiss(seconds: float, dbfs: float = -60.0) -> Pcm16:
    noise = np.random.default_rng(3).standard_normal(round(seconds * SAMPLE_RATE))
    return pcm16(np.clip(noise * 10 ** (dbfs / 20), -1, 1))


def said(seconds: float = 1.0, seed: int = 0) -> Pcm16:
    """Speech between half a second and a second of silence."""
    return np.concatenate([silence(0.5), speech_like(seconds, seed), silence(1.0)])


def rendered(pcm: Pcm16, declared: PcmFormat) -> bytes:
    """Samples as the bytes of a stream: every channel alike, another rate by repetition of samples."""
    frames = np.repeat(pcm, max(1, declared.rate // SAMPLE_RATE))[:, None].repeat(declared.channels, axis=1)
    if declared.encoding == "f32le":
        return (frames / 32768).astype("<f4").tobytes()
    return frames.astype("<i2").tobytes()


def cut(data: bytes, places: Iterable[int]) -> list[Chunk]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [Chunk(data[a:b]) for a, b in pairwise(edges)]


def placed(pcm: Pcm16, size: int = 1600) -> list[Chunk]:
    """Chunks that say where they belong."""
    return [Chunk(pcm[i : i + size].tobytes(), position=i) for i in range(0, len(pcm), size)]


def heard(chunks: Iterable[Chunk], declared: PcmFormat = PLAIN, limits: SegmentLimits = LIMITS) -> list[Event]:
    return list(listen(chunks, Intake(declared, limits)))


def segments(events: Iterable[Event]) -> list[Segment]:
    return [event for event in events if isinstance(event, Segment)]


def codes(events: Iterable[Event]) -> list[str]:
    return [event.code for event in events if isinstance(event, Notice)]


def plain(events: Iterable[Event]) -> list[object]:
    """Comparable, for arrays have no plain equality; notices of empty chunks depend on the cuts and are left out."""
    return [
        (event.start_s, event.pcm.tobytes()) if isinstance(event, Segment) else event
        for event in events
        if isinstance(event, Segment) or event.code != "stream.empty_chunk"
    ]


SPOKEN = np.concatenate([said(0.7, 1), said(1.1, 2)])
WHOLE = {declared: plain(heard([Chunk(rendered(SPOKEN, declared))], declared)) for declared in FORMATS}


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(FORMATS), st.lists(st.integers(0, 1 << 24), max_size=30))
def test_how_a_stream_is_cut_changes_no_bit(declared: PcmFormat, places: list[int]) -> None:
    assert plain(heard(cut(rendered(SPOKEN, declared), places), declared)) == WHOLE[declared]


@pytest.mark.parametrize("declared", FORMATS)
def test_every_format_gives_the_two_utterances_that_were_said(declared: PcmFormat) -> None:
    assert len(WHOLE[declared]) == 2


@pytest.mark.parametrize("declared", FORMATS)
def test_the_samples_are_those_of_the_whole_signal_rendered_at_once(declared: PcmFormat) -> None:
    """The oracle resamples in one go; nothing is missing or twice where segments meet."""
    data = rendered(speech_like(4.3), declared)
    limits = SegmentLimits(longest_s=1.0)
    found = segments(listen(cut(data, range(999, len(data), 4321)), Intake(declared, limits, Always())))
    kind = "<f4" if declared.encoding == "f32le" else "<i2"
    mono = np.frombuffer(data, kind).reshape(-1, declared.channels)[:, 0].astype(np.float32)
    mono = mono if declared.encoding == "f32le" else mono / np.float32(32768)
    if declared.rate != SAMPLE_RATE:
        mono = soxr.resample(mono, declared.rate, SAMPLE_RATE, quality="HQ")
    wanted = np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16)
    assert np.array_equal(np.concatenate([segment.pcm for segment in found]), wanted)
    assert len(found) > 3


def test_segments_are_parts_of_the_signal_at_the_times_they_state() -> None:
    pcm = np.concatenate([hiss(1.0), speech_like(1.0, 1), hiss(1.5), speech_like(0.6, 2), hiss(1.0)])
    first, second = segments(heard([Chunk(pcm.tobytes())]))
    for segment, begin, end in ((first, 1.0, 2.0), (second, 3.5, 4.1)):
        start = round(segment.start_s * SAMPLE_RATE)
        assert np.array_equal(segment.pcm, pcm[start : start + len(segment.pcm)])
        assert segment.start_s == pytest.approx(begin - LIMITS.lead_s, abs=0.06)
        assert segment.end_s == pytest.approx(end + LIMITS.tail_s, abs=0.06)


def test_a_pause_shorter_than_the_limit_does_not_part_an_utterance() -> None:
    pcm = np.concatenate([silence(0.5), speech_like(0.5), silence(0.3), speech_like(0.5), silence(1.0)])
    assert len(segments(heard([Chunk(pcm.tobytes())]))) == 1
    assert len(segments(heard([Chunk(pcm.tobytes())], limits=SegmentLimits(pause_s=0.24)))) == 2


def test_of_a_pause_only_tail_and_lead_are_kept_however_short_it_is() -> None:
    pcm = np.concatenate([speech_like(0.8), silence(0.53), speech_like(0.8), silence(0.42)])
    first, second = segments(heard([Chunk(pcm.tobytes())]))
    assert first.end_s == pytest.approx(0.8 + LIMITS.tail_s, abs=0.06)
    assert second.start_s >= 1.33 - LIMITS.lead_s - 0.021
    assert second.end_s == pytest.approx(2.13 + LIMITS.tail_s, abs=0.06)


def test_the_end_of_a_stream_ends_its_last_segment_to_the_last_sample() -> None:
    pcm = np.concatenate([silence(0.5), speech_like(1.0)[:-123]])
    (segment,) = segments(heard([Chunk(pcm.tobytes())]))
    assert np.array_equal(segment.pcm, pcm[round(segment.start_s * SAMPLE_RATE) :])


def test_an_utterance_is_given_as_soon_as_its_pause_has_passed() -> None:
    intake = Intake(PLAIN)
    assert not segments(intake.push(Chunk(np.concatenate([silence(0.5), speech_like(1.0)]).tobytes())))
    assert not segments(intake.push(Chunk(silence(LIMITS.pause_s - 0.1).tobytes())))
    assert segments(intake.push(Chunk(silence(0.2).tobytes())))


def with_chunk(bad: Chunk, declared: PcmFormat = PLAIN) -> Iterator[Chunk]:
    """A chunk between two utterances; the first is still open when it comes."""
    yield Chunk(rendered(np.concatenate([silence(0.5), speech_like(0.8, 1)]), declared))
    yield bad
    yield Chunk(rendered(said(0.8, 2), declared))


NAN = np.array([0.1, np.nan] * 800, "<f4").tobytes()
INFINITE = np.array([-np.inf] * 1600, "<f4").tobytes()
LOUD = np.array([0.1, -3000.0] * 800, "<f4").tobytes()
TENTH = silence(0.1).tobytes()
REFUSED = [
    (Chunk(NAN), FLOATS, "stream.nonfinite", "800 samples are NaN or infinite"),
    (Chunk(INFINITE), FLOATS, "stream.nonfinite", "1600 samples are NaN or infinite"),
    (Chunk(LOUD), FLOATS, "stream.dtype_change", "a float of 3000, full scale is 1"),
    (Chunk(TENTH, format=PLAIN), FLOATS, "stream.dtype_change", "a chunk of s16le in f32le"),
    (Chunk(TENTH * 2, format=FLOATS), PLAIN, "stream.dtype_change", "a chunk of f32le in s16le"),
    (Chunk(TENTH[::2], format=PcmFormat(8_000)), PLAIN, "stream.format_change", "8000 Hz, 1 channels in a stream of"),
    (Chunk(TENTH * 2, format=PcmFormat(16_000, 2)), PLAIN, "stream.format_change", "16000 Hz, 2 channels"),
]


@pytest.mark.parametrize(("bad", "declared", "code", "message"), REFUSED)
def test_a_refused_chunk_ends_the_segment_takes_its_time_and_leaves_no_trace(
    bad: Chunk, declared: PcmFormat, code: str, message: str
) -> None:
    events = heard(with_chunk(bad, declared), declared)
    assert codes(events) == [code]
    notice = next(event for event in events if isinstance(event, Notice))
    assert message in notice.message
    assert notice.at_s == pytest.approx(1.3)
    first, second = segments(events)
    (alone,) = segments(heard([Chunk(rendered(said(0.8, 2), declared))], declared))
    assert first.end_s == pytest.approx(1.3), "nothing was put in the place of the chunk"
    assert np.array_equal(second.pcm, alone.pcm), "the next chunk is heard as if it came first"
    assert second.start_s == pytest.approx(1.4 + alone.start_s), "a tenth of a second has passed"


def test_a_chunk_that_says_the_declared_format_is_like_one_that_says_nothing() -> None:
    data = rendered(SPOKEN, PLAIN)
    assert plain(heard([Chunk(data, format=PcmFormat(SAMPLE_RATE))])) == WHOLE[PLAIN]


def test_an_empty_chunk_is_counted_and_has_no_effect() -> None:
    data = rendered(SPOKEN, PLAIN)
    events = heard([Chunk(b""), Chunk(data[:40001]), Chunk(b"", position=7), Chunk(data[40001:]), Chunk(b"")])
    assert codes(events) == ["stream.empty_chunk"] * 3
    assert plain(events) == WHOLE[PLAIN]


@pytest.mark.parametrize(("declared", "extra"), [(PLAIN, 1), (PcmFormat(SAMPLE_RATE, 2), 3), (FLOATS, 2)])
def test_half_a_sample_at_the_end_is_left_out_and_said(declared: PcmFormat, extra: int) -> None:
    events = heard([Chunk(rendered(SPOKEN, declared) + b"\x01" * extra)], declared)
    assert codes(events) == ["stream.partial_sample"]
    assert f"{extra} of {declared.frame_bytes} bytes left out" in str(events)
    assert [event for event in plain(events) if not isinstance(event, Notice)] == WHOLE[declared]


def test_a_gap_ends_the_segment_is_not_filled_and_keeps_the_clock() -> None:
    pcm = np.concatenate([silence(0.5), speech_like(2.0), silence(1.0), speech_like(1.0, 5), silence(1.0)])
    chunks = placed(pcm)
    events = heard(chunks[:12] + chunks[17:])  # 1.2 to 1.7 s are lost
    assert codes(events) == ["stream.gap"]
    assert "0.5 s are missing before frame 27200" in str(events)
    found = segments(events)
    assert [round(segment.end_s, 2) for segment in found[:1]] == [1.2]
    assert found[1].start_s >= 1.7
    for segment in found:
        start = round(segment.start_s * SAMPLE_RATE)
        assert np.array_equal(segment.pcm, pcm[start : start + len(segment.pcm)]), "audio of its own time"
    assert found[-1].start_s == segments(heard(chunks))[-1].start_s


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ([0, 1, 2, 2, 3], ["stream.repeat"]),
        ([0, 1, 2, 0, 1, 3], ["stream.repeat", "stream.repeat"]),
    ],
    ids=["twice", "from the start"],
)
def test_what_was_heard_is_left_out_when_it_comes_again(order: list[int], found: list[str]) -> None:
    chunks = placed(SPOKEN, len(SPOKEN) // 4 + 1)
    events = heard([chunks[i] for i in order])
    assert codes(events) == found
    assert [event for event in plain(events) if not isinstance(event, Notice)] == WHOLE[PLAIN]


def test_of_a_chunk_that_overlaps_only_the_new_part_is_heard() -> None:
    data = SPOKEN.tobytes()
    events = heard([Chunk(data[:30_001], 0), Chunk(data[20_000:], 10_000)])  # the first ends inside a sample
    assert codes(events) == ["stream.repeat"]
    assert [event for event in plain(events) if not isinstance(event, Notice)] == WHOLE[PLAIN]


def test_a_chunk_that_comes_late_is_a_gap_and_then_a_repeat() -> None:
    chunks = placed(SPOKEN)
    chunks[10], chunks[11] = chunks[11], chunks[10]
    events = heard(chunks)
    assert codes(events) == ["stream.gap", "stream.repeat"]
    assert segments(events)[-1].start_s == segments(heard(placed(SPOKEN)))[-1].start_s


def test_half_a_sample_before_a_gap_is_left_out() -> None:
    chunks = placed(SPOKEN)
    events = heard([Chunk(chunks[0].data + b"\x01", 0), *chunks[2:]])
    assert codes(events) == ["stream.gap", "stream.partial_sample"]
    assert plain(events)[2:] == plain(heard([chunks[0], *chunks[2:]]))[1:], "what follows begins at a sample"


def test_speech_without_end_is_cut_at_the_bound_and_nothing_of_it_is_lost() -> None:
    pcm = np.concatenate([silence(0.5), *(speech_like(5.0, seed) for seed in range(6))])
    events = heard(placed(pcm), limits=SegmentLimits(longest_s=3.0))
    found = segments(events)
    assert set(codes(events)) == {"stream.max_segment"}
    assert all(len(segment.pcm) <= 3 * SAMPLE_RATE for segment in found)
    assert [a.end_s for a in found[:-1]] == pytest.approx([b.start_s for b in found[1:]])
    start = round(found[0].start_s * SAMPLE_RATE)
    assert np.array_equal(np.concatenate([segment.pcm for segment in found]), pcm[start:])


def test_a_forced_cut_lies_in_the_quietest_moment() -> None:
    """Speech with a dip of 60 ms, too short for a pause, at 2.1 s of 3."""
    pcm = np.concatenate([speech_like(2.1, 1), hiss(0.06, -50), speech_like(2.0, 2)])
    intake = Intake(PLAIN, SegmentLimits(longest_s=3.0), Always())
    first = segments(listen([Chunk(pcm.tobytes())], intake))[0]
    assert 2.1 <= first.end_s <= 2.161


def test_memory_does_not_grow_with_the_stream() -> None:
    def chunks(seconds: int) -> Iterator[Chunk]:
        second = speech_like(1.0).tobytes()
        return (Chunk(second) for _ in range(seconds))

    def peak(seconds: int) -> int:
        tracemalloc.start()
        sum(1 for _ in listen(chunks(seconds), Intake(PLAIN)))
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    peak(3)
    assert peak(150) < 1.2 * peak(30) < 5_000_000


@pytest.mark.parametrize(
    "pcm",
    [
        silence(8.0),
        hiss(8.0, -70),
        hiss(8.0, -50),
        hiss(8.0, -20),
        pcm16(tone(440, 8.0)),
        np.full(8 * SAMPLE_RATE, 3000, np.int16),
        np.concatenate([hiss(4.0, -70), hiss(0.04, -10), hiss(4.0, -70)]),
        np.concatenate([silence(3.0), hiss(0.5, -65), silence(3.0)]),
        silence(0.0),
        silence(0.01),
    ],
    ids=[
        "silence",
        "quiet",
        "noise",
        "loud noise",
        "tone",
        "offset",
        "click",
        "breath",
        "nothing",
        "less than a frame",
    ],
)
def test_without_speech_there_is_no_segment_and_it_is_said(pcm: Pcm16) -> None:
    events = heard([Chunk(pcm.tobytes())] if len(pcm) else [])
    assert segments(events) == []
    assert set(codes(events)) == {"stream.no_speech"}


def test_speech_is_heard_in_noise_and_in_digital_silence() -> None:
    for background in (silence(10.0), hiss(10.0, -70), hiss(10.0, -45)):
        pcm = background.copy()
        pcm[2 * SAMPLE_RATE : 3 * SAMPLE_RATE] += speech_like(1.0)
        (segment,) = segments(heard([Chunk(pcm.tobytes())]))
        assert segment.start_s <= 2.02
        assert segment.end_s >= 2.95


def test_a_stream_that_opens_in_mid_speech_loses_less_than_a_syllable() -> None:
    (segment,) = segments(heard([Chunk(np.concatenate([speech_like(2.0), silence(1.0)]).tobytes())]))
    assert segment.start_s <= 0.25


def closed() -> Intake:
    intake = Intake(PLAIN)
    intake.close()
    return intake


def test_a_closed_stream_takes_and_gives_no_more() -> None:
    with pytest.raises(UserError, match=r"stream\.protocol: push\(\) after close\(\): open another Intake"):
        closed().push(Chunk(TENTH))
    with pytest.raises(UserError, match=r"stream\.protocol: close\(\) after close\(\)"):
        closed().close()


def test_an_end_without_close_is_refused_and_hides_no_other_error() -> None:
    with (
        pytest.raises(UserError, match=r"stream\.protocol: the stream ends without close\(\)"),
        Intake(PLAIN) as intake,
    ):
        intake.push(Chunk(TENTH))
    with pytest.raises(KeyError), Intake(PLAIN):
        raise KeyError


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ((0,), "rate = 0: out of range"),
        ((2**31 - 1,), "rate = 2147483647: out of range"),
        ((16_000, 0), "channels = 0: out of range"),
        ((16_000, 9), "channels = 9: out of range"),
        ((16_000, 1, "s24le"), "encoding = 's24le': not a choice; write one of s16le, f32le"),
    ],
)
def test_an_impossible_format_is_refused(declared: tuple[object, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        PcmFormat(*declared)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("changes", [{"tail_s": 0.6}, {"lead_s": -0.1}, {"longest_s": 0.5}])
def test_limits_that_contradict_each_other_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(UserError, match="needs tail_s <= pause_s"):
        SegmentLimits(**changes)


def test_notices_are_counted_by_code() -> None:
    intake = Intake(FLOATS)
    for chunk in (Chunk(b""), Chunk(NAN), Chunk(NAN), Chunk(b"\x00")):
        intake.push(chunk)
    intake.close()
    counted = {"stream.empty_chunk": 1, "stream.nonfinite": 2, "stream.partial_sample": 1, "stream.no_speech": 1}
    assert intake.counts == Counter(counted)


def test_every_stream_code_is_given_by_some_stream() -> None:
    """`stream.protocol` is raised instead, since there is no stream left that could go on."""
    loud = speech_like(6.0).tobytes()
    streams = [
        *([*with_chunk(bad, declared)] for bad, declared, _, _ in REFUSED),
        [Chunk(b""), Chunk(b"\x00"), Chunk(TENTH, 9), Chunk(TENTH, 0)],
        [Chunk(loud), Chunk(loud)],
    ]
    formats = [*(declared for _, declared, _, _ in REFUSED), PLAIN, PLAIN]
    given = {code for chunks, declared in zip(streams, formats, strict=True) for code in codes(heard(chunks, declared))}
    assert given == {code for code in ACTIONS if code.startswith("stream.")} - {"stream.protocol"}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            Chunk,
            st.one_of(st.binary(max_size=40), st.sampled_from([NAN, LOUD, TENTH, speech_like(0.7).tobytes()])),
            st.one_of(st.none(), st.integers(0, 100_000)),
            st.sampled_from([None, PLAIN, FLOATS, PcmFormat(8_000)]),
        ),
        max_size=12,
    ),
    st.sampled_from([PLAIN, FLOATS, PcmFormat(44_100, 2)]),
)
def test_no_stream_however_broken_makes_anything_but_segments_in_order_and_notices(
    chunks: list[Chunk], declared: PcmFormat
) -> None:
    events = list(listen(chunks, Intake(declared, SegmentLimits(longest_s=1.0), Always())))
    found = segments(events)
    assert all(code in ACTIONS for code in codes(events))
    # Where a run ends, the resampler gives up to a sample more than the run was long.
    assert all(a.end_s <= b.start_s + 1 / SAMPLE_RATE for a, b in pairwise(found))
    assert all(segment.pcm.dtype == np.int16 and len(segment.pcm) <= SAMPLE_RATE for segment in found)


class Script:
    """Hears speech in the frames that are marked with a v."""

    def __init__(self, frames: str) -> None:
        self.frames = iter(frames)

    def voiced(self, frame: Pcm16) -> bool:
        assert frame.shape == (FRAME,)
        return next(self.frames) == "v"


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("." * 100 + "v" * 50 + "." * 100, [(1.9, 3.2)]),
        ("v" * 50 + "." * 25 + "v" * 50, [(0.0, 1.2), (1.4, 2.5)]),
        ("v" * 50 + "." * 24 + "v" * 50, [(0.0, 2.48)]),
        ("." * 3 + "v" * 5, [(0.0, 0.16)]),
        ("." * 3 + "v" * 4 + "." * 50, []),
    ],
    ids=["lead and tail", "just a pause", "not quite a pause", "just speech", "a click"],
)
def test_another_detector_decides_instead_of_the_gate(script: str, wanted: list[tuple[float, float]]) -> None:
    intake = Intake(PLAIN, LIMITS, Script(script))
    found = segments(listen([Chunk(silence(len(script) * FRAME / SAMPLE_RATE).tobytes())], intake))
    assert [(segment.start_s, segment.end_s) for segment in found] == [pytest.approx(times) for times in wanted]


def test_the_end_of_speech_that_was_cut_is_kept_however_short() -> None:
    script = "v" * 28 + "." * 50  # cut in the middle of the longest segment, of 50 frames that are all alike
    intake = Intake(PLAIN, SegmentLimits(longest_s=1.0), Script(script))
    events = list(listen([Chunk(silence(1.56).tobytes())], intake))
    assert [(segment.start_s, segment.end_s) for segment in segments(events)] == [
        pytest.approx((0.0, 0.52)),
        pytest.approx((0.52, 0.76)),
    ]
    assert codes(events) == ["stream.max_segment"]
