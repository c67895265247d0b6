"""Which clip is for training, which for validation, which for testing, and what must leave so that they do not mix.

A clip's side depends on a hash of the seed and its key (`asr.corpus.splitting.groups`), not on the other clips, so a
growing corpus never moves an old clip. In Common Voice 1.0 nearly all test sentences were also training
sentences (kaldi#2141), hence the removal of equal and nearly equal texts and sounds.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr.corpus.clips import SPLITS
from asr.corpus.findings import Corpus, Finding, Findings, collect
from asr.corpus.splitting.groups import numbered
from asr.corpus.splitting.near_audio import differing
from asr.corpus.splitting.near_text import distances
from asr.corpus.splitting.relations import Relation, distinctive, near_audio_between, near_texts, same
from asr.errors import UserError
from asr.params import ValidateParams

PROTECTED = {"validation": ("test",), "train": ("test", "validation")}
"""Splits from which the one named first is kept apart, the most protected one first."""


@dataclass(frozen=True)
class _Overlap:
    """One way in which two splits may share something."""

    code: str
    relation: Relation


def side(key: str, params: ValidateParams) -> str:
    """The split of all clips with this key."""
    digest = hashlib.sha256(f"{params.seed}\0{key}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < params.test_share:
        return "test"
    return "validation" if place < params.test_share + params.validation_share else "train"


def assign(corpus: Corpus, keys: Sequence[str], params: ValidateParams) -> NDArray[np.int8]:
    """Position in `SPLITS` of each clip's split, shape = (clips,): the source's own split, or by hash of its key.

    Args:
        corpus: all clips.
        keys: of each clip, from `asr.corpus.splitting.groups.group_keys`.
        params: shares and seed.
    """
    numbers = numbered(keys)
    # A dict keeps the order of first occurrence, which is that of the numbers.
    by_key = np.array([SPLITS.index(side(key, params)) for key in dict.fromkeys(keys)], np.int8)
    own = {"": -1} | {name: position for position, name in enumerate(SPLITS)}
    stated = np.array([own[name] for name in corpus.index.texts["split"]], np.int8)
    return np.where(stated >= 0, stated, by_key[numbers])


def overlaps(corpus: Corpus, sides: NDArray[np.int8], kept: NDArray[np.bool_], params: ValidateParams) -> Findings:
    """Findings for kept clips that share a text, a near text, a sound or a group with a split held out from theirs.

    The test split is held out from both others and never loses a clip; validation is held out from training.
    What leaves validation holds nothing out any more. A shared group, which only a source's own splits
    can cause, is a warning.

    Args:
        corpus: all clips.
        sides: position in `SPLITS` of each clip's split, shape = (clips,).
        kept: the clips that are still in, shape = (clips,).
        params: what counts as the same.
    """
    groups = corpus.index.texts["group"]
    named = np.fromiter(map(bool, groups), np.bool_, len(corpus))
    texts, distinct = numbered(corpus.keys), distinctive(corpus, params.overlap_min_characters)
    shared = (
        _Overlap("split.text_overlap", same(texts, kept & distinct)),
        _Overlap("split.near_text_overlap", near_texts(corpus, texts, sides, kept, params)),
        _Overlap("split.near_audio_overlap", near_audio_between(corpus, sides, kept, params)),
        _Overlap("split.group_overlap", same(numbered(groups), kept & named)),
    )
    standing, found = kept.copy(), []
    for name in PROTECTED:
        for overlap in shared:
            found += list(_between(corpus, sides, standing, name, overlap, params))
        standing[[place for place, finding in found if finding.rejects]] = False
    return collect(found)


def _between(
    corpus: Corpus,
    sides: NDArray[np.int8],
    standing: NDArray[np.bool_],
    name: str,
    overlap: _Overlap,
    params: ValidateParams,
) -> Iterator[tuple[int, Finding]]:
    """What the clips of the split `name` share with the splits that are protected from it, one finding a clip."""
    seen = standing & (sides == SPLITS.index(name))
    for other in PROTECTED[name]:
        partners = overlap.relation.partners(standing & (sides == SPLITS.index(other)))
        for place in np.flatnonzero(seen & (partners < len(corpus))).tolist():
            yield place, _finding(corpus, overlap.code, place, int(partners[place]), (name, other), params)
        seen &= partners == len(corpus)


def _finding(
    corpus: Corpus, code: str, place: int, partner: int, names: tuple[str, str], params: ValidateParams
) -> Finding:
    """Why a clip of the first split of `names` overlaps with one of the second."""
    name, other = names
    whom = f"clip {corpus.index.texts['id'][partner]} of {other}"
    if code == "split.text_overlap":
        return Finding(code, f"the text of this {name} clip also occurs in {whom}")
    if code == "split.group_overlap":
        return Finding(code, f"the group '{corpus.index.texts['group'][place]}' of this {name} clip is also in {other}")
    if code == "split.near_audio_overlap":
        bits = differing(corpus, place, partner)
        return Finding(code, f"this {name} clip sounds like {whom}", bits, params.near_audio_bits)
    texts = [corpus.keys[place], corpus.keys[partner]]
    edits, longest = int(distances(texts, np.array([0]), np.array([1]))[0]), max(map(len, texts))
    message = f"the text of this {name} clip differs in {edits} of {longest} characters from that of {whom}"
    return Finding(code, message, edits / longest, params.near_text_share)


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
