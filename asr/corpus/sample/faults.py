"""The deliberately bad clips of the sample corpus, one for each of validation's first rules.

They show what the ledger `data/splits/rejected.jsonl` looks like, and that every rule is alive; the
table in `docs/bad-data.md` says what each code means.
"""

import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import soundfile
from numpy.typing import NDArray

from asr.corpus.clips import AudioRef, SourceClip
from asr.pcm import SAMPLE_RATE, Decode, Sound


@dataclass(frozen=True)
class FileBytes:
    """A file's content as it stands, decoded like any other."""

    content: bytes

    def sound(self, decode: Decode, /) -> Sound:
        """Decoded like any file, or `AudioError`."""
        return decode(self.content, "")


@dataclass(frozen=True)
class Repeated:
    """Another clip's audio, repeated end to end and cut."""

    audio: AudioRef
    seconds: float

    def sound(self, decode: Decode, /) -> Sound:
        """The sound in the wanted length."""
        whole = self.audio.sound(decode)
        return replace(whole, pcm=np.resize(whole.pcm, round(self.seconds * SAMPLE_RATE)))


@dataclass(frozen=True)
class Quieter:
    """Another clip's audio at half its level: other samples, the same recording."""

    audio: AudioRef

    def sound(self, decode: Decode, /) -> Sound:
        """The sound, 6 dB down."""
        whole = self.audio.sound(decode)
        return replace(whole, pcm=whole.pcm // 2)


def faulty_clips(good: Sequence[SourceClip]) -> list[SourceClip]:
    """Bad copies of the first training clips in `good`; each name says the fault."""
    clip = good[0]
    wav = _wav(np.arange(SAMPLE_RATE) % 200 / 400)
    files = {
        "html-page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "zero-bytes": b"",
        "header-only": wav[:44],
        "cut-in-half": wav[: len(wav) // 2],
        "not-a-number": _wav(np.full(SAMPLE_RATE, np.nan), "FLOAT"),
        "beyond-full-scale": _wav(np.full(SAMPLE_RATE, 3.0), "FLOAT"),
        "stereo-in-antiphase": _wav(np.outer(np.sin(np.arange(SAMPLE_RATE) / 9) / 2, (1, -1))),
        "clipped": _wav(np.clip(3 * np.sin(np.arange(SAMPLE_RATE) / 9), -1, 1)),
        "silence-with-text": _wav(np.zeros(SAMPLE_RATE)),
    }
    bad = [replace(clip, audio=FileBytes(content), name=name) for name, content in files.items()]
    bad += [
        replace(clip, audio=Repeated(clip.audio, 0.05), name="too-short"),
        replace(clip, audio=Repeated(clip.audio, 12.0), name="too-long"),
        replace(clip, audio=Repeated(clip.audio, 0.5), name="too-much-text", text=" ".join(c.text for c in good[5:8])),
        replace(clip, audio=Repeated(clip.audio, 3.01), name="punctuation-only", text="..."),
        replace(clip, audio=Repeated(clip.audio, 3.02), name="special-token", text="<|az|> " + clip.text),
        replace(clip, audio=Repeated(clip.audio, 3.03), name="cyrillic", text="Бу күн һава јахшыдыр."),
        replace(
            clip,
            audio=Repeated(clip.audio, 3.04),
            name="mojibake",
            text="Bu gün hava yaxşıdır.".encode().decode("cp1252"),
        ),
        replace(clip, audio=Repeated(clip.audio, 3.05), name="loop", text="bəli " * 9),
        replace(clip, audio=Quieter(good[4].audio), name="same-but-quieter", text=good[4].text, group=good[4].group),
        replace(good[1], name="same-again"),
        replace(good[2], name="same-audio-other-text", text=good[3].text),
    ]
    return [replace(item, name=f"faulty/{item.name}.wav", split="train") for item in bad]


def mistyped(text: str, kind: int) -> str:
    """The text as keyboards and editors leave it: decomposed, with Cyrillic ә, or with a no-break space."""
    ways = (unicodedata.normalize("NFD", text), text.replace("ə", "\u04d9"), text.replace(" ", "\u00a0", 1))
    return ways[kind % len(ways)]


def _wav(samples: NDArray[np.float64], subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples.astype(np.float32), SAMPLE_RATE, subtype=subtype, format="WAV")
    return file.getvalue()
