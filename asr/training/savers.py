"""What trades time or freedom for memory: a frozen encoder, and activations that are computed twice."""

from transformers import WhisperForConditionalGeneration


def freeze_encoder(network: WhisperForConditionalGeneration) -> int:
    """Keeps the encoder as it is, convolutions and positions included; only the decoder learns.

    Nothing below the encoder's output needs a gradient then, so autograd keeps none of its activations.
    Call it before the optimizer is made.

    Returns:
        How many numbers are frozen.
    """
    encoder = network.model.encoder
    encoder.requires_grad_(False)
    return sum(parameter.numel() for parameter in encoder.parameters())


def checkpoint_gradients(network: WhisperForConditionalGeneration) -> None:
    """Keeps only each layer's input for the backward pass, which computes the rest again.

    About a third more time (Chen et al. 2016, Training deep nets with sublinear memory cost). Non-reentrant:
    its gradients have the same bits as without, also under autocast, with dropout, and over several
    micro-batches; the reentrant kind differs under autocast and fails where a layer's input needs no
    gradient. Decoding does not change: layers are checkpointed in training mode alone.
    """
    settings = {"use_reentrant": False}
    if hasattr(network, "activation_checkpointing_enable"):  # its name in newer releases of transformers 5
        network.activation_checkpointing_enable(activation_checkpointing_kwargs=settings)
    else:
        network.gradient_checkpointing_enable(gradient_checkpointing_kwargs=settings)
