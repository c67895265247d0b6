"""Forgetting: the trained and the base model on a second data set, such as another language or another domain.

A folder with a manifest and its audio, read and decoded as a corpus is. What a model has learnt of one kind of speech
it may pay for with another; the difference to the base model on the same clips says how much.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

from asr.corpus.clips import SourceClip
from asr.corpus.index import IndexRow
from asr.corpus.part import decode_clip
from asr.corpus.sources.encoding import printable
from asr.corpus.sources.folder import list_folder
from asr.corpus.sources.manifest import Columns, checked, read_clips
from asr.corpus.sources.tables import FORMATS, read_table
from asr.decoding.baseline import Rates, base_transcriber, before_after
from asr.decoding.basic import basic_normalizer
from asr.decoding.generate import Transcriber
from asr.errors import UserError
from asr.isolation import IsolatedDecoder
from asr.models.tokenizer import token_language
from asr.numbers import NUMBER_LANGUAGES
from asr.pcm import Pcm16
from asr.scoring.skipped import Skipped
from asr.scoring.wer import Score, Silence, TextForm, score_utterances
from asr.text import NORMALIZER_VERSION, Language, Numbers, normalize, normalizer_hash

MANIFESTS = tuple(f"manifest{ending}" for ending in FORMATS)
NOTE = "README.md"
"""What the folder holds when there is no second data set."""
AUDIO, TEXT, GROUP = "audio", "text", "group"
"""Columns of the manifest; the last one may be missing."""
ENCODING = "utf-8"
TOO_LONG = "signal.too_long"


@dataclass(frozen=True)
class SecondSet:
    """The clips of a second data set that can be decoded."""

    rows: tuple[IndexRow, ...]
    sounds: tuple[Pcm16, ...]
    """Samples of each row."""
    rejected: Mapping[str, int]
    """How many clips are left out, by reason code (`docs/bad-data.md`)."""


@dataclass(frozen=True)
class Normalizer:
    """How the texts of a language are made comparable."""

    form: TextForm
    language: str
    version: str
    hash: str | None
    """None for a library's normaliser: its version stands in the provenance."""
    numbers: Numbers

    def as_plain(self) -> dict[str, str | None]:
        """For a metrics file."""
        return {"language": self.language, "version": self.version, "hash": self.hash, "numbers": self.numbers}


def second_section(
    folder: Path,
    experiment: Mapping[str, Any],
    transcriber: Transcriber,
    numbers: Numbers,
    language: str | None = None,
) -> dict[str, Any]:
    """What `metrics/evaluate.json` says of the second data set, or why it says nothing.

    Args:
        folder: holds `manifest.csv`, `.tsv` or `.jsonl` with the columns `audio`, `text` and perhaps `group`.
        experiment: content of the trained model's `experiment.json`, which names its base.
        transcriber: the trained model's.
        numbers: as for the corpus, where the language allows it.
        language: of the data set; None for the model's.

    Raises:
        UserError: an unknown language, a malformed manifest, or no clip that can be scored.
    """
    spoken = language or transcriber.language
    _require_language(transcriber, spoken)
    found = read_second(folder, transcriber.edges.seconds[-1])
    if isinstance(found, Skipped):
        return found.as_plain()
    normalizer = normalizer_of(spoken, numbers)
    trained = _scores(replace(transcriber, language=spoken), found, normalizer.form, "second data set")
    _require_words(trained, found, folder)
    return {
        **_rates(trained, found).as_plain(),
        "rejected": dict(found.rejected),
        "silence": asdict(_silence(trained)),
        "normalizer": normalizer.as_plain(),
        "baseline": _baseline(experiment, replace(transcriber, language=spoken), found, normalizer.form, trained),
    }


def read_second(folder: Path, longest: float) -> SecondSet | Skipped:
    """The second data set, decoded.

    Args:
        folder: of the manifest and its audio; a missing or empty one means that there is none.
        longest: what the model can hear at once (s); longer clips are rejected.

    Raises:
        UserError: files without a manifest, two manifests, or a malformed one.
    """
    manifest = _manifest(folder)
    if manifest is None:
        return Skipped(f"no second data set: put a manifest and its audio into {folder.as_posix()}")
    clips = checked(read_clips(manifest, _columns(manifest), ENCODING, "second"))
    return _decoded(clips, longest)


def normalizer_of(language: str, numbers: Numbers) -> Normalizer:
    """Ours where it knows the language, else Whisper's, which leaves numbers as they are."""
    for own in get_args(Language):
        if own == language:
            form = numbers if own in NUMBER_LANGUAGES else "keep"
            return Normalizer(
                partial(normalize, language=own, numbers=form), own, NORMALIZER_VERSION, normalizer_hash(), form
            )
    return Normalizer(basic_normalizer(), language, "whisper-basic", None, "keep")


def _manifest(folder: Path) -> Path | None:
    # An empty path would be the working directory.
    if folder == Path() or not folder.exists():
        return None
    files = [name for name in list_folder(folder).files if name != NOTE]
    found = [name for name in files if name in MANIFESTS]
    if len(found) > 1:
        raise UserError(f"{folder}: holds {' and '.join(found)}; keep one of them")
    if files and not found:
        names = ", ".join(MANIFESTS)
        raise UserError(f"{folder}: holds {printable(files[0])} but none of {names}; write one row a clip into one")
    return folder / found[0] if found else None


def _columns(manifest: Path) -> Columns:
    table = read_table(manifest, ENCODING)
    present = table.columns if table.columns is not None else tuple(next(table.rows, (0, {}))[1])
    missing = [name for name in (AUDIO, TEXT) if name not in present]
    if present and missing:
        found = ", ".join(map(printable, present))
        raise UserError(f"manifest.schema: {manifest}: no column '{missing[0]}' among {found}; rename the one you mean")
    return Columns(AUDIO, TEXT, GROUP if GROUP in present else None, None)


def _decoded(clips: Sequence[SourceClip], longest: float) -> SecondSet:
    rows, sounds, rejected = list[IndexRow](), list[Pcm16](), Counter[str]()
    with IsolatedDecoder() as decode:
        for number, clip in enumerate(clips):
            row, pcm = decode_clip(number, clip, "", decode)
            if pcm is None:
                rejected[row.code] += 1
            elif row.duration > longest:
                rejected[TOO_LONG] += 1
            else:
                rows.append(row)
                sounds.append(pcm)
    return SecondSet(tuple(rows), tuple(sounds), dict(sorted(rejected.items())))


def _scores(transcriber: Transcriber, found: SecondSet, form: TextForm, title: str) -> list[Score]:
    """Of each clip, silent ones included."""
    heard = transcriber.transcribe(found.sounds, title)
    return score_utterances([form(row.text) for row in found.rows], [form(item.text) for item in heard])


def _rates(scores: Sequence[Score], found: SecondSet) -> Rates:
    spoken = [(score, row.group) for score, row in zip(scores, found.rows, strict=True) if score.words]
    return Rates.of([score for score, _ in spoken], [group for _, group in spoken])


def _silence(scores: Sequence[Score]) -> Silence:
    silent = [score.insertions for score in scores if not score.words]
    return Silence(len(silent), sum(count > 0 for count in silent), sum(silent))


def _baseline(
    experiment: Mapping[str, Any], transcriber: Transcriber, found: SecondSet, form: TextForm, trained: Sequence[Score]
) -> dict[str, Any]:
    base = base_transcriber(experiment, transcriber)
    if isinstance(base, Skipped):
        return base.as_plain()
    scores = _scores(base, found, form, "base model, second data set")
    groups = [row.group for row in found.rows]
    return {**before_after(scores, trained, groups).as_plain(), "silence": asdict(_silence(scores))}


def _require_language(transcriber: Transcriber, language: str) -> None:
    if f"<|{token_language(language)}|>" not in transcriber.tokenizer.get_vocab():
        raise UserError(
            f"evaluate.second_language = {language!r}: the model has no such language; write a code such as ru or en"
        )


def _require_words(scores: Sequence[Score], found: SecondSet, folder: Path) -> None:
    if not any(score.words for score in scores):
        reasons = ", ".join(f"{code}: {count}" for code, count in found.rejected.items()) or "none"
        raise UserError(
            f"{folder}: no clip with words is left to score (rejected by reason: {reasons}); "
            "mend the manifest, or take the data set out of the folder"
        )
