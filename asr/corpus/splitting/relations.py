"""Which clips are the same or nearly so: what splits must not share, and what the proof of it looks for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr.corpus.clips import SPLITS
from asr.corpus.findings import Corpus
from asr.corpus.splitting import near_audio, near_text
from asr.params import ValidateParams

TRAIN = SPLITS.index("train")


@dataclass(frozen=True)
class Relation:
    """Clips in units (those of one text, one group, ...), and which units are related."""

    units: NDArray[np.int64]
    """The unit of each clip, shape = (clips,); -1 for clips that take no part."""
    first: NDArray[np.int64]
    """A unit of each related pair, shape = (pairs,)."""
    second: NDArray[np.int64]
    """The other unit, shape = (pairs,); the same one where clips of a unit are related to each other."""

    @property
    def size(self) -> int:
        """Number of units."""
        return int(self.units.max(initial=-1)) + 1

    def partners(self, guards: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The lowest place among the relatives of each clip, shape = (clips,); the number of clips where it has none.

        Args:
            guards: the clips to look among, shape = (clips,).
        """
        nobody = len(self.units)
        # One place more than units: there the -1 of clips that take no part points to.
        guard = np.full(self.size + 1, nobody)
        places = np.flatnonzero(guards & (self.units >= 0))[::-1]
        guard[self.units[places]] = places
        partner = np.full(self.size + 1, nobody)
        np.minimum.at(partner, self.first, guard[self.second])
        np.minimum.at(partner, self.second, guard[self.first])
        return partner[self.units]


def same(units: NDArray[np.int64], chosen: NDArray[np.bool_]) -> Relation:
    """Chosen clips of one unit.

    Args:
        units: equal numbers for equal values, as `asr.corpus.splitting.groups.numbered` makes them, shape = (clips,).
        chosen: the clips that take part, shape = (clips,).
    """
    units = np.where(chosen, units, -1)
    repeated = np.flatnonzero(np.bincount(units[chosen]) > 1)
    return Relation(units, repeated, repeated)


def near_texts(
    corpus: Corpus, units: NDArray[np.int64], sides: NDArray[np.int8], kept: NDArray[np.bool_], params: ValidateParams
) -> Relation:
    """Kept clips with near, not equal texts, one of which is held out from training.

    Texts too short for `overlap_min_characters` are left alone here as well. `units` numbers the texts.
    """
    chosen = kept & distinctive(corpus, max(near_text.MIN_CHARACTERS, params.overlap_min_characters))
    places = np.flatnonzero(chosen)
    # One clip a text: of repeated indices numpy keeps the last.
    clip = np.full(int(units.max(initial=-1)) + 1, -1)
    clip[units[places]] = places
    held_out = np.zeros(len(clip), np.bool_)
    held_out[units[places[sides[places] != TRAIN]]] = True
    used = np.flatnonzero(clip >= 0)
    texts = [corpus.keys[place] for place in clip[used].tolist()]
    first, second = near_text.near_pairs(texts, held_out[used], params.near_text_share)
    return Relation(np.where(chosen, units, -1), used[first], used[second])


def near_audio_between(
    corpus: Corpus, sides: NDArray[np.int8], kept: NDArray[np.bool_], params: ValidateParams
) -> Relation:
    """Kept clips of different splits that sound alike; every clip is a unit of its own."""
    found = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    for first, second in near_audio.near_pairs(corpus, kept, params.near_audio_bits):
        apart = sides[first] != sides[second]
        found.append((first[apart], second[apart]))
    firsts, seconds = zip(*found, strict=True)
    return Relation(np.arange(len(corpus)), np.concatenate(firsts), np.concatenate(seconds))


def distinctive(corpus: Corpus, min_characters: int) -> NDArray[np.bool_]:
    """Whether two clips share the text of a clip hardly by chance, shape = (clips,)."""
    return np.fromiter(map(len, corpus.keys), np.int64, len(corpus)) >= max(min_characters, 1)
