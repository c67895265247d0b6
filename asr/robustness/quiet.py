"""Error rate and recall on quiet speech: the price of whatever keeps a model silent where nobody speaks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asr.robustness.material import Heard, Material, Recogniser
from asr.robustness.mixing import quieter

DOWN_DB = (20, 30, 40, 50)


@dataclass(frozen=True)
class Quiet:
    """What was heard in the same clips, scaled down."""

    material: Material
    clean: Heard
    levels: Mapping[int, Heard]
    """By dB below the clip as it is."""

    def as_plain(self) -> dict[str, Any]:
        """By level: rates, counts, and recall, the share of the reference words that were written."""
        plain = {
            f"down_{decibels}_db": {**self.material.as_plain(heard, self.clean), "recall": _recall(heard)}
            for decibels, heard in self.levels.items()
        }
        return {**plain, "down_0_db": {**self.clean.total.as_plain(), "recall": _recall(self.clean)}}


def when_quiet(recogniser: Recogniser, material: Material, clean: Heard) -> Quiet:
    """The chosen clips at every level of `DOWN_DB`, rounded to PCM16 as a quiet recording would be."""
    made = [quieter(clip, decibels) for decibels in DOWN_DB for clip in material.clips]
    found = recogniser.transcribe(made, "robustness, quiet speech")
    count = len(material.clips)
    return Quiet(
        material,
        clean,
        {level: material.heard(found[i * count : (i + 1) * count]) for i, level in enumerate(DOWN_DB)},
    )


def _recall(heard: Heard) -> float:
    return heard.total.hits / heard.total.words
