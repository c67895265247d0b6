"""Contract: word and character errors are those that jiwer counts, on every pair of texts."""

import jiwer
import numpy as np
import pytest

from asr.scoring.alignment import align
from asr.scoring.wer import corpus_score, score_utterances

PAIRS = 10_000
VOCABULARIES = {
    "two words": ["a", "b"],
    "words that are parts of words": ["a", "ab", "aba", "b", "ba"],
    "words that differ by a letter or a space": ["gün", "gun", "hər", "hərgün", "hər-gün", "ilk-dəfə", "2021-ci"],
}


def random_pairs(words, count, seed):
    """Short texts of few words: many alignments of one cost, many equal texts, some empty hypotheses."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers([1, 0], [9, 10], size=(count, 2))
    texts = [[" ".join(rng.choice(words, size=length)) for length in pair] for pair in lengths]
    return [said for said, _ in texts], [heard for _, heard in texts]


@pytest.fixture(scope="module", params=VOCABULARIES)
def corpus(request):
    seed = list(VOCABULARIES).index(request.param)
    return random_pairs(VOCABULARIES[request.param], PAIRS // 2, seed)


def counts(scores, *names):
    return [tuple(getattr(score, name) for name in names) for score in scores]


def test_word_errors_of_every_pair_and_of_all_are_those_of_jiwer(corpus):
    references, hypotheses = corpus
    scores = score_utterances(references, hypotheses)
    expected = [jiwer.process_words(*texts) for texts in zip(references, hypotheses, strict=True)]
    kinds = ("hits", "substitutions", "deletions", "insertions")
    assert counts(scores, *kinds) == counts(expected, *kinds)
    total = jiwer.process_words(references, hypotheses)
    assert counts([corpus_score(scores)], *kinds, "wer") == counts([total], *kinds, "wer")


def test_character_errors_are_those_of_jiwer(corpus):
    references, hypotheses = corpus
    scores = score_utterances(references, hypotheses)
    output = jiwer.process_characters(references, hypotheses)
    assert corpus_score(scores).character_errors == output.substitutions + output.deletions + output.insertions
    assert corpus_score(scores).characters == output.hits + output.substitutions + output.deletions
    assert corpus_score(scores).cer == output.cer


def test_an_alignment_shows_the_errors_that_were_counted(corpus):
    for score, *texts in zip(score_utterances(*corpus), *corpus, strict=True):
        steps = align(*texts)
        kinds = [step.kind for step in steps]
        shown = [kinds.count(kind) for kind in ("hit", "substitution", "deletion", "insertion")]
        assert shown == [score.hits, score.substitutions, score.deletions, score.insertions]
        assert " ".join(step.reference for step in steps if step.reference) == texts[0]
        assert " ".join(step.hypothesis for step in steps if step.hypothesis) == texts[1]


def test_the_pairs_are_such_that_another_choice_among_equal_alignments_would_show(corpus):
    references, hypotheses = corpus
    right, swapped = score_utterances(references, hypotheses), score_utterances(hypotheses, references)
    assert counts(right, "errors") == counts(swapped, "errors")
    assert counts(right, "deletions") != counts(swapped, "insertions")
    assert all(sum(getattr(score, kind) for score in right) > 500 for kind in ("substitutions", "insertions", "hits"))
    assert "" in hypotheses
    assert any(said == heard for said, heard in zip(references, hypotheses, strict=True))
