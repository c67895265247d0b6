"""All of it for one split: what `stages/evaluate.py` calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from asr.corpus.clips import Clips, Utterance
from asr.decoding.generate import Transcriber
from asr.robustness.long_form import LongForm, in_long_form
from asr.robustness.material import choose
from asr.robustness.noise import COLUMNS, Noisy, under_noise
from asr.robustness.non_speech import NonSpeech, on_non_speech
from asr.robustness.quiet import Quiet, when_quiet
from asr.robustness.timestamps import Timestamps, with_timestamps
from asr.scoring.skipped import Skipped
from asr.scoring.table import Table
from asr.text import Numbers

BEAMS = 1
"""Greedy search for all conditions: they are many, and what is asked is how far they differ from each other."""


@dataclass(frozen=True)
class Robustness:
    """How a model does beyond clean test clips."""

    clips: int
    """Test clips that were put to the test."""
    noise: Noisy
    non_speech: NonSpeech
    quiet: Quiet
    long_form: LongForm
    timestamps: Timestamps | Skipped

    def as_plain(self) -> dict[str, Any]:
        """Sections for `metrics/evaluate.json`; rates are fractions."""
        return {
            "robustness": {"beams": BEAMS, "clips": self.clips},
            "noise": self.noise.as_plain(),
            "non_speech": self.non_speech.as_plain(),
            "quiet": self.quiet.as_plain(),
            "long_form": self.long_form.as_plain(),
            "timestamps": self.timestamps.as_plain(),
        }

    def tables(self) -> Mapping[str, Table]:
        """Tables by the names of their files in `plots/evaluate/`."""
        return {"noise": self.noise.table()}


@dataclass(frozen=True)
class NotAssessed:
    """Stands where no clips were asked for, with the same tables."""

    def as_plain(self) -> dict[str, Any]:
        """Sections for `metrics/evaluate.json`."""
        return {"robustness": Skipped("evaluate.robustness_clips is 0").as_plain()}

    def tables(self) -> Mapping[str, Table]:
        """A header each: DVC waits for the files."""
        return {"noise": Table(COLUMNS, ())}


def assess(
    transcriber: Transcriber, utterances: Sequence[Utterance], clips: Clips, count: int, numbers: Numbers = "keep"
) -> Robustness | NotAssessed:
    """Puts a model to the test, by greedy search.

    Args:
        transcriber: the model; its number of beams is not used.
        utterances: the split; all its clips can be voices of the babble.
        clips: samples of its clips.
        count: how many clips at most are put to the test, 0 for none; which follows from their ids.
        numbers: of `asr.text.normalize`.

    Raises:
        UserError: no clip has a word.
    """
    if not count:
        return NotAssessed()
    greedy = replace(transcriber, beams=BEAMS)
    material = choose(utterances, clips, count, transcriber.language, numbers)
    clean = material.heard(greedy.transcribe(material.clips, "robustness, clean"))
    return Robustness(
        clips=len(material.clips),
        noise=under_noise(greedy, material, clean, utterances, clips),
        non_speech=on_non_speech(greedy, greedy.edges, transcriber.language, numbers),
        quiet=when_quiet(greedy, material, clean),
        long_form=in_long_form(greedy, material, clean),
        timestamps=with_timestamps(greedy, material.clips),
    )
