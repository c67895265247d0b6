"""Transcribes raw PCM as it comes in: what `python -m asr stream` calls."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from asr.decoding.predict import make_transcriber
from asr.decoding.segments import Notice, SegmentLimits
from asr.decoding.stream import Chunk, Intake, PcmFormat, listen
from asr.devices import choose_compute
from asr.errors import UserError
from asr.models.build import load
from asr.params import EvaluateParams

CHUNKS_PER_SECOND = 10
"""How often the source is asked: text follows speech that much later at most, beside the pause that ends a segment."""


@dataclass(frozen=True)
class Line:
    """What was said from one time to another, in seconds since the stream began."""

    start_s: float
    end_s: float
    text: str


def transcribe_stream(
    source: BinaryIO, declared: PcmFormat, model: Path, params: EvaluateParams
) -> Iterator[Line | Notice]:
    """Lines and notices in the order of time; the end of the source ends the last segment.

    Raises:
        UserError: no model, a source that is a terminal, or a file with a header.
    """
    if source.isatty():
        raise UserError(
            "standard input is a terminal: pipe raw samples in, such as `ffmpeg -i FILE -ac 1 -ar 16000 -f s16le -`"
        )
    compute = choose_compute(params.device, "fp32", params.threads)
    transcriber = make_transcriber(load(model), params, compute)
    limits = SegmentLimits(longest_s=min(SegmentLimits.longest_s, transcriber.edges.seconds[-1]))
    for event in listen(_chunks(source, declared), Intake(declared, limits)):
        if isinstance(event, Notice):
            yield event
        else:
            yield Line(event.start_s, event.end_s, transcriber.transcribe([event.pcm], "stream")[0].text)


def _chunks(source: BinaryIO, declared: PcmFormat) -> Iterator[Chunk]:
    size = declared.frame_bytes * declared.rate // CHUNKS_PER_SECOND
    first = source.read(size)
    if first[:4] in (b"RIFF", b"fLaC", b"OggS") or first[:3] == b"ID3":
        raise UserError(
            f"standard input begins with {first[:4]!r}: a file with a header, not raw samples; name it to "
            "`python -m asr transcribe` or let `ffmpeg -i FILE -ac 1 -ar 16000 -f s16le -` decode it"
        )
    while first:
        yield Chunk(first)
        first = source.read(size)
