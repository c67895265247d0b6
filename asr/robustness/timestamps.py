"""Whether a model still says when: fine-tuning without timestamp tokens unlearns them.

The model is asked as a stock pipeline asks it, through `generate` of transformers, every clip at the full window.
That forces the first token to be a time and times to rise; what a model can lose is the time at which its text ends,
and any relation to the audio. Known from transformers#30148.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from asr.decoding.generate import SPARE_TOKENS, TOKENS_PER_SECOND, Transcriber
from asr.features import HOP, padded_wave
from asr.pcm import SAMPLE_RATE, Pcm16
from asr.scoring.skipped import Skipped

MOST_CLIPS = 20
FIRST = "<|0.00|>"
SECONDS_A_TOKEN = 0.02
TOLERANCE_SECONDS = 0.2
"""A time may lie so far behind the end of its clip: the window goes on, and the end of a word is no sharp moment."""


@dataclass(frozen=True)
class Timestamps:
    """Counts of clips."""

    clips: int
    with_times: int
    """Texts with a time where they begin and one where they end."""
    monotone: int
    """Of those: no time is before the one that was said before it."""
    inside: int
    """Of those with times: monotone, and none lies behind the end of the clip."""

    def as_plain(self) -> dict[str, Any]:
        """Counts and shares of all clips for a metrics file."""
        return {
            "clips": self.clips,
            "with_times": self.with_times,
            "with_times_share": self.with_times / self.clips,
            "monotone": self.monotone,
            "monotone_inside": self.inside,
            "monotone_inside_share": self.inside / self.clips,
        }


def with_timestamps(transcriber: Transcriber, clips: Sequence[Pcm16]) -> Timestamps | Skipped:
    """The first clips with times asked for, if the model knows any."""
    if FIRST not in transcriber.tokenizer.get_vocab():
        return Skipped("the tokenizer has no timestamp tokens")
    clips = clips[:MOST_CLIPS]
    size = transcriber.batch_size
    times = [said for i in range(0, len(clips), size) for said in said_times(transcriber, clips[i : i + size])]
    return judged(times, [len(clip) / SAMPLE_RATE for clip in clips])


def judged(times: Sequence[Sequence[float]], seconds: Sequence[float]) -> Timestamps:
    """Counts from the times said of each clip, in seconds and in the order said, and the clips' durations."""
    timed = [(said, end) for said, end in zip(times, seconds, strict=True) if len(said) > 1]
    monotone = [(said, end) for said, end in timed if all(a <= b for a, b in pairwise(said))]
    inside = [said for said, end in monotone if said[-1] <= end + TOLERANCE_SECONDS]
    return Timestamps(len(times), len(timed), len(monotone), len(inside))


def said_times(transcriber: Transcriber, clips: Sequence[Pcm16]) -> list[list[float]]:
    """Times in the model's texts, in seconds since each clip began, in the order said."""
    model = transcriber.model
    samples = model.config.max_source_positions * 2 * HOP
    longest = max(len(clip) for clip in clips) / SAMPLE_RATE
    cap = min(model.config.max_target_positions, SPARE_TOKENS + round(TOKENS_PER_SECOND * longest))
    model.eval()
    with torch.inference_mode():
        log_mel = transcriber.log_mel(padded_wave(clips, samples).to(model.device)).to(model.dtype)
        found = model.generate(
            log_mel,
            attention_mask=torch.ones(log_mel[:, 0].shape, dtype=torch.long, device=model.device),  # no padding
            return_timestamps=True,
            max_length=cap,
            num_beams=1,
            do_sample=False,
            force_unique_generate_call=True,  # else it goes on to transcribe the silence that fills the window
            return_dict_in_generate=True,  # else a text behind its last time is dropped
        )
    first = int(transcriber.tokenizer.convert_tokens_to_ids(FIRST))
    return [[(token - first) * SECONDS_A_TOKEN for token in row if token >= first] for row in found.sequences.tolist()]
