"""The limits of single measurements: which column of the index, which parameter, and what to say beyond it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from asr.corpus.findings import Corpus
from asr.params import ValidateParams

Columns = Mapping[str, NDArray[Any]]
"""The numbers of the index and what `columns` derives from them, each of shape = (clips,)."""

DURATION_TOLERANCE = 0.01
"""Share of a stated length by which the decoded one may differ: encoders pad, and manifests round."""


@dataclass(frozen=True)
class Threshold:
    """A limit on one column."""

    code: str
    column: str
    fails: Literal["below", "above"]
    limit: Callable[[ValidateParams, Columns], float | NDArray[np.float64]]
    message: str
    """Format string over `value`, `limit`, `duration` and `declared`."""
    speech_only: bool = False
    """Whether the rule is about speech, and so leaves clips with an empty text alone."""
    weaker_than: str = ""
    """The code of a stricter rule: a clip that fails that one is not warned as well."""


SIGNAL = (
    Threshold(
        "audio.duration_mismatch",
        "duration_gap",
        "above",
        lambda params, columns: np.maximum(params.max_duration_gap, DURATION_TOLERANCE * columns["declared"]),
        "{duration:g} s are decoded and {declared:g} s are stated; {limit:g} s of difference are allowed",
    ),
    Threshold(
        "signal.too_short",
        "duration",
        "below",
        lambda params, _: params.min_duration,
        "{value:g} s; the least is {limit:g} s",
    ),
    Threshold(
        "signal.too_long",
        "duration",
        "above",
        lambda params, _: params.max_duration,
        "{value:g} s; the most is {limit:g} s: cut it up",
    ),
    Threshold(
        "signal.antiphase",
        "channel_correlation",
        "below",
        lambda params, _: params.min_channel_correlation,
        "channels in antiphase (correlation {value:.3f}; the least is {limit:g}) cancel in their mean: use one of them",
    ),
    Threshold(
        "signal.silent_with_text",
        "rms_dbfs",
        "below",
        lambda params, _: params.silence_dbfs,
        "{value:.1f} dBFS is silence, yet there is a text; speech has {limit:g} dBFS and more",
        speech_only=True,
    ),
    Threshold(
        "signal.clipped",
        "clipped",
        "above",
        lambda params, _: params.max_clipped,
        "{value:.2%} of the samples are at full scale; the most is {limit:.2%}",
    ),
)
"""Beyond these the sound makes a clip leave the corpus."""

RATE = (
    Threshold(
        "text.char_rate",
        "characters_per_second",
        "below",
        lambda params, _: params.min_characters_per_second,
        "{value:.1f} characters a second; the least is {limit:g}: text and audio do not belong together",
        speech_only=True,
    ),
    Threshold(
        "text.char_rate",
        "characters_per_second",
        "above",
        lambda params, _: params.max_characters_per_second,
        "{value:.1f} characters a second; the most is {limit:g}: text and audio do not belong together",
        speech_only=True,
    ),
)
"""Beyond these sound and transcript do not belong together."""

WARNING = (
    Threshold(
        "signal.some_clipping",
        "clipped",
        "above",
        lambda params, _: params.warn_clipped,
        "{value:.2%} of the samples are at full scale; up to {limit:.2%} are usual",
        weaker_than="signal.clipped",
    ),
    Threshold(
        "signal.channels_differ",
        "channel_gap_db",
        "above",
        lambda params, _: params.warn_channel_gap_db,
        "one channel is {value:.0f} dB below another, more than {limit:g} dB: it may be dead",
        weaker_than="signal.antiphase",
    ),
    Threshold(
        "signal.channels_differ",
        "channel_correlation",
        "below",
        lambda params, _: params.warn_channel_correlation,
        "the channels hold different things: their correlation is {value:.2f}, below {limit:g}",
        weaker_than="signal.antiphase",
    ),
    Threshold(
        "signal.narrowband",
        "bandwidth",
        "below",
        lambda params, _: params.warn_bandwidth,
        "no energy above {value:.0f} Hz, which is below {limit:g} Hz: telephone speech at a higher sample rate",
        speech_only=True,
    ),
    Threshold(
        "signal.long_silence",
        "end_silence",
        "above",
        lambda params, _: params.warn_silence,
        "{value:.2f} s of silence at one end, more than {limit:g} s",
        speech_only=True,
    ),
    Threshold(
        "signal.low_snr",
        "snr_db",
        "below",
        lambda params, _: params.warn_snr_db,
        "speech stands {value:.1f} dB above the noise, less than {limit:g} dB",
        speech_only=True,
    ),
    Threshold(
        "signal.little_speech",
        "speech_share",
        "below",
        lambda params, _: params.warn_speech_share,
        "a voice is heard in {value:.1%} of the clip, less than {limit:.1%}: does the text belong to it?",
        speech_only=True,
    ),
    Threshold(
        "signal.tone",
        "tone_share",
        "above",
        lambda params, _: params.warn_tone_share,
        "{value:.0%} of the energy lies in one narrow band, more than {limit:.0%}: a beep?",
        speech_only=True,
    ),
    Threshold(
        "signal.cut_edge",
        "edge_db",
        "above",
        lambda params, _: params.warn_edge_db,
        "one end is {value:.1f} dB against the loud moments, above {limit:g} dB: speech is cut there",
        speech_only=True,
    ),
    Threshold(
        "signal.dropout",
        "zero_run",
        "above",
        lambda params, _: params.warn_zero_run,
        "{value:.3f} s of exact zeros between sounds, more than {limit:g} s",
        speech_only=True,
    ),
    Threshold(
        "text.unusual_rate",
        "characters_per_second",
        "below",
        lambda params, _: params.warn_slow,
        "{value:.1f} characters a second; {limit:g} and more are usual",
        speech_only=True,
        weaker_than="text.char_rate",
    ),
    Threshold(
        "text.unusual_rate",
        "characters_per_second",
        "above",
        lambda params, _: params.warn_fast,
        "{value:.1f} characters a second; up to {limit:g} are usual",
        speech_only=True,
        weaker_than="text.char_rate",
    ),
)
"""Beyond these a clip is kept and counted."""


def columns(corpus: Corpus) -> Columns:
    """What the thresholds are compared with; NaN, which is beyond no limit, where a rule does not apply."""
    numbers = corpus.index.numbers
    characters = np.fromiter(map(len, corpus.texts), np.float64, len(corpus))
    duration = numbers["duration"]
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(duration > 0, characters / duration, np.nan)
    return {
        **numbers,
        "characters_per_second": rate,
        "duration_gap": np.round(np.abs(duration - numbers["declared"]), 9),  # 2.1 - 2.0 is more than 0.1 in floats
        "end_silence": np.maximum(numbers["lead_silence"], numbers["tail_silence"]),
    }
