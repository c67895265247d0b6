"""Clips as the corpora of this field have them: many short ones, few long ones, Azerbaijani speech with its text.

The lengths are those of LocalDoc/azerbaijani_asr. The speech is synthesised, since a benchmark must run without any
download: sentences of the sample corpus, cut after a word so that they fit into the length drawn, in a room of
quiet noise that fills the rest. A clip under about 0.15 s holds a word that is cut off, as such clips often do.
"""

import hashlib
import os
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from asr.corpus.sample import plan, sentences, speech
from asr.corpus.sample.plan import Floats, Room
from asr.pcm import SAMPLE_RATE, Pcm16

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".scratch" / "benchmarks"
"""Where benchmarks keep what takes long to make; not in git."""
MIX = ((0.361, 0.1, 2), (0.472, 2, 5), (0.146, 5, 10), (0.020, 10, 20), (0.001, 20, 30))
"""Share of clips, and bounds of their length in seconds, of LocalDoc/azerbaijani_asr."""
WORDS_PER_MINUTE = (160, 221)
SHORTEST = ("hə", "bu", "üç", "ev", "su", "iki", "bir", "yox", "bəli")
"""Words for clips in which no sentence can begin."""
FASTEST = 450
"""Words a minute of these."""
SECONDS_PER_SENTENCE = 1.1
"""At least so long is each, so that enough of them can be drawn."""
PEAK, NOISE, COLOUR = 0.4, 0.002, 1.0
"""Largest sample of the voice and deviation of the noise, full scale = 1; exponent of the noise's spectrum: pink."""
CACHED_FROM = 200
"""Clips from which on they are kept: making these takes some ten seconds."""


@dataclass(frozen=True)
class Spoken:
    """A clip with what is said in it."""

    pcm: Pcm16
    text: str

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.pcm) / SAMPLE_RATE


def clip_lengths(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Samples of each clip, shape = (count,), in random order.

    One length comes from each of `count` equal slices of the mix, so that few clips have the shares of many.
    """
    shares, low, high = map(np.array, zip(*MIX, strict=True))
    ends = np.cumsum(shares / shares.sum())
    place = (rng.permutation(count) + rng.random(count)) / count
    bins = np.minimum(np.searchsorted(ends, place, side="right"), len(MIX) - 1)
    inside = (place - (ends - shares / shares.sum())[bins]) / (shares / shares.sum())[bins]
    seconds = low[bins] + np.clip(inside, 0, 1) * (high - low)[bins]
    return np.asarray((seconds * SAMPLE_RATE).astype(np.int64))


def speech_clips(count: int, seed: int) -> list[Spoken]:
    """`count` clips of the mix, each of exactly the length drawn; equal seeds give equal samples.

    A larger number of them is kept below `.scratch/` and found there the next time, unless the code has changed.
    """
    if count < CACHED_FROM:
        return _made(count, seed)
    path = CACHE / f"speech-{count}-{seed}-{_code()}.npz"
    if not path.exists():
        _write(path, _made(count, seed))
    return _read(path)


def _made(count: int, seed: int) -> list[Spoken]:
    """The clips, synthesised now; each has a generator of its own."""
    lengths = clip_lengths(count, np.random.default_rng(seed))
    return [_spoken(int(length), np.random.default_rng([seed, number])) for number, length in enumerate(lengths)]


def _spoken(samples: int, rng: np.random.Generator) -> Spoken:
    voice = speech.voices()[int(rng.integers(len(speech.voices())))]
    pace, pitch = int(rng.integers(*WORDS_PER_MINUTE)), int(rng.integers(35, 66))
    drawn = sentences.sentences(1 + int(samples / SAMPLE_RATE / SECONDS_PER_SENTENCE), rng)
    words = " ".join(drawn).split()

    def spoken(count: int) -> Floats:
        return _voice(_said(words[:count]), voice, pace, pitch)

    # The sound of the first n words grows with n, so that the most that fit are found by halving.
    fitting = bisect_right(range(1, len(words) + 1), samples, key=lambda count: len(spoken(count)))
    if fitting:
        return Spoken(_in_room(spoken(fitting), samples, rng), _said(words[:fitting]))
    text = SHORTEST[int(rng.integers(len(SHORTEST)))]
    return Spoken(_in_room(_voice(text, voice, FASTEST, pitch)[:samples], samples, rng), text)


def _said(words: list[str]) -> str:
    """The words as a sentence that may have been cut off."""
    text = " ".join(words)
    return text if text.endswith((".", "!", "?")) else f"{text.rstrip(',')}."


def _voice(text: str, voice: str, words_per_minute: int, pitch: int) -> Floats:
    wave = speech.speak(text, voice, words_per_minute, pitch) / 32768.0
    return np.asarray(soxr.resample(wave, speech.ESPEAK_RATE, SAMPLE_RATE, quality="HQ"))


def _in_room(voice: Floats, samples: int, rng: np.random.Generator) -> Pcm16:
    """The voice somewhere in `samples` samples of quiet noise."""
    rest = samples - len(voice)
    lead = int(rng.integers(rest + 1))
    gain = PEAK / max(float(np.abs(voice).max(initial=0.0)), 1e-9)
    room = Room(lead / SAMPLE_RATE, (rest - lead) / SAMPLE_RATE, PEAK, NOISE, COLOUR, int(rng.integers(2**31)))
    return room.filled(voice * gain)


def _code() -> str:
    """A hash of what makes the clips."""
    files = [Path(__file__), *(Path(str(module.__file__)) for module in (plan, sentences, speech))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def _write(path: Path, clips: list[Spoken]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.{path.name}")  # several benchmarks may make the same clips at once
    np.savez(
        partial,
        samples=np.concatenate([clip.pcm for clip in clips]),
        ends=np.cumsum([len(clip.pcm) for clip in clips]),
        texts=np.array([clip.text for clip in clips]),
    )
    partial.replace(path)


def _read(path: Path) -> list[Spoken]:
    with np.load(path) as kept:
        samples, ends, texts = kept["samples"], kept["ends"], kept["texts"].tolist()
    return [Spoken(pcm, text) for pcm, text in zip(np.split(samples, ends[:-1]), texts, strict=True)]
