"""What the model writes where nobody speaks.

Recognisers invent text in noise and silence, and an energy gate helps against silence only, so the sounds
are counted apart. No error rate exists without reference words: words are counted, a minute.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asr.features import Edges
from asr.pcm import SAMPLE_RATE, Pcm16
from asr.robustness.drawing import generator
from asr.robustness.material import Recogniser
from asr.robustness.mixing import at_level
from asr.robustness.sounds import Maker, breath, hum, music, pink, silence, white
from asr.text import Numbers, normalize

LENGTHS_SECONDS = (1.0, 3.0, 8.0)
TAKES = 4
"""Clips of each kind and length; digital silence has no second take."""


@dataclass(frozen=True)
class Sound:
    """One kind of clip without speech."""

    make: Maker
    dbfs: float
    takes: int = TAKES


SOUNDS: Mapping[str, Sound] = {
    "silence": Sound(silence, 0.0, takes=1),
    "room": Sound(pink, -60.0),
    "white": Sound(white, -40.0),
    "hum": Sound(hum, -40.0),
    "music": Sound(music, -25.0),
    "breath": Sound(breath, -40.0),
}
"""The level of a sound is its RMS in dB of full scale."""


@dataclass(frozen=True)
class Emitted:
    """What was written for the clips of one kind."""

    clips: int
    seconds: float
    """Of audio."""
    clips_with_output: int
    words_emitted: int
    """Normalised: a full stop alone is no output."""
    capped: int
    """Clips whose text only the token cap ended."""

    def as_plain(self) -> dict[str, Any]:
        """Counts, and words a minute of audio, for a metrics file."""
        return {
            "clips": self.clips,
            "seconds": self.seconds,
            "clips_with_output": self.clips_with_output,
            "words_emitted": self.words_emitted,
            "words_per_minute": 60 * self.words_emitted / self.seconds,
            "capped": self.capped,
        }


@dataclass(frozen=True)
class NonSpeech:
    """What was written, by kind of sound."""

    kinds: Mapping[str, Emitted]

    def as_plain(self) -> dict[str, Any]:
        """For a metrics file."""
        return {kind: emitted.as_plain() for kind, emitted in self.kinds.items()}


def on_non_speech(recogniser: Recogniser, edges: Edges, language: str, numbers: Numbers) -> NonSpeech:
    """All kinds of sound at all lengths of `LENGTHS_SECONDS` that the model takes, or at its longest alone."""
    lengths = [seconds for seconds in LENGTHS_SECONDS if seconds <= edges.seconds[-1]] or [edges.seconds[-1]]
    made = [
        (kind, _clip(kind, seconds, take))
        for kind, sound in SOUNDS.items()
        for seconds in lengths
        for take in range(sound.takes)
    ]
    found = recogniser.transcribe([pcm for _, pcm in made], "robustness, no speech")
    counted: dict[str, list[tuple[float, int, bool]]] = {kind: [] for kind in SOUNDS}
    for (kind, pcm), heard in zip(made, found, strict=True):
        words = len(normalize(heard.text, language, numbers).split())
        counted[kind].append((len(pcm) / SAMPLE_RATE, words, heard.capped))
    return NonSpeech({kind: _emitted(rows) for kind, rows in counted.items()})


def _clip(kind: str, seconds: float, take: int) -> Pcm16:
    sound = SOUNDS[kind]
    random = generator("non-speech", kind, f"{seconds:g}", str(take))
    return at_level(sound.make(round(seconds * SAMPLE_RATE), random), sound.dbfs)


def _emitted(rows: list[tuple[float, int, bool]]) -> Emitted:
    """From seconds, words and cap of each clip."""
    return Emitted(
        clips=len(rows),
        seconds=sum(seconds for seconds, _, _ in rows),
        clips_with_output=sum(words > 0 for _, words, _ in rows),
        words_emitted=sum(words for _, words, _ in rows),
        capped=sum(capped for _, _, capped in rows),
    )
