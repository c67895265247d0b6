"""Near pairs: what the quick searches find is what comparing all pairs finds."""

import time
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from asr.corpus.findings import Corpus
from asr.corpus.index import Index
from asr.corpus.splitting import near_audio, near_text

LETTERS = "abcçdeəfgğhxıijkqlmnoöprsştuüvyz"


def sounds(fingerprints: list[str], durations: list[float]) -> Corpus:
    """A corpus of which only what near audio looks at is filled in."""
    words = [""] * len(fingerprints)
    index = Index({"fingerprint": fingerprints}, {"duration": np.array(durations, np.float64)})
    return Corpus(index, words, [()] * len(words), words)


def found_sounds(corpus: Corpus, limit: int) -> list[tuple[int, int]]:
    kept = np.ones(len(corpus), np.bool_)
    pairs = [p for block in near_audio.near_pairs(corpus, kept, limit) for p in zip(*map(list, block), strict=True)]
    return sorted((int(min(pair)), int(max(pair))) for pair in pairs)


def all_sounds(fingerprints: list[str], durations: list[float], limit: int) -> list[tuple[int, int]]:
    return [
        (a, b)
        for a, b in combinations(range(len(fingerprints)), 2)
        if fingerprints[a]
        and fingerprints[b]
        and (int(fingerprints[a], 16) ^ int(fingerprints[b], 16)).bit_count() <= limit
        and max(durations[a], durations[b]) <= 1.05 * min(durations[a], durations[b])
    ]


@pytest.mark.parametrize("limit", [0, 1, 7, 8, 9, 16, 32])
def test_near_sounds_are_those_of_comparing_all_pairs(limit):
    rng = np.random.default_rng(limit)
    prints = []
    for _ in range(60):
        base = int.from_bytes(rng.bytes(16), "big")
        for _ in range(5):
            flips = rng.choice(128, size=int(rng.integers(0, limit + 2)), replace=False)
            prints.append(f"{base ^ sum(1 << int(bit) for bit in flips):032x}")
    prints[::17] = [""] * len(prints[::17])
    durations = rng.choice([1.0, 1.03, 1.05, 1.06, 3.0], size=len(prints)).tolist()
    expected = all_sounds(prints, durations, limit)
    assert len(expected) > 50
    assert found_sounds(sounds(prints, durations), limit) == expected


@given(st.lists(st.tuples(st.sets(st.integers(0, 127), max_size=6), st.floats(0.1, 0.12)), max_size=12))
@settings(deadline=None)
def test_no_near_sound_is_missed_wherever_its_bits_differ(drawn):
    prints = [f"{sum(1 << bit for bit in bits):032x}" for bits, _ in drawn]
    durations = [duration for _, duration in drawn]
    assert found_sounds(sounds(prints, durations), 8) == all_sounds(prints, durations, 8)


def test_a_crowd_with_one_fingerprint_is_compared_in_full():
    assert len(found_sounds(sounds(["ab" * 16] * 300, [1.0] * 300), 8)) == 300 * 299 // 2


def test_only_kept_clips_are_compared():
    corpus = sounds(["ab" * 16] * 3, [1.0] * 3)
    blocks = list(near_audio.near_pairs(corpus, np.array([True, False, True]), 8))
    assert [tuple(map(int, np.concatenate(block))) for block in blocks] == [(0, 2)]


def test_fifty_thousand_sounds_are_compared_in_seconds():
    rng = np.random.default_rng(0)
    corpus = sounds([rng.bytes(16).hex() for _ in range(50_000)], rng.lognormal(1, 0.6, 50_000).tolist())
    start = time.process_time()
    assert found_sounds(corpus, 8) == []
    assert time.process_time() - start < 3


def found_texts(texts: list[str], held_out: list[bool], share: float = 0.1) -> set[frozenset[str]]:
    first, second = near_text.near_pairs(texts, np.array(held_out, np.bool_), share)
    assert all(held_out[place] for place in first)
    pairs = [frozenset((texts[a], texts[b])) for a, b in zip(first, second, strict=True)]
    assert len(pairs) == len(set(pairs))
    return set(pairs)


A = "bu gün hava çox gözəl olacaq deyirlər"


@pytest.mark.parametrize(
    "other",
    [
        "bu gün hava cox gözəl olacaq deyirlər",
        "bu gün hava çox gözəl olacaqmı deyirlər",
        "bu gün də hava çox gözəl olacaq deyirlər",
        "gün hava çox gözəl olacaq deyirlər",
        "bugün hava çox gözəl olacaq deyirlər",
        "bu gün hava çox gözəl ola caq deyirlər",
        "bu gün hava çox gözel olacaqq deyirlər",
        "bu gün hava çox gözəl olacaq deyirlər ha",
    ],
)
def test_a_slip_an_ending_a_word_more_or_less_and_a_lost_space_make_near_texts(other):
    assert found_texts([A, other], [True, False]) == {frozenset((A, other))}
    assert found_texts([other, A], [True, False]) == {frozenset((A, other))}


@pytest.mark.parametrize(
    "other",
    [
        "bu gün hava çox gözəl olmayacaq dedilər",
        "sabah hava yaxşı keçəcək deyirdilər bəs",
        "bu gün külək çox gözəl olacaq deyirlər bəs",
    ],
)
def test_another_word_makes_another_text(other):
    assert found_texts([A, other], [True, False]) == set()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("görüşümüz sabah saat 3-də başlayacaq", "görüşümüz sabah saat 5-də başlayacaq"),
        ("otağın nömrəsi iki yüz 12 deyil bilin", "otağın nömrəsi iki yüz 1 deyil bilin"),
        ("görüşümüz sabah saat 14:30 başlayacaq", "görüşümüz sabah saat 14:35 başlayacaq"),
    ],
)
def test_texts_with_other_digits_are_other_texts(one, other):
    assert Levenshtein.normalized_distance(one, other) <= 0.1
    assert found_texts([one, other], [True, False]) == set()


def test_the_share_is_of_the_longer_text_and_its_bound_belongs_to_it():
    one = "onuncu hərf dəyişir a"  # 21 characters with the last one
    assert found_texts([one, one[:-1] + "b"], [True, False], 1 / 21) != set()
    assert found_texts([one, one[:-1] + "b"], [True, False], 1 / 21.001) == set()


def test_texts_that_are_both_for_training_are_not_compared():
    assert found_texts([A, A.replace("çox", "cox")], [False, False]) == set()
    assert found_texts([], []) == set()


SENTENCES = st.lists(
    st.sampled_from(["salam", "sabah", "sabahı", "şəhər", "şəhərə", "evdə", "7"]), min_size=1, max_size=6
)


@given(st.sets(SENTENCES.map(" ".join), max_size=14), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_near_texts_are_those_of_comparing_all_pairs(texts, generator):
    listed = sorted(texts)
    held_out = [generator.random() < 0.4 for _ in listed]
    expected = {
        frozenset((a, b))
        for (a, a_out), (b, b_out) in combinations(zip(listed, held_out, strict=True), 2)
        if (a_out or b_out)
        and Levenshtein.distance(a, b) / max(len(a), len(b)) <= 0.2
        and remainders(a) & remainders(b)
        and [w for w in a.split() if w == "7"] == [w for w in b.split() if w == "7"]
    }
    assert found_texts(listed, held_out, 0.2) == expected


def remainders(text: str) -> set[frozenset[tuple[str, int]]]:
    """What is left of the words of a text without none, one, or two neighbouring ones."""
    words = text.split()
    cuts = [words] + [words[:n] + words[n + 1 :] for n in range(len(words))]
    if len(words) >= 4:
        cuts += [words[:n] + words[n + 2 :] for n in range(len(words) - 1)]
    return {frozenset(Counter(cut).items()) for cut in cuts}


def test_fifty_thousand_texts_are_compared_in_seconds_and_planted_slips_found():
    rng = np.random.default_rng(0)
    vocabulary = ["".join(rng.choice(list(LETTERS), size=7)) for _ in range(5000)]
    texts = [" ".join(vocabulary[n] for n in row) for row in rng.integers(0, 5000, (50_000, 7))]
    slips = [text[:9] + ("a" if text[9] != "a" else "b") + text[10:] for text in texts[:100]]
    held_out = [n < 10_000 for n in range(50_000)] + [False] * 100
    start = time.process_time()
    found = found_texts(texts + slips, held_out)
    assert time.process_time() - start < 3
    assert found == {frozenset(pair) for pair in zip(texts, slips, strict=False)}
