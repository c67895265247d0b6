"""Decodes and scores one split: what `stages/evaluate.py` calls."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asr.corpus.clips import Clips, Utterance
from asr.decoding.generate import Transcriber
from asr.devices import Compute, make_deterministic
from asr.features import LogMel
from asr.models.build import SpeechModel
from asr.params import EvaluateParams
from asr.scoring.evaluation import Evaluation, evaluate_pairs
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
