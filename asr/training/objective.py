"""What training minimises: cross-entropy of the text, and optionally a CTC loss on the encoder.

Letters: B clips, L label tokens, T encoder positions, D width, V vocabulary, N targets.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from transformers import WhisperForConditionalGeneration
from transformers.models.whisper.modeling_whisper import WhisperDecoder

from asr.models.linear import Linear

IGNORED = -100
"""Target of positions behind a label's end."""


Head = Callable[[torch.nn.Linear, torch.Tensor, torch.Tensor, float], torch.Tensor]
"""Summed cross-entropy of (projection to the vocabulary, states, targets, label smoothing); see `cross_entropy`."""


@dataclass(frozen=True)
class Labels:
    """The labels of one micro-batch."""

    decoder_input: torch.Tensor
    """Prefix and text, shape = (B, prefix + L)."""
    targets: torch.Tensor
    """Text and end token, `IGNORED` behind it, shape = (B, L + 1)."""
    lengths: torch.Tensor
    """Text tokens of each clip, shape = (B,); stays on the CPU, where CTC reads it."""

    def to(self, device: torch.device) -> "Labels":
        """The same for a model on `device`."""
        return replace(
            self,
            decoder_input=self.decoder_input.to(device, non_blocking=True),
            targets=self.targets.to(device, non_blocking=True),
        )


class Objective(torch.nn.Module):
    """A Whisper and its losses, as sums over tokens, so that micro-batches add up exactly.

    The CTC head (Watanabe et al. 2017, hybrid CTC/attention) serves training only: it makes a model
    that starts from scratch align early, and is not part of the saved model.
    """

    def __init__(
        self, model: WhisperForConditionalGeneration, text_tokens: int, label_smoothing: float, ctc_weight: float
    ) -> None:
        super().__init__()
        self.model = model
        self.label_smoothing = label_smoothing
        self.ctc_weight = ctc_weight
        self.blank = text_tokens
        self.ctc_head = Linear(model.config.d_model, text_tokens + 1) if ctc_weight else None
        self.head: Head = cross_entropy

    def forward(self, log_mel: torch.Tensor, labels: Labels) -> tuple[torch.Tensor, torch.Tensor]:
        """Sums over the micro-batch's tokens of the cross-entropy and of the CTC loss (0 without its head)."""
        encoded = self.model.model.encoder(log_mel).last_hidden_state
        decoded = decode(self.model.model.decoder, labels.decoder_input, encoded)
        predicting = decoded[:, -labels.targets.shape[1] :].flatten(0, 1)
        summed = self.head(self.model.proj_out, predicting, labels.targets.flatten(), self.label_smoothing)
        return summed, self._ctc(encoded, labels) if self.ctc_head else summed.new_zeros(())

    def _ctc(self, encoded: torch.Tensor, labels: Labels) -> torch.Tensor:
        assert self.ctc_head is not None
        log_probs = self.ctc_head(encoded).float().log_softmax(dim=-1).transpose(0, 1)  # (T, B, text + 1)
        positions = torch.full_like(labels.lengths, log_probs.shape[0])
        targets = labels.targets[:, :-1].clamp(min=0)  # what lies behind a label is not looked at
        return F.ctc_loss(log_probs, targets, positions, labels.lengths, blank=self.blank, reduction="sum")


def decode(decoder: WhisperDecoder, tokens: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
    """The decoder's states, shape = (B, prefix + L, D).

    What `WhisperDecoder.forward` computes in training, without its search for packed sequences, which reads from the
    device in every step, and without its gather of positions, whose gradient is a scatter. No mask is made: the
    self-attention is causal by a flag, and no clip of a batch is padded differently from another.

    Args:
        decoder: of a Whisper.
        tokens: prefix and text, shape = (B, prefix + L).
        encoded: the encoder's output, shape = (B, T, D).
    """
    if torch.is_autocast_enabled(encoded.device.type):  # else every layer casts it twice, and autograd keeps the copies
        encoded = encoded.to(torch.get_autocast_dtype(encoded.device.type))
    hidden = decoder.embed_tokens(tokens) + decoder.embed_positions.weight[: tokens.shape[1]]
    hidden = F.dropout(hidden, p=decoder.dropout, training=decoder.training)
    for layer in decoder.layers:
        output = layer(hidden, None, encoded, use_cache=False)  # the cache is on by default in transformers 5
        hidden = output[0] if isinstance(output, tuple) else output  # transformers < 5.20 gives a tuple
    states: torch.Tensor = decoder.layer_norm(hidden)
    return states


def cross_entropy(
    projection: torch.nn.Linear, hidden: torch.Tensor, targets: torch.Tensor, smoothing: float
) -> torch.Tensor:
    """The sum over all targets that are not `IGNORED`.

    Args:
        projection: from states to the vocabulary, the widest product of all.
        hidden: the decoder's states, shape = (N, D).
        targets: shape = (N,).
        smoothing: share of the probability that is spread evenly over the vocabulary (Szegedy et al. 2016).
    """
    if targets.device.type == "cpu":  # on a GPU to ask which rows count would be a synchronisation
        real = (targets != IGNORED).nonzero().squeeze(1)
        hidden, targets = hidden[real], targets[real]
    loss: torch.Tensor = CrossEntropy.apply(projection(hidden), targets, smoothing)  # type: ignore[no-untyped-call]  # torch does not type it
    return loss


class CrossEntropy(torch.autograd.Function):
    """`F.cross_entropy(logits.float(), targets, reduction="sum", label_smoothing=...)`, in two thirds of its memory.

    The gradient is written into the log-probabilities, which nobody reads after it: the vocabulary is 51,865 wide,
    and each tensor of that width costs more than the rest of a decoder layer.
    """

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, targets: torch.Tensor, smoothing: float) -> torch.Tensor:
        """The loss, a sum over targets.

        Args:
            ctx: holds what the gradient needs.
            logits: shape = (N, V), any float.
            targets: shape = (N,); `IGNORED` ones count nothing.
            smoothing: as in `cross_entropy`.
        """
        log_probs = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
        counts = (targets != IGNORED).unsqueeze(1)
        places = targets.clamp(min=0).unsqueeze(1)
        likelihood = log_probs.gather(1, places).masked_fill(~counts, 0.0).sum()
        evenly = log_probs.sum(dim=1, keepdim=True).masked_fill(~counts, 0.0).sum()
        ctx.save_for_backward(log_probs, places, counts)
        ctx.smoothing, ctx.dtype = smoothing, logits.dtype
        return -(1 - smoothing) * likelihood - smoothing / log_probs.shape[1] * evenly

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """For the logits alone, in their own number format."""
        log_probs, places, counts = ctx.saved_tensors
        found = log_probs.exp_().sub_(ctx.smoothing / log_probs.shape[1])
        found.scatter_add_(1, places, torch.full_like(found[:, :1], ctx.smoothing - 1))
        return found.mul_(gradient * counts).to(ctx.dtype), None, None
