"""Decodes and scores one split: what `stages/evaluate.py` calls."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asr.corpus.clips import Clips, Utterance
from asr.decoding.basic import basic_normalizer
from asr.decoding.confidence import Confidence, confidences
from asr.decoding.generate import Hypothesis, Transcriber
from asr.devices import Compute, make_deterministic
from asr.features import LogMel
from asr.models.build import SpeechModel
from asr.params import EvaluateParams
from asr.scoring.calibration import TSV_COLUMNS, Calibration, calibration
from asr.scoring.evaluation import Evaluation, evaluate_pairs
from asr.scoring.loops import loops
from asr.scoring.table import Table
from asr.scoring.wer import Pair
from asr.text import Numbers

CONFIDENCE_DIGITS = 4


@dataclass(frozen=True)
class Predictions:
    """One split, decoded and scored."""

    pairs: Sequence[Pair]
    heard: Sequence[Hypothesis]
    evaluation: Evaluation


@dataclass(frozen=True)
class Judged:
    """Predictions, and how sure the model was of them."""

    found: Predictions
    confidences: Sequence[Confidence]
    calibration: Calibration

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """One row a clip for the predictions file."""
        found = self.found
        scores = found.evaluation.scores.utterances
        for pair, heard, sure, score in zip(found.pairs, found.heard, self.confidences, scores, strict=True):
            judged = {"capped": heard.capped, "errors": score.errors, "words": score.words}
            yield {**asdict(pair), **judged, "confidence": round(sure.clip, CONFIDENCE_DIGITS)}

    def as_plain(self) -> dict[str, Any]:
        """What `metrics/evaluate.json` says of the split."""
        found = self.found
        return {
            **found.evaluation.as_plain(),
            "capped": sum(hypothesis.capped for hypothesis in found.heard),
            "loops": loops(found.pairs, found.evaluation.language, found.evaluation.numbers).as_plain(),
            "calibration": self.calibration.as_plain(),
        }

    def tables(self) -> dict[str, Table]:
        """For `plots/evaluate`, by name."""
        bins = tuple(part.as_row() for part in self.calibration.bins)
        return {**self.found.evaluation.tables(), "calibration": Table(TSV_COLUMNS, bins)}


def make_transcriber(model: SpeechModel, params: EvaluateParams, compute: Compute) -> Transcriber:
    """The model on its device, ready to decode."""
    if compute.device.type == "cpu":
        make_deterministic()
    network = model.network.to(compute.device)
    log_mel = LogMel(network.config.num_mel_bins).to(compute.device)
    return Transcriber(network, model.tokenizer, log_mel, model.edges, model.language, params.beams, params.batch_size)


def predict(
    transcriber: Transcriber, utterances: Sequence[Utterance], clips: Clips, title: str, numbers: Numbers
) -> Predictions:
    """Decodes and scores all utterances of a split.

    Raises:
        UserError: the split is empty or has no words.
    """
    heard = transcriber.transcribe([clips[item.id] for item in utterances], title)
    pairs = [
        Pair(item.id, item.text, hypothesis.text, item.group, item.duration, item.source, item.snr_db)
        for item, hypothesis in zip(utterances, heard, strict=True)
    ]
    return Predictions(pairs, heard, evaluate_pairs(pairs, transcriber.language, numbers, basic_normalizer()))


def judged(transcriber: Transcriber, found: Predictions, clips: Clips, title: str) -> Judged:
    """How sure the model is of each word that it wrote, and how often it is right then."""
    sure = confidences(transcriber, [clips[pair.id] for pair in found.pairs], found.heard, f"{title}, confidence")
    evaluation = found.evaluation
    words = [item.words for item in sure]
    return Judged(found, sure, calibration(found.pairs, words, evaluation.language, evaluation.numbers))
