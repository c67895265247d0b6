"""A folder in the AudioFolder convention: metadata files whose `file_name` is relative to their own folder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from asr.corpus.clips import SourceClip
from asr.corpus.sources.archives import how_to_unpack, is_archive
from asr.corpus.sources.encoding import printable
from asr.corpus.sources.manifest import Columns, checked, read_clips, repair_notes, split_named
from asr.corpus.sources.selection import Source, listed
from asr.corpus.sources.tables import FORMATS
from asr.errors import UserError
from asr.params import DataParams

METADATA = ("metadata.csv", "metadata.jsonl")
AUDIO_SUFFIXES = (
    *(".aac", ".aif", ".aiff", ".amr", ".au", ".caf", ".flac", ".m4a", ".mka", ".mkv", ".mp3", ".mp4"),
    *(".oga", ".ogg", ".opus", ".sph", ".w64", ".wav", ".webm", ".wma"),
)
SYSTEM_NAMES = ("__MACOSX", "Thumbs.db", "desktop.ini")
"""What operating systems leave in folders, beside names that begin with a dot (`._a.wav` is a resource fork)."""


@dataclass(frozen=True)
class Listing:
    """What lies in a folder; names are relative to it, with '/', in their order."""

    files: tuple[str, ...]
    system: tuple[str, ...]
    """Hidden and system files and folders, not entered."""
    links: tuple[str, ...]
    """Linked folders, not entered."""


def open_folder(data: DataParams, columns: Columns, root: Path) -> Source:
    """The clips that the metadata files under `root` list.

    Raises:
        UserError: no metadata, or a malformed one; the message says what the folder has instead.
    """
    if not root.is_dir():
        raise UserError(f"data.path = '{root}': a file; set data.source to manifest, or name the folder around it")
    columns = replace(columns, audio="file_name")
    listing = list_folder(root)
    tables = [name for name in listing.files if PurePosixPath(name).name in METADATA]
    if not tables:
        raise UserError(f"data.path = '{root}': no metadata; {_hint(listing, root, columns)}")
    clips = checked([clip for table in tables for clip in _table_clips(root, table, columns, data.encoding)])
    notes = (*repair_notes(clips), *_left_out(listing, clips))
    return listed(clips, data.max_clips, data.seed, notes)


def list_folder(root: Path) -> Listing:
    """All that lies under `root`; linked and hidden folders are named and not entered."""
    files, system, links = list[str](), list[str](), list[str]()
    for folder, folders, names in os.walk(root, onerror=_refuse):
        inside = Path(folder).relative_to(root).as_posix()
        prefix = "" if inside == "." else f"{inside}/"
        system += [f"{prefix}{name}/" for name in folders if _is_system(name)]
        files += [prefix + name for name in names if not _is_system(name)]
        system += [prefix + name for name in names if _is_system(name)]
        folders[:] = [name for name in folders if not _is_system(name)]
        links += [prefix + name for name in folders if Path(folder, name).is_symlink()]
    return Listing(tuple(sorted(files)), tuple(sorted(system)), tuple(sorted(links)))


def _is_system(name: str) -> bool:
    return name.startswith(".") or name in SYSTEM_NAMES


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read ({error.strerror}); give yourself access") from error


def _table_clips(root: Path, table: str, columns: Columns, encoding: str) -> list[SourceClip]:
    parent = PurePosixPath(table).parent
    clips = read_clips(root / table, columns, encoding, "folder")
    # Joined as text: joining paths would let an absolute `file_name` discard the folder.
    prefix = "" if parent == PurePosixPath(".") else f"{parent}/"
    return [
        replace(clip, name=prefix + clip.name, split=clip.split or _folder_split(prefix + clip.name)) for clip in clips
    ]


def _folder_split(name: str) -> str:
    """The split for which the outermost folder with such a name stands; empty if there is none."""
    return next((split for part in name.split("/")[:-1] if (split := split_named(part))), "")


def _is_audio(name: str) -> bool:
    return name.lower().endswith(AUDIO_SUFFIXES)


def _left_out(listing: Listing, clips: Sequence[SourceClip]) -> list[str]:
    """What lies in the folder and is not read, a line for each kind."""
    listed_names = {_plain(clip.name) for clip in clips}
    rest = [name for name in listing.files if name not in listed_names and PurePosixPath(name).name not in METADATA]
    kinds = (
        ("audio files stand in no metadata file and are left out", [name for name in rest if _is_audio(name)]),
        ("other tables are not read", [name for name in rest if name.lower().endswith((*FORMATS, ".parquet"))]),
        ("archives are not unpacked", [name for name in rest if is_archive(name)]),
        ("hidden or system files are passed over", listing.system),
        ("linked folders are not entered", listing.links),
    )
    return [f"{len(names)} {what}, such as {printable(names[0])}" for what, names in kinds if names]


def _plain(name: str) -> str:
    """The name without empty parts and '.', as the listing writes it."""
    return str(PurePosixPath(name)) if "./" in name or "//" in name else name


def _hint(listing: Listing, root: Path, columns: Columns) -> str:
    """What to do with a folder that has no metadata, by what it has."""
    tables = [name for name in listing.files if name.lower().endswith(FORMATS)]
    parquet = [name for name in listing.files if name.lower().endswith(".parquet")]
    audio = [name for name in listing.files if _is_audio(name)]
    archives = [name for name in listing.files if is_archive(name)]
    if parquet:
        first = printable(parquet[0])
        return f"{len(parquet)} Parquet files, such as {first}: set data.source to hub and data.name to null"
    if tables:
        path = printable((root / tables[0]).as_posix())
        return f"there are other tables: set data.source to manifest and data.path to one of them, such as {path}"
    if archives and not audio:
        return f"archives such as {printable(archives[0])}: {how_to_unpack(printable((root / archives[0]).as_posix()))}"
    needed = f"metadata.csv or metadata.jsonl (columns {', '.join(columns.names())}), one row an audio file"
    if audio:
        return f"{len(audio)} audio files, such as {printable(audio[0])}, without transcripts: write {needed}"
    return f"data.source = folder needs a folder with {needed}"
