"""Contract: a tracker gets the curves of a run, and neither its absence nor its failures reach the training."""

import importlib.util
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from asr.errors import UserError
from asr.params import TrainParams, as_plain, load_params
from asr.training.observe import trackers
from asr.training.observe.trackers import KINDS, MAX_FAILURES_IN_A_ROW, Silent, flattened, open_tracker
from tests.pipeline import ROOT

NAMES = list(KINDS)
RUN = "0123456789abcdef" * 4
CONFIG = {"train": {"batch_size": 8, "tracker": None}, "features": {"edges": [1.0, 2.0]}}
FLAT = {"train.batch_size": 8, "train.tracker": "null", "features.edges": "[1.0, 2.0]"}


class PackageError(Exception):
    """What a package raises of its own: neither OSError nor RuntimeError."""


class Service:
    """What all five packages come to: a record is started, given parameters and values, and ended."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []
        self.config: dict[str, Any] = {}
        self.values: list[tuple[int, str, float]] = []
        self.ends = 0
        self.failure: Exception | None = None
        self.calls = 0

    def start(self, *args: Any, **settings: Any) -> "Service":
        self.work()
        self.started.append({**settings, "args": args})
        return self

    def configure(self, config: dict[str, Any], **_: Any) -> None:
        self.config = dict(config)

    def one(self, name: str, value: float, step: int) -> None:
        self.work()
        self.values.append((step, name, value))

    def many(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self.one(name, value, step)

    def end(self) -> None:
        self.ends += 1
        self.work()

    def work(self) -> None:
        self.calls += 1
        if self.failure is not None:
            raise self.failure


def module(name: str, **content: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(content)
    return made


def tensorboard(service: Service) -> dict[str, ModuleType]:
    writer = SimpleNamespace(
        add_hparams=lambda values, metric_dict: service.configure(values),  # noqa: ARG005  # accelerate names it
        add_scalar=lambda name, value, global_step: service.one(name, value, global_step),
        flush=lambda: None,
        close=service.end,
    )

    def start(folder: str, **settings: Any) -> SimpleNamespace:
        Path(folder).mkdir(exist_ok=True)
        service.start(folder, **settings)
        return writer

    return {"torch.utils.tensorboard": module("torch.utils.tensorboard", SummaryWriter=start)}


def wandb(service: Service) -> dict[str, ModuleType]:
    run = SimpleNamespace(log=lambda values, step: service.many(values, step), finish=service.end)
    content = {
        "init": lambda **settings: service.start(**settings) and run,
        "config": SimpleNamespace(update=service.configure),
    }
    return {"wandb": module("wandb", **content), "wandb.errors": module("wandb.errors", Error=PackageError)}


def mlflow(service: Service) -> dict[str, ModuleType]:
    limits = SimpleNamespace(MAX_PARAM_VAL_LENGTH=6000, MAX_PARAMS_TAGS_PER_BATCH=100)
    content = {
        "search_experiments": lambda **_: [],
        "create_experiment": lambda **_: "1",
        "start_run": service.start,
        "log_params": service.configure,
        "log_metrics": service.many,
        "end_run": service.end,
        "utils": SimpleNamespace(validation=limits),
    }
    errors = module("mlflow.exceptions", MlflowException=PackageError)
    return {"mlflow": module("mlflow", **content), "mlflow.exceptions": errors}


def comet_ml(service: Service) -> dict[str, ModuleType]:
    experiment = SimpleNamespace(
        log_parameters=service.configure, set_step=lambda _: None, log_metric=service.one, end=service.end
    )
    start = {"start": lambda **settings: service.start(**settings) and experiment, "__version__": "3.58.8"}
    errors = module("comet_ml.exceptions", CometException=PackageError)
    return {"comet_ml": module("comet_ml", **start), "comet_ml.exceptions": errors}


def clearml(service: Service) -> dict[str, ModuleType]:
    logger = SimpleNamespace(
        report_scalar=lambda title, series, value, iteration: service.one(title, value, iteration)  # noqa: ARG005
    )
    task = SimpleNamespace(
        connect_configuration=service.configure, get_logger=lambda: logger, close=service.end, current_task=lambda: None
    )

    def init(**settings: Any) -> SimpleNamespace:
        random.seed(1337)
        np.random.seed(1337)
        torch.manual_seed(1337)
        signal.signal(signal.SIGTERM, lambda *_: None)
        service.start(**settings)
        return task

    task.init = init
    errors = [path.split(":") for path in KINDS["clearml"].errors]
    modules = {name: module(name, **{error: PackageError}) for name, error in errors}
    return {"clearml": module("clearml", Task=task), **modules}


STAND_INS: dict[str, Callable[[Service], dict[str, ModuleType]]] = {
    "tensorboard": tensorboard,
    "wandb": wandb,
    "mlflow": mlflow,
    "comet_ml": comet_ml,
    "clearml": clearml,
}


@pytest.fixture(autouse=True)
def _accelerator() -> None:
    Accelerator(cpu=True)


@pytest.fixture
def name() -> str:
    """The tracker of tests that are not run for each."""
    return "wandb"


@pytest.fixture
def service(name: str, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The stand-in for a tracker's package, planted among the modules."""
    made = Service()
    for path, stand_in in STAND_INS[name](made).items():
        monkeypatch.setitem(sys.modules, path, stand_in)
        parent, _, child = path.rpartition(".")
        if parent in sys.modules:
            monkeypatch.setattr(sys.modules[parent], child, stand_in, raising=False)
    return made


def test_every_tracker_of_the_parameters_is_known() -> None:
    words = [word for hint in get_args(get_type_hints(TrainParams)["tracker"]) for word in get_args(hint)]
    assert sorted(words) == sorted(KINDS) == sorted(STAND_INS)


@pytest.mark.parametrize("name", NAMES)
def test_a_tracker_gets_parameters_values_and_its_end(name: str, service: Service, tmp_path: Path) -> None:
    tracker = open_tracker(name, RUN, tmp_path / "train", CONFIG)
    tracker.log({"loss": 2.5, "learning_rate": 0.1}, 20)
    tracker.log({"loss": 2.25}, 40)
    tracker.end()
    assert service.config == FLAT
    assert service.values == [(20, "loss", 2.5), (20, "learning_rate", 0.1), (40, "loss", 2.25)]
    assert service.ends == 1


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("tensorboard", {"purge_step": 41}),
        ("wandb", {"id": RUN, "resume": "allow"}),
        ("comet_ml", {}),
        ("clearml", {"reuse_last_task_id": True, "continue_last_task": 0}),
        ("mlflow", {"run_id": None, "run_name": RUN}),
    ],
)
def test_a_run_that_goes_on_meets_its_record(
    name: str, settings: dict[str, Any], service: Service, tmp_path: Path
) -> None:
    open_tracker(name, RUN, tmp_path, CONFIG)
    service.config = {}
    open_tracker(name, RUN, tmp_path, CONFIG, step=40)
    first, again = service.started
    assert {key: again[key] for key in settings} == settings
    assert service.config == (FLAT if KINDS[name].new_record_each_start else {})
    if name == "comet_ml":
        assert first["experiment_key"] == again["experiment_key"]
        assert 32 <= len(again["experiment_key"]) <= 50
        assert again["experiment_key"].isalnum()


@pytest.mark.parametrize("name", NAMES)
def test_a_tracker_leaves_random_generators_and_signals_alone(name: str, service: Service, tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = (torch.get_rng_state(), random.getstate(), np.random.get_state(), signal.getsignal(signal.SIGTERM))
    open_tracker(name, RUN, tmp_path, CONFIG)
    assert service.started
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2][1])
    assert signal.getsignal(signal.SIGTERM) is before[3]


def test_the_stand_in_for_clearml_seeds_and_handles_signals_as_the_package_does() -> None:
    """Planted faults, to prove that the test above sees them."""
    torch.manual_seed(5)
    before, handler = torch.get_rng_state(), signal.getsignal(signal.SIGTERM)
    try:
        clearml(Service())["clearml"].Task.init()
        assert not torch.equal(torch.get_rng_state(), before)
        assert signal.getsignal(signal.SIGTERM) is not handler
    finally:
        signal.signal(signal.SIGTERM, handler)


def test_without_a_name_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "is_initialized", lambda: pytest.fail("needs no Accelerator"))
    tracker = open_tracker(None, RUN, tmp_path / "train", CONFIG)
    tracker.log({"loss": 1.0}, 1)
    tracker.end()
    assert isinstance(tracker, Silent)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", [0, 40])
@pytest.mark.parametrize("name", NAMES)
def test_a_missing_package_is_a_user_error_with_the_command_that_helps(
    name: str, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, KINDS[name].module, None)
    with pytest.raises(UserError) as caught:
        open_tracker(name, RUN, tmp_path / "train", CONFIG, step)
    assert str(caught.value).startswith(f"train.tracker = {name}: ")
    assert f"`pip install {KINDS[name].install}`" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


FAILURES = [OSError("no route"), ConnectionResetError("reset"), RuntimeError("writer ended"), PackageError("500")]


@pytest.mark.parametrize("failure", [*FAILURES, ValueError("no\nkey")], ids=lambda error: type(error).__name__)
def test_a_tracker_that_does_not_start_stops_a_run_before_its_first_step_only(
    failure: Exception, service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service.failure = failure
    with pytest.raises(UserError, match=r"train\.tracker = wandb: it does not start .*write null") as caught:
        open_tracker("wandb", RUN, tmp_path, CONFIG)
    assert "\n" not in str(caught.value)
    assert isinstance(open_tracker("wandb", RUN, tmp_path, CONFIG, step=40), Silent)
    assert "training goes on without it" in caplog.text


@pytest.mark.parametrize("failure", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("name", [name for name in NAMES if KINDS[name].errors])
def test_failures_while_training_cost_points_and_one_warning(
    failure: Exception, name: str, service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = open_tracker(name, RUN, tmp_path, CONFIG)
    for step in range(1, 7):
        service.failure = failure if step in (2, 3, 5) else None
        tracker.log({"loss": 1.0}, step)
    tracker.end()
    assert [step for step, _, _ in service.values] == [1, 4, 6]
    messages = [record.getMessage() for record in caplog.records if record.name == trackers.__name__]
    assert messages == [
        f"{name} fails ({failure}); training goes on",
        f"{name}: 3 points are missing there; the log in runs/ has them",
    ]


def test_a_tracker_that_keeps_failing_is_asked_no_more(service: Service, tmp_path: Path) -> None:
    tracker = open_tracker("wandb", RUN, tmp_path, CONFIG)
    before, service.failure = service.calls, ConnectionError()
    for step in range(100):
        tracker.log({"loss": 1.0}, step)
    assert service.calls - before == MAX_FAILURES_IN_A_ROW


def test_an_end_that_fails_is_no_failure_of_the_run(
    service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = open_tracker("wandb", RUN, tmp_path, CONFIG)
    service.failure = TimeoutError()
    tracker.end()
    assert "wandb fails (TimeoutError)" in caplog.text


def test_a_fault_of_this_code_is_not_forgiven(service: Service, tmp_path: Path) -> None:
    tracker = open_tracker("wandb", RUN, tmp_path, CONFIG)
    service.failure = TypeError("a fault")
    with pytest.raises(TypeError, match="a fault"):
        tracker.log({"loss": 1.0}, 1)


def test_the_parameters_of_the_project_are_flattened_to_what_tensorboard_takes() -> None:
    flat = flattened(as_plain(load_params(ROOT / "params.yaml")))
    assert flat["train.batch_size"] == load_params(ROOT / "params.yaml").train.batch_size
    assert {type(value) for value in flat.values()} <= {bool, int, float, str}


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="needs requirements-tracking.txt")
def test_tensorboard_draws_every_step_once_after_a_resume(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = as_plain(load_params(ROOT / "params.yaml"))
    for first, last in ((0, 6), (4, 8), (8, 9)):  # died after step 6 and was saved at 4
        tracker = open_tracker("tensorboard", RUN, tmp_path, config, step=first)
        for step in range(first + 1, last + 1):
            tracker.log({"loss": 1 / step, "validation_wer": float("nan")}, step)
        tracker.end()
        events = EventAccumulator(str(tmp_path / RUN)).Reload()
        assert [event.step for event in events.Scalars("loss")] == list(range(1, last + 1))
