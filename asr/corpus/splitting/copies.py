"""The same recording more than once: equal samples, or samples that only sound alike."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from asr.corpus.findings import Corpus, Finding, Findings, collect
from asr.corpus.splitting.earlier import no_earlier
from asr.corpus.splitting.groups import numbered
from asr.corpus.splitting.near_audio import differing, near_pairs

NAMED = 10
"""Rows that a message lists at most."""


def copies(
    corpus: Corpus, kept: NDArray[np.bool_], near_audio_bits: int, earlier: NDArray[np.int8] | None = None
) -> Findings:
    """Findings for kept clips that others repeat; near copies are looked for among those without an exact one.

    Equal samples: the copy with the lowest row stays; where the transcripts differ none can be trusted, so
    all go. Nearly equal samples (the same recording in another rendering): of the same text the one with
    the lowest row stays, unless the source names two different groups (speakers, say) for them; other texts
    are a warning on both sides. Clips of an earlier release come before all rows that are new.

    Args:
        corpus: all clips.
        kept: the clips that are still in, shape = (clips,).
        near_audio_bits: the most bits in which the fingerprints of near copies differ.
        earlier: side of each clip in an earlier release, shape = (clips,); None without one.
    """
    rank = _ranks(corpus, no_earlier(corpus) if earlier is None else earlier)
    exact = list(_exact(corpus, kept, rank))
    standing = kept.copy()
    standing[[place for place, _ in exact]] = False
    return collect([*exact, *_near(corpus, standing, near_audio_bits, rank)])


def _ranks(corpus: Corpus, earlier: NDArray[np.int8]) -> NDArray[np.int64]:
    """Which clip stays rather than others, the lowest before all, shape = (clips,)."""
    by_rank = np.lexsort((np.arange(len(corpus)), corpus.index.numbers["row"], earlier < 0))
    rank = np.empty(len(corpus), np.int64)
    rank[by_rank] = np.arange(len(corpus))
    return rank


def _exact(corpus: Corpus, kept: NDArray[np.bool_], rank: NDArray[np.int64]) -> Iterator[tuple[int, Finding]]:
    """Clips whose samples are equal, and that do not stay."""
    places = np.flatnonzero(kept)
    hashes = corpus.index.texts["sha256"]
    numbers = numbered([hashes[place] for place in places.tolist()])
    repeated = np.flatnonzero(np.bincount(numbers)[numbers] > 1)
    by_hash = repeated[np.lexsort((rank[places[repeated]], numbers[repeated]))]
    ends = np.flatnonzero(np.diff(numbers[by_hash])) + 1
    for same in np.split(places[by_hash], ends):
        if len(same):
            yield from _judge_copies(corpus, same.tolist())


def _judge_copies(corpus: Corpus, same: list[int]) -> Iterator[tuple[int, Finding]]:
    if len({corpus.keys[place] for place in same}) > 1:
        rows = ", ".join(str(corpus.index.numbers["row"][place]) for place in same[:NAMED])
        message = f"the audio of rows {rows} is the same but their texts differ: keep the right one in the source"
        yield from ((place, Finding("manifest.conflicting_text", message)) for place in same)
    else:
        message = f"the same audio and text as {_named(corpus, same[0])}"
        yield from ((place, Finding("manifest.duplicate_audio", message)) for place in same[1:])


def _near(
    corpus: Corpus, kept: NDArray[np.bool_], most_bits: int, rank: NDArray[np.int64]
) -> Iterator[tuple[int, Finding]]:
    """Later near copies, and near clips whose texts contradict each other.

    The outcome depends on the set of pairs alone, not on their order: each clip refers to the first of its
    near ones by rank.
    """
    by_rank = np.argsort(rank)
    same, other = _first_near(corpus, kept, most_bits, rank)
    for place in np.flatnonzero(same < rank).tolist():
        first = int(by_rank[same[place]])
        message = f"sounds like {_named(corpus, first)}, which has the same text"
        yield place, Finding("manifest.near_duplicate_audio", message, differing(corpus, place, first), most_bits)
    for place in np.flatnonzero(other < len(corpus)).tolist():
        first = int(by_rank[other[place]])
        message = f"sounds like {_named(corpus, first)}, whose text differs: one of the two may be wrong"
        yield place, Finding("split.near_conflicting_text", message, differing(corpus, place, first), most_bits)


def _first_near(
    corpus: Corpus, kept: NDArray[np.bool_], most_bits: int, rank: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The lowest rank among the near clips of the same text and of other texts, each of shape = (clips,).

    Where there is none it is the number of clips.
    """
    texts, groups = numbered(corpus.keys), numbered(corpus.index.texts["group"])
    named = np.array([bool(group) for group in corpus.index.texts["group"]], np.bool_)
    same, other = np.full(len(corpus), len(corpus)), np.full(len(corpus), len(corpus))
    for first, second in near_pairs(corpus, kept, most_bits):
        equal = texts[first] == texts[second]
        # Two speakers may say one sentence much alike: that is no copy.
        apart = equal & named[first] & named[second] & (groups[first] != groups[second])
        first, second, equal = first[~apart], second[~apart], equal[~apart]
        for lowest, chosen in ((same, equal), (other, ~equal)):
            np.minimum.at(lowest, first[chosen], rank[second[chosen]])
            np.minimum.at(lowest, second[chosen], rank[first[chosen]])
    return same, other


def _named(corpus: Corpus, place: int) -> str:
    return f"clip {corpus.index.texts['id'][place]} (row {corpus.index.numbers['row'][place]})"
