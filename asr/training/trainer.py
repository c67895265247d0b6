"""All that a training step needs and that does not change: model, optimizer, device, features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import GradientAccumulationPlugin

from asr.devices import Compute
from asr.errors import UserError
from asr.features import HOP, LogMel
from asr.params import TrainParams
from asr.pcm import SAMPLE_RATE
from asr.training.augment import Augment
from asr.training.compiled import Compiled
from asr.training.data import TrainingSet
from asr.training.objective import Objective
from asr.training.observe.profiler import Profiler
from asr.training.padding import Padding
from asr.training.ranks import Ranks

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Trainer:
    """What changes lives in `Progress`, in the weights and in the optimizer."""

    params: TrainParams
    data: TrainingSet
    objective: Objective
    log_mel: LogMel
    accelerator: Accelerator
    optimizer: torch.optim.Optimizer
    augment: Augment
    ranks: Ranks
    profiler: Profiler
    compiled: Compiled | None
    """The objective for micro-batches of the usual sizes, if `train.compile` asks for it."""

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self.accelerator.device
        return device

    def names(self) -> dict[str, torch.nn.Parameter]:
        """The parameters of the model and of the heads that only training has, by name."""
        return dict(self.objective.named_parameters())

    def weights(self) -> Weights:
        """A copy of the network's weights on the CPU, names as in the network."""
        state = self.objective.model.state_dict()
        places = {name: (value.data_ptr(), value.shape) for name, value in state.items()}
        copies = {places[name]: value.detach().to("cpu", copy=True) for name, value in state.items()}
        return {name: copies[place] for name, place in places.items()}  # tied ones stay tied


def make_trainer(params: TrainParams, data: TrainingSet, objective: Objective, compute: Compute) -> Trainer:
    """Puts model and optimizer on the device.

    Raises:
        UserError: accelerate's own settings demand another device.
    """
    precision = "no" if compute.precision == "fp32" else compute.precision
    accelerator = Accelerator(
        cpu=compute.device.type == "cpu",
        mixed_precision=precision,
        # Given here, since a variable of the environment would decide otherwise.
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
    )
    if accelerator.device.type != compute.device.type:
        raise UserError(
            f"train.device: {compute.device.type} was chosen, but accelerate's settings demand "
            f"{accelerator.device.type}: unset ACCELERATE_USE_CPU, or set train.device"
        )
    objective.to(accelerator.device)
    optimizer = torch.optim.AdamW(_groups(objective, params), lr=params.learning_rate, betas=(0.9, 0.98), fused=True)
    augment = Augment(
        time_masks=params.time_masks,
        time_mask_frames=round(params.time_mask * SAMPLE_RATE / HOP),
        frequency_masks=params.frequency_masks,
        frequency_mask_bands=params.frequency_mask,
        warp=params.warp,
    )
    return Trainer(
        params,
        data,
        objective,
        LogMel(objective.model.config.num_mel_bins).to(accelerator.device),
        accelerator,
        accelerator.prepare_optimizer(optimizer),
        augment,
        Ranks(accelerator),
        Profiler(accelerator.device),
        Compiled.of(objective, data, Padding.of(data.edges, data.samples(), params).candidates())
        if params.compile
        else None,
    )


def _groups(objective: Objective, params: TrainParams) -> Sequence[dict[str, Any]]:
    """Weight decay for matrices only: biases and layer norms are left alone."""
    trainable = [p for p in objective.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": params.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
