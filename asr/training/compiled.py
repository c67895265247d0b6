"""Compiled steps: each layer as one graph for each of the few shapes that come again and again.

Graphs are made a layer at a time. All layers of a kind share them, so there are two of them for a shape, however
deep the model is, and no mask is ever traced: compiled as a whole, the decoder would make one (transformers'
`_ignore_causal_mask_sdpa` never skips it under torch < 2.14).

A shape is (clips, edge, label length), and each edge has one: the clips that pass at once at this edge, and labels
padded to one length that the training set decides. What comes in other numbers (the remainders of an epoch, the last
piece of a batch that is cut) takes the plain path, and so do validation and decoding.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType, MethodType
from typing import Any

import torch
from torch.nn import functional as F

from asr.errors import UserError
from asr.training.data import TrainingSet
from asr.training.objective import IGNORED, Labels, Objective

LABEL_STEP = 8
"""Targets of an edge are a multiple of it: tensor cores want rows in eights."""
GRAPHS_AT_MOST = 64
"""Of one function. PyTorch's limit of 8 is below the number of edges: the others would run plain, without an error."""
Layer = Callable[..., Any]
Backend = str | Callable[..., Any]
Losses = tuple[torch.Tensor, torch.Tensor]


def label_lengths(data: TrainingSet, candidates: Mapping[int, Sequence[int]], positions: int) -> Mapping[int, int]:
    """How many targets the labels of each edge are padded to, text and end token, for the edges that occur.

    Args:
        data: the training set; its longest text at an edge decides.
        candidates: the clips that may have each edge.
        positions: of the decoder; prefix and targets but one must fit.
    """
    longest = {edge: max(len(data.texts[clip]) + 1 for clip in clips) for edge, clips in candidates.items()}
    room = positions - len(data.prefix) + 1
    rounded = {edge: -(-targets // LABEL_STEP) * LABEL_STEP for edge, targets in sorted(longest.items())}
    return MappingProxyType({edge: min(targets, room) for edge, targets in rounded.items()})


def padded(labels: Labels, targets: int, end: int) -> Labels:
    """The same labels with more room behind them, which changes no loss.

    Args:
        labels: of one micro-batch, on any device.
        targets: how many there shall be; no fewer than there are.
        end: id of the end token, which fills the decoder's input.
    """
    more = targets - labels.targets.shape[1]
    assert more >= 0, "the training set decided the length, and the batch is of it"
    return replace(
        labels,
        decoder_input=F.pad(labels.decoder_input, (0, more), value=end),
        targets=F.pad(labels.targets, (0, more), value=IGNORED),
    )


@dataclass(frozen=True)
class Compiled:
    """An objective with compiled layers; names of weights and the objective itself are left as they are."""

    objective: Objective
    lengths: Mapping[int, int]
    """Targets of each edge."""
    end: int
    """Id of the end token."""
    layers: Sequence[tuple[torch.nn.Module, Layer]]
    """Each layer with its compiled forward."""
    head: Layer

    @classmethod
    def of(
        cls,
        objective: Objective,
        data: TrainingSet,
        candidates: Mapping[int, Sequence[int]],
        backend: Backend = "inductor",
    ) -> "Compiled":
        """Compiles nothing yet: a graph is made when its shape comes for the first time.

        Args:
            objective: on its device, gradient checkpointing and frozen parts already chosen.
            data: the training set.
            candidates: the clips that may have each edge.
            backend: of `torch.compile`; `eager` and `aot_eager` need no compiler and are for tests.

        Raises:
            UserError: this machine cannot compile for the device.
        """
        torch._dynamo.config.recompile_limit = max(GRAPHS_AT_MOST, torch._dynamo.config.recompile_limit)
        parts = objective.model.model
        _require_compiler(next(objective.parameters()).device, backend)
        layers = [*parts.encoder.layers, *parts.decoder.layers]
        return cls(
            objective,
            label_lengths(data, candidates, objective.model.config.max_target_positions),
            data.end,
            [(layer, torch.compile(_forward(layer), dynamic=False, backend=backend)) for layer in layers],
            torch.compile(_cross_entropy, dynamic=False, backend=backend),
        )

    def __call__(self, log_mel: torch.Tensor, labels: Labels, edge: int) -> Losses:
        """The losses of `Objective.forward`, of a micro-batch with the edge's usual number of clips.

        Args:
            log_mel: shape = (clips, mel bands, frames of the edge).
            labels: on the same device.
            edge: index of the common length.
        """
        with self._in_place():
            losses: Losses = self.objective(log_mel, padded(labels, self.lengths[edge], self.end))
        return losses

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        """Compiled functions stand in for the plain ones, in this block only: modules and their names stay."""
        plain_head = self.objective.head
        self.objective.head = self.head
        for layer, compiled in self.layers:
            layer.forward = compiled
        try:
            yield
        finally:
            for layer, _ in self.layers:
                del layer.forward  # the instance's; the class's is behind it
            self.objective.head = plain_head


def _forward(layer: torch.nn.Module) -> Layer:
    """What to compile of a layer: a frozen one without its checkpointing, which has nothing to save there.

    PyTorch refuses to compile checkpointed dropout where no backward pass follows.
    """
    if any(parameter.requires_grad for parameter in layer.parameters()):
        return layer.forward
    return MethodType(inspect.unwrap(type(layer).forward), layer)


def _cross_entropy(
    projection: torch.nn.Linear, hidden: torch.Tensor, targets: torch.Tensor, smoothing: float
) -> torch.Tensor:
    """As `objective.cross_entropy`, of all rows: static shapes; the compiler fuses what that one does by hand."""
    return F.cross_entropy(
        projection(hidden).float(), targets, ignore_index=IGNORED, reduction="sum", label_smoothing=smoothing
    )


def _require_compiler(device: torch.device, backend: Backend) -> None:
    """Makes the smallest graph, since the first one of a model would fail minutes later and in many lines.

    Raises:
        UserError: a compiler is missing.
    """
    try:
        torch.compile(_doubled, dynamic=False, backend=backend)(torch.ones(8, device=device))
    except torch._dynamo.exc.BackendCompilerFailed as error:
        cause = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(
            f"train.compile: this machine cannot compile for {device.type} ({cause}); install a C++ compiler (g++), "
            "and on CUDA the triton of this PyTorch, or set train.compile to false"
        ) from error


def _doubled(values: torch.Tensor) -> torch.Tensor:
    return values + values
