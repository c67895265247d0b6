"""What two systems' texts for the same clips say of the difference between them; a pure function."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asr.comparing.same_clips import matched
from asr.comparing.scored import Counted, Scored, scored
from asr.comparing.systems import Normalizer, System
from asr.errors import UserError
from asr.scoring.mapsswe import Mapsswe, mapsswe
from asr.scoring.paired import PairedTest, paired_bootstrap
from asr.scoring.slices import DURATION_EDGES, DURATIONS
from asr.scoring.wer import Score

SHOWN = 10
"""Changed clips that a comparison names."""


@dataclass(frozen=True)
class Measure:
    """One rate of both systems, as fractions, with the test of the difference B - A."""

    a: float
    b: float
    test: PairedTest


@dataclass(frozen=True)
class Part:
    """The clips of one bin of duration."""

    seconds: str
    """Such as `2-3`."""
    clips: int
    words: int
    wer: Measure


@dataclass(frozen=True)
class Totals:
    """What one system's errors are."""

    substitutions: int
    deletions: int
    insertions: int
    length_ratio: float
    """Words written for a word said."""
    words_on_silence: int
    """Words written for clips in which nothing is said; they are in no rate."""


@dataclass(frozen=True)
class Sentences:
    """Clips right in one system alone, with the exact test of McNemar (1947) on their numbers."""

    fixed: int
    """Wrong in A, right in B."""
    broken: int
    """Right in A, wrong in B."""
    p: float
    """Two-sided; 1 where both numbers are equal."""


@dataclass(frozen=True)
class Change:
    """One clip for which the systems wrote different words; the texts are normalised."""

    id: str
    words: int
    a_errors: int
    b_errors: int
    reference: str
    a: str
    b: str


@dataclass(frozen=True)
class Comparison:
    """System B against system A on one test set; differences are B - A, so negative means fewer errors in B."""

    a: str
    b: str
    normalizer: Normalizer
    clips: int
    """Clips with speech."""
    silent_clips: int
    words: int
    wer: Measure
    cer: Measure
    orthographic: Measure
    """WER with case and punctuation."""
    ser: Measure
    """Share of clips with an error."""
    mapsswe: Mapsswe
    a_totals: Totals
    b_totals: Totals
    slices: tuple[Part, ...]
    sentences: Sentences
    changed: int
    """Clips whose normalised texts differ."""
    most_changed: tuple[Change, ...]
    """Those whose errors differ most, at most `SHOWN`."""

    def as_plain(self) -> dict[str, Any]:
        """Nested mappings for JSON; rates are fractions."""
        return asdict(self)


def comparison(a: System, b: System) -> Comparison:
    """Scores both systems anew on the clips of one test set, and tests the difference.

    Raises:
        UserError: different test sets or normalisers, or no clip with a word in its reference.
    """
    pairs = matched(a, b)
    both = scored(pairs, a.normalizer)
    if not both.clips:
        raise UserError(f"{a.name}: none of the {len(pairs)} clips has a word in its reference: there is no error rate")
    changes = _changes(both)
    groups = [clip.group for clip in both.clips]
    return Comparison(
        a=a.name,
        b=b.name,
        normalizer=a.normalizer,
        clips=len(both.clips),
        silent_clips=len(pairs) - len(both.clips),
        words=sum(score.words for score in both.a.scores),
        wer=_wer(both.a.scores, both.b.scores, groups),
        cer=_cer(both.a.scores, both.b.scores, groups),
        orthographic=_wer(both.a.orthographic, both.b.orthographic, groups),
        ser=_ser(both.a.scores, both.b.scores, groups),
        mapsswe=mapsswe(both.references, both.a.texts, both.b.texts),
        a_totals=_totals(both.a),
        b_totals=_totals(both.b),
        slices=tuple(_slices(both, groups)),
        sentences=_sentences(both),
        changed=len(changes),
        most_changed=tuple(changes[:SHOWN]),
    )


def _wer(a: Sequence[Score], b: Sequence[Score], groups: Sequence[str]) -> Measure:
    return _measure([s.errors for s in a], [s.errors for s in b], [s.words for s in a], groups)


def _cer(a: Sequence[Score], b: Sequence[Score], groups: Sequence[str]) -> Measure:
    return _measure([s.character_errors for s in a], [s.character_errors for s in b], [s.characters for s in a], groups)


def _ser(a: Sequence[Score], b: Sequence[Score], groups: Sequence[str]) -> Measure:
    return _measure([int(s.errors > 0) for s in a], [int(s.errors > 0) for s in b], [1] * len(a), groups)


def _measure(a: list[int], b: list[int], units: list[int], groups: Sequence[str]) -> Measure:
    return Measure(sum(a) / sum(units), sum(b) / sum(units), paired_bootstrap(b, a, units, groups))


def _totals(system: Counted) -> Totals:
    return Totals(
        substitutions=sum(score.substitutions for score in system.scores),
        deletions=sum(score.deletions for score in system.scores),
        insertions=sum(score.insertions for score in system.scores),
        length_ratio=sum(s.hypothesis_words for s in system.scores) / sum(s.words for s in system.scores),
        words_on_silence=system.words_on_silence,
    )


def _slices(both: Scored, groups: Sequence[str]) -> Iterator[Part]:
    """The bins of duration that hold a clip, from short to long."""
    bins: dict[int, list[int]] = defaultdict(list)
    for i, clip in enumerate(both.clips):
        bins[bisect_left(DURATION_EDGES, clip.duration)].append(i)
    for number in sorted(bins):
        a, b = ([system.scores[i] for i in bins[number]] for system in (both.a, both.b))
        measure = _wer(a, b, [groups[i] for i in bins[number]])
        yield Part(DURATIONS[number], len(a), sum(score.words for score in a), measure)


def _sentences(both: Scored) -> Sentences:
    from scipy.stats import binomtest

    right = [(a.errors == 0, b.errors == 0) for a, b in zip(both.a.scores, both.b.scores, strict=True)]
    fixed, broken = right.count((False, True)), right.count((True, False))
    p = binomtest(fixed, fixed + broken).pvalue if fixed + broken else 1.0
    return Sentences(fixed, broken, float(p))


def _changes(both: Scored) -> list[Change]:
    """Those whose numbers of errors differ most come first, then by id."""
    rows = zip(both.clips, both.references, both.a.scores, both.b.scores, both.a.texts, both.b.texts, strict=True)
    found = [
        Change(clip.id, a.words, a.errors, b.errors, reference, a_text, b_text)
        for clip, reference, a, b, a_text, b_text in rows
        if a_text != b_text
    ]
    return sorted(found, key=lambda change: (-abs(change.b_errors - change.a_errors), change.id))
