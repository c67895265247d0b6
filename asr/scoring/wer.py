"""Word and character error rates with the counts that make them, over a corpus.

A corpus rate is the sum of errors over the sum of reference words, never a mean of rates. Alignment is
jiwer's, asked from rapidfuzz without a detour: unit costs, and among equally short alignments the one that rapidfuzz
finds, so totals compare with any tool's and the split into substitutions, deletions and insertions only with jiwer's.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jiwer
from rapidfuzz.distance import Levenshtein

from asr.errors import UserError
from asr.text import clean, normalize


@dataclass(frozen=True)
class Pair:
    """One decoded utterance: what was said, and what the model wrote."""

    id: str
    reference: str
    """Orthographic transcript; empty for a clip without speech."""
    hypothesis: str
    """The model's text as decoded."""
    group: str
    """Speaker or recording, the unit that intervals resample; empty where unknown."""
    duration: float
    """Seconds of audio."""


@dataclass(frozen=True)
class Score:
    """Error counts of one utterance or of many; all are plain sums."""

    clips: int = 0
    words: int = 0
    """Words of the references."""
    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    characters: int = 0
    """Code points of the references, spaces included."""
    character_errors: int = 0

    @property
    def errors(self) -> int:
        """Word errors of all three kinds."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def wer(self) -> float:
        """Word errors a reference word; exceeds 1 where many words are inserted.

        Raises:
            UserError: there are no reference words.
        """
        return _rate(self.errors, self.words, "words")

    @property
    def cer(self) -> float:
        """Character errors a reference character.

        Raises:
            UserError: there are no reference characters.
        """
        return _rate(self.character_errors, self.characters, "characters")

    def as_plain(self) -> dict[str, Any]:
        """Rates and counts for a metrics file."""
        return {
            "wer": self.wer,
            "cer": self.cer,
            "clips": self.clips,
            "words": self.words,
            "substitutions": self.substitutions,
            "deletions": self.deletions,
            "insertions": self.insertions,
            "characters": self.characters,
            "character_errors": self.character_errors,
        }


@dataclass(frozen=True)
class Silence:
    """Clips whose reference is empty: no rate exists for them, only counts of what was made up."""

    clips: int
    clips_with_output: int
    words_emitted: int


@dataclass(frozen=True)
class CorpusScores:
    """A corpus scored twice; clips without reference words stand apart."""

    normalized: Score
    """On `asr.text.normalize`d texts: the primary rate."""
    orthographic: Score
    """On `asr.text.clean`ed texts: case and punctuation count. The same clips."""
    silence: Silence
    utterances: tuple[Score, ...]
    """One a clip in the order given, silent ones included, on normalised texts."""


def score(references: Sequence[str], hypotheses: Sequence[str], language: str) -> CorpusScores:
    """Scores a corpus of orthographic texts.

    Raises:
        UserError: no utterances, lists of different lengths, or no reference words at all.
    """
    if len(references) != len(hypotheses):
        raise UserError(f"{len(references)} references but {len(hypotheses)} hypotheses: pass one of each a clip")
    utterances = score_utterances(
        [normalize(text, language) for text in references], [normalize(text, language) for text in hypotheses]
    )
    spoken = [i for i, utterance in enumerate(utterances) if utterance.words]
    return CorpusScores(
        normalized=corpus_score(utterances[i] for i in spoken),
        orthographic=corpus_score(
            score_utterances([clean(references[i]).text for i in spoken], [clean(hypotheses[i]).text for i in spoken])
        ),
        silence=_silence([utterance for utterance in utterances if not utterance.words]),
        utterances=tuple(utterances),
    )


def score_utterances(references: Sequence[str], hypotheses: Sequence[str]) -> list[Score]:
    """Error counts of each utterance; the texts are compared exactly as given, words split at spaces."""
    return [_utterance_score(said.strip(), heard.strip()) for said, heard in zip(references, hypotheses, strict=True)]


def corpus_score(utterances: Iterable[Score]) -> Score:
    """The sum over utterances.

    Raises:
        UserError: there are no utterances, or none has a reference word.
    """
    counts = list(utterances)
    total = Score(**{name: sum(getattr(score, name) for score in counts) for name in Score.__dataclass_fields__})
    if not total.words:
        raise UserError(f"{total.clips} clips without a single reference word: no error rate exists; check the split")
    return total


def confusions(references: Sequence[str], hypotheses: Sequence[str]) -> Counter[tuple[str, str]]:
    """How often each reference word was written as another word."""
    found: Counter[tuple[str, str]] = Counter()
    if not references:
        return found
    output = jiwer.process_words(list(references), list(hypotheses))
    for reference, hypothesis, chunks in zip(output.references, output.hypotheses, output.alignments, strict=True):
        for chunk in chunks:
            if chunk.type == "substitute":
                said = reference[chunk.ref_start_idx : chunk.ref_end_idx]
                found.update(zip(said, hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx], strict=True))
    return found


def _utterance_score(reference: str, hypothesis: str) -> Score:
    """As jiwer counts, which asks the same function for its alignment, without building alignments."""
    said = [word for word in reference.split(" ") if word]
    if reference == hypothesis:
        return Score(clips=1, words=len(said), hits=len(said), characters=len(reference))
    heard = [word for word in hypothesis.split(" ") if word]
    kinds = [edit[0] for edit in Levenshtein.editops(said, heard).as_list()]
    substitutions, deletions, insertions = map(kinds.count, ("replace", "delete", "insert"))
    return Score(
        clips=1,
        words=len(said),
        hits=len(said) - substitutions - deletions,
        substitutions=substitutions,
        deletions=deletions,
        insertions=insertions,
        characters=len(reference),
        character_errors=Levenshtein.distance(reference, hypothesis),
    )


def _silence(utterances: list[Score]) -> Silence:
    return Silence(
        clips=len(utterances),
        clips_with_output=sum(utterance.insertions > 0 for utterance in utterances),
        words_emitted=sum(utterance.insertions for utterance in utterances),
    )


def _rate(errors: int, units: int, name: str) -> float:
    if not units:
        raise UserError(f"an error rate over 0 reference {name}: leave clips without speech out of it")
    return errors / units
