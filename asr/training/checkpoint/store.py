"""The checkpoints of one run, and the weights that are kept beside them.

    checkpoints/batch-00000400/{model,optimizer,rng}.safetensors, state.json, manifest.json
    weights/step-00000300/model.safetensors, manifest.json

Every folder is sealed. Weights of good evaluations are kept once, however many checkpoints rely on them.
"""

import errno
import json
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from asr.errors import UserError
from asr.training.checkpoint.sealed import (
    ASIDE,
    Broken,
    content_of,
    contents,
    is_sealed,
    remove,
    settle,
    stands,
    why_broken,
    write_sealed,
)
from asr.training.checkpoint.tensors import from_bytes, to_bytes

logger = logging.getLogger(__name__)

STATE = "state.json"
TENSORS = ".safetensors"
REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EACCES: "give write access",
    errno.EPERM: "give write access",
    errno.EROFS: "give write access",
}
"""What to do, by the error's number."""


class SaveError(UserError):
    """A checkpoint could not be written; those before it stand."""


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on."""

    batch: int
    """Batches that were taken from the plan when it was saved."""
    state: dict[str, Any]
    """What `Store.save` was given, as JSON gives it back: keys are words, tuples are lists."""
    tensors: dict[str, dict[str, torch.Tensor]]
    """By file (`model`, `optimizer`, `rng`) and name, on the CPU."""


class Store:
    """Saves, finds, checks and thins out the checkpoints in a run's folder, which one process has claimed.

    Args:
        folder: of the run; it need not exist.
        keep: checkpoints that stay after a save. While one is written the disk holds one more.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        assert keep > 0
        self._folder = folder
        self._keep = keep
        self._distrusted: set[Path] = set()

    def save(
        self,
        batch: int,
        state: Mapping[str, Any],
        tensors: Mapping[str, Mapping[str, torch.Tensor]],
        weights_of: Collection[int],
    ) -> None:
        """Writes a checkpoint; then, and only then, deletes what no kept one needs.

        Checkpoints of later batches go too: a run that saves an earlier one has not been able to use them.

        Args:
            batch: batches taken so far. One of the same number is replaced.
            state: what JSON can hold; infinite numbers and NaN come back as well.
            tensors: by file and name, on any device.
            weights_of: steps whose kept weights the run relies on at this point.

        Raises:
            SaveError: the disk is full or may not be written; what was there still stands.
        """
        content = {"batch": batch, "state": state, "weights_of": sorted(weights_of)}
        encoded = json.dumps(content).encode()  # a value that JSON lacks is found before the disk is touched
        folder = self._checkpoint(batch)
        files = ((stem + TENSORS, to_bytes(named)) for stem, named in tensors.items())  # one at a time in memory
        self._write(f"the checkpoint of batch {batch}", folder, chain([(STATE, encoded)], files))
        self._distrusted.discard(folder)
        self._thin_out(batch)

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole, with all the kept weights it relies on; None if there is none.

        Each broken one on the way is a warning, and goes when the next one is saved.

        Raises:
            UserError: a file may not be read, or the folders of a replacement that was cut short not be moved.
        """
        try:
            self._settle()
        except OSError as error:
            complaint = _complaint("a folder that was being replaced cannot be put back", self._folder, error)
            raise UserError(f"{complaint} and start again") from error
        faults: list[str] = []
        checkpoint = self._newest_whole(faults)
        instead = f"the checkpoint of batch {checkpoint.batch} is used instead" if checkpoint else "the run starts anew"
        for fault in faults:
            logger.warning("%s; %s", fault, instead)
        return checkpoint

    def keep_weights(self, step: int, weights: Mapping[str, torch.Tensor]) -> None:
        """Keeps weights beside the checkpoints until one is saved that does not rely on them.

        Raises:
            SaveError: the disk is full or may not be written; what was there still stands.
        """
        self._write(f"the weights of step {step}", self._kept(step), [("model" + TENSORS, to_bytes(weights))])

    def weights(self, step: int) -> dict[str, torch.Tensor]:
        """Weights that were kept, on the CPU.

        Raises:
            UserError: they are not as they were written.
        """
        folder = self._kept(step)
        try:
            ((_, content),) = contents(folder)
        except Broken as fault:
            raise UserError(f"{folder}: {fault}; start the run again, it goes on from before this step") from fault
        return from_bytes(content)

    def _write(self, what: str, folder: Path, files: Iterable[tuple[str, bytes]]) -> None:
        try:
            self._settle()
            for leftover in self._leftovers():
                remove(leftover)  # before the save, which may need the room
            write_sealed(folder, files)
        except OSError as error:
            standing = next((batch for batch, path in self._checkpoints().items() if stands(path)), None)
            still = "there is no checkpoint yet" if standing is None else f"the checkpoint of batch {standing} stands"
            complaint = _complaint(f"{what} could not be written", folder, error)
            raise SaveError(f"{complaint}; {still}") from error

    def _newest_whole(self, faults: list[str]) -> Checkpoint | None:
        for folder in self._checkpoints().values():
            if not is_sealed(folder):
                logger.info("%s: a save that did not end; it is not used", folder)
                continue
            try:
                return self._load(folder)
            except Broken as fault:
                faults.append(f"{folder} is broken: {fault}")
                self._distrusted.add(folder)
        return None

    def _load(self, folder: Path) -> Checkpoint:
        """Raises `Broken`. What is parsed are the bytes that were checked."""
        tensors = {}
        for name, content in contents(folder):
            if name == STATE:
                document = json.loads(content)
            else:
                tensors[name.removesuffix(TENSORS)] = from_bytes(content)
        for step in document["weights_of"]:
            fault = why_broken(self._kept(step))
            if fault:
                raise Broken(f"in {self._kept(step).name}, on which it relies, {fault}")
        return Checkpoint(document["batch"], document["state"], tensors)

    def _thin_out(self, saved: int) -> None:
        """A failure to delete loses nothing, so the run goes on; the next save tries again."""
        trusted = [
            path
            for batch, path in self._checkpoints().items()
            if batch <= saved and is_sealed(path) and path not in self._distrusted
        ]
        kept = trusted[: self._keep]
        needed = {step for folder in kept for step in _weights_of(folder)}
        unneeded = [path for path in self._checkpoints().values() if path not in kept]
        unneeded += [path for step, path in self._all_kept().items() if step not in needed]
        try:
            self._settle()
            for folder in unneeded:
                remove(folder)
        except OSError as error:
            logger.warning("%s", _complaint("an old checkpoint could not be deleted", self._folder, error))

    def _settle(self) -> None:
        for folder in self._every():
            settle(folder)

    def _leftovers(self) -> list[Path]:
        return [folder for folder in self._every() if not is_sealed(folder)]

    def _every(self) -> Iterator[Path]:
        yield from self._checkpoints().values()
        yield from self._all_kept().values()

    def _checkpoint(self, batch: int) -> Path:
        return self._folder / "checkpoints" / f"batch-{batch:08d}"

    def _checkpoints(self) -> dict[int, Path]:
        """By batch, the newest first."""
        return {batch: self._checkpoint(batch) for batch in _numbers(self._folder / "checkpoints", "batch")}

    def _kept(self, step: int) -> Path:
        return self._folder / "weights" / f"step-{step:08d}"

    def _all_kept(self) -> dict[int, Path]:
        """By step."""
        return {step: self._kept(step) for step in _numbers(self._folder / "weights", "step")}


def _numbers(folder: Path, kind: str) -> list[int]:
    """Numbers in the names of a folder's folders, falling; one of which only the replaced copy is there counts too."""
    pattern = re.compile(rf"{kind}-(\d{{8,}})(?:{re.escape(ASIDE)})?")
    found = (pattern.fullmatch(path.name) for path in folder.glob(f"{kind}-*"))
    return sorted({int(match[1]) for match in found if match}, reverse=True)


def _weights_of(folder: Path) -> list[int]:
    """Steps of the kept weights that a checkpoint relies on; a broken one can use none."""
    try:
        steps: list[int] = json.loads(content_of(folder, STATE))["weights_of"]
    except Broken as fault:
        logger.warning("%s is broken: %s; it will not be used", folder, fault)
        return []
    return steps


def _complaint(what: str, folder: Path, error: OSError) -> str:
    remedy = REMEDIES.get(error.errno or 0, "look after the disk")
    return f"{what}: {error.filename or folder}: {error.strerror or error}; {remedy}"
