"""Whisper in its own sizes without a download: random weights, and the real multilingual tokenizer.

What a step costs depends on shapes alone, so random weights measure the same as trained ones. Tokens are counted by
the real vocabulary, which the package openai-whisper carries as `multilingual.tiktoken`.
"""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration, WhisperTokenizer
from transformers.convert_slow_tokenizer import TikTokenConverter

from asr.corpus.edges import POSITIONS_PER_SECOND, choose_edges
from asr.errors import UserError
from asr.features import Edges
from asr.models.build import SpeechModel, generation_config
from asr.models.tokenizer import END, SPECIAL_TOKENS, TASK, end_id, prefix_ids
from asr.models.whisper import without_padding
from asr.pcm import SAMPLE_RATE
from benchmarks.mix import clip_lengths

LANGUAGE = "az"
REQUIREMENTS = "pip install -r requirements-benchmarks.txt"
SHAPES, WINDOW, TAIL = 16, 30.0, 0.2
"""How many edges, the last one and the silence behind a clip in seconds: as the presets have them."""
CORPUS = 100_000
"""Clips of the mix for which the edges are chosen."""
TARGET_POSITIONS = 448
MEL_BANDS = 80
LANGUAGES = 99
"""Of Whisper before large-v3, which has one more."""
TIMESTAMPS = tuple(f"<|{number * 0.02:.2f}|>" for number in range(1501))

Size = Literal["tiny", "base", "small"]
WIDTH_LAYERS_HEADS: dict[Size, tuple[int, int, int]] = {
    "tiny": (384, 4, 6),
    "base": (512, 6, 8),
    "small": (768, 12, 12),
}


@cache
def edges(longest: float = WINDOW, width: int = 384) -> Edges:
    """The lengths to which benchmarks pad: chosen for a corpus of the mix, as the presets let them be chosen.

    Args:
        longest: the last of them (s); longer clips of the mix are left out.
        width: of the model.
    """
    lengths = clip_lengths(CORPUS, np.random.default_rng(1)) / SAMPLE_RATE
    return Edges(choose_edges(lengths[lengths <= longest].tolist(), SHAPES, longest, TAIL, width), TAIL)


def whisper(size: Size, positions: int = 1500, seed: int = 1) -> SpeechModel:
    """A Whisper of exactly the published dimensions.

    Args:
        size: whose.
        positions: rows of the encoder's table of positions, 50 a second: the window.
        seed: of the random weights.

    Raises:
        UserError: a package of the benchmarks is missing.
    """
    names = tokenizer()
    torch.manual_seed(seed)
    network = WhisperForConditionalGeneration(_config(size, positions, names))
    network.generation_config = generation_config(network, names, LANGUAGE)
    lengths = edges(positions / POSITIONS_PER_SECOND, network.config.d_model)
    return SpeechModel(without_padding(network), names, lengths, LANGUAGE)


@cache
def tokenizer() -> WhisperTokenizer:
    """The tokenizer of openai/whisper-tiny, -base and -small, every id the same.

    Raises:
        UserError: a package of the benchmarks is missing.
    """
    for package in ("whisper", "tiktoken"):
        require(package)
    ranks = str(package_folder("whisper") / "assets" / "multilingual.tiktoken")
    vocabulary, merges = TikTokenConverter(ranks).extract_vocab_merges_from_model(ranks)
    special = _special_tokens()
    ids = vocabulary | {name: len(vocabulary) + number for number, name in enumerate((*special, *TIMESTAMPS))}
    return WhisperTokenizer(
        vocab=ids,
        merges=merges,
        language=LANGUAGE,
        task=TASK,
        pad_token=END,
        additional_special_tokens=list(special[1:]),
    )


def require(package: str) -> None:
    """Refuses to go on without a package of requirements-benchmarks.txt, named as it is imported."""
    if importlib.util.find_spec(package) is None:
        raise UserError(f"{package}: not installed; {REQUIREMENTS}")


def package_folder(package: str) -> Path:
    """Where an installed package stands, without importing it."""
    found = importlib.util.find_spec(package)
    assert found is not None
    return Path(str(found.origin)).parent


def _special_tokens() -> tuple[str, ...]:
    """In the order of their ids, without the languages that came later."""
    first = 2 + LANGUAGES
    rest = SPECIAL_TOKENS.index("<|translate|>")
    return SPECIAL_TOKENS[:first] + SPECIAL_TOKENS[rest:]


def _config(size: Size, positions: int, names: WhisperTokenizer) -> WhisperConfig:
    width, layers, heads = WIDTH_LAYERS_HEADS[size]
    end = end_id(names)
    return WhisperConfig(
        vocab_size=len(names),
        num_mel_bins=MEL_BANDS,
        d_model=width,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        dropout=0.0,
        max_source_positions=positions,
        max_target_positions=TARGET_POSITIONS,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=prefix_ids(names, LANGUAGE)[0],
    )
