"""A split heard in other ways: padded as stock pipelines pad, and by the model that training began with."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from asr.corpus.clips import Clips
from asr.corpus.edges import POSITIONS_PER_SECOND
from asr.decoding.baseline import baseline_section
from asr.decoding.generate import Transcriber
from asr.decoding.predict import Predictions
from asr.features import Edges
from asr.params import EvaluateParams
from asr.scoring.evaluation import evaluate_pairs
from asr.scoring.paired import paired_bootstrap


def alternatives(
    transcriber: Transcriber, found: Predictions, clips: Clips, experiment: Mapping[str, Any], params: EvaluateParams
) -> dict[str, Any]:
    """The sections `full_window` and `baseline` of a split in `metrics/evaluate.json`, as far as they are asked for.

    Args:
        transcriber: the trained model's.
        found: the split at the model's own edges.
        clips: samples by id.
        experiment: content of the trained model's `experiment.json`, which names its base.
        params: which sections are wanted.

    Raises:
        UserError: the base model's files are damaged.
    """
    sections = {}
    if params.full_window:
        sections["full_window"] = full_window_section(transcriber, found, clips)
    if params.baseline:
        numbers = found.evaluation.numbers
        sections["baseline"] = baseline_section(experiment, transcriber, clips, found, numbers)
    return sections


def at_full_window(transcriber: Transcriber) -> Transcriber:
    """The same model as a stock pipeline uses it: every clip padded to the model's whole window."""
    window = transcriber.model.config.max_source_positions / POSITIONS_PER_SECOND
    return replace(transcriber, edges=Edges((window,), tail=0.0))


def full_window_section(transcriber: Transcriber, found: Predictions, clips: Clips) -> dict[str, Any]:
    """What `metrics/evaluate.json` says of a split at the full window, and how much worse it is there.

    Args:
        transcriber: the model at its own edges.
        found: what it heard so.
        clips: samples by id.
    """
    heard = at_full_window(transcriber).transcribe([clips[pair.id] for pair in found.pairs], "full window")
    pairs = [replace(pair, hypothesis=item.text) for pair, item in zip(found.pairs, heard, strict=True)]
    padded = evaluate_pairs(pairs, found.evaluation.language, found.evaluation.numbers)
    here, there = found.evaluation.scores.utterances, padded.scores.utterances
    spoken = found.evaluation.scores.spoken
    difference = paired_bootstrap(
        [there[i].errors for i in spoken],
        [here[i].errors for i in spoken],
        [here[i].words for i in spoken],
        [found.pairs[i].group for i in spoken],
    )
    return {
        **padded.scores.normalized.as_plain(),
        "wer_low": padded.interval.low,
        "wer_high": padded.interval.high,
        "wer_difference": difference.difference,
        "wer_difference_low": difference.low,
        "wer_difference_high": difference.high,
    }
