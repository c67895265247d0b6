"""Pairs of texts that differ in few characters: found among 351,019 texts without comparing all pairs."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist

MIN_CHARACTERS = 20
"""Shorter texts are near each other by chance."""
MIN_WORDS_FOR_TWO = 4
"""From as many words on two neighbouring ones may differ: of fewer, too little would be left to compare."""
BLOCK = 2_000_000
"""Candidates compared at a time."""

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Places of the first and of the second text of each pair, both of shape = (pairs,)."""

_DIGITS = re.compile(r"\d+")


def near_pairs(texts: Sequence[str], held_out: NDArray[np.bool_], most_share: float) -> Pairs:
    """Pairs of near texts of which at least one is held out.

    Near are texts that become the same words, in whatever order, when one word or two neighbouring ones are
    left out of each (a typing error, another ending, a word more or less, one word written as two), and that
    differ by no more than `most_share` edits a character of the longer text. Texts with other digits are not
    near: "saat 3-də" and "saat 5-də" say different things. Texts that differ in several distant words are
    not looked for. The candidates come from deletion signatures (Garbe, "SymSpell", 2012) of words.

    Args:
        texts: normalised, all different, none of them empty.
        held_out: whether a text is one of those to be kept apart, shape = (texts,).
        most_share: of the characters.

    Returns:
        Each pair once, in a fixed order; the first of the two is held out.
    """
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    found = [np.empty(0, np.int64)]
    for candidates in _blocks(_candidates(texts, held_out), len(texts)):
        first, second = np.divmod(candidates, len(texts))
        longest = np.maximum(lengths[first], lengths[second])
        possible = np.abs(lengths[first] - lengths[second]) <= most_share * longest
        first, second, longest = first[possible], second[possible], longest[possible]
        near = distances(texts, first, second) / longest <= most_share
        found.append(candidates[possible][near])
    first, second = np.divmod(np.unique(np.concatenate(found)), max(len(texts), 1))
    alike = [_DIGITS.findall(texts[a]) == _DIGITS.findall(texts[b]) for a, b in zip(first, second, strict=True)]
    chosen = np.array(alike, np.bool_)
    return first[chosen], second[chosen]


def distances(texts: Sequence[str], first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Levenshtein distance of each pair in characters, shape = (pairs,)."""
    left, right = [texts[place] for place in first.tolist()], [texts[place] for place in second.tolist()]
    return np.asarray(cpdist(left, right, scorer=Levenshtein.distance, dtype=np.int64))


def _blocks(candidates: Iterator[Pairs], texts: int) -> Iterator[NDArray[np.int64]]:
    """Pairs as first x texts + second, without repetitions in a block, about `BLOCK` at a time."""
    held: list[NDArray[np.int64]] = []
    for first, second in candidates:
        held.append(first * texts + second)
        if sum(map(len, held)) >= BLOCK:
            yield np.unique(np.concatenate(held))
            held = []
    if held:
        yield np.unique(np.concatenate(held))


def _candidates(texts: Sequence[str], held_out: NDArray[np.bool_]) -> Iterator[Pairs]:
    """Pairs that share a signature, the first of them held out; a pair may come several times."""
    if not held_out.any():
        return
    signatures, owners = _signatures(texts)
    # The lowest bit tells the two sides apart and sorts the held-out texts first.
    signatures = (signatures | np.uint64(1)) ^ held_out[owners].astype(np.uint64)
    chosen = _shared(signatures, held_out[owners])
    signatures, owners = signatures[chosen], owners[chosen]
    order = np.argsort(signatures)
    owners, signatures = owners[order], signatures[order] >> np.uint64(1)
    first, step = np.flatnonzero(held_out[owners]), 0
    while len(first):
        step += 1
        first = first[: np.searchsorted(first, len(order) - step)]
        first = first[signatures[first] == signatures[first + step]]
        left, right = owners[first], owners[first + step]
        # Where both are held out one order is enough.
        left, right = np.where(held_out[right] & (right < left), (right, left), (left, right))
        yield left[left != right], right[left != right]


def _shared(signatures: NDArray[np.uint64], held_out: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a signature belongs to a held-out text or perhaps equals one of such: most others need no sorting."""
    bits = max(int(held_out.sum()) * 16, 2).bit_length()
    slots = signatures >> np.uint64(64 - bits)
    table: NDArray[np.bool_] = np.zeros(1 << bits, np.bool_)
    table[slots[held_out]] = True
    return np.take(table, slots)


def _signatures(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Sums of the hashed words of each text: of all, of all but one, and of all but two neighbours.

    Returns:
        The signatures and the place of the text of each, both of shape = (signatures,).
    """
    words, starts = _hashed_words(texts)
    counts = np.diff(starts)
    totals = np.add.reduceat(words, starts[:-1])
    places = np.arange(len(texts))
    owners = np.repeat(places, counts)
    without_one = totals[owners] - words
    neighbours = (owners[:-1] == owners[1:]) & (counts[owners[:-1]] >= MIN_WORDS_FOR_TWO)
    without_two = (without_one[:-1] - words[1:])[neighbours]
    return (
        np.concatenate([totals, without_one, without_two]),
        np.concatenate([places, owners, owners[:-1][neighbours]]),
    )


def _hashed_words(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """A 64-bit number for each word, equal for equal words, shape = (words,), and where each text begins and ends.

    The numbers depend on the order of the texts, but which sums of them are equal does not, save for chance
    meetings, which the comparison of the characters finds out.
    """
    split = pc.split_pattern(pa.array(texts, pa.large_string()), " ")
    starts = split.offsets.to_numpy().astype(np.int64)
    words = split.flatten().dictionary_encode().indices.to_numpy().astype(np.uint64)
    return _mixed(words), starts


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64 (Steele et al., "Fast splittable pseudorandom number generators", 2014): well-spread bits."""
    mixed = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
