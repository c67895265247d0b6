"""The typed parameters of every stage: one frozen dataclass a section of `params.yaml`.

The whole file is checked whenever a stage starts, so that a slip in any section is reported before
work begins; a stage then receives only the sections that `dvc.yaml` declares for it.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from asr.errors import UserError
from asr.knobs import Range, build, read_yaml
from asr.params_together import check_together
from asr.text import Language, Numbers

Seconds = float
Device = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True)
class DataParams:
    """Which corpus to read and how its columns are called."""

    source: Literal["sample", "folder", "manifest", "hub"]
    path: str
    name: str | None
    revision: str | None
    config: str | None
    split: str
    streaming: bool
    max_clips: Annotated[int | None, Range(low=1)]
    audio_column: str
    text_column: str
    group_column: str | None
    split_column: str | None
    duration_column: str | None
    licence: str | None
    encoding: str
    vad: bool
    language: Language
    numbers: Numbers
    seed: Annotated[int, Range(low=0)]


@dataclass(frozen=True)
class ValidateParams:
    """Thresholds of the rules, and the split."""

    min_duration: Annotated[Seconds, Range(low=0)]
    max_duration: Annotated[Seconds, Range(low=0)]
    max_duration_gap: Annotated[Seconds, Range(low=0)]
    silence_dbfs: Annotated[float, Range(high=0)]
    max_clipped: Annotated[float, Range(low=0, high=1)]
    min_channel_correlation: Annotated[float, Range(low=-1, high=1)]
    min_characters_per_second: Annotated[float, Range(low=0)]
    max_characters_per_second: Annotated[float, Range(low=0)]
    max_label_tokens: Annotated[int, Range(low=6)]
    tokenizer: str | None
    warn_clipped: Annotated[float, Range(low=0, high=1)]
    warn_channel_gap_db: Annotated[float, Range(low=0)]
    warn_channel_correlation: Annotated[float, Range(low=-1, high=1)]
    warn_bandwidth: Annotated[float, Range(low=0, high=8000)]
    warn_silence: Annotated[Seconds, Range(low=0)]
    warn_snr_db: float
    warn_speech_share: Annotated[float, Range(low=0, high=1)]
    warn_tone_share: Annotated[float, Range(low=0, high=1)]
    warn_edge_db: Annotated[float, Range(high=0)]
    warn_zero_run: Annotated[Seconds, Range(low=0)]
    warn_slow: Annotated[float, Range(low=0)]
    warn_fast: Annotated[float, Range(low=0)]
    warn_rate_ratio: Annotated[float, Range(low=1)]
    near_audio_bits: Annotated[int, Range(low=0, high=32)]
    near_text_share: Annotated[float, Range(low=0, high=0.5)]
    external: str
    max_rejected: Annotated[float, Range(low=0, high=1)]
    validation_share: Annotated[float, Range(low=0, high=1)]
    test_share: Annotated[float, Range(low=0, high=1)]
    overlap_min_characters: Annotated[int, Range(low=0)]
    block_clips: Annotated[int | None, Range(low=1)]
    earlier: str
    seed: Annotated[int, Range(low=0)]


@dataclass(frozen=True)
class FeatureParams:
    """The fixed lengths to which clips are padded."""

    edges: Annotated[tuple[Seconds, ...] | None, Range(low=0.1, high=30)]
    shapes: Annotated[int, Range(low=1, high=16)]
    longest: Annotated[Seconds, Range(low=0.1, high=30)]
    tail: Annotated[Seconds, Range(low=0, high=5)]


@dataclass(frozen=True)
class ModelParams:
    """The network: a Hub id, a local path, or `scratch` with its own dimensions."""

    architecture: Literal["whisper"]
    name: str
    revision: str | None
    vocabulary: Annotated[int, Range(low=256, high=50000)]
    d_model: Annotated[int, Range(low=8)]
    encoder_layers: Annotated[int, Range(low=1)]
    decoder_layers: Annotated[int, Range(low=1)]
    attention_heads: Annotated[int, Range(low=1)]
    feed_forward: Annotated[int, Range(low=8)]
    dropout: Annotated[float, Range(low=0, high=0.9)]


@dataclass(frozen=True)
class TrainParams:
    """Optimisation; `batch_size` clips make one optimizer step whatever the memory."""

    batch_size: Annotated[int, Range(low=1)]
    micro_batch_seconds: Annotated[Seconds | None, Range(low=1)]
    learning_rate: Annotated[float, Range(low=0)]
    max_steps: Annotated[int, Range(low=1)]
    warmup_steps: Annotated[int, Range(low=0)]
    schedule: Literal["linear", "cosine", "cosine_restarts", "plateau", "constant"]
    final_rate: Annotated[float, Range(low=0, high=1)]
    restart_steps: Annotated[int, Range(low=1)]
    restart_growth: Annotated[float, Range(low=1)]
    plateau_patience: Annotated[int, Range(low=1)]
    plateau_factor: Annotated[float, Range(low=0.01, high=0.99)]
    weight_decay: Annotated[float, Range(low=0)]
    clip_norm: Annotated[float, Range(low=0)]
    max_skipped_in_a_row: Annotated[int, Range(low=1)]
    label_smoothing: Annotated[float, Range(low=0, high=0.9)]
    ctc_weight: Annotated[float, Range(low=0)]
    augment_from_step: Annotated[int, Range(low=0)]
    time_masks: Annotated[int, Range(low=0)]
    time_mask: Annotated[Seconds, Range(low=0)]
    frequency_masks: Annotated[int, Range(low=0)]
    frequency_mask: Annotated[int, Range(low=0, high=80)]
    warp: Annotated[float, Range(low=0, high=0.5)]
    margin: Annotated[Seconds, Range(low=0, high=30)]
    margin_share: Annotated[float, Range(low=0, high=1)]
    window_share: Annotated[float, Range(low=0, high=1)]
    freeze_encoder: bool
    gradient_checkpointing: bool
    compile: bool
    evaluate_every: Annotated[int, Range(low=1)]
    evaluate_clips: Annotated[int | None, Range(low=1)]
    watch_clips: Annotated[int, Range(low=0, high=50)]
    select_by: Literal["wer", "loss"]
    stop_after: Annotated[int | None, Range(low=1)]
    average: Literal["none", "last", "best"]
    average_count: Annotated[int, Range(low=2, high=50)]
    checkpoint_every: Annotated[int, Range(low=1)]
    keep_checkpoints: Annotated[int, Range(low=2)]
    log_every: Annotated[int, Range(low=1)]
    tracker: Literal["tensorboard", "wandb", "mlflow", "comet_ml", "clearml"] | None
    workers: Annotated[int, Range(low=0, high=64)]
    seed: Annotated[int, Range(low=0)]
    threads: Annotated[int, Range(low=1)]
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    tf32: bool
    device: Device


@dataclass(frozen=True)
class EvaluateParams:
    """Decoding of the validation and test clips."""

    batch_size: Annotated[int, Range(low=1)]
    beams: Annotated[int, Range(low=1)]
    full_window: bool
    baseline: bool
    robustness_clips: Annotated[int, Range(low=0)]
    second: str
    second_language: str | None
    threads: Annotated[int, Range(low=1)]
    device: Device


@dataclass(frozen=True)
class PlotParams:
    """The look of the pictures."""

    dpi: Annotated[int, Range(low=30, high=600)]


@dataclass(frozen=True)
class Params:
    """The whole of `params.yaml`."""

    data: DataParams
    validate: ValidateParams
    features: FeatureParams
    model: ModelParams
    train: TrainParams
    evaluate: EvaluateParams
    plot: PlotParams


@dataclass(frozen=True)
class PrepareStage:
    """What `stages/prepare.py` may read."""

    data: DataParams

    @classmethod
    def load(cls, path: Path) -> "PrepareStage":
        """From a parameter file, checked as a whole."""
        return cls(load_params(path).data)


@dataclass(frozen=True)
class ValidateStage:
    """What `stages/validate.py` may read."""

    validate: ValidateParams
    language: Language
    numbers: Numbers

    @classmethod
    def load(cls, path: Path) -> "ValidateStage":
        """From a parameter file, checked as a whole."""
        params = load_params(path)
        return cls(params.validate, params.data.language, params.data.numbers)


@dataclass(frozen=True)
class TrainStage:
    """What `stages/train.py` may read."""

    features: FeatureParams
    model: ModelParams
    train: TrainParams
    language: Language
    numbers: Numbers
    licence: str | None
    corpus: str | None
    """Hub id of the data set; None for files."""

    @classmethod
    def load(cls, path: Path) -> "TrainStage":
        """From a parameter file, checked as a whole."""
        params = load_params(path)
        data = params.data
        return cls(params.features, params.model, params.train, data.language, data.numbers, data.licence, data.name)


@dataclass(frozen=True)
class EvaluateStage:
    """What `stages/evaluate.py` may read; language and edges come with the model."""

    evaluate: EvaluateParams
    numbers: Numbers

    @classmethod
    def load(cls, path: Path) -> "EvaluateStage":
        """From a parameter file, checked as a whole."""
        params = load_params(path)
        return cls(params.evaluate, params.data.numbers)


@dataclass(frozen=True)
class PlotStage(Params):
    """What `stages/plot.py` may read: everything, since the report shows it."""

    @classmethod
    def load(cls, path: Path) -> "PlotStage":
        """From a parameter file, checked as a whole."""
        return cls(**vars(load_params(path)))


def load_params(path: Path) -> Params:
    """All sections of `path`, checked one by one and against each other.

    Raises:
        UserError: with the key, the value and the remedy.
    """
    try:
        params = build(Params, read_yaml(path), "")
    except UserError as error:
        raise UserError(f"{error}" if str(error).startswith(str(path)) else f"{path}: {error}") from error
    check_together(params, path)
    return params


def as_plain(params: Any) -> dict[str, Any]:
    """A parameter dataclass as nested mappings, for hashing and for `experiment.json`."""
    return asdict(params)
