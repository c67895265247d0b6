"""Experiment trackers beside the log in `runs/`: TensorBoard, W&B, MLflow, Comet and ClearML, through accelerate.

They are optional (`requirements-tracking.txt`) and get copies of the curves. No result depends on them, so a
tracker that fails while training is left behind with a warning. A run is named by its key: the same parameters,
data and code have the same name.

A run that goes on from a checkpoint sends steps again that it had sent before it died; so does one that is done a
second time from the start. What becomes of the steps that are there already:

- TensorBoard is told where a run goes on, and hides what was drawn beyond. A second run from the start is drawn over
  the first, with equal values.
- W&B goes on in the same run and ignores steps it has, with a warning of its own. Offline it begins another file.
- Comet goes on in the same experiment and keeps both values, which are equal.
- ClearML goes on in the same task where its cache in the home folder still knows it, else in a new one of the same
  name, and keeps both values. A second run from the start is a new task.
- MLflow chooses the ids of runs itself, so each start is a run of its own with the same name.
"""

import hashlib
import importlib
import json
import logging
import pkgutil
import random
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate.state import is_initialized
from accelerate.tracking import (
    ClearMLTracker,
    CometMLTracker,
    GeneralTracker,
    MLflowTracker,
    TensorBoardTracker,
    WandBTracker,
)

from asr.errors import UserError

PROJECT = "asr-experiments"
"""What the services file the runs under."""
MAX_FAILURES_IN_A_ROW = 3
"""Then a tracker is asked no more: MLflow, for one, tries for four minutes before it fails."""

LOG = logging.getLogger(__name__)
_Errors = tuple[type[Exception], ...]
_Plain = bool | int | float | str


class Tracker(Protocol):
    """Where curves are sent."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Sends values of a step."""

    def end(self) -> None:
        """Sends what is left, and ends the record."""


class Silent:
    """A tracker that does nothing."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


def open_tracker(name: str | None, run: str, folder: Path, config: Mapping[str, Any], step: int = 0) -> Tracker:
    """Starts a tracker, once `Accelerator` has been made: accelerate's classes would otherwise choose the device.

    Random generators and the handlers of SIGINT and SIGTERM are the same afterwards.

    Args:
        name: as in `train.tracker`; None for a tracker that does nothing, as all processes but the main one want it.
        run: the key of the run.
        folder: for local files; TensorBoard writes into `folder / run`.
        config: parameters, nested; they are sent as `train.batch_size` and the like.
        step: updates so far, where a run goes on.

    Raises:
        UserError: a package is missing or, at step 0, the tracker does not start. A run that goes on leaves it behind
            instead.
    """
    if name is None:
        return Silent()
    assert is_initialized(), "make the Accelerator first"
    kind = KINDS[name]
    own = _errors(name, kind)
    errors: _Errors = (*own, OSError, RuntimeError, ValueError)  # ValueError: what Comet and ClearML raise for no key
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tracker = kind.make(run, folder, step)
        with _untouched():
            tracker.start()
        if not step or kind.new_record_each_start:
            tracker.store_init_configuration(flattened(config))
    except errors as error:
        if not step:
            remedy = "write null to train without it"
            raise UserError(f"train.tracker = {name}: it does not start ({_line(error)}); {remedy}") from error
        LOG.warning("%s does not start (%s); training goes on without it", name, _line(error))
        return Silent()
    return _Forgiving(name, tracker, own)


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, _Plain]:
    """Nested parameters by dotted names; what trackers cannot take, lists and null, as JSON."""
    flat: dict[str, _Plain] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, _Plain) else json.dumps(value, ensure_ascii=False)
    return flat


class _Forgiving:
    """A started tracker whose failures cost curves, not the run."""

    def __init__(self, name: str, tracker: GeneralTracker, errors: _Errors) -> None:
        self._name = name
        self._tracker = tracker
        # OSError: network and disk, with ConnectionError and all that `requests` raises; RuntimeError: a writer thread
        # or a service that has ended. Anything else is a fault of this code and must be seen.
        self._forgiven: _Errors = (*errors, OSError, RuntimeError)
        self._lost = 0
        self._failures_in_a_row = 0

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Sends values of a step, or counts them as lost."""
        if self._failures_in_a_row == MAX_FAILURES_IN_A_ROW:
            self._lost += 1
        elif self._tried(lambda: self._tracker.log(dict(values), step=step)):
            self._failures_in_a_row = 0
        else:
            self._lost += 1
            self._failures_in_a_row += 1

    def end(self) -> None:
        """Ends the record and says what it lacks."""
        self._tried(self._tracker.finish)
        if self._lost:
            LOG.warning("%s: %d points are missing there; the log in runs/ has them", self._name, self._lost)

    def _tried(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except self._forgiven as error:
            if not self._lost:
                LOG.warning("%s fails (%s); training goes on", self._name, _line(error))
            return False
        return True


@dataclass(frozen=True)
class Kind:
    """How one tracker is started."""

    module: str
    """Its import shows whether the packages are there."""
    install: str
    """What follows `pip install`."""
    errors: tuple[str, ...]
    """Exceptions of the package that are neither OSError nor RuntimeError, as `module:class`."""
    make: Callable[[str, Path, int], GeneralTracker]
    """From run, folder and step."""
    new_record_each_start: bool = False
    """Whether a run that goes on has to send its parameters again."""


def _tensorboard(run: str, folder: Path, step: int) -> GeneralTracker:
    return TensorBoardTracker(run, folder, purge_step=step + 1 if step else None)


def _wandb(run: str, folder: Path, _: int) -> GeneralTracker:
    return WandBTracker(PROJECT, id=run, name=run, dir=str(folder), resume="allow")


def _comet(run: str, _: Path, __: int) -> GeneralTracker:
    key = hashlib.sha256(run.encode()).hexdigest()[:40]  # Comet wants 32 to 50 letters and digits
    return CometMLTracker(PROJECT, experiment_key=key)


def _mlflow(run: str, _: Path, __: int) -> GeneralTracker:
    return MLflowTracker(PROJECT, run_name=run)


def _clearml(run: str, _: Path, step: int) -> GeneralTracker:
    goes_on = 0 if step else False  # 0 asks for the same task, with steps as they are instead of behind its last one
    return ClearMLTracker(
        PROJECT,
        task_name=run,
        reuse_last_task_id=bool(step),
        continue_last_task=goes_on,
        auto_connect_arg_parser=False,
        auto_connect_frameworks=False,
    )


_CLEARML_ERRORS = (
    "clearml.backend_api.session.session:LoginError",
    "clearml.backend_config.errors:ConfigurationError",
    "clearml.backend_interface.session:SendError",
)
KINDS = {
    "tensorboard": Kind("torch.utils.tensorboard", "-r requirements-tracking.txt", (), _tensorboard),
    "wandb": Kind("wandb", "wandb", ("wandb.errors:Error",), _wandb),
    "mlflow": Kind("mlflow", "mlflow", ("mlflow.exceptions:MlflowException",), _mlflow, new_record_each_start=True),
    "comet_ml": Kind("comet_ml", "comet_ml", ("comet_ml.exceptions:CometException",), _comet),
    "clearml": Kind("clearml", "clearml", _CLEARML_ERRORS, _clearml),
}
"""By the words of `train.tracker`."""


def _errors(name: str, kind: Kind) -> _Errors:
    """The package's own exceptions.

    Raises:
        UserError: the package is missing or of a release without them.
    """
    try:
        importlib.import_module(kind.module)
        return tuple(pkgutil.resolve_name(path) for path in kind.errors)
    except (ImportError, AttributeError) as error:
        raise UserError(f"train.tracker = {name}: {_line(error)}; run `pip install {kind.install}`") from error


@contextmanager
def _untouched() -> Iterator[None]:
    """Random states and handlers of signals are the same after the block.

    ClearML seeds all generators with 1337 when it starts, and handles signals itself, which would end a run without
    a checkpoint.
    """
    of_python, of_numpy = random.getstate(), np.random.get_state()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    on_cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # torch has not annotated it
    with torch.random.fork_rng([torch.cuda.current_device()] if on_cuda else []):
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)
            for number, handler in handlers.items():
                if signal.getsignal(number) is not handler:
                    signal.signal(number, handler)


def _line(error: Exception) -> str:
    """Its message in one line."""
    return " ".join(str(error).split()) or type(error).__name__
