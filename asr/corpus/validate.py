"""From the index to the splits: repair, judge, remove copies, split, remove overlaps, prove."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from asr.corpus.clips import Utterance
from asr.corpus.index import IndexRow
from asr.corpus.ledger import Rejection, Repair, Total, check_share, check_totals, rejection, repair, total
from asr.corpus.rules import Candidate, Finding, duplicates, judge
from asr.corpus.splits import Leakage, assign, check_filled, leakage, overlaps
from asr.params import ValidateParams
from asr.text import clean, normalize


@dataclass(frozen=True)
class Validated:
    """A corpus after all rules; every list is sorted by id."""

    all_in: Total
    splits: Mapping[str, tuple[Utterance, ...]]
    rejections: tuple[Rejection, ...]
    repairs: tuple[Repair, ...]
    """Of the kept clips."""
    leakage: Leakage

    @property
    def kept(self) -> list[Utterance]:
        """The clips of all splits."""
        return [utterance for split in self.splits.values() for utterance in split]


def validate(rows: Iterable[IndexRow], params: ValidateParams, language: str) -> Validated:
    """Applies all rules and splits what is left.

    Raises:
        UserError: no clips, too many rejected, or no clips left to train on or to test with.
    """
    everything = sorted(_candidates(rows, language), key=lambda candidate: candidate.row.id)
    findings = _findings(everything, params)
    splits = assign(_without(everything, findings), params)
    findings.update({id: [finding] for id, finding in overlaps(splits, params.overlap_min_characters).items()})
    rejections = tuple(rejection(c.row, findings[c.row.id]) for c in everything if c.row.id in findings)
    check_share(rejections, len(everything), params.max_rejected)
    final = {name: tuple(_utterance(c) for c in _without(split, findings)) for name, split in splits.items()}
    check_filled(final, params)
    validated = Validated(
        all_in=total(c.row.duration for c in everything),
        splits=final,
        rejections=rejections,
        repairs=tuple(repair(c) for c in _without(everything, findings) if c.repairs),
        leakage=leakage(final, language, params.overlap_min_characters),
    )
    check_totals(
        validated.all_in,
        total(utterance.duration for utterance in validated.kept),
        total(row.duration for row in rejections),
    )
    return validated


def _candidates(rows: Iterable[IndexRow], language: str) -> Iterator[Candidate]:
    for row in rows:
        cleaned = clean(row.text)
        yield Candidate(row, cleaned.text, cleaned.repairs, normalize(cleaned.text, language))


def _findings(candidates: Sequence[Candidate], params: ValidateParams) -> dict[str, list[Finding]]:
    """Findings by id.

    Only clips that are sound by themselves are compared, so that a bad copy never takes a good one with it.
    """
    findings = {c.row.id: found for c in candidates if (found := judge(c, params))}
    findings.update({id: [finding] for id, finding in duplicates(_without(candidates, findings)).items()})
    return findings


def _without(candidates: Iterable[Candidate], findings: Mapping[str, object]) -> list[Candidate]:
    return [candidate for candidate in candidates if candidate.row.id not in findings]


def _utterance(candidate: Candidate) -> Utterance:
    row = candidate.row
    return Utterance(row.id, candidate.text, row.duration, row.group, row.source, row.sha256)
