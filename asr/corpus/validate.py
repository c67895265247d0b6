"""From the index to the splits: repair, judge, remove copies, split, remove overlaps, prove."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from asr.corpus import splits
from asr.corpus.clips import SPLITS, Utterance
from asr.corpus.findings import Corpus, Findings, collect, corpus_of
from asr.corpus.index import Index
from asr.corpus.ledger import (
    Rejection,
    Repair,
    Total,
    Warned,
    check_share,
    check_totals,
    rejections,
    repairs,
    total,
    warnings,
)
from asr.corpus.rules import add, judge, rate_mislabels
from asr.corpus.splitting import external
from asr.corpus.splitting.copies import copies
from asr.corpus.splitting.earlier import Followed, Record, earlier_sides, followed
from asr.corpus.splitting.external import Reference
from asr.corpus.splitting.groups import Grouping, group_keys
from asr.corpus.splitting.leakage import Leakage, leakage
from asr.params import ValidateParams
from asr.text import Numbers

STEPS = ("transcripts", "rules", "copies", "splits", "proof")
"""What `validate` announces as it begins, in order."""

SNR_DIGITS = 1
"""Decimals of a decibel that the split files keep."""

NO_RECORD: Record = MappingProxyType({})
"""For a first release."""


@dataclass(frozen=True)
class Validated:
    """A corpus after all rules; arrays have shape (clips,) in the order of the ids, and so have the lists."""

    corpus: Corpus
    """Every clip of the index; its numbers by column are in `corpus.index.numbers`."""
    sides: NDArray[np.int8]
    """Position in `SPLITS` of every clip's split, the rejected ones included."""
    kept: NDArray[np.bool_]
    findings: Findings
    """All findings by place in `corpus`, reasons to reject before warnings."""
    all_in: Total
    splits: Mapping[str, tuple[Utterance, ...]]
    """The kept clips."""
    rejections: tuple[Rejection, ...]
    repairs: tuple[Repair, ...]
    """Of the kept clips."""
    warnings: tuple[Warned, ...]
    """Of the kept clips."""
    leakage: Leakage
    grouping: Grouping
    groups: Sequence[str]
    """Speaker, recording or block of neighbours of every clip; empty where it stands with its text or alone."""
    earlier: Followed | None = None
    """What became of the clips of an earlier release; None without one."""

    @property
    def utterances(self) -> list[Utterance]:
        """The clips of all splits."""
        return [utterance for split in self.splits.values() for utterance in split]

    @property
    def unlicensed(self) -> int:
        """Kept clips whose terms nobody states (`manifest.licence`): one line a corpus, not one a clip."""
        licences = self.corpus.index.texts["licence"]
        return sum(not licences[place] for place in np.flatnonzero(self.kept).tolist())


def validate(
    index: Index,
    params: ValidateParams,
    language: str,
    references: Sequence[Reference] = (),
    progress: Callable[[str], None] = lambda _: None,
    record: Record = NO_RECORD,
    numbers: Numbers = "keep",
) -> Validated:
    """Applies all rules and splits what is left.

    Only clips that are sound by themselves are compared, so that a bad copy never takes a good one with it.

    Args:
        index: the corpus as prepare measured it.
        params: all thresholds, and the split.
        language: decides how transcripts are normalised.
        references: texts of outside test sets, which training must not hear.
        progress: told the name of each of `STEPS` as it begins.
        record: of an earlier release, whose clips keep their side.
        numbers: whether transcripts keep their digits or have words instead.

    Raises:
        UserError: no clips, too many rejected, or no clips left to train on or to test with.
    """
    progress("transcripts")
    corpus = corpus_of(index, language, numbers)
    earlier = earlier_sides(corpus, record)
    progress("rules")
    judged = _Judged(np.ones(len(corpus), np.bool_), {})
    judged.add(judge(corpus, params))
    progress("copies")
    judged.add(copies(corpus, judged.kept, params.near_audio_bits, earlier))
    progress("splits")
    keys, grouping = group_keys(corpus, params.block_clips, earlier)
    sides = splits.assign(corpus, keys, params, earlier)
    judged.add(splits.bridges(corpus, keys, judged.kept, earlier))
    judged.add(splits.overlaps(corpus, sides, judged.kept, params, earlier))
    judged.add(external.overlaps(corpus, sides, judged.kept, references, params.overlap_min_characters))
    judged.add(collect(rate_mislabels(corpus, keys, judged.kept, params)))
    progress("proof")
    proof = leakage(corpus, sides, judged.kept, keys, references, params)
    groups = keys if params.block_clips is not None else corpus.index.texts["group"]
    validated = _accounted(corpus, judged, sides, proof, grouping, groups, params)
    return replace(validated, earlier=followed(corpus, record, validated.splits)) if record else validated


@dataclass
class _Judged:
    """What is known so far of every clip."""

    kept: NDArray[np.bool_]
    """shape = (clips,)"""
    findings: Findings

    def add(self, found: Findings) -> None:
        add(self.findings, ((place, finding) for place, several in found.items() for finding in several))
        for place, several in found.items():
            self.kept[place] &= not any(finding.rejects for finding in several)


def _accounted(
    corpus: Corpus,
    judged: _Judged,
    sides: NDArray[np.int8],
    proof: Leakage,
    grouping: Grouping,
    groups: Sequence[str],
    params: ValidateParams,
) -> Validated:
    """Everything that leaves the stage, once the sums are right and the splits filled."""
    kept, findings = judged.kept, judged.findings
    rejected = rejections(corpus, kept, findings)
    check_share(rejected, len(corpus), params.max_rejected)
    final = _utterances(corpus, sides, kept, groups)
    splits.check_filled(final, params)
    validated = Validated(
        corpus=corpus,
        sides=sides,
        kept=kept,
        findings=findings,
        all_in=total(corpus.index.numbers["duration"]),
        splits=final,
        rejections=rejected,
        repairs=repairs(corpus, kept),
        warnings=warnings(corpus, kept, findings),
        leakage=proof,
        grouping=grouping,
        groups=groups,
    )
    lost = total(rejection.duration for rejection in rejected)
    check_totals(validated.all_in, total(utterance.duration for utterance in validated.utterances), lost)
    return validated


def _utterances(
    corpus: Corpus, sides: NDArray[np.int8], kept: NDArray[np.bool_], groups: Sequence[str]
) -> dict[str, tuple[Utterance, ...]]:
    """The kept clips of each split, by id."""
    texts = corpus.index.texts
    durations = corpus.index.numbers["duration"].tolist()
    snr_db = np.round(corpus.index.numbers["snr_db"].astype(np.float64), SNR_DIGITS).tolist()
    return {
        name: tuple(
            Utterance(
                texts["id"][place],
                corpus.texts[place],
                durations[place],
                groups[place],
                texts["source"][place],
                texts["sha256"][place],
                snr_db[place],
            )
            for place in np.flatnonzero(kept & (sides == side)).tolist()
        )
        for side, name in enumerate(SPLITS)
    }
