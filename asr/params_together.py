"""What the keys of `params.yaml` must fulfil together; each alone is checked where it is read."""

from pathlib import Path
from typing import TYPE_CHECKING

from asr.errors import UserError

if TYPE_CHECKING:
    from asr.params import Params  # which imports this module


def check_together(params: "Params", path: Path) -> None:
    """Refuses values that do not go together.

    Raises:
        UserError: with the key, the value and the remedy.
    """
    edges = None if params.features.edges is None else list(params.features.edges)
    checks = (
        (
            edges is not None and (edges != sorted(set(edges)) or len(edges) > 16),
            f"features.edges = {edges}: write at most 16 lengths in rising order, or null",
        ),
        (
            edges is not None and edges[-1] != params.features.longest,
            f"features.edges = {edges}: the last must be features.longest ({params.features.longest} s)",
        ),
        (
            params.validate.max_duration > params.features.longest,
            f"validate.max_duration = {params.validate.max_duration}: longer than features.longest "
            f"({params.features.longest} s); lower it or raise that",
        ),
        (
            params.train.margin_share + params.train.window_share > 1,
            f"train.window_share = {params.train.window_share}: with train.margin_share "
            f"({params.train.margin_share}) more than all clips",
        ),
        (
            params.validate.validation_share + params.validate.test_share >= 1,
            f"validate.test_share = {params.validate.test_share}: with validation_share "
            f"{params.validate.validation_share} nothing is left for training",
        ),
        (
            params.model.d_model % params.model.attention_heads != 0,
            f"model.attention_heads = {params.model.attention_heads}: must divide model.d_model "
            f"({params.model.d_model}) exactly",
        ),
        (
            params.train.warmup_steps > params.train.max_steps,
            f"train.warmup_steps = {params.train.warmup_steps}: more than train.max_steps ({params.train.max_steps})",
        ),
        (
            params.data.source == "hub" and params.data.name is not None and params.data.revision is None,
            f"data.revision: missing for data.name = {params.data.name!r}; pin the commit hash of the data set",
        ),
        (
            params.model.name not in ("scratch",)
            and "/" in params.model.name
            and not Path(params.model.name).exists()
            and params.model.revision is None,
            f"model.revision: missing for model.name = {params.model.name!r}; pin the commit hash of the model",
        ),
    )
    for failed, message in checks:
        if failed:
            raise UserError(f"{path}: {message}")
