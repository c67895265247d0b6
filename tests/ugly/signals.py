"""Faults 25 to 39 of the catalogue: files that decode well and hold no usable speech, or doubtful one."""

from collections.abc import Callable, Sequence

import numpy as np
import soxr
from numpy.typing import NDArray

from asr.pcm import SAMPLE_RATE
from tests.factories import tone
from tests.ugly.fault import Clip, ClipFault
from tests.ugly.studio import Samples, Studio, Take, file_of

Change = Callable[[Samples, np.random.Generator], Samples]
GROUP = 10
"""Clips of a speaker whose sample rate is mislabelled: fewer show nothing."""


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE))


def _clip(samples: NDArray[np.float64], text: str, subtype: str = "PCM_16") -> Clip:
    """The length stated is the true one."""
    return Clip(file_of(samples, subtype=subtype), text, len(samples) / SAMPLE_RATE)


def _voice(change: Change) -> Callable[[Studio], list[Clip]]:
    """A voice, changed."""

    def build(studio: Studio) -> list[Clip]:
        take = studio.spoken()
        return [_clip(change(take.samples, studio.rng()), take.text)]

    return build


def _fixed(make: Callable[[Studio], tuple[Samples, str]]) -> Callable[[Studio], list[Clip]]:
    return lambda studio: [_clip(*make(studio))]


def _noise(studio: Studio, dbfs: float, seconds: float = 2.0) -> Samples:
    return 10 ** (dbfs / 20) * studio.rng().standard_normal(round(seconds * SAMPLE_RATE))


def _clipped(share: float) -> Change:
    """The loudest samples as they are where a recorder was driven too hard."""

    def change(samples: Samples, _: np.random.Generator) -> Samples:
        limit = float(np.quantile(np.abs(samples), 1 - share))
        return np.clip(samples / limit, -1.0, 32767 / 32768)

    return change


def _low_passed(samples: Samples, _: np.random.Generator) -> Samples:
    narrow = soxr.resample(samples, SAMPLE_RATE, 8_000, quality="VHQ")
    return np.asarray(soxr.resample(narrow, 8_000, SAMPLE_RATE, quality="VHQ"))[: len(samples)]


def _in_noise(samples: Samples, rng: np.random.Generator) -> Samples:
    level = float(np.sqrt(np.mean(samples**2)))
    return np.clip(samples + level * rng.standard_normal(len(samples)), -0.99, 0.99)


def _cut_at_loudest(samples: Samples, _: np.random.Generator) -> Samples:
    """Ends in the loudest tenth of a second, as where a cutter took a breath for a pause."""
    power = np.convolve(samples**2, np.ones(1600), "same")
    loudest = int(power[len(samples) // 2 :].argmax()) + len(samples) // 2
    return samples[:loudest]


def _dropout(samples: Samples, _: np.random.Generator) -> Samples:
    changed, middle = samples.copy(), len(samples) // 2
    changed[middle : middle + SAMPLE_RATE // 10] = 0
    return changed


def _stereo(second: Callable[[Take, Studio], Samples]) -> Callable[[Studio], list[Clip]]:
    """A voice in the first channel."""

    def build(studio: Studio) -> list[Clip]:
        take = studio.spoken()
        return [_clip(np.stack([take.samples, second(take, studio)], axis=1), take.text)]

    return build


def _other_voice(take: Take, studio: Studio) -> Samples:
    return np.resize(studio.spoken().samples, len(take.samples))


def _mislabelled(studio: Studio) -> list[Clip]:
    """16 kHz samples under the label of 8 kHz play at half speed; the manifest was made from the headers."""
    takes: Sequence[Take] = [studio.noise() for _ in range(GROUP)]
    return [Clip(file_of(take.samples, rate=8_000), take.text, 2 * take.seconds, speaker="slow") for take in takes]


def _long(studio: Studio) -> tuple[Samples, str]:
    text = " ".join(studio.line() for _ in range(5))
    return studio.noise(text, 11.0).samples, text


def _short(studio: Studio) -> tuple[Samples, str]:
    return studio.noise("Bu", 0.05).samples, "Bu"


def _resampled(studio: Studio) -> list[Clip]:
    take = studio.spoken()
    other = soxr.resample(take.samples, SAMPLE_RATE, 44_100)
    return [Clip(file_of(other, rate=44_100), take.text, take.seconds)]


FAULTS: tuple[ClipFault, ...] = (
    ClipFault(25, "digital silence with a text", "signal.silent_with_text", _fixed(lambda s: (_silence(2), s.line()))),
    ClipFault(
        25, "hiss at -70 dBFS with a text", "signal.silent_with_text", _fixed(lambda s: (_noise(s, -70), s.line()))
    ),
    ClipFault(26, "silence without text", "signal.negative_example", _fixed(lambda _: (_silence(1.5), ""))),
    ClipFault(26, "noise without text", "signal.negative_example", _fixed(lambda s: (_noise(s, -30), ""))),
    ClipFault(27, "offset", "signal.dc_offset", _voice(lambda samples, _: samples + 0.05)),
    ClipFault(28, "some clipping", "signal.some_clipping", _voice(_clipped(0.004))),
    ClipFault(28, "much clipping", "signal.clipped", _voice(_clipped(0.03))),
    ClipFault(29, "one channel dead", "signal.channels_differ", _stereo(lambda take, _: _silence(take.seconds))),
    ClipFault(29, "two voices in two channels", "signal.channels_differ", _stereo(_other_voice)),
    ClipFault(30, "antiphase", "signal.antiphase", _stereo(lambda take, _: -take.samples)),
    ClipFault(31, "44.1 kHz", "signal.resampled", _resampled),
    ClipFault(32, "telephone speech at 16 kHz", "signal.narrowband", _voice(_low_passed)),
    ClipFault(33, "0.05 s", "signal.too_short", _fixed(_short)),
    ClipFault(34, "11 s", "signal.too_long", _fixed(_long)),
    ClipFault(
        35, "silence at the end", "signal.long_silence", _voice(lambda samples, _: np.append(samples, _silence(1.5)))
    ),
    ClipFault(35, "silence at the start", "signal.long_silence", _voice(lambda x, _: np.append(_silence(1.5), x))),
    ClipFault(36, "voice in noise", "signal.low_snr", _voice(_in_noise)),
    ClipFault(37, "a beep", "signal.tone", _fixed(lambda s: (tone(1000, 2.0), s.line()))),
    ClipFault(38, "half speed", "signal.rate_mislabel", _mislabelled),
    ClipFault(39, "cut in a word", "signal.cut_edge", _voice(_cut_at_loudest)),
    ClipFault(39, "a gap in a word", "signal.dropout", _voice(_dropout)),
)
