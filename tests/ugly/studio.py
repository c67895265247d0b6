"""Texts and recordings for ugly corpora: each taken once, so that no clip repeats another by accident."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import soundfile
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from asr.audio import decode
from asr.corpus.sample.plan import Room, SpokenAudio
from asr.corpus.sample.sentences import sentences
from asr.corpus.sample.speech import voices
from asr.pcm import SAMPLE_RATE, Pcm16
from asr.text import normalize
from tests.factories import speech_like

CHARACTERS_PER_SECOND = 14
"""Of the takes without a voice: a usual speaking rate."""
NEAR = 0.2
"""Share of differing characters below which two texts are not both used."""
LINES = 320
OGG_SERIAL = 14
"""Place of the serial number in the header of an Ogg page (byte)."""

Samples = NDArray[np.float64]
"""Full scale = 1, shape = (samples,) or (samples, channels)."""


@dataclass(frozen=True)
class Take:
    """A recording and its transcript."""

    text: str
    samples: Samples
    """Mono at 16 kHz, shape = (samples,)."""

    @property
    def seconds(self) -> float:
        """Length, as a manifest would state it."""
        return len(self.samples) / SAMPLE_RATE


class Studio:
    """Hands out texts and takes; the same ones in the same order for one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lines = iter(distinct_lines(seed))
        self._takes = 0

    def line(self) -> str:
        """An Azerbaijani sentence, unlike all others."""
        return next(self._lines)

    def rng(self) -> np.random.Generator:
        """Noise for one take."""
        return np.random.default_rng([self._seed, self._takes])

    def spoken(self) -> Take:
        """A sentence in a synthetic voice, with 0.1 s of room at both ends."""
        self._takes += 1
        text, rng = self.line(), self.rng()
        room = Room(lead=0.1, tail=0.1, peak=0.5, noise=0.001, colour=1.0, seed=int(rng.integers(2**31)))
        voice = voices()[int(rng.integers(len(voices())))]
        return Take(text, _floats(SpokenAudio(text, voice, 170, 50, room).sound(decode).pcm))

    def noise(self, text: str = "", seconds: float | None = None) -> Take:
        """Something with the swells of speech, as long as its text needs: for faults that nobody listens to."""
        self._takes += 1
        text = text or self.line()
        seconds = len(text) / CHARACTERS_PER_SECOND if seconds is None else seconds
        return Take(text, _faded(_floats(speech_like(seconds, self._seed * 100_000 + self._takes))))


@cache
def distinct_lines(seed: int) -> tuple[str, ...]:
    """Sentences of which no two are near each other."""
    drawn = sentences(3 * LINES, np.random.default_rng(seed))
    keys = [normalize(line, "az") for line in drawn]
    far = cdist(keys, keys, scorer=Levenshtein.normalized_distance, dtype=np.float32) > NEAR
    chosen: list[int] = []
    for place in range(len(drawn)):
        if far[place, chosen].all():
            chosen.append(place)
    return tuple(drawn[place] for place in chosen)


def file_of(samples: NDArray[np.generic], kind: str = "WAV", subtype: str = "PCM_16", rate: int = SAMPLE_RATE) -> bytes:
    """The bytes of an audio file, the same in every run; samples have shape (frames,) or (frames, channels)."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    data = buffer.getvalue()
    return with_serial(data, 1) if kind == "OGG" else _without_clock(data)


def _without_clock(data: bytes) -> bytes:
    """The file without the time that libsndfile writes into the `PEAK` chunk of floats."""
    place = data[:200].find(b"PEAK")
    return data if place < 0 else data[: place + 12] + bytes(4) + data[place + 16 :]


def with_serial(ogg: bytes, serial: int) -> bytes:
    """An Ogg file whose one stream has this number: libsndfile draws it by the clock."""
    found = bytearray(ogg)
    for start, end in _pages(ogg):
        found[start + OGG_SERIAL : start + OGG_SERIAL + 4] = serial.to_bytes(4, "little")
        _sign(found, start, end)
    return bytes(found)


def with_last_granule(ogg: bytes, change: Callable[[int], int]) -> bytes:
    """An Ogg file that states another end (samples), with the right checksum."""
    found = bytearray(ogg)
    start, end = list(_pages(ogg))[-1]
    granule = change(int.from_bytes(ogg[start + 6 : start + 14], "little"))
    found[start + 6 : start + 14] = granule.to_bytes(8, "little")
    _sign(found, start, end)
    return bytes(found)


def _sign(ogg: bytearray, start: int, end: int) -> None:
    """Writes the checksum of a page."""
    ogg[start + 22 : start + 26] = bytes(4)
    ogg[start + 22 : start + 26] = _ogg_crc(bytes(ogg[start:end])).to_bytes(4, "little")


def _pages(ogg: bytes) -> Iterator[tuple[int, int]]:
    """Where each page begins and ends (RFC 3533, section 6)."""
    start = 0
    while start < len(ogg):
        segments = ogg[start + 26]
        end = start + 27 + segments + sum(ogg[start + 27 : start + 27 + segments])
        yield start, end
        start = end


def _ogg_crc(page: bytes) -> int:
    """CRC-32 with polynomial 0x04c11db7, most significant bit first, no inversions."""
    check = 0
    for byte in page:
        check = (check << 8) & 0xFFFFFFFF ^ _crc_table()[check >> 24 ^ byte]
    return check


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        check = value << 24
        for _ in range(8):
            check = (check << 1 ^ (0x04C11DB7 if check >> 31 else 0)) & 0xFFFFFFFF
        table.append(check)
    return tuple(table)


def _faded(samples: Samples) -> Samples:
    """Rises and falls within 80 ms, so that nothing seems to be cut."""
    count = min(len(samples) // 4, SAMPLE_RATE // 12)
    ramp = np.linspace(0.01, 1, count)
    samples[:count] *= ramp
    samples[len(samples) - count :] *= ramp[::-1]
    return samples


def _floats(pcm: Pcm16) -> Samples:
    return pcm / 32768
