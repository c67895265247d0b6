"""Clips without a fault, in every form of file that is welcome: each of them has to be kept."""

from dataclasses import dataclass

import numpy as np
import soxr

from asr.corpus.clips import SPLITS
from asr.pcm import SAMPLE_RATE
from tests.ugly.fault import Clip
from tests.ugly.studio import Studio, Take, file_of

FIRST = "+first.wav"
"""Sorts before all other names, unsafe ones included: repairs of a manifest as a whole are noted there."""
BRACKETS = "Bakı (paytaxt) şəhərində hava günəşli olacaq."
"""Words in brackets are words."""


@dataclass(frozen=True)
class Form:
    """A kind of file, in the terms of libsndfile."""

    kind: str
    subtype: str
    rate: int = SAMPLE_RATE
    channels: int = 1

    @property
    def extension(self) -> str:
        """The usual one, with the dot."""
        usual = {"WAVEX": "wav", "RF64": "wav", "AIFF": "aiff"}
        return "." + ("opus" if self.subtype == "OPUS" else usual.get(self.kind, self.kind.lower()))

    @property
    def slug(self) -> str:
        """As part of a file name."""
        return f"{self.kind}-{self.subtype}-{self.rate}-{self.channels}".lower().replace("_", "")


def _forms() -> tuple[Form, ...]:
    plain = {
        "WAV": "PCM_U8 PCM_16 PCM_24 PCM_32 FLOAT DOUBLE ULAW ALAW IMA_ADPCM MS_ADPCM",
        "WAVEX": "PCM_16 PCM_24 FLOAT",
        "RF64": "PCM_16 PCM_24",
        "W64": "PCM_16",
        "CAF": "PCM_16 FLOAT",
        "AIFF": "PCM_S8 PCM_16 PCM_24 PCM_32 FLOAT ULAW",
        "AU": "PCM_S8 PCM_16 PCM_24 PCM_32 FLOAT ULAW ALAW",
        "FLAC": "PCM_S8 PCM_16 PCM_24",
        "OGG": "VORBIS OPUS",
        "MP3": "MPEG_LAYER_III",
    }
    widths = [Form(kind, subtype) for kind, subtypes in plain.items() for subtype in subtypes.split()]
    rates = [Form("WAV", "PCM_16", rate) for rate in (8_000, 11_025, 22_050, 24_000, 32_000, 44_100, 48_000)]
    others = [Form("FLAC", "PCM_24", 48_000), Form("OGG", "VORBIS", 44_100), Form("OGG", "OPUS", 48_000)]
    lossy = [Form("MP3", "MPEG_LAYER_III", 44_100), Form("MP3", "MPEG_LAYER_III", 8_000), Form("WAV", "GSM610", 8_000)]
    stereo = [
        Form(kind, subtype, rate, 2)
        for kind, subtype, rate in (
            ("WAV", "PCM_16", SAMPLE_RATE),
            ("WAV", "PCM_24", 44_100),
            ("FLAC", "PCM_16", 48_000),
            ("OGG", "VORBIS", 48_000),
            ("OGG", "OPUS", 48_000),
            ("MP3", "MPEG_LAYER_III", 44_100),
            ("AIFF", "PCM_16", 22_050),
            ("AU", "PCM_16", 44_100),
        )
    ]
    return (*widths, *rates, *others, *lossy, *stereo, Form("WAV", "PCM_16", 48_000, 8))


FORMS = _forms()


def rendered(take: Take, form: Form) -> bytes:
    """A take as a file; every channel holds the voice."""
    samples = soxr.resample(take.samples, SAMPLE_RATE, form.rate) if form.rate != SAMPLE_RATE else take.samples
    samples = np.clip(samples, -0.999, 0.999)
    if form.channels > 1:
        samples = np.repeat(samples[:, None], form.channels, axis=1)
    return file_of(samples, form.kind, form.subtype, form.rate)


def good_clips(studio: Studio) -> list[Clip]:
    """A clip of each form, dealt out to the three splits; and some whose rows are unusual but right."""
    clips = [_good(studio.spoken(), FIRST, Form("WAV", "PCM_16"), "train")]
    for number, form in enumerate(FORMS):
        name = f"good/{number:02d}-{form.slug}{form.extension}"
        clips.append(_good(studio.spoken(), name, form, SPLITS[number % 3]))
    brackets = studio.noise(BRACKETS)
    clips.append(_good(brackets, "good/adında boşluq var.wav", Form("WAV", "PCM_16"), "train"))
    clips.append(_good(studio.noise("Bəli."), "good/./bəli.wav", Form("WAV", "PCM_16"), "train"))
    clips.append(_good(studio.noise("Bəli!"), "good/no extension", Form("WAV", "PCM_16"), "test"))
    return clips


def _good(take: Take, name: str, form: Form, split: str) -> Clip:
    data = rendered(take, form)
    return Clip(data, take.text, take.seconds, name=name, speaker=f"good-{split}", split=split, faulty=False)
