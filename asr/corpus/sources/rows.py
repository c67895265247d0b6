"""Rows of a data set, in Parquet or from the Hub, as clips."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asr.corpus.clips import SourceClip
from asr.corpus.sources.manifest import Columns, labels
from asr.errors import UserError
from asr.pcm import AudioError, Decode, Encoded, Sound


@dataclass(frozen=True)
class RowAudio:
    """An encoded file from a row, or None where the row has no bytes."""

    data: Encoded | None
    name: str = ""

    def sound(self, decode: Decode, /) -> Sound:
        """The decoded clip.

        Raises:
            AudioError: no bytes, or whatever `decode` refuses.
        """
        if self.data is None:
            raise AudioError("audio.missing", "the row holds no audio bytes")
        return decode(self.data, self.name)


def clip_of(row: Mapping[str, Any], columns: Columns, source: str, where: str, named: bool) -> SourceClip:
    """The clip in a row; `where` names the row in errors.

    Raises:
        UserError: a value that is neither text nor audio.
    """
    found = labels(row, columns, where)
    data, path = _audio(row[columns.audio], columns.audio, where)
    return SourceClip(
        name=(path or "") if named and data is not None else "",  # without bytes it is a path on some machine
        text=found.text,
        audio=RowAudio(data, path or ""),
        group=found.group,
        source=source,
        split=found.split,
        declared=found.declared,
        fault=found.fault,
    )


def _audio(value: object, column: str, where: str) -> tuple[Encoded | None, str | None]:
    """Bytes and path; the two fields stand alone or in a mapping."""
    if value is None or isinstance(value, Encoded):
        return value, None
    if isinstance(value, Mapping) and isinstance(value.get("bytes"), Encoded | None):
        return value.get("bytes"), value.get("path")
    raise UserError(f"{where}: column '{column}' is no audio ({type(value).__name__}); set data.audio_column")
