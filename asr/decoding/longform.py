"""Recordings of any length: what the model takes at once stays whole, what is longer is cut at its pauses.

The cutting is that of a stream (`asr.decoding.segments`). A file is better off in one way: its beginning is there
before its first frame is judged.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from asr.decoding.generate import Transcriber
from asr.decoding.live import Line
from asr.decoding.segments import (
    FRAME,
    FRAMES_PER_SECOND,
    EnergyGate,
    GateLimits,
    Notice,
    Segment,
    SegmentLimits,
)
from asr.decoding.stream import Chunk, Intake, PcmFormat, listen
from asr.features import Edges
from asr.pcm import SAMPLE_RATE, Pcm16

CHUNK = SAMPLE_RATE
"""Samples that the segmenter is given at a time; only its memory depends on it."""
PAUSE_SECONDS = 0.3
"""So long without speech ends a segment, sooner than in a live stream: models trained on single sentences fail on
several at once, while a sentence in two halves costs little."""


@dataclass(frozen=True)
class Cuts:
    """What of a recording goes to the model, and what was odd about it, both in the order of time."""

    segments: tuple[Segment, ...]
    """They share the memory of the recording."""
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class Transcript:
    """What was said in a recording."""

    lines: tuple[Line, ...]
    """One a segment; times are seconds since the recording began."""
    notices: tuple[Notice, ...]

    @property
    def text(self) -> str:
        """All of it in one line; empty where there was no speech."""
        return " ".join(line.text for line in self.lines if line.text)


def transcribe_recordings(transcriber: Transcriber, recordings: Sequence[Pcm16]) -> list[Transcript]:
    """One transcript a recording, in order; the segments of all are decoded together, sorted by length."""
    cuts = [cut(pcm, transcriber.edges) for pcm in recordings]
    clips = [segment.pcm for found in cuts for segment in found.segments]
    texts = iter([hypothesis.text for hypothesis in transcriber.transcribe(clips, "transcribe")])
    return [
        Transcript(tuple(Line(s.start_s, s.end_s, next(texts)) for s in found.segments), found.notices)
        for found in cuts
    ]


def cut(pcm: Pcm16, edges: Edges) -> Cuts:
    """The parts of a recording, shape = (samples,), that the model is to hear.

    A recording that fits the last edge is one part, from its first sample to its last, unless all its samples are
    equal: then there is nothing to hear. A longer one is cut by `cut_at_pauses`.
    """
    if len(pcm) > edges.seconds[-1] * SAMPLE_RATE:
        return cut_at_pauses(pcm, edges)
    if not len(pcm) or pcm.min() == pcm.max():
        return Cuts((), (Notice("stream.no_speech", "only silence: the text is empty", 0.0),))
    return Cuts((Segment(0.0, pcm),))


def cut_at_pauses(pcm: Pcm16, edges: Edges) -> Cuts:
    """Segments that are disjoint, in order, and no longer than the last edge without its tail.

    No sample is in two of them. Those in none are what the gate called silence, and sounds too short for speech,
    of which a notice tells.

    Raises:
        UserError: the last edge is shorter than a pause.
    """
    longest_frames = math.floor((edges.seconds[-1] - edges.tail) * FRAMES_PER_SECOND + 1e-6)  # 0.1 is no binary number
    limits = SegmentLimits(pause_s=PAUSE_SECONDS, longest_s=longest_frames / FRAMES_PER_SECOND)
    segments: list[Segment] = []
    notices: list[Notice] = []
    for event in listen(_chunks(pcm), Intake(PcmFormat(SAMPLE_RATE), limits, _gate(pcm))):
        if isinstance(event, Notice):
            notices.append(event)
        else:
            segments.append(replace(event, pcm=_part(pcm, event)))  # the segmenter's copy is let go
    return Cuts(tuple(segments), tuple(notices))


def _chunks(pcm: Pcm16) -> Iterator[Chunk]:
    return (Chunk(pcm[start : start + CHUNK].tobytes()) for start in range(0, len(pcm), CHUNK))


def _gate(pcm: Pcm16) -> EnergyGate:
    """A gate that has heard the first seconds already, so that speech in the very first frame stands out from them."""
    limits = GateLimits()
    gate = EnergyGate(limits)
    whole = min(len(pcm) // FRAME, round(limits.window_s * FRAMES_PER_SECOND))
    for frame in pcm[: whole * FRAME].reshape(-1, FRAME):
        gate.voiced(frame)
    return gate


def _part(pcm: Pcm16, segment: Segment) -> Pcm16:
    start = round(segment.start_s * SAMPLE_RATE)
    return pcm[start : start + len(segment.pcm)]
