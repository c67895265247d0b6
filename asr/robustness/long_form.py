"""Recordings of a minute, made of clips whose words are known, through the way that long recordings take.

Models trained on single clips lose words in long recordings (deletions) or repeat themselves. What is compared
are the same clips: joined with pauses, and one at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asr.decoding.generate import Transcriber
from asr.decoding.longform import transcribe_recordings
from asr.pcm import SAMPLE_RATE, Pcm16
from asr.robustness.drawing import generator
from asr.robustness.material import Heard, Material
from asr.scoring.loops import has_new_loop
from asr.scoring.wer import Score, corpus_score, score_utterances

RECORDINGS = 3
"""At most."""
LENGTH_SECONDS = 60.0
PAUSE_SECONDS = (0.2, 1.0)
"""Between two clips; models and segmenters meet shorter and longer ones than the 0.3 s at which a recording is cut."""


@dataclass(frozen=True)
class Recording:
    """Clips with digital silence between them."""

    pcm: Pcm16
    places: tuple[int, ...]
    """Of its clips in the material, in order."""


@dataclass(frozen=True)
class LongForm:
    """What was heard in the recordings, and in their clips alone."""

    recordings: int
    seconds: float
    segments: int
    """Parts that the model was given."""
    score: Score
    short: Score
    looping: int
    """Recordings whose text has a loop that was not said."""

    def as_plain(self) -> dict[str, Any]:
        """Rates and counts for a metrics file; `short_form` are the same clips one at a time."""
        return {
            **self.score.as_plain(),
            "clips": self.short.clips,
            "recordings": self.recordings,
            "seconds": self.seconds,
            "segments": self.segments,
            "looping": self.looping,
            "short_form": self.short.as_plain(),
            "wer_difference": self.score.wer - self.short.wer,
        }


def in_long_form(transcriber: Transcriber, material: Material, clean: Heard) -> LongForm:
    """The chosen clips, joined."""
    recordings = joined(material.clips)
    transcripts = transcribe_recordings(transcriber, [recording.pcm for recording in recordings])
    said = [" ".join(material.references[place] for place in recording.places) for recording in recordings]
    heard = [material.normalized(transcript.text) for transcript in transcripts]
    return LongForm(
        recordings=len(recordings),
        seconds=sum(len(recording.pcm) for recording in recordings) / SAMPLE_RATE,
        segments=sum(len(transcript.lines) for transcript in transcripts),
        score=corpus_score(score_utterances(said, heard)),
        short=corpus_score(clean.scores[place] for recording in recordings for place in recording.places),
        looping=sum(has_new_loop(*texts) for texts in zip(said, heard, strict=True)),
    )


def joined(clips: Sequence[Pcm16]) -> list[Recording]:
    """Recordings of about `LENGTH_SECONDS`, no clip in two of them.

    Each ends with the first clip that makes it long enough. The last may have half of that, and is as long as it can
    be where it is the only one.
    """
    enough = LENGTH_SECONDS * SAMPLE_RATE
    random = generator("pauses")
    done: list[Recording] = []
    parts: list[Pcm16] = []
    places: list[int] = []
    for place, clip in enumerate(clips):
        pause = np.zeros(round(random.uniform(*PAUSE_SECONDS) * SAMPLE_RATE), np.int16)
        parts += [clip, pause]
        places.append(place)
        if sum(map(len, parts)) >= enough:
            done.append(Recording(np.concatenate(parts), tuple(places)))
            parts, places = [], []
        if len(done) == RECORDINGS:
            return done
    if not done or sum(map(len, parts)) >= enough / 2:
        done.append(Recording(np.concatenate(parts), tuple(places)))
    return done
