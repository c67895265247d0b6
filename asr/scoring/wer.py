"""Word and character error rates with the counts that make them, over a corpus.

A corpus rate is the sum of errors over the sum of reference words, never a mean of rates. Alignment is
jiwer's, asked from rapidfuzz without a detour: unit costs, and among equally short alignments the one that rapidfuzz
finds, so totals compare with any tool's and the split into substitutions, deletions and insertions only with jiwer's.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from rapidfuzz.distance import Levenshtein

from asr.errors import UserError
from asr.text import Numbers, clean, normalize

TextForm = Callable[[str], str]
"""What makes texts comparable: from a text as written to the text as compared."""


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
    source: str = ""
    """Where the clip comes from; empty where not stated."""
    snr_db: float | None = None
    """Loud against quiet moments of the clip; None where not measured."""


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
    def hypothesis_words(self) -> int:
        """Words of the hypotheses."""
        return self.hits + self.substitutions + self.insertions

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
    """A corpus scored in several forms of its texts; clips without reference words stand apart."""

    normalized: Score
    """On `asr.text.normalize`d texts: the primary rate."""
    orthographic: Score
    """On `asr.text.clean`ed texts: case and punctuation count. The same clips."""
    published: Score | None
    """In another form, such as that of published figures. The same clips; None where none is asked for."""
    silence: Silence
    utterances: tuple[Score, ...]
    """One a clip in the order given, silent ones included, on normalised texts."""
    references: tuple[str, ...]
    """The normalised texts of the same clips."""
    hypotheses: tuple[str, ...]

    @property
    def spoken(self) -> tuple[int, ...]:
        """Which clips have reference words."""
        return tuple(i for i, utterance in enumerate(self.utterances) if utterance.words)


def score(
    references: Sequence[str],
    hypotheses: Sequence[str],
    language: str,
    numbers: Numbers = "keep",
    published: TextForm | None = None,
) -> CorpusScores:
    """Scores a corpus of orthographic texts.

    Args:
        references: what was said; empty for a clip without speech.
        hypotheses: what was written of the same clips.
        language: of `normalize`.
        numbers: of `normalize`.
        published: one more form to score; clips that it leaves without reference words count by their insertions.

    Raises:
        UserError: no utterances, lists of different lengths, or no reference words at all.
    """
    if len(references) != len(hypotheses):
        raise UserError(f"{len(references)} references but {len(hypotheses)} hypotheses: pass one of each a clip")
    said, heard = ([normalize(text, language, numbers) for text in texts] for texts in (references, hypotheses))
    utterances = score_utterances(said, heard)
    raw = [(references[i], hypotheses[i]) for i, utterance in enumerate(utterances) if utterance.words]
    return CorpusScores(
        normalized=corpus_score(utterance for utterance in utterances if utterance.words),
        orthographic=_score_in_form(raw, lambda text: clean(text).text),
        published=_score_in_form(raw, published) if published else None,
        silence=_silence([utterance for utterance in utterances if not utterance.words]),
        utterances=tuple(utterances),
        references=tuple(said),
        hypotheses=tuple(heard),
    )


def score_utterances(references: Sequence[str], hypotheses: Sequence[str]) -> list[Score]:
    """Error counts of each utterance; the texts are compared exactly as given, words split at white space."""
    return [_utterance_score(said.strip(), heard.strip()) for said, heard in zip(references, hypotheses, strict=True)]


def corpus_score(utterances: Iterable[Score]) -> Score:
    """The sum over utterances.

    Raises:
        UserError: there are no utterances, or none has a reference word.
    """
    counts = list(utterances)
    total = Score(**{name: sum(map(attrgetter(name), counts)) for name in Score.__dataclass_fields__})
    if not total.words:
        raise UserError(f"{total.clips} clips without a single reference word: no error rate exists; check the split")
    return total


def _score_in_form(pairs: Sequence[tuple[str, str]], form: TextForm) -> Score:
    """Of references and hypotheses that are compared in one form."""
    return corpus_score(score_utterances([form(said) for said, _ in pairs], [form(heard) for _, heard in pairs]))


def _utterance_score(reference: str, hypothesis: str) -> Score:
    """As jiwer counts, which asks the same function for its alignment, without building alignments."""
    said = reference.split()
    if reference == hypothesis:
        return _without_errors(len(said), len(reference))
    heard = hypothesis.split()
    kinds = [edit[0] for edit in Levenshtein.editops(said, heard).as_list()]
    # What is left of the errors are gaps, and their two kinds differ by the difference of the lengths.
    substitutions = kinds.count("replace")
    deletions = (len(kinds) - substitutions + len(said) - len(heard)) // 2
    insertions = len(kinds) - substitutions - deletions
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


@lru_cache(maxsize=4096)
def _without_errors(words: int, characters: int) -> Score:
    """One object for all utterances of a size: most utterances of a good model, and making one takes the most time."""
    return Score(clips=1, words=words, hits=words, characters=characters)


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
