"""Whether two systems may be compared at all: one test set, one normaliser."""

from asr.comparing.systems import Normalizer, System
from asr.errors import UserError
from asr.scoring.wer import Pair

NAMED = 3
"""Clips that a message names."""


def matched(a: System, b: System) -> tuple[tuple[Pair, Pair], ...]:
    """The pairs of both systems clip by clip, in the order of their ids.

    Raises:
        UserError: other clips, other transcripts or groups of them, or other normalisers, also than this code's.
    """
    _check_normalizers(a, b)
    left, right = ({pair.id: pair for pair in system.pairs} for system in (a, b))
    both = sorted(left.keys() & right.keys())
    found = {
        "only in A": sorted(left.keys() - right.keys()),
        "only in B": sorted(right.keys() - left.keys()),
        "with another reference": [id for id in both if left[id].reference != right[id].reference],
        "in another group": [id for id in both if left[id].group != right[id].group],
    }
    if any(found.values()):
        counts = ", ".join(f"{len(ids)} {what}" for what, ids in found.items() if ids)
        named = ", ".join([id for ids in found.values() for id in ids][:NAMED])
        raise UserError(
            f"A ({a.name}) and B ({b.name}) were tested on different sets: {counts}, such as {named}; "
            "evaluate both on one"
        )
    return tuple((left[id], right[id]) for id in both)


def _check_normalizers(a: System, b: System) -> None:
    _check(a.normalizer, b.normalizer, f"A ({a.name}) and B ({b.name})")
    here = Normalizer.here(b.normalizer.language, b.normalizer.numbers)
    _check(b.normalizer, here, f"B ({b.name}) and this code")


def _check(one: Normalizer, other: Normalizer, whose: str) -> None:
    different = one.differences(other)
    if different:
        values = "; ".join(f"{name} {getattr(one, name)} and {getattr(other, name)}" for name in different)
        raise UserError(
            f"{whose} have different normalisers ({values}), so their rates cannot be compared: evaluate both with "
            "this code, or give it the predictions as files (`dvc get . data/predictions --rev REV -o FOLDER`)"
        )
