"""What training minimises: cross-entropy of the text, and optionally a CTC loss on the encoder.

Letters: B clips, L label tokens, T encoder positions, D width, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F
from transformers import WhisperForConditionalGeneration

IGNORED = -100
"""Target of positions behind a label's end."""


@dataclass(frozen=True)
class Labels:
    """The labels of one micro-batch."""

    decoder_input: torch.Tensor
    """Prefix and text, shape = (B, prefix + L)."""
    targets: torch.Tensor
    """Text and end token, `IGNORED` behind it, shape = (B, L + 1)."""
    lengths: torch.Tensor
    """Text tokens of each clip, shape = (B,)."""


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
        self.ctc_head = torch.nn.Linear(model.config.d_model, text_tokens + 1) if ctc_weight else None

    def forward(self, log_mel: torch.Tensor, labels: Labels) -> tuple[torch.Tensor, torch.Tensor]:
        """Sums over the micro-batch's tokens of the cross-entropy and of the CTC loss (0 without its head)."""
        encoded = self.model.model.encoder(log_mel).last_hidden_state
        decoded = self.model.model.decoder(
            input_ids=labels.decoder_input,
            encoder_hidden_states=encoded,
            use_cache=False,  # labels alone do not switch the cache off in transformers 5
        ).last_hidden_state
        logits = self.model.proj_out(decoded[:, -labels.targets.shape[1] :])  # (B, L + 1, V)
        cross_entropy = F.cross_entropy(
            logits.flatten(0, 1).float(),
            labels.targets.flatten(),
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )
        return cross_entropy, self._ctc(encoded, labels) if self.ctc_head else cross_entropy.new_zeros(())

    def _ctc(self, encoded: torch.Tensor, labels: Labels) -> torch.Tensor:
        assert self.ctc_head is not None
        log_probs = self.ctc_head(encoded).float().log_softmax(dim=-1).transpose(0, 1)  # (T, B, text + 1)
        positions = torch.full_like(labels.lengths, log_probs.shape[0])
        targets = labels.targets[:, :-1].clamp(min=0)  # what lies behind a label is not looked at
        return F.ctc_loss(log_probs, targets, positions, labels.lengths, blank=self.blank, reduction="sum")
