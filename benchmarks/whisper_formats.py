"""A saved model as other engines want it: the same weights under their names."""

import re
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from transformers import WhisperConfig

RENAMED = (
    (r"^model\.", ""),
    (r"^(encoder|decoder)\.layers\.", r"\1.blocks."),
    (r"^encoder\.embed_positions\.weight$", "encoder.positional_embedding"),
    (r"^decoder\.embed_positions\.weight$", "decoder.positional_embedding"),
    (r"^decoder\.embed_tokens\.", "decoder.token_embedding."),
    (r"^encoder\.layer_norm\.", "encoder.ln_post."),
    (r"^decoder\.layer_norm\.", "decoder.ln."),
    (r"\.self_attn_layer_norm\.", ".attn_ln."),
    (r"\.encoder_attn_layer_norm\.", ".cross_attn_ln."),
    (r"\.final_layer_norm\.", ".mlp_ln."),
    (r"\.self_attn\.", ".attn."),
    (r"\.encoder_attn\.", ".cross_attn."),
    (r"\.q_proj\.", ".query."),
    (r"\.k_proj\.", ".key."),
    (r"\.v_proj\.", ".value."),
    (r"\.out_proj\.", ".out."),
    (r"\.fc1\.", ".mlp.0."),
    (r"\.fc2\.", ".mlp.2."),
)
"""From a parameter's name in transformers to openai-whisper's, one after the other."""


def openai_name(name: str) -> str:
    """What openai-whisper calls the parameter `name` of a transformers Whisper."""
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def to_openai(folder: Path) -> Any:
    """The saved model in `folder` as a `whisper.model.Whisper`, fp32 on the CPU.

    Raises:
        RuntimeError: a weight has no place in it, or it lacks one.
    """
    from whisper.model import ModelDimensions, Whisper  # only benchmarks have it installed

    config = WhisperConfig.from_pretrained(folder, local_files_only=True)
    dimensions = ModelDimensions(
        n_mels=config.num_mel_bins,
        n_audio_ctx=config.max_source_positions,
        n_audio_state=config.d_model,
        n_audio_head=config.encoder_attention_heads,
        n_audio_layer=config.encoder_layers,
        n_vocab=config.vocab_size,
        n_text_ctx=config.max_target_positions,
        n_text_state=config.d_model,
        n_text_head=config.decoder_attention_heads,
        n_text_layer=config.decoder_layers,
    )
    model = Whisper(dimensions)
    weights = load_file(folder / "model.safetensors")
    weights.pop("proj_out.weight", None)  # the token embedding once more
    model.load_state_dict({openai_name(name): weight for name, weight in weights.items()})
    return model.eval()


def to_ctranslate2(folder: Path, target: Path) -> Path:
    """Writes the saved model in `folder` for CTranslate2, with what faster-whisper reads beside it."""
    from ctranslate2.converters import TransformersConverter  # only benchmarks have it installed

    files = ["tokenizer.json", "preprocessor_config.json"]
    TransformersConverter(str(folder), copy_files=files).convert(str(target), force=True)
    return target
