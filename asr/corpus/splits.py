"""Which clip is for training, which for validation, which for testing, and what must leave so that they do not mix.

A clip's side depends on a hash of the seed and its key (`asr.corpus.splitting.groups`), not on the other clips, so a
growing corpus moves no old clip; where a key may change, as that of a block does when clips come into its midst,
the record of an earlier release holds (`asr.corpus.splitting.earlier`). In Common Voice 1.0 nearly all test sentences
were also training sentences (kaldi#2141), hence the removal of equal and nearly equal texts and sounds.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr.corpus.clips import SPLITS
from asr.corpus.findings import Corpus, Finding, Findings, collect
from asr.corpus.splitting.earlier import NEW, SEVERAL, no_earlier, sides_by_key
from asr.corpus.splitting.groups import binding, numbered
from asr.corpus.splitting.near_audio import differing
from asr.corpus.splitting.near_text import distances
from asr.corpus.splitting.relations import Relation, distinctive, near_audio_between, near_texts, same
from asr.errors import UserError
from asr.params import ValidateParams

PROTECTED = {"validation": ("test",), "train": ("test", "validation")}
"""Splits from which the one named first is kept apart, the most protected one first."""
OTHERS = {"test": ("validation", "train"), **PROTECTED, "validation": ("test", "train")}
"""Splits from which new clips of the split named first are kept apart where an earlier release has them."""

Mask = NDArray[np.bool_]
Sides = NDArray[np.int8]


@dataclass(frozen=True)
class _Overlap:
    """One way in which two splits may share something."""

    code: str
    relation: Relation


@dataclass(frozen=True)
class _Round:
    """Clips of one split that give way to those of others; masks have shape (clips,)."""

    name: str
    others: Sequence[str]
    giving_way: Mask
    guards: Mask
    overlaps: Sequence[_Overlap]


def side(key: str, params: ValidateParams) -> str:
    """The split of all clips with this key."""
    digest = hashlib.sha256(f"{params.seed}\0{key}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < params.test_share:
        return "test"
    return "validation" if place < params.test_share + params.validation_share else "train"


def assign(
    corpus: Corpus, keys: Sequence[str], params: ValidateParams, earlier: Sides | None = None
) -> NDArray[np.int8]:
    """Position in `SPLITS` of each clip's split, shape = (clips,).

    A clip of an earlier release keeps its side, also where the source states another now: a model that heard
    it then may be tested here. Of the others the source's own split counts, then the side on which the earlier
    release has clips with the same key, then a hash of the key.

    Args:
        corpus: all clips.
        keys: of each clip, from `asr.corpus.splitting.groups.group_keys`.
        params: shares and seed.
        earlier: side of each clip in an earlier release, shape = (clips,); None without one.
    """
    numbers = numbered(keys)
    # A dict keeps the order of first occurrence, which is that of the numbers.
    hashed = np.array([SPLITS.index(side(key, params)) for key in dict.fromkeys(keys)], np.int8)
    followed = sides_by_key(numbers, binding(corpus, earlier))
    by_key = np.where(followed >= 0, followed, hashed)
    own = {"": NEW} | {name: position for position, name in enumerate(SPLITS)}
    stated = np.array([own[name] for name in corpus.index.texts["split"]], np.int8)
    before = no_earlier(corpus) if earlier is None else earlier
    return np.where(before >= 0, before, np.where(stated >= 0, stated, by_key[numbers]))


def bridges(corpus: Corpus, keys: Sequence[str], kept: Mask, earlier: Sides) -> Findings:
    """Findings for new kept clips of groups that an earlier release has on several sides.

    On whichever side such a clip stood, its speaker would be on another one as well. Clips whose split the
    source states are left where it has them.

    Args:
        corpus: all clips.
        keys: of each clip, from `asr.corpus.splitting.groups.group_keys`.
        kept: the clips that are still in, shape = (clips,).
        earlier: side of each clip in an earlier release, shape = (clips,).
    """
    numbers = numbered(keys)
    torn = (sides_by_key(numbers, binding(corpus, earlier)) == SEVERAL)[numbers]
    stated = corpus.index.texts["split"]
    return collect(
        (place, Finding("split.bridges_earlier", f"an earlier release has the group '{keys[place]}' in several splits"))
        for place in np.flatnonzero(kept & torn & (earlier < 0)).tolist()
        if not stated[place]
    )


def overlaps(
    corpus: Corpus, sides: Sides, kept: Mask, params: ValidateParams, earlier: Sides | None = None
) -> Findings:
    """Findings for kept clips that share a text, a near text, a sound or a group with a split held out from theirs.

    The test split is held out from both others and never loses a clip; validation is held out from training.
    What leaves validation holds nothing out any more. A shared group, which only splits that were given
    can cause, is a warning. Between a clip of an earlier release and a new one the new one leaves, from
    whichever split: a model of that release has heard the other, or was tested on it.

    Args:
        corpus: all clips.
        sides: position in `SPLITS` of each clip's split, shape = (clips,).
        kept: the clips that are still in, shape = (clips,).
        params: what counts as the same.
        earlier: side of each clip in an earlier release, shape = (clips,); None without one.
    """
    shared = _shared(corpus, sides, kept, params)
    standing, found = kept.copy(), []
    for turn in _rounds(shared, no_earlier(corpus) if earlier is None else earlier):
        for overlap in turn.overlaps:
            found += list(_between(corpus, sides, standing, turn, overlap, params))
        standing[[place for place, finding in found if finding.rejects]] = False
    return collect(found)


def _shared(corpus: Corpus, sides: Sides, kept: Mask, params: ValidateParams) -> tuple[_Overlap, ...]:
    """What splits must not share, and last what is but a warning."""
    groups = corpus.index.texts["group"]
    named = np.fromiter(map(bool, groups), np.bool_, len(corpus))
    texts, distinct = numbered(corpus.keys), distinctive(corpus, params.overlap_min_characters)
    return (
        _Overlap("split.text_overlap", same(texts, kept & distinct)),
        _Overlap("split.near_text_overlap", near_texts(corpus, texts, sides, kept, params)),
        _Overlap("split.near_audio_overlap", near_audio_between(corpus, sides, kept, params)),
        _Overlap("split.group_overlap", same(numbered(groups), kept & named)),
    )


def _rounds(shared: Sequence[_Overlap], earlier: Sides) -> Iterator[_Round]:
    """Earlier clips among themselves, new clips before earlier ones, and what is left: new clips among themselves.

    Groups are looked at last and once, since they make no clip leave.
    """
    old, everyone = earlier >= 0, np.ones(len(earlier), np.bool_)
    if old.any():
        yield from (_Round(name, others, old, old, shared[:-1]) for name, others in PROTECTED.items())
        yield from (_Round(name, others, ~old, old, shared[:-1]) for name, others in OTHERS.items())
    yield from (_Round(name, others, everyone, everyone, shared) for name, others in PROTECTED.items())


def _between(
    corpus: Corpus, sides: Sides, standing: Mask, turn: _Round, overlap: _Overlap, params: ValidateParams
) -> Iterator[tuple[int, Finding]]:
    """What the clips that give way share with the guards of the other splits, one finding a clip."""
    seen = standing & turn.giving_way & (sides == SPLITS.index(turn.name))
    for other in turn.others:
        partners = overlap.relation.partners(standing & turn.guards & (sides == SPLITS.index(other)))
        for place in np.flatnonzero(seen & (partners < len(corpus))).tolist():
            yield place, _finding(corpus, overlap.code, place, int(partners[place]), (turn.name, other), params)
        seen &= partners == len(corpus)


def _finding(
    corpus: Corpus, code: str, place: int, partner: int, names: tuple[str, str], params: ValidateParams
) -> Finding:
    """Why a clip of the first split of `names` overlaps with one of the second."""
    name, other = names
    # Held out from nothing there, it leaves for the sake of an earlier release alone.
    held_out = other in PROTECTED.get(name, ())
    whom = f"clip {corpus.index.texts['id'][partner]} of {other}{'' if held_out else ' in an earlier release'}"
    stated = code if held_out else "split.earlier_overlap"
    if code == "split.text_overlap":
        return Finding(stated, f"the text of this {name} clip also occurs in {whom}")
    if code == "split.group_overlap":
        return Finding(code, f"the group '{corpus.index.texts['group'][place]}' of this {name} clip is also in {other}")
    if code == "split.near_audio_overlap":
        bits = differing(corpus, place, partner)
        return Finding(stated, f"this {name} clip sounds like {whom}", bits, params.near_audio_bits)
    texts = [corpus.keys[place], corpus.keys[partner]]
    edits, longest = int(distances(texts, np.array([0]), np.array([1]))[0]), max(map(len, texts))
    message = f"the text of this {name} clip differs in {edits} of {longest} characters from that of {whom}"
    return Finding(stated, message, edits / longest, params.near_text_share)


def check_filled(splits: Mapping[str, Sequence[object]], params: ValidateParams) -> None:
    """Refuses a corpus without training or test clips.

    Raises:
        UserError: naming the empty split and what to change.
    """
    for name in ("train", "test"):
        if not splits[name]:
            sizes = ", ".join(f"{other} {len(splits[other])}" for other in SPLITS)
            raise UserError(
                f"split.empty: no clip is left in '{name}' ({sizes}): with few groups change validate.test_share = "
                f"{params.test_share:g}, validate.validation_share = {params.validation_share:g} or validate.seed = "
                f"{params.seed}; if the source brings its own splits, check its split column"
            )
