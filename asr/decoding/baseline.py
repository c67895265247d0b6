"""Before and after: the model that training began with, scored on the same clips as what training made of it.

The base model hears every clip padded to its whole window, because it has learnt no other lengths; language, beams
and batch size are those of the trained model. Nothing is downloaded: a base model that is not on this machine is
skipped, and the metrics say why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError
from transformers import WhisperForConditionalGeneration, WhisperTokenizer
from transformers.utils.logging import disable_progress_bar

from asr.corpus.clips import Clips
from asr.corpus.edges import POSITIONS_PER_SECOND
from asr.decoding.basic import basic_normalizer
from asr.decoding.generate import Transcriber
from asr.decoding.predict import Predictions
from asr.errors import UserError
from asr.features import Edges, LogMel
from asr.models.build import SpeechModel, generation_config
from asr.models.tokenizer import TASK, token_language
from asr.models.whisper import without_padding
from asr.scoring.intervals import Interval, bootstrap_interval
from asr.scoring.paired import PairedTest, paired_bootstrap
from asr.scoring.skipped import Skipped
from asr.scoring.wer import Score, corpus_score, score
from asr.text import Numbers

AGAIN = "`dvc repro -f -s evaluate`"
"""DVC does not see that a base model has come: nothing that the stage depends on has changed."""
CONFIG = "config.json"
NEEDED = (
    (CONFIG,),
    ("tokenizer.json", "vocab.json"),
    ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"),
)
"""Of each row one file. Where the first two are missing, transformers puts its own defaults in their place."""


@dataclass(frozen=True)
class Rates:
    """Error rates of one system, over the clips whose reference has words."""

    total: Score
    wer: Interval
    cer: Interval

    @classmethod
    def of(cls, utterances: Sequence[Score], groups: Sequence[str]) -> "Rates":
        """Of scores that all have words, and the group of each.

        Raises:
            UserError: there are no utterances.
        """
        return cls(
            corpus_score(utterances),
            bootstrap_interval([item.errors for item in utterances], [item.words for item in utterances], groups),
            bootstrap_interval(
                [item.character_errors for item in utterances], [item.characters for item in utterances], groups
            ),
        )

    def as_plain(self) -> dict[str, Any]:
        """Rates, intervals and counts for a metrics file."""
        return {
            **self.total.as_plain(),
            "wer_low": self.wer.low,
            "wer_high": self.wer.high,
            "cer_low": self.cer.low,
            "cer_high": self.cer.high,
            "groups": self.wer.groups,
        }


@dataclass(frozen=True)
class BeforeAfter:
    """The base model on some clips, and what training changed there."""

    base: Rates
    test: PairedTest
    """The trained model against the base: a negative difference is a gain."""

    def as_plain(self) -> dict[str, Any]:
        """For a metrics file; rates are fractions."""
        return {
            **self.base.as_plain(),
            "wer_difference": self.test.difference,
            "wer_difference_low": self.test.low,
            "wer_difference_high": self.test.high,
            "improvement": self.test.improvement,
        }


def before_after(base: Sequence[Score], trained: Sequence[Score], groups: Sequence[str]) -> BeforeAfter:
    """Compares two systems on the same clips; those without reference words are left out.

    Args:
        base: score of each clip before training.
        trained: after it, of the same clips and on texts normalised alike.
        groups: speaker or recording of each clip, the unit that is resampled.

    Raises:
        UserError: no clip has reference words.
    """
    assert [item.words for item in base] == [item.words for item in trained], "references are normalised alike"
    spoken = [i for i, item in enumerate(trained) if item.words]
    before, units = [base[i] for i in spoken], [groups[i] for i in spoken]
    rates = Rates.of(before, units)
    errors = [trained[i].errors for i in spoken]
    test = paired_bootstrap(errors, [item.errors for item in before], [item.words for item in before], units)
    return BeforeAfter(rates, test)


def baseline_section(
    experiment: Mapping[str, Any], transcriber: Transcriber, clips: Clips, found: Predictions, numbers: Numbers
) -> dict[str, Any]:
    """What `metrics/evaluate.json` says of the base model on one split, or why it says nothing.

    Args:
        experiment: content of the trained model's `experiment.json`, which names its base.
        transcriber: the trained model's.
        clips: samples by id.
        found: the split as the trained model heard it.
        numbers: how `found` is normalised.

    Raises:
        UserError: the base model's files are damaged.
    """
    base = base_transcriber(experiment, transcriber)
    if isinstance(base, Skipped):
        return base.as_plain()
    heard = base.transcribe([clips[pair.id] for pair in found.pairs], "base model")
    references, texts = [pair.reference for pair in found.pairs], [item.text for item in heard]
    scores = score(references, texts, found.evaluation.language, numbers, basic_normalizer())
    assert scores.published is not None
    trained, groups = found.evaluation.scores.utterances, [pair.group for pair in found.pairs]
    return {
        **_named(experiment),
        **before_after(scores.utterances, trained, groups).as_plain(),
        "orthographic": scores.orthographic.as_plain(),
        "basic": scores.published.as_plain(),
        "silence": asdict(scores.silence),
        "capped": sum(item.capped for item in heard),
    }


def base_transcriber(experiment: Mapping[str, Any], transcriber: Transcriber) -> Transcriber | Skipped:
    """The base model on the trained one's device, decoded with its language, beams and batch size.

    Raises:
        UserError: the base model's files are damaged.
    """
    base = base_model(experiment)
    if isinstance(base, Skipped):
        return base
    device = transcriber.model.device
    return replace(
        transcriber,
        model=base.network.to(device),
        tokenizer=base.tokenizer,
        log_mel=LogMel(base.network.config.num_mel_bins).to(device),
        edges=base.edges,
    )


def base_model(experiment: Mapping[str, Any]) -> SpeechModel | Skipped:
    """The model that training began with, from a local folder or the local cache of the Hub.

    Args:
        experiment: content of the trained model's `experiment.json`.

    Returns:
        The model with its whole window as its only edge, or why there is none.

    Raises:
        UserError: its files are there and damaged.
    """
    named = _named(experiment)
    name, revision = named["model"], named["revision"]
    if name is None:
        return Skipped("experiment.json does not say which base model the training began with")
    if name == "scratch":
        return Skipped("trained from scratch: there is no base model")
    folder = _folder(name, revision)
    if folder is None or not all(any((folder / file).is_file() for file in files) for files in NEEDED):
        return Skipped(_absent(name, revision))
    return _loaded(folder, name, experiment["language"])


def _named(experiment: Mapping[str, Any]) -> dict[str, str | None]:
    """Name and revision of the base model; None where the record of a model from elsewhere lacks them."""
    model = experiment.get("params", {}).get("model", {})
    return {"model": model.get("name"), "revision": model.get("revision")}


def _folder(name: str, revision: str | None) -> Path | None:
    """Where the files of a base model stand, if any do.

    The cache is asked directly: transformers tries the network once more, even where it may use local files only.
    """
    if Path(name).is_dir():
        return Path(name)
    if revision is None:
        return None
    try:
        found = try_to_load_from_cache(name, CONFIG, revision=revision)
    except HFValidationError:  # the path of a folder that is not there
        return None
    return Path(found).parent if isinstance(found, str) else None


def _absent(name: str, revision: str | None) -> str:
    if revision is None or Path(name).is_dir():
        return f"the base model's folder {name} is missing or lacks files: complete it and run {AGAIN}"
    return (
        f"the base model {name} is not in the local cache: `hf download {name} --revision {revision}` fetches it, "
        f"then run {AGAIN}"
    )


def _loaded(folder: Path, name: str, language: str) -> SpeechModel:
    disable_progress_bar()
    try:
        network = WhisperForConditionalGeneration.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        tokenizer = WhisperTokenizer.from_pretrained(
            folder, local_files_only=True, language=token_language(language), task=TASK
        )
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(
            f"model.name = {name!r}: the base model is damaged ({str(error).splitlines()[0]}); "
            "fetch it again, or set evaluate.baseline to false"
        ) from error
    network.generation_config = generation_config(network, tokenizer, language)
    window = network.config.max_source_positions / POSITIONS_PER_SECOND
    return SpeechModel(without_padding(network), tokenizer, Edges((window,), tail=0.0), language)
