"""Whisper without padding to 30 s.

Transformers' encoder refuses any input that is not 3000 frames long (issues #25744, #26241). The weights
do not care: the position table is a table of sinusoids, and a shorter input takes its first rows, as
icefall does in training and decoding (PR #1466). Only the encoder's class is exchanged, so names of
weights, loading and saving are those of a plain Whisper.
"""

import torch
from transformers import WhisperForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from asr.errors import UserError
from asr.models.linear import with_fast_linears


class UnpaddedEncoder(WhisperEncoder):  # type: ignore[misc]  # transformers is not typed
    """Whisper's encoder for any length up to its position table."""

    def forward(
        self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: object
    ) -> BaseModelOutput:
        """Encodes log-mel.

        Args:
            input_features: log-mel of shape = (clips, mel bands, frames), frames even.
            attention_mask: not used; all clips of a batch have the same length by construction.

        Returns:
            `last_hidden_state` of shape = (clips, frames / 2, width).
        """
        del attention_mask
        hidden = torch.nn.functional.gelu(self.conv1(input_features))
        hidden = torch.nn.functional.gelu(self.conv2(hidden)).transpose(1, 2)
        positions = hidden.shape[1]
        if positions > self.max_source_positions:
            raise UserError(f"{positions} encoder positions, but the model has {self.max_source_positions}")
        hidden = hidden + self.embed_positions.weight[:positions]
        hidden = torch.nn.functional.dropout(hidden, p=self.dropout, training=self.training)
        for layer in self.layers:
            output = layer(hidden, None)
            hidden = output[0] if isinstance(output, tuple) else output  # transformers < 5.20 gives a tuple
        return BaseModelOutput(last_hidden_state=self.layer_norm(hidden))


def without_padding(model: WhisperForConditionalGeneration) -> WhisperForConditionalGeneration:
    """The same model, its encoder accepting any length up to its position table, its linear layers fast on CPUs."""
    model.model.encoder.__class__ = UnpaddedEncoder
    with_fast_linears(model)
    return model
