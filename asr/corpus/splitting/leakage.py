"""The proof of the splits: what they share is counted anew from the finished splits, whatever led to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from asr.corpus.clips import SPLITS
from asr.corpus.findings import Corpus
from asr.corpus.splitting.external import Reference
from asr.corpus.splitting.groups import decisive, numbered
from asr.corpus.splitting.relations import Relation, distinctive, near_audio_between, near_texts, same
from asr.params import ValidateParams

EXAMPLES = 5
"""Of each kind of leakage."""


@dataclass(frozen=True)
class Example:
    """Two clips of different splits that share something."""

    value: str
    """The text, group or hash of the samples; for near ones that of the first clip."""
    clips: tuple[str, str]
    """Ids."""


@dataclass(frozen=True)
class Shared:
    """How much of the corpus is concerned where something is shared."""

    clips: int
    hours: float
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Found:
    """What one split has in common with an outside test set."""

    keys: int
    """Different normalised texts."""
    clips: int


@dataclass(frozen=True)
class Leakage:
    """What occurs in more than one split; all counts are zero but for reasons that are reported."""

    texts: int
    """Normalised texts of at least `overlap_min_characters` characters."""
    short_texts: int
    """Shorter ones, such as single words: they recur by nature and are left alone."""
    near_texts: int
    """Pairs of texts in different splits that differ in few characters."""
    groups: int
    """Groups named by the source or, where it names none, formed by the split; not zero only where a source's own
    splits share them."""
    audio: int
    """Equal samples."""
    near_audio: int
    """Pairs of clips in different splits that sound alike."""
    shared: Mapping[str, Shared]
    """How much is concerned, by the names of those counts above that are not zero."""
    external: Mapping[str, Mapping[str, Found]]
    """By outside test set and split: texts of at least `overlap_min_characters` characters that occur in both."""
    proxy: bool
    """Whether blocks of neighbours stand in for groups: that lowers leakage and does not exclude it."""


@dataclass(frozen=True)
class _Kind:
    """One thing that splits must not share."""

    relation: Relation
    values: Sequence[str]
    """What a clip has of it, an entry a clip, for the examples."""


def leakage(
    corpus: Corpus,
    sides: NDArray[np.int8],
    kept: NDArray[np.bool_],
    keys: Sequence[str],
    references: Sequence[Reference],
    params: ValidateParams,
) -> Leakage:
    """Counts what the splits of the kept clips share with each other and with outside test sets.

    Args:
        corpus: all clips.
        sides: position in `SPLITS` of each clip's split, shape = (clips,).
        kept: the clips that stay, shape = (clips,).
        keys: what the split was made by, an entry a clip.
        references: outside test sets.
        params: what counts as the same.
    """
    kinds = _kinds(corpus, sides, kept, keys, params)
    counts, shared = {}, {}
    for name, kind in kinds.items():
        pairs = _between_splits(kind.relation, sides, kept)
        counts[name] = int(pairs.sum())
        if counts[name]:
            shared[name] = _shared(corpus, kind, sides, kept, pairs)
    ungrouped = kept & ~_named(corpus.index.texts["group"]) & ~_named(corpus.index.texts["split"])
    return Leakage(
        **counts,
        shared=shared,
        external=_external(corpus, sides, kept, references, params.overlap_min_characters),
        proxy=params.block_clips is not None and bool(ungrouped.any()),
    )


def _kinds(
    corpus: Corpus, sides: NDArray[np.int8], kept: NDArray[np.bool_], keys: Sequence[str], params: ValidateParams
) -> dict[str, _Kind]:
    """By the names of the counts in `Leakage`."""
    texts = corpus.index.texts
    words, sounds = numbered(corpus.keys), numbered(texts["sha256"])
    long = distinctive(corpus, params.overlap_min_characters)
    return {
        "texts": _Kind(same(words, kept & long), corpus.keys),
        "short_texts": _Kind(same(words, kept & ~long & _named(corpus.keys)), corpus.keys),
        "near_texts": _Kind(near_texts(corpus, words, sides, kept, params), corpus.keys),
        "groups": _Kind(same(numbered(keys), kept & decisive(corpus)), keys),
        "audio": _Kind(same(sounds, kept & _named(texts["sha256"])), texts["sha256"]),
        "near_audio": _Kind(near_audio_between(corpus, sides, kept, params), corpus.keys),
    }


def _between_splits(relation: Relation, sides: NDArray[np.int8], kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the two units of a related pair have clips in different splits, shape = (pairs,)."""
    has = np.zeros((len(SPLITS), relation.size), np.bool_)
    places = np.flatnonzero(kept & (relation.units >= 0))
    has[sides[places], relation.units[places]] = True
    apart = np.zeros(len(relation.first), np.bool_)
    for one, other in permutations(range(len(SPLITS)), 2):
        apart |= has[one, relation.first] & has[other, relation.second]
    return apart


def _shared(
    corpus: Corpus, kind: _Kind, sides: NDArray[np.int8], kept: NDArray[np.bool_], pairs: NDArray[np.bool_]
) -> Shared:
    relation = Relation(kind.relation.units, kind.relation.first[pairs], kind.relation.second[pairs])
    partner = np.full(len(corpus), len(corpus))
    for side in range(len(SPLITS)):
        here = kept & (sides == side)
        partner[here] = relation.partners(kept & (sides != side))[here]
    concerned = np.flatnonzero(partner < len(corpus))
    ids = corpus.index.texts["id"]
    # Each pair of clips shows up from both of its ends.
    ends = dict.fromkeys(
        (min(p, q), max(p, q)) for p, q in zip(concerned.tolist(), partner[concerned].tolist(), strict=True)
    )
    return Shared(
        clips=len(concerned),
        hours=float(corpus.index.numbers["duration"][concerned].sum()) / 3600,
        examples=tuple(Example(kind.values[p], (ids[p], ids[q])) for p, q in list(ends)[:EXAMPLES]),
    )


def _external(
    corpus: Corpus,
    sides: NDArray[np.int8],
    kept: NDArray[np.bool_],
    references: Sequence[Reference],
    min_characters: int,
) -> dict[str, dict[str, Found]]:
    known = frozenset[str]().union(*(reference.keys for reference in references))
    places = np.flatnonzero(kept & distinctive(corpus, min_characters)).tolist() if known else []
    heard = [(corpus.keys[place], int(sides[place])) for place in places if corpus.keys[place] in known]
    return {reference.name: _found(heard, reference) for reference in references}


def _found(heard: Sequence[tuple[str, int]], reference: Reference) -> dict[str, Found]:
    """By split, from the texts and sides of clips."""
    common = [(key, side) for key, side in heard if key in reference.keys]
    return {
        name: Found(
            keys=len({key for key, side in common if side == position}),
            clips=sum(side == position for _, side in common),
        )
        for position, name in enumerate(SPLITS)
    }


def _named(values: Sequence[str]) -> NDArray[np.bool_]:
    """Whether a value is not empty, shape = (values,)."""
    return np.fromiter(map(bool, values), np.bool_, len(values))
