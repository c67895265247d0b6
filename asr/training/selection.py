"""What an evaluation decides: which weights are the best, which are kept, whether the rate falls or the run ends."""

import logging
import math

from asr.params import TrainParams
from asr.training.history import EvaluationRecord
from asr.training.progress import Progress

LOG = logging.getLogger(__name__)


def score(record: EvaluationRecord, params: TrainParams) -> float:
    """What `train.select_by` compares, lower is better; NaN counts as infinity, which nothing is worse than."""
    value = _compared(record, params)
    return value if math.isfinite(value) else math.inf


def is_better(record: EvaluationRecord, best: EvaluationRecord | None, params: TrainParams) -> bool:
    """Strictly, so that the earlier one of two equals stays the best; NaN or infinity is not even better than none."""
    return score(record, params) < (math.inf if best is None else score(best, params))


def note(progress: Progress, record: EvaluationRecord, params: TrainParams) -> None:
    """Takes an evaluation into the history and draws all conclusions from it.

    Changes `history.evaluations`, `best`, `waited`, `rate_factor`, `rate_waited` and `kept`. What `kept` names was
    in it before or is `record`, so weights that were once dropped are never asked for again.
    """
    evaluations = progress.history.evaluations
    assert not evaluations or evaluations[-1].step < record.step, "an evaluation is noted twice"
    evaluations.append(record)
    if not _counts(record, params):
        value = _compared(record, params)
        LOG.warning("step %d: validation %s is %s; its weights are not kept", record.step, params.select_by, value)
    better = is_better(record, progress.best, params)
    progress.best = record if better else progress.best
    progress.waited = 0 if better else progress.waited + 1
    if params.schedule == "plateau" and record.step > params.warmup_steps:
        _lower_rate(progress, better, params)
    progress.kept = _to_keep(progress, params)


def has_stopped(progress: Progress, params: TrainParams) -> bool:
    """Early stopping: the last `train.stop_after` evaluations were no better than the best one before them."""
    return params.stop_after is not None and progress.waited >= params.stop_after


def to_average(progress: Progress, params: TrainParams) -> list[EvaluationRecord]:
    """The evaluations whose weights make the average, by step.

    The newest or the best `train.average_count` ones, among equals the earlier; fewer where there are no more, and
    none where `train.average` is `none`. Evaluations that are NaN or infinite take no part.
    """
    counted = [record for record in progress.history.evaluations if _counts(record, params)]
    if params.average == "last":
        return counted[-params.average_count :]
    if params.average == "best":
        best = sorted(counted, key=lambda record: score(record, params))[: params.average_count]
        return sorted(best, key=lambda record: record.step)
    return []


def _compared(record: EvaluationRecord, params: TrainParams) -> float:
    return record.wer if params.select_by == "wer" else record.loss


def _counts(record: EvaluationRecord, params: TrainParams) -> bool:
    return math.isfinite(score(record, params))


def _lower_rate(progress: Progress, better: bool, params: TrainParams) -> None:
    """The schedule `plateau`; evaluations in the warm-up do not come here, since the rate has not been tried yet."""
    progress.rate_waited = 0 if better else progress.rate_waited + 1
    if progress.rate_waited >= params.plateau_patience:
        progress.rate_factor *= params.plateau_factor
        progress.rate_waited = 0


def _to_keep(progress: Progress, params: TrainParams) -> list[EvaluationRecord]:
    """The best one and those to be averaged, each once, by step."""
    best = [progress.best] if progress.best else []
    by_step = {record.step: record for record in best + to_average(progress, params)}
    return [by_step[step] for step in sorted(by_step)]
