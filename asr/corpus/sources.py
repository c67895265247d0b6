"""Opens the corpus that `data.source` names: the sample, a folder, a manifest, or the Hugging Face Hub."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from asr.corpus.clips import SourceClip
from asr.corpus.manifest import Columns, Entry, FileAudio, manifest_clips, read_entries
from asr.corpus.selection import Source, listed
from asr.errors import UserError
from asr.params import DataParams

METADATA = ("metadata.csv", "metadata.jsonl")
FOLDER_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""Folder names that stand for a split: the words of the Hugging Face AudioFolder convention."""
AUDIO_SUFFIXES = (".aac", ".aiff", ".amr", ".au", ".flac", ".m4a", ".mp3", ".mp4", ".ogg", ".opus", ".wav", ".webm")


def open_source(data: DataParams) -> Source:
    """The clips that the parameters ask for, not yet decoded.

    Raises:
        UserError: `data.path` is missing or empty, or its content does not fit; also while the clips are read.
    """
    columns = Columns(data.audio_column, data.text_column, data.group_column, data.split_column)
    if data.source == "folder":
        return _open_folder(data, replace(columns, audio="file_name"))
    if data.source == "manifest":
        path = _existing(data, "a .csv, .tsv or .jsonl file with one row a clip")
        return listed(manifest_clips(path, columns), data.max_clips, data.seed)
    # The two branches below import what they need alone: a speech synthesiser, the `datasets` library.
    if data.source == "hub":
        from asr.corpus.hub import open_hub, open_parquet

        if data.name is not None:
            return open_hub(data, columns)
        return open_parquet(data, columns, _existing(data, "the data set's Parquet files"))
    from asr.corpus.sample import sample_clips

    return listed(sample_clips(data.seed), data.max_clips, data.seed)


def _existing(data: DataParams, content: str) -> Path:
    if data.path and Path(data.path).exists():
        return Path(data.path)
    raise UserError(f"data.path = '{data.path}': not found; data.source = {data.source} needs {content} there")


def _open_folder(data: DataParams, columns: Columns) -> Source:
    """A folder in the AudioFolder convention: metadata files whose `file_name` is relative to their own folder."""
    content = f"a folder with metadata.csv or metadata.jsonl (columns {', '.join(columns.names())}) and audio files"
    root = _existing(data, content)
    files = sorted(_files(root))
    tables = [name for name in files if PurePosixPath(name).name in METADATA]
    if not tables:
        raise UserError(f"data.path = '{data.path}': no metadata; data.source = folder needs {content}")
    clips = [
        _folder_clip(root, PurePosixPath(table).parent, entry)
        for table in tables
        for entry in read_entries(root / table, columns)
    ]
    known = {str(PurePosixPath(clip.name)) for clip in clips}
    extra = [name for name in files if Path(name).suffix.lower() in AUDIO_SUFFIXES and name not in known]
    notes = [
        f"{len(extra)} audio files stand in no metadata file and are left out, such as {name}" for name in extra[:1]
    ]
    return listed(clips, data.max_clips, data.seed, tuple(notes))


def _files(root: Path) -> Iterator[str]:
    """All files under `root`, relative, with '/'; linked folders are not entered."""
    for folder, _, names in os.walk(root, onerror=_refuse):
        for name in names:
            yield (Path(folder) / name).relative_to(root).as_posix()


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read ({error.strerror}); give yourself access") from error


def _folder_clip(root: Path, parent: PurePosixPath, entry: Entry) -> SourceClip:
    # Joined as text: joining paths would let an absolute `file_name` discard the folder.
    name = entry.audio if parent == PurePosixPath(".") else f"{parent}/{entry.audio}"
    return SourceClip(
        name=name,
        text=entry.labels.text,
        audio=FileAudio(root / parent, entry.audio),
        group=entry.labels.group,
        source="folder",
        split=entry.labels.split or _folder_split(name),
    )


def _folder_split(name: str) -> str:
    """The split for which the outermost folder with such a name stands; empty if there is none."""
    for part in PurePosixPath(name).parts[:-1]:
        for split, words in FOLDER_SPLITS.items():
            if part in words:
                return split
    return ""
