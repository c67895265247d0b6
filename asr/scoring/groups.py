"""Error rates of speakers or recordings, and how far they lie apart.

A corpus rate hides who is served badly: its long-winded speakers decide it. Beside it stand the mean, standard
deviation and median over groups, as the reports of NIST's sclite have them.
"""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from asr.scoring.sentences import Sentences, count_sentences
from asr.scoring.table import Table
from asr.scoring.wer import Pair, Score, corpus_score

NO_GROUP = "(no group)"
"""Clips of unknown group, added up: no group of which a mean could be taken."""

_COLUMNS = ("group", "clips", "words", "wer", "cer", "substitutions", "deletions", "insertions")


@dataclass(frozen=True)
class GroupScore:
    """The clips of one group that have reference words."""

    name: str
    score: Score
    sentences: Sentences


@dataclass(frozen=True)
class GroupSpread:
    """Over the WERs of groups, each counted once; None where there are too few."""

    groups: int
    """Named groups; clips of unknown group are no part of this."""
    wer_mean: float | None
    wer_sd: float | None
    """Of a sample (n - 1); None for one group."""
    wer_median: float | None
    wer_lowest: float | None
    wer_highest: float | None


def by_group(pairs: Sequence[Pair], scores: Sequence[Score]) -> tuple[GroupScore, ...]:
    """The groups with reference words, highest WER first and equal ones by name.

    Args:
        pairs: utterances; those with an empty group come together as `NO_GROUP`.
        scores: of the same utterances.
    """
    members: dict[str, list[Score]] = defaultdict(list)
    for pair, score in zip(pairs, scores, strict=True):
        if score.words:
            members[pair.group or NO_GROUP].append(score)
    groups = [GroupScore(name, corpus_score(found), count_sentences(found)) for name, found in members.items()]
    return tuple(sorted(groups, key=lambda group: (-group.score.wer, group.name)))


def spread(groups: Sequence[GroupScore]) -> GroupSpread:
    """How far the WERs of named groups lie apart."""
    wers = [group.score.wer for group in named(groups)]
    if not wers:
        return GroupSpread(0, None, None, None, None, None)
    return GroupSpread(
        groups=len(wers),
        wer_mean=statistics.fmean(wers),
        wer_sd=statistics.stdev(wers) if len(wers) > 1 else None,
        wer_median=statistics.median(wers),
        wer_lowest=min(wers),
        wer_highest=max(wers),
    )


def named(groups: Sequence[GroupScore]) -> list[GroupScore]:
    """All but the clips of unknown group."""
    return [group for group in groups if group.name != NO_GROUP]


def as_table(groups: Sequence[GroupScore]) -> Table:
    """Rates as fractions, a row a group in the order given."""
    return Table(_COLUMNS, tuple(_row(group.name, group.score) for group in groups))


def _row(name: str, score: Score) -> tuple[object, ...]:
    counts = (score.substitutions, score.deletions, score.insertions)
    return (name, score.clips, score.words, score.wer, score.cer, *counts)
