"""Decodes and scores one split: what `stages/evaluate.py` calls."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from asr.corpus.clips import Clips, Utterance
from asr.corpus.edges import POSITIONS_PER_SECOND
from asr.decoding.generate import Transcriber
from asr.devices import Compute, make_deterministic
from asr.features import Edges, LogMel
from asr.models.build import SpeechModel
from asr.params import EvaluateParams
from asr.scoring.evaluation import Evaluation, evaluate_pairs
from asr.scoring.intervals import paired_interval
from asr.scoring.wer import Pair


@dataclass(frozen=True)
class Predictions:
    """One split, decoded and scored."""

    pairs: Sequence[Pair]
    capped: Sequence[bool]
    """Whether the token cap ended the text."""
    evaluation: Evaluation

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """One row a clip for the predictions file."""
        for pair, capped, score in zip(self.pairs, self.capped, self.evaluation.scores.utterances, strict=True):
            yield {**asdict(pair), "capped": capped, "errors": score.errors, "words": score.words}


def make_transcriber(model: SpeechModel, params: EvaluateParams, compute: Compute) -> Transcriber:
    """The model on its device, ready to decode."""
    if compute.device.type == "cpu":
        make_deterministic()
    network = model.network.to(compute.device)
    log_mel = LogMel(network.config.num_mel_bins).to(compute.device)
    return Transcriber(network, model.tokenizer, log_mel, model.edges, model.language, params.beams, params.batch_size)


def predict(transcriber: Transcriber, utterances: Sequence[Utterance], clips: Clips, title: str) -> Predictions:
    """Decodes and scores all utterances of a split.

    Raises:
        UserError: the split is empty or has no words.
    """
    heard = transcriber.transcribe([clips[item.id] for item in utterances], title)
    pairs = [
        Pair(item.id, item.text, hypothesis.text, item.group, item.duration)
        for item, hypothesis in zip(utterances, heard, strict=True)
    ]
    evaluation = evaluate_pairs(pairs, transcriber.language)
    return Predictions(pairs, [hypothesis.capped for hypothesis in heard], evaluation)


def at_full_window(transcriber: Transcriber) -> Transcriber:
    """The same model as a stock pipeline uses it: every clip padded to the model's whole window."""
    window = transcriber.model.config.max_source_positions / POSITIONS_PER_SECOND
    return replace(transcriber, edges=Edges((window,), tail=0.0))


def full_window_section(found: Predictions, padded: Predictions) -> dict[str, Any]:
    """What `metrics/evaluate.json` says of a split at the full window, and how much worse it is there.

    Args:
        found: the split at the model's own edges.
        padded: the same clips at the full window.
    """
    here, there = found.evaluation.scores.utterances, padded.evaluation.scores.utterances
    spoken = [i for i, score in enumerate(here) if score.words]
    difference = paired_interval(
        [there[i].errors for i in spoken],
        [here[i].errors for i in spoken],
        [here[i].words for i in spoken],
        [found.pairs[i].group for i in spoken],
    )
    wer = padded.evaluation.scores.normalized.wer
    return {
        **padded.evaluation.scores.normalized.as_plain(),
        "wer_low": padded.evaluation.interval.low,
        "wer_high": padded.evaluation.interval.high,
        "wer_difference": wer - found.evaluation.scores.normalized.wer,
        "wer_difference_low": difference.low,
        "wer_difference_high": difference.high,
    }
