"""Which clip is for training, which for validation, which for testing, and the proof that they do not mix.

A clip's side depends on a hash of the seed and its group, not on the other clips, so a growing corpus
never moves an old clip. In Common Voice 1.0 nearly all test sentences were also training sentences
(kaldi#2141), hence the removal of equal texts.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from asr.corpus.clips import SPLITS, Utterance
from asr.corpus.rules import Candidate, Finding
from asr.errors import UserError
from asr.params import ValidateParams
from asr.text import normalize

HELD_OUT = {"train": ("test", "validation"), "validation": ("test",), "test": ()}
"""Splits whose texts must not occur in the split named first."""


@dataclass(frozen=True)
class Leakage:
    """How many keys occur in more than one split; all zero but for reasons that are reported."""

    texts: int
    """Normalised texts of at least `overlap_min_characters` characters."""
    short_texts: int
    """Shorter ones, such as single words: they recur by nature and are left alone."""
    groups: int
    """Speakers or recordings; not zero only where a source's own splits share them."""
    audio: int
    """Equal samples."""


def side(candidate: Candidate, params: ValidateParams) -> str:
    """The split of one clip: the source's own, or by hash."""
    if candidate.row.split:
        return candidate.row.split
    digest = hashlib.sha256(f"{params.seed}\0{group_key(candidate)}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < params.test_share:
        return "test"
    return "validation" if place < params.test_share + params.validation_share else "train"


def group_key(candidate: Candidate) -> str:
    """What must not be torn apart: the source's group, else clips with the same text, else the clip."""
    return candidate.row.group or candidate.key or candidate.row.id


def assign(candidates: Iterable[Candidate], params: ValidateParams) -> dict[str, list[Candidate]]:
    """The candidates of each split, in the order given."""
    splits: dict[str, list[Candidate]] = {name: [] for name in SPLITS}
    for candidate in candidates:
        splits[side(candidate, params)].append(candidate)
    return splits


def overlaps(splits: Mapping[str, Sequence[Candidate]], min_characters: int) -> dict[str, Finding]:
    """Findings by clip id for clips whose text also occurs in a split held out from theirs."""
    texts = {name: {c.key for c in splits[name] if is_distinctive(c.key, min_characters)} for name in SPLITS}
    findings: dict[str, Finding] = {}
    for name, held_out in HELD_OUT.items():
        for other in reversed(held_out):
            for candidate in splits[name]:
                if candidate.key in texts[other]:
                    message = f"the text of this {name} clip also occurs in {other}"
                    findings[candidate.row.id] = Finding("split.text_overlap", message)
    return findings


def is_distinctive(key: str, min_characters: int) -> bool:
    """Whether two clips with this normalised text share it hardly by chance."""
    return bool(key) and len(key) >= min_characters


def check_filled(splits: Mapping[str, Sequence[object]], params: ValidateParams) -> None:
    """Refuses a corpus without training or test clips.

    Raises:
        UserError: naming the empty split and what to change.
    """
    for name in ("train", "test"):
        if not splits[name]:
            sizes = ", ".join(f"{other} {len(splits[other])}" for other in SPLITS)
            raise UserError(
                f"split '{name}' is empty ({sizes}): with few groups change validate.test_share = "
                f"{params.test_share:g}, validate.validation_share = {params.validation_share:g} or validate.seed = "
                f"{params.seed}; if the source brings its own splits, check its split column"
            )


def leakage(splits: Mapping[str, Sequence[Utterance]], language: str, min_characters: int) -> Leakage:
    """Counts shared keys anew from the finished splits, whatever led to them."""
    texts = [{normalize(utterance.text, language) for utterance in split} - {""} for split in splits.values()]
    return Leakage(
        texts=_shared({key for key in keys if is_distinctive(key, min_characters)} for keys in texts),
        short_texts=_shared({key for key in keys if not is_distinctive(key, min_characters)} for keys in texts),
        groups=_shared({utterance.group for utterance in split} - {""} for split in splits.values()),
        audio=_shared({utterance.sha256 for utterance in split} for split in splits.values()),
    )


def _shared(keys_of_splits: Iterable[set[str]]) -> int:
    """Number of keys that occur in more than one set."""
    counts = Counter(key for keys in keys_of_splits for key in keys)
    return sum(count > 1 for count in counts.values())
