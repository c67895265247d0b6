"""The processes that train one model together. With one process, which is usual, all of this is a formality.

Every process takes its share of each batch's clips; gradients are added up before the update, so all hold the
same weights after it. Started by `accelerate launch` or `torchrun`, over several devices or machines.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """One process among the others."""

    accelerator: Accelerator

    @property
    def count(self) -> int:
        """Processes."""
        return int(self.accelerator.num_processes)

    @property
    def index(self) -> int:
        """Of this process, from 0."""
        return int(self.accelerator.process_index)

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files and speaks for all."""
        return self.index == 0

    def total(self, values: Sequence[float]) -> list[float]:
        """The sums over all processes, in float64."""
        if self.count == 1:
            return list(values)
        mine = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
        sums: torch.Tensor = self.accelerator.reduce(mine, "sum")
        return [float(value) for value in sums.tolist()]

    def any(self, flag: bool) -> bool:
        """Whether it holds in any process: what all must do if one must."""
        return self.total([float(flag)])[0] > 0

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replaces every gradient by the sum over all processes; one without clips counts as zero."""
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.requires_grad:
                mine = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                parameter.grad = self.accelerator.reduce(mine, "sum")

    def gather(self, items: list[T]) -> list[T]:
        """The items of all processes, those of the first one first."""
        return list(gather_object(items)) if self.count > 1 else items

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            self.accelerator.wait_for_everyone()
