"""Pairs of clips that sound alike, by their fingerprints: found among 351,019 clips without comparing all pairs."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from asr.corpus.findings import Corpus

BITS = 128
"""Of a fingerprint."""
DURATION_RATIO = 1.05
"""Clips whose lengths differ by more are different recordings, however alike they sound."""
FEWEST_BANDS = 8
"""So that the value of a band fits into 16 bits, which numpy sorts by radix."""

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Places of the first and of the second clip of each pair, both of shape = (pairs,)."""


def near_pairs(corpus: Corpus, kept: NDArray[np.bool_], most_bits: int) -> Iterator[Pairs]:
    """All pairs of kept clips with at most `most_bits` different bits and about the same length, once each.

    The bits are dealt out to more bands than may differ, so that two fingerprints within the limit agree in
    one band at least (the pigeonhole principle; Manku et al., "Detecting near-duplicates for web crawling",
    2007). Within a band only clips with equal bits and alike lengths meet. However many these are, none is
    left out, and a step holds one partner a clip at most.

    Yields:
        Blocks of pairs; none of them is missing and none is found twice. Clips without a fingerprint take no part.
    """
    places, prints, durations = _by_duration(corpus, kept)
    if len(places) < 2:
        return
    bands = _bands(prints, max(most_bits + 1, FEWEST_BANDS))
    halves = np.ascontiguousarray(prints.view(np.uint64).T)
    longest = durations * DURATION_RATIO
    for number, band in enumerate(bands):
        for first, second in _neighbours(band, durations, longest):
            near = _different_bits(halves, first, second) <= most_bits
            first, second = first[near], second[near]
            new = ~(bands[:number, first] == bands[:number, second]).any(axis=0)
            if new.any():
                yield places[first[new]], places[second[new]]


def _different_bits(
    halves: NDArray[np.uint64], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Hamming distance of the fingerprints of each pair, shape = (pairs,); halves has shape (2, clips)."""
    low, high = (np.bitwise_count(half[first] ^ half[second]) for half in halves)
    bits: NDArray[np.int64] = low.astype(np.int64) + high
    return bits


def differing(corpus: Corpus, first: int, second: int) -> int:
    """Bits in which the fingerprints of two clips differ."""
    fingerprints = corpus.index.texts["fingerprint"]
    return (int(fingerprints[first], 16) ^ int(fingerprints[second], 16)).bit_count()


def _fingerprint_bytes(fingerprints: list[str]) -> NDArray[np.uint8]:
    """Hexadecimal fingerprints as numbers, shape = (fingerprints, 16)."""
    return np.frombuffer(bytes.fromhex("".join(fingerprints)), np.uint8).reshape(len(fingerprints), BITS // 8)


def _by_duration(
    corpus: Corpus, kept: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.float64]]:
    """Places, fingerprints and durations of the kept clips that have a fingerprint, shortest clip first."""
    fingerprints = corpus.index.texts["fingerprint"]
    places = np.array([place for place in np.flatnonzero(kept).tolist() if fingerprints[place]], np.int64)
    durations = np.asarray(corpus.index.numbers["duration"], np.float64)[places]
    order = np.argsort(durations, kind="stable")
    places, durations = places[order], durations[order]
    return places, _fingerprint_bytes([fingerprints[place] for place in places.tolist()]), durations


def _bands(prints: NDArray[np.uint8], count: int) -> NDArray[np.uint16]:
    """The bits of each band as one number, shape = (bands, clips).

    Neighbouring bits of a fingerprint depend on each other, so each band takes bits from everywhere.
    """
    bits = np.unpackbits(prints, axis=1)
    bands = np.zeros((count, len(prints), 2), np.uint8)
    for number in range(count):
        packed = np.packbits(bits[:, number::count], axis=1)
        bands[number, :, : packed.shape[1]] = packed
    return bands.view(np.uint16)[:, :, 0]


def _neighbours(
    band: NDArray[np.uint16], durations: NDArray[np.float64], longest: NDArray[np.float64]
) -> Iterator[Pairs]:
    """Pairs with equal bits in a band whose second clip is no longer than the first one allows.

    The clips come by duration, so that in a stable order by band the partners of a clip follow it directly:
    the step to the next, to the one after it and so on ends for each clip at the first that is no partner.
    """
    order = np.argsort(band, kind="stable")
    band, durations, longest = band[order], durations[order], longest[order]
    first, step = np.arange(len(order)), 0
    while len(first):
        step += 1
        first = first[: np.searchsorted(first, len(order) - step)]
        second = first + step
        partners = (band[first] == band[second]) & (durations[second] <= longest[first])
        first, second = first[partners], second[partners]
        if len(first):
            yield order[first], order[second]
