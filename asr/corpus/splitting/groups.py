"""What must not be torn apart by the split: the key that decides the side of each clip."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from asr.corpus.findings import Corpus
from asr.corpus.splitting.earlier import NEW, SEVERAL, no_earlier, sides_by_key

FIRST_BLOCK = "start"
"""Stands for the anchor of the clips before the first anchor of a source."""


@dataclass(frozen=True)
class Grouping:
    """How many clips found their companions in which way; the four counts add up to the corpus."""

    by_source: int
    """The source names a speaker, a recording or another unit."""
    by_block: int
    """Neighbours in the source."""
    by_text: int
    """Clips of the same normalised text."""
    alone: int
    """Clips without a group or a block, and without a text that binds them."""
    proxy: bool
    """Whether blocks stand in for groups that nobody named: that lowers leakage and does not exclude it."""


def group_keys(
    corpus: Corpus, block_clips: int | None, earlier: NDArray[np.int8] | None = None
) -> tuple[Sequence[str], Grouping]:
    """The key of each clip, in the order of the ids: clips with equal keys go to the same split.

    The source's group comes first. Where it names none, the clip belongs to a block of neighbours (see
    `block_keys`), or, without blocks, to the clips of the same text; a clip without text stands alone, and so
    does one whose text an earlier release has on several sides, as it may with short ones.
    Every row of the index counts, kept or not, so that a threshold of a rule moves no block.

    Args:
        corpus: all clips.
        block_clips: mean number of clips in a block; None for a source whose order means nothing.
        earlier: side of each clip in an earlier release, shape = (clips,); None without one.
    """
    groups = corpus.index.texts["group"]
    grouped = sum(map(bool, groups))
    sides = binding(corpus, earlier)
    if block_clips is not None:
        keys = list(groups)
        ungrouped = [place for place, group in enumerate(groups) if not group]
        for place, key in zip(ungrouped, block_keys(corpus, ungrouped, block_clips, sides), strict=True):
            keys[place] = key
        return keys, Grouping(grouped, len(ungrouped), 0, 0, proxy=bool(ungrouped))
    texts = _binding_texts(corpus, sides)
    keys = [group or text or id for group, text, id in zip(groups, texts, corpus.index.texts["id"], strict=True)]
    alone = sum(not (group or text) for group, text in zip(groups, texts, strict=True))
    return keys, Grouping(grouped, 0, len(keys) - grouped - alone, alone, proxy=False)


def block_keys(corpus: Corpus, places: Sequence[int], block_clips: int, earlier: NDArray[np.int8]) -> list[str]:
    """The block of each clip of `places`: neighbours of one source, often of one speaker.

    Content-defined chunking (Muthitacharoen et al., "A low-bandwidth network file system", 2001): a block
    begins at each clip whose hashed id falls under 1 / `block_clips`, and is named by this anchor. Whether
    a clip is an anchor depends on its id alone. So clips appended to a source move no old clip, and a clip
    inserted elsewhere changes the block around it at most: it joins that block, or, as an anchor, cuts it
    in two, and then the clips after it belong to a new block. Where rows that are gone or stand in another
    order bring clips of two earlier sides into one block, it is cut between them.

    Args:
        corpus: all clips.
        places: of the clips to form blocks of.
        block_clips: mean number of clips in a block.
        earlier: side of each clip of the corpus in an earlier release, shape = (clips,).
    """
    chosen = np.asarray(places, dtype=np.int64)
    texts = corpus.index.texts
    sources = numbered([texts["source"][place] for place in places])
    ids = [texts["id"][place] for place in places]
    # A stable sort: of equal row numbers the lower id comes first.
    order = np.lexsort((corpus.index.numbers["row"][chosen], sources))
    begins = np.ones(len(order), np.bool_)
    begins[1:] = np.diff(sources[order]) != 0
    anchors = _hashes(ids)[order] <= (2**64 - 1) // block_clips
    anchors |= _turns(begins | anchors, earlier[chosen[order]])
    block = np.cumsum(begins | anchors) - 1
    names = [
        f"block {ids[first] if anchor else FIRST_BLOCK} of {texts['source'][places[first]]}"
        for first, anchor in zip(order[begins | anchors].tolist(), anchors[begins | anchors].tolist(), strict=True)
    ]
    keys = np.empty(len(order), np.int64)
    keys[order] = block
    return [names[number] for number in keys.tolist()]


def decisive(corpus: Corpus) -> NDArray[np.bool_]:
    """Whether a clip is bound to others by its key, shape = (clips,).

    It is not where the source states its split and names no group: then the key decided nothing.
    """
    rows = zip(corpus.index.texts["group"], corpus.index.texts["split"], strict=True)
    return np.fromiter((bool(group) or not split for group, split in rows), np.bool_, len(corpus))


def binding(corpus: Corpus, earlier: NDArray[np.int8] | None) -> NDArray[np.int8]:
    """The earlier sides that new clips with the same key must follow, shape = (clips,)."""
    if earlier is None or not (earlier >= 0).any():
        return no_earlier(corpus)
    return np.where(decisive(corpus), earlier, np.int8(NEW))


def _binding_texts(corpus: Corpus, earlier: NDArray[np.int8]) -> Sequence[str]:
    """The normalised text of each clip; empty where clips with this text stand on several earlier sides."""
    if not (earlier >= 0).any():
        return corpus.keys
    # A group may bear the name of a text, and then they are one key.
    keys = [group or text for group, text in zip(corpus.index.texts["group"], corpus.keys, strict=True)]
    numbers = numbered(keys)
    apart = (sides_by_key(numbers, earlier) == SEVERAL)[numbers].tolist()
    return ["" if torn else text for text, torn in zip(corpus.keys, apart, strict=True)]


def _turns(begins: NDArray[np.bool_], earlier: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Which clips had another side than the last one before them in their block that had any, shape = (clips,).

    Args:
        begins: whether a block begins at a clip, shape = (clips,) in the order of the source.
        earlier: sides that clips had, in the same order.
    """
    blocks, known = np.cumsum(begins), np.flatnonzero(earlier >= 0)
    last, next_ = known[:-1], known[1:]
    turns = np.zeros(len(begins), np.bool_)
    turns[next_[(blocks[last] == blocks[next_]) & (earlier[last] != earlier[next_])]] = True
    return turns


def numbered(values: Sequence[str]) -> NDArray[np.int64]:
    """Equal values as equal numbers from 0, in the order of their first occurrence, shape = (values,)."""
    numbers = pa.array(values, pa.large_string()).dictionary_encode().indices
    return np.asarray(numbers.to_numpy(), np.int64)


def _hashes(ids: Iterable[str]) -> NDArray[np.uint64]:
    """The first 64 bits of the SHA-256 of each id, shape = (ids,)."""
    digests = b"".join(hashlib.sha256(id.encode()).digest()[:8] for id in ids)
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)
