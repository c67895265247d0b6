"""Whisper's decoder, written for one new token at a time.

Transformers' decoder makes masks, cache objects and a dozen module calls a layer, for every token. Here
a token costs the products and little else: keys and values of earlier tokens and of the audio stand in
tensors that are allocated once a batch, and no mask is needed, since all clips of a batch are equally
long and grow together. The weights are those of `WhisperDecoder`, by their names, and stay where they are.

Letters: B clips, L new tokens, P positions of text, S positions of the encoder, C width, H heads, D = C / H.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from transformers import WhisperForConditionalGeneration
from transformers.activations import ACT2FN
from transformers.models.whisper.modeling_whisper import WhisperDecoderLayer

from asr.models.linear import linear


@dataclass(frozen=True)
class Affine:
    """A linear layer, or several of the same input in one product."""

    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def of(cls, *layers: torch.nn.Linear) -> "Affine":
        """Outputs of all layers, one after the other; Whisper's keys have no bias."""
        if len(layers) == 1:
            return cls(layers[0].weight, layers[0].bias)
        weights = tuple(layer.weight for layer in layers)
        biases = tuple(
            layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias for layer in layers
        )
        return cls(torch.cat(weights), torch.cat(biases))

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Shape = (..., inputs) to shape = (..., outputs)."""
        return linear(hidden, self.weight, self.bias)


@dataclass(frozen=True)
class Norm:
    """A layer norm."""

    weight: torch.Tensor
    bias: torch.Tensor
    epsilon: float

    @classmethod
    def of(cls, layer: torch.nn.LayerNorm) -> "Norm":
        """The same as that layer."""
        return cls(layer.weight, layer.bias, layer.eps)

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Shape = (..., C), unchanged."""
        return F.layer_norm(hidden, self.weight.shape, self.weight, self.bias, self.epsilon)


@dataclass(frozen=True)
class Layer:
    """One layer of the decoder, in the order of its computation."""

    self_norm: Norm
    self_qkv: Affine
    """Queries, keys and values, shape = (B, L, C) to shape = (B, L, 3 C)."""
    self_out: Affine
    cross_norm: Norm
    cross_q: Affine
    cross_kv: Affine
    """Keys and values of the audio, shape = (B, S, C) to shape = (B, S, 2 C)."""
    cross_out: Affine
    final_norm: Norm
    fc1: Affine
    fc2: Affine

    @classmethod
    def of(cls, layer: WhisperDecoderLayer) -> "Layer":
        """The same as that layer without dropout."""
        own, cross = layer.self_attn, layer.encoder_attn
        return cls(
            Norm.of(layer.self_attn_layer_norm),
            Affine.of(own.q_proj, own.k_proj, own.v_proj),
            Affine.of(own.out_proj),
            Norm.of(layer.encoder_attn_layer_norm),
            Affine.of(cross.q_proj),
            Affine.of(cross.k_proj, cross.v_proj),
            Affine.of(cross.out_proj),
            Norm.of(layer.final_layer_norm),
            Affine.of(layer.fc1),
            Affine.of(layer.fc2),
        )


@dataclass(frozen=True)
class DecoderWeights:
    """What a step needs of a model. Good for as long as the model's weights stay: fused ones are copies."""

    layers: tuple[Layer, ...]
    embed_tokens: torch.Tensor
    """Shape = (vocabulary, C)."""
    embed_positions: torch.Tensor
    """Shape = (longest text, C)."""
    norm: Norm
    activation: Callable[[torch.Tensor], torch.Tensor]
    heads: int

    @classmethod
    def of(cls, model: WhisperForConditionalGeneration) -> "DecoderWeights":
        """Of a model as its weights are now; to be called under `torch.inference_mode`."""
        decoder, config = model.model.decoder, model.config
        return cls(
            tuple(Layer.of(layer) for layer in decoder.layers),
            decoder.embed_tokens.weight,
            decoder.embed_positions.weight,
            Norm.of(decoder.layer_norm),
            ACT2FN[config.activation_function],
            config.decoder_attention_heads,
        )


class DecoderState:
    """A batch of texts that grow together, with the keys and values of all that was said and heard."""

    def __init__(self, weights: DecoderWeights, encoded: torch.Tensor, longest: int, beams: int = 1) -> None:
        """Reads the audio and makes room for the text.

        Args:
            weights: of the model.
            encoded: the encoder's output, shape = (clips, S, C).
            longest: how many tokens a text may have, prefix included.
            beams: texts of each clip, which follow each other in the batch: B = clips x beams.
        """
        self.weights = weights
        self.beams = beams
        self.length = 0
        """Tokens that every text has so far."""
        clips, _, width = encoded.shape
        shape = (2, clips * beams, weights.heads, longest, width // weights.heads)
        self._self_kv = [encoded.new_empty(shape) for _ in weights.layers]
        """A layer, shape = (2, B, H, P, D)."""
        self._cross_kv = [self._by_head(layer.cross_kv(encoded), 2).contiguous() for layer in weights.layers]
        """A layer, shape = (2, clips, H, S, D)."""

    def advance(self, tokens: torch.Tensor) -> torch.Tensor:
        """Appends tokens to the texts.

        Args:
            tokens: ids of shape = (B, L); L = 1, or the whole prefix in the first call.

        Returns:
            what the decoder makes of the last of them, normalised, shape = (B, C).
        """
        hidden = F.embedding(tokens, self.weights.embed_tokens) + self._positions(tokens.shape[1])
        for layer, self_kv, cross_kv in zip(self.weights.layers, self._self_kv, self._cross_kv, strict=True):
            hidden = hidden + self._attend_to_text(layer, layer.self_norm(hidden), self_kv)
            hidden = hidden + self._attend_to_audio(layer, layer.cross_norm(hidden), cross_kv)
            hidden = hidden + layer.fc2(self.weights.activation(layer.fc1(layer.final_norm(hidden))))
        self.length += tokens.shape[1]
        return self.weights.norm(hidden[:, -1])

    def shrink(self, moves: "Moves") -> None:
        """Goes on with some of the texts only, in the order that `moves` brings them into."""
        for cache in self._self_kv:
            moves.apply(cache[:, :, :, : self.length], 1)  # the room behind has nothing to move
        self._self_kv = [cache[:, : len(moves.kept)] for cache in self._self_kv]
        self._cross_kv = [moves.apply(cache, 1) for cache in self._cross_kv]

    def reorder(self, rows: torch.Tensor) -> None:
        """Goes on with these rows; the beams of a clip may copy each other, and clips without a row leave.

        Args:
            rows: indices, those of a clip's beams together, in the order of the clips; shape = (rows,).
        """
        for layer, cache in enumerate(self._self_kv):
            said = cache[:, :, :, : self.length].index_select(1, rows)
            self._self_kv[layer] = cache[:, : len(rows)]
            self._self_kv[layer][:, :, :, : self.length] = said
        clips = rows[:: self.beams] // self.beams
        if len(clips) < self._cross_kv[0].shape[1]:
            self._cross_kv = [cache.index_select(1, clips) for cache in self._cross_kv]

    def _positions(self, count: int) -> torch.Tensor:
        """Of the next tokens, shape = (L, C)."""
        return self.weights.embed_positions[self.length : self.length + count]

    def _attend_to_text(self, layer: Layer, hidden: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
        count = hidden.shape[1]
        assert count == 1 or self.length == 0, "several tokens need a mask where others stand before them"
        query, *new = self._by_head(layer.self_qkv(hidden), 3)
        end = self.length + count
        for stored, added in zip(cache, new, strict=True):
            stored[:, :, self.length : end] = added
        keys, values = cache[:, :, :, :end]
        return self._attend(layer.self_out, query, keys, values, causal=count > 1)

    def _attend_to_audio(self, layer: Layer, hidden: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
        rows, count, _ = hidden.shape
        together = hidden.reshape(rows // self.beams, self.beams * count, -1)  # a clip's beams ask the same audio
        (query,) = self._by_head(layer.cross_q(together), 1)
        keys, values = cache
        return self._attend(layer.cross_out, query, keys, values, causal=False).view_as(hidden)

    def _attend(
        self, out: Affine, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, causal: bool
    ) -> torch.Tensor:
        """Attention without a mask: shapes (B, H, L, D) and (B, H, P or S, D) to shape = (B, L, C)."""
        mixed = F.scaled_dot_product_attention(query, keys, values, is_causal=causal)
        return out(mixed.transpose(1, 2).flatten(2))

    def _by_head(self, fused: torch.Tensor, parts: int) -> torch.Tensor:
        """Shape = (B, L, parts C) to shape = (parts, B, H, L, D)."""
        clips, count, _ = fused.shape
        return fused.view(clips, count, parts, self.weights.heads, -1).permute(2, 0, 3, 1, 4)


@dataclass(frozen=True)
class Moves:
    """How the rows that go on close up: the last of them move into the places of those that left.

    So a row is copied at most once for every row that leaves, and none of the others is touched.
    """

    kept: list[int]
    """Which row is now at each of the first places; there are no others."""
    sources: torch.Tensor
    """Indices of the rows that move."""
    places: torch.Tensor
    """Where to."""

    @classmethod
    def of(cls, alive: Sequence[bool], device: torch.device) -> "Moves":
        """By whether each row goes on."""
        count = sum(alive)
        sources = [row for row in range(count, len(alive)) if alive[row]]
        places = [row for row in range(count) if not alive[row]]
        kept = list(range(count))
        for source, place in zip(sources, places, strict=True):
            kept[place] = source
        indices = torch.tensor([sources, places], dtype=torch.long, device=device)
        return cls(kept, indices[0], indices[1])

    def apply(self, rows: torch.Tensor, dim: int) -> torch.Tensor:
        """Moves the rows of a tensor in place; a view of those that are left."""
        if len(self.sources):
            rows.index_copy_(dim, self.places, rows.index_select(dim, self.sources))
        return rows.narrow(dim, 0, len(self.kept))
