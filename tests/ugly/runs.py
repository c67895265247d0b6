"""Faults of labels and runs (37, 59, 61 to 64, 77, 78, 80, 82): each a call that must stop, warn, or change nothing."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from asr.corpus.index import IndexRow, index_of
from asr.corpus.tally import warned
from asr.corpus.validate import Validated, validate
from asr.models.identity import Identity, require_same
from asr.models.tokenizer import end_id, prefix_ids
from asr.training.labels import collate, require_alignable, require_plain, require_room, require_sound
from asr.training.objective import IGNORED, Labels
from tests.index_rows import LIMITS, index_row
from tests.models import tiny_model
from tests.ugly.fault import Fault
from tests.ugly.studio import distinct_lines
from tests.ugly.tables import Stop

Mild = Fault[Callable[[Path], Collection[str]]]
"""A fault of a corpus as a whole that is counted; `build` gives the codes that validate counts."""
Prevented = Fault[Callable[[Path], bool]]
"""A fault that cannot happen; `build` tries to cause it and says whether the outcome is as if it had not."""

BEFORE = Identity("splits-1", "az-1 (tables)", "words-1")


def _identity(**changes: str) -> Callable[[Path], object]:
    return lambda _: require_same(BEFORE, replace(BEFORE, **changes))


def _labels(damage: Callable[[Labels, int], Labels]) -> Callable[[Path], object]:
    """Labels of two clips, damaged behind the collation."""

    def build(_: Path) -> object:
        model = tiny_model()
        prefix, end = tuple(prefix_ids(model.tokenizer, "az")), end_id(model.tokenizer)
        texts = model.tokenizer(["Salam, dünya.", "Sağ ol."], add_special_tokens=False).input_ids
        labels = collate(texts, prefix, end)
        require_sound(labels, ["one", "two"], prefix, end)
        require_sound(damage(labels, end), ["one", "two"], prefix, end)
        return labels

    return build


def _doubled_start(labels: Labels, _: int) -> Labels:
    """As where the collator does not see that the labels begin with the prefix already (transformers#29973)."""
    start = labels.decoder_input[:, :1]
    return replace(labels, decoder_input=torch.cat([start, labels.decoder_input], 1)[:, :-1])


def _masked_by_id(labels: Labels, end: int) -> Labels:
    """Whisper pads with its end token: masking every pad masks the ends too (transformers PR#19166)."""
    return replace(labels, targets=labels.targets.masked_fill(labels.targets == end, IGNORED))


def _masked(labels: Labels, _: int) -> Labels:
    return replace(labels, targets=torch.full_like(labels.targets, IGNORED))


def _special_text(token: int) -> Callable[[Path], object]:
    """A tokenizer that adds special tokens although it is asked not to."""
    return lambda _: require_plain("one", [5, 6, 300 + token], 300)


STOPS: tuple[Stop, ...] = (
    Stop(59, "more tokens than positions", "label.too_long", lambda _: require_room("one", 449, 448)),
    Stop(61, "a doubled start", "label.double_prefix", _labels(_doubled_start)),
    Stop(61, "a prompt in the text", "label.double_prefix", _special_text(1)),
    Stop(62, "ends masked with the padding", "label.no_eos", _labels(_masked_by_id)),
    Stop(62, "an end in the text", "label.no_eos", _special_text(0)),
    Stop(63, "every target masked", "label.all_masked", _labels(_masked)),
    Stop(64, "a second for 60 labels", "label.ctc_too_short", lambda _: require_alignable("one", list(range(60)), 1.0)),
    Stop(64, "no room for blanks", "label.ctc_too_short", lambda _: require_alignable("one", [7] * 26, 1.0)),
    Stop(82, "other splits", "run.identity_mismatch", _identity(splits="splits-2")),
    Stop(82, "another normaliser", "run.identity_mismatch", _identity(normalizer="az-2 (tables)")),
    Stop(82, "another vocabulary", "run.identity_mismatch", _identity(vocabulary="words-2")),
)


def _rows(count: int = 40) -> list[IndexRow]:
    """Sound clips with a speaker each."""
    lines = distinct_lines(1)[:count]
    return [index_row(n, text=line, group=f"speaker {n}") for n, line in enumerate(lines)]


def _validated(rows: Sequence[IndexRow]) -> Validated:
    return validate(index_of(rows), LIMITS, "az")


def _unlicensed(_: Path) -> Collection[str]:
    return warned(_validated([replace(row, licence="") for row in _rows()]))


def _music(_: Path) -> Collection[str]:
    """A row as the optional detector of voices leaves it."""
    first, *others = _rows()
    return warned(_validated([replace(first, speech_share=0.01), *others]))


def _sides(rows: Sequence[IndexRow]) -> dict[str, str]:
    """The split of each clip by its id."""
    return {utterance.id: name for name, split in _validated(rows).splits.items() for utterance in split}


def _reordered(_: Path) -> bool:
    """Rows in another order make the same splits, to the order within them."""
    rows = _rows()
    renumbered = [replace(row, row=place) for place, row in enumerate(reversed(rows))]
    return _validated(rows).splits == _validated(renumbered).splits


def _grown(_: Path) -> bool:
    """Clips that are added move no other one."""
    rows = _rows()
    few, all_ = _sides(rows[::2]), _sides(rows)
    return len(set(few.values())) == 3 and all(all_[name] == side for name, side in few.items())


MILD: tuple[Mild, ...] = (
    Mild(37, "music alone, where a voice is looked for", "signal.little_speech", _music),
    Mild(80, "no licence", "manifest.licence", _unlicensed),
)
PREVENTED: tuple[Prevented, ...] = (
    Prevented(77, "rows in another order", "manifest.order", _reordered),
    Prevented(78, "a corpus that grew", "split.unstable", _grown),
)
