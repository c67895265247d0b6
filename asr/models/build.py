"""A network with its tokenizer: built from parameters, loaded from a folder, saved as a plain Whisper."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)
from transformers.utils.logging import disable_progress_bar

from asr.corpus.clips import Utterance
from asr.corpus.edges import POSITIONS_PER_SECOND, choose_edges
from asr.errors import UserError
from asr.features import Edges
from asr.files import read_json, write_json
from asr.models.tokenizer import TASK, end_id, language_ids, prefix_ids, token_language, train_tokenizer
from asr.models.whisper import without_padding
from asr.params import FeatureParams, ModelParams

EXPERIMENT = "experiment.json"
"""In a model directory: how the model was made and how its input must be padded."""


@dataclass(frozen=True)
class SpeechModel:
    """A Whisper that takes unpadded input, with all that is stored beside it."""

    network: WhisperForConditionalGeneration
    tokenizer: WhisperTokenizer
    edges: Edges
    language: str


def build(model: ModelParams, features: FeatureParams, language: str, corpus: Sequence[Utterance]) -> SpeechModel:
    """A model to be trained.

    Args:
        model: `scratch` with its dimensions, a local folder, or a Hub id with its revision.
        features: the edges, or how many are chosen; a scratch model's window is the longest one.
        language: code of the language, such as `az`.
        corpus: training clips: their texts make a scratch model's tokenizer, their lengths the edges.

    Raises:
        UserError: the base model cannot be had, or its window is not the longest edge.
    """
    if model.name == "scratch":
        tokenizer = train_tokenizer([item.text for item in corpus], model.vocabulary, language)
        network = WhisperForConditionalGeneration(_scratch_config(model, features.longest, tokenizer))
    else:
        network, tokenizer = _pretrained(model, language)
        _require_window(network, features.longest)
    network.generation_config = generation_config(network, tokenizer, language)
    return SpeechModel(without_padding(network), tokenizer, _edges(features, network.config.d_model, corpus), language)


def save(model: SpeechModel, folder: Path, experiment: dict[str, Any]) -> None:
    """Writes a model directory that transformers loads as a plain Whisper.

    Args:
        model: the trained model.
        folder: where to; must exist.
        experiment: what made the model, for `experiment.json`.

    Raises:
        UserError: the disk is full.
    """
    disable_progress_bar()  # a file is written in a moment
    try:
        model.network.save_pretrained(folder)
    except SafetensorError as error:  # what a full disk is called there
        raise UserError(f"{folder}: the weights cannot be written ({error}); make room and run again") from error
    model.tokenizer.save_pretrained(folder)
    _feature_extractor(model.network.config).save_pretrained(folder)
    write_json(folder / EXPERIMENT, {**experiment, "edges": asdict(model.edges), "language": model.language})


def load(folder: Path) -> SpeechModel:
    """A model directory written by `save`.

    Raises:
        UserError: the folder is missing or incomplete.
    """
    disable_progress_bar()
    experiment = read_json(folder / EXPERIMENT)
    network = WhisperForConditionalGeneration.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    tokenizer = WhisperTokenizer.from_pretrained(folder, local_files_only=True)
    edges = Edges(tuple(experiment["edges"]["seconds"]), experiment["edges"]["tail"])
    return SpeechModel(without_padding(network), tokenizer, edges, experiment["language"])


def _edges(features: FeatureParams, width: int, corpus: Sequence[Utterance]) -> Edges:
    """Those of the parameters, or the ones that waste least on this corpus."""
    if features.edges is not None:
        return Edges(features.edges, features.tail)
    seconds = [item.duration for item in corpus]
    return Edges(choose_edges(seconds, features.shapes, features.longest, features.tail, width), features.tail)


def _scratch_config(model: ModelParams, window: float, tokenizer: WhisperTokenizer) -> WhisperConfig:
    end = end_id(tokenizer)
    return WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=80,
        d_model=model.d_model,
        encoder_layers=model.encoder_layers,
        decoder_layers=model.decoder_layers,
        encoder_attention_heads=model.attention_heads,
        decoder_attention_heads=model.attention_heads,
        encoder_ffn_dim=model.feed_forward,
        decoder_ffn_dim=model.feed_forward,
        dropout=model.dropout,
        max_source_positions=round(window * POSITIONS_PER_SECOND),
        max_target_positions=448,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=prefix_ids(tokenizer, "en")[0],
    )


def _pretrained(model: ModelParams, language: str) -> tuple[WhisperForConditionalGeneration, WhisperTokenizer]:
    try:
        network = WhisperForConditionalGeneration.from_pretrained(
            model.name, revision=model.revision, dtype=torch.float32, dropout=model.dropout
        )
        tokenizer = WhisperTokenizer.from_pretrained(
            model.name, revision=model.revision, language=token_language(language), task=TASK
        )
    except (OSError, ValueError) as error:
        raise UserError(
            f"model.name = {model.name!r}, revision {model.revision!r}: cannot be loaded "
            f"({str(error).splitlines()[0]}); offline, fetch it elsewhere and put its folder's path in model.name"
        ) from error
    return network, tokenizer


def _require_window(network: WhisperForConditionalGeneration, longest: float) -> None:
    """The full window is one of the edges: stock pipelines pad to it."""
    window = network.config.max_source_positions / POSITIONS_PER_SECOND
    if longest != window:
        raise UserError(f"features.longest = {longest:g}: this model's window is {window:g} s; set it to that")


def generation_config(
    network: WhisperForConditionalGeneration, tokenizer: WhisperTokenizer, language: str
) -> GenerationConfig:
    """Whisper's own, with language and task set and nothing that forbids an empty transcript."""
    inherited = network.generation_config
    _, _, task_id, no_timestamps_id = prefix_ids(tokenizer, language)
    # Not from_model_config(): what is derived from a model's config loses Whisper's own settings when it is loaded.
    return GenerationConfig(
        bos_token_id=network.config.bos_token_id,
        eos_token_id=network.config.eos_token_id,
        pad_token_id=network.config.pad_token_id,
        decoder_start_token_id=network.config.decoder_start_token_id,
        max_length=network.config.max_target_positions,
        suppress_tokens=getattr(inherited, "suppress_tokens", None),
        begin_suppress_tokens=None,
        is_multilingual=True,
        language=token_language(language),
        task=TASK,
        lang_to_id=language_ids(tokenizer),
        task_to_id={TASK: task_id},
        no_timestamps_token_id=no_timestamps_id,
        return_timestamps=False,
        alignment_heads=getattr(inherited, "alignment_heads", None),
    )


def _feature_extractor(config: WhisperConfig) -> WhisperFeatureExtractor:
    return WhisperFeatureExtractor(
        feature_size=config.num_mel_bins, chunk_length=round(config.max_source_positions / POSITIONS_PER_SECOND)
    )
