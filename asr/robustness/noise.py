"""Error rates of the same clips in noise, by kind of noise and signal-to-noise ratio.

A clip meets the same noise at every ratio, only louder, and the noise follows from the clip's id alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asr.corpus.clips import Clips, Utterance
from asr.robustness.drawing import generator, rank
from asr.robustness.material import Heard, Material, Recogniser
from asr.robustness.mixing import Wave, mix
from asr.robustness.sounds import babble, hum, pink, white
from asr.scoring.skipped import Skipped
from asr.scoring.table import Table

SNRS_DB = (0, 5, 10, 20)
MAKERS = {"white": white, "pink": pink, "hum": hum}
BABBLE = "babble"
VOICES = 6
"""In babble, where there are so many."""
FEWEST_VOICES = 4
"""With fewer, single words can be told: that is another speaker, not babble."""
COLUMNS = ("kind", "snr_db", "wer", "words", "clips")

NoisesOfClips = Sequence[Wave]
"""One a clip, of the clip's length."""


@dataclass(frozen=True)
class Noisy:
    """What was heard in each kind of noise, at the ratios of `SNRS_DB`."""

    material: Material
    clean: Heard
    kinds: Mapping[str, tuple[Heard, ...] | Skipped]

    def as_plain(self) -> dict[str, Any]:
        """`clean`, and for each kind the rates by ratio, for a metrics file."""
        return {"clean": self.clean.total.as_plain(), **{kind: self._plain(kind) for kind in self.kinds}}

    def table(self) -> Table:
        """Rows for a plot over the ratio; `clean` stands at every ratio, as the line that the others rise to."""
        rows = [
            (kind, snr_db, heard.total.wer, heard.total.words, heard.total.clips)
            for kind, found in {"clean": (self.clean,) * len(SNRS_DB), **self.kinds}.items()
            if not isinstance(found, Skipped)
            for snr_db, heard in zip(SNRS_DB, found, strict=True)
        ]
        return Table(COLUMNS, tuple(rows))

    def _plain(self, kind: str) -> dict[str, Any]:
        found = self.kinds[kind]
        if isinstance(found, Skipped):
            return found.as_plain()
        return {
            f"snr_{snr_db}_db": self.material.as_plain(heard, self.clean)
            for snr_db, heard in zip(SNRS_DB, found, strict=True)
        }


def under_noise(
    recogniser: Recogniser, material: Material, clean: Heard, utterances: Sequence[Utterance], clips: Clips
) -> Noisy:
    """The chosen clips in every kind of noise.

    Args:
        recogniser: what is tested.
        material: the chosen clips.
        clean: what is heard in them without noise.
        utterances: the whole split, whose clips make the babble.
        clips: samples of all of them.
    """
    kinds: dict[str, tuple[Heard, ...] | Skipped] = {}
    for kind, make in MAKERS.items():
        noises = [
            make(len(clip), generator(kind, item.id)) for item, clip in zip(material.items, material.clips, strict=True)
        ]
        kinds[kind] = _heard(recogniser, material, noises, kind)
    voices = [others(item, utterances) for item in material.items]
    if min(map(len, voices)) < FEWEST_VOICES:
        kinds[BABBLE] = Skipped(f"a clip has fewer than {FEWEST_VOICES} others to make babble of")
    else:
        kinds[BABBLE] = _heard(recogniser, material, _babbles(material, voices, clips), BABBLE)
    return Noisy(material, clean, kinds)


def others(item: Utterance, utterances: Sequence[Utterance]) -> list[Utterance]:
    """Whose voices drown a clip: chosen by its id among clips of other groups, or of all others where those are few."""
    rest = [other for other in utterances if other.id != item.id and other.text.strip()]
    strangers = [other for other in rest if other.group != item.group]
    pool = strangers if len(strangers) >= FEWEST_VOICES else rest
    return sorted(pool, key=lambda other: rank("voice", item.id, other.id))[:VOICES]


def _babbles(material: Material, voices: Sequence[Sequence[Utterance]], clips: Clips) -> list[Wave]:
    return [
        babble([clips[other.id] for other in speaking], len(clip), generator(BABBLE, item.id))
        for item, clip, speaking in zip(material.items, material.clips, voices, strict=True)
    ]


def _heard(recogniser: Recogniser, material: Material, noises: NoisesOfClips, kind: str) -> tuple[Heard, ...]:
    """What is heard at each ratio; all ratios in one call, since large batches of one shape are the fastest."""
    mixed = [mix(clip, noise, snr_db) for snr_db in SNRS_DB for clip, noise in zip(material.clips, noises, strict=True)]
    found = recogniser.transcribe(mixed, f"robustness, {kind} noise")
    count = len(material.clips)
    return tuple(material.heard(found[start : start + count]) for start in range(0, len(found), count))
