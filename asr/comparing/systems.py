"""One system's predictions on a test set, read from the rows that evaluate writes."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, get_args

from asr.errors import UserError
from asr.scoring.wer import Pair
from asr.text import NORMALIZER_VERSION, Language, Numbers, normalizer_hash


@dataclass(frozen=True)
class Normalizer:
    """What texts go through before words are counted."""

    language: Language
    numbers: Numbers
    version: str
    hash: str

    @classmethod
    def here(cls, language: Language, numbers: Numbers) -> "Normalizer":
        """The one of this code."""
        return cls(language, numbers, NORMALIZER_VERSION, normalizer_hash())

    @classmethod
    def of(cls, metrics: Any, split: str, place: str) -> "Normalizer":
        """As the content of `metrics/evaluate.json` names it; metrics from before the number option mean "keep".

        Raises:
            UserError: no such split, or another form.
        """
        try:
            block = {"numbers": "keep", **metrics[split]["normalizer"]}
            found = cls(**{name: block[name] for name in cls.__dataclass_fields__})
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{place}: names no normaliser of the split {split!r} ({error}); `dvc repro evaluate` writes it"
            ) from error
        if found.language not in get_args(Language) or found.numbers not in get_args(Numbers):
            raise UserError(
                f"{place}: language {found.language!r} with numbers {found.numbers!r} is unknown to this code; "
                "compare with the code that wrote it"
            )
        return found

    def differences(self, other: "Normalizer") -> list[str]:
        """Names of the settings in which two normalisers differ."""
        mine, theirs = asdict(self), asdict(other)
        return [name for name in mine if mine[name] != theirs[name]]


@dataclass(frozen=True)
class System:
    """What one system wrote for every clip of a test set."""

    name: str
    """As the user named it: a revision, an experiment, a path."""
    pairs: tuple[Pair, ...]
    normalizer: Normalizer

    def __post_init__(self) -> None:
        """Ids say which clips of two systems belong together.

        Raises:
            UserError: no clips, or an id that occurs twice.
        """
        if not self.pairs:
            raise UserError(f"{self.name}: no predictions; `dvc repro evaluate` writes them")
        twice = [id for id, count in Counter(pair.id for pair in self.pairs).items() if count > 1]
        if twice:
            raise UserError(
                f"{self.name}: {len(twice)} ids occur more than once, such as {twice[0]!r}; keep one row each"
            )


def read_pairs(text: str, place: str) -> tuple[Pair, ...]:
    """Predictions out of JSON lines.

    Args:
        text: rows with `id`, `reference`, `hypothesis`, `group` and `duration` (seconds); other keys are not read.
        place: of the rows, for messages.

    Raises:
        UserError: a line that is no such row.
    """
    return tuple(_pair(row, f"{place}:{number}") for number, row in _rows(text, place))


def _rows(text: str, place: str) -> Iterator[tuple[int, Any]]:
    # Split at LF only: U+2028 may stand inside a transcript.
    lines: Iterable[tuple[int, str]] = enumerate(text.split("\n"), 1)
    for number, line in lines:
        if line:
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise UserError(f"{place}:{number}: not JSON ({error}); `dvc repro evaluate` writes it anew") from error


def _pair(row: Any, place: str) -> Pair:
    try:
        pair = Pair(row["id"], row["reference"], row["hypothesis"], row["group"], row["duration"])
    except (KeyError, TypeError, IndexError) as error:
        raise UserError(f"{place}: no prediction as evaluate writes them: {error!r}; needs {_NEEDED}") from error
    texts = (pair.id, pair.reference, pair.hypothesis, pair.group)
    if not all(isinstance(text, str) for text in texts) or not isinstance(pair.duration, int | float):
        raise UserError(f"{place}: a prediction with a value of another type; needs {_NEEDED}")
    return pair


_NEEDED = "texts `id`, `reference`, `hypothesis`, `group`, and `duration` in seconds"
