"""Opens the corpus that `data.source` names: the sample, a folder, a manifest, or the Hugging Face Hub."""

from pathlib import Path

from asr.corpus.sources.archives import refuse_archive
from asr.corpus.sources.folder import open_folder
from asr.corpus.sources.manifest import Columns, checked, read_clips, repair_notes
from asr.corpus.sources.selection import Source, listed
from asr.errors import UserError
from asr.params import DataParams


def open_source(data: DataParams) -> Source:
    """The clips that the parameters ask for, not yet decoded.

    Raises:
        UserError: `data.path` is missing, empty or an archive, or its content does not fit; also while the
            clips are read.
    """
    columns = Columns(data.audio_column, data.text_column, data.group_column, data.split_column, data.duration_column)
    if data.source == "folder":
        return open_folder(data, columns, _existing(data, "a folder with audio files and their metadata.csv"))
    if data.source == "manifest":
        return _open_manifest(data, columns)
    # What follows imports what it needs alone: the `datasets` library, a speech synthesiser.
    if data.source == "hub":
        return _open_hub(data, columns)
    from asr.corpus.sample.plan import sample_clips

    return listed(sample_clips(data.seed), data.max_clips, data.seed)


def _existing(data: DataParams, content: str) -> Path:
    path = Path(data.path)
    if not data.path or not path.exists():
        raise UserError(f"data.path = '{data.path}': not found; data.source = {data.source} needs {content} there")
    refuse_archive(path)
    return path


def _open_manifest(data: DataParams, columns: Columns) -> Source:
    path = _existing(data, "a .csv, .tsv or .jsonl file with one row a clip")
    if path.is_dir():
        raise UserError(f"data.path = '{path}': a folder; name the manifest in it, or set data.source to folder")
    clips = checked(read_clips(path, columns, data.encoding, "manifest"))
    return listed(clips, data.max_clips, data.seed, repair_notes(clips))


def _open_hub(data: DataParams, columns: Columns) -> Source:
    if data.name is not None:
        from asr.corpus.sources.hub import open_hub

        return open_hub(data, columns)
    from asr.corpus.sources.parquet import open_parquet

    return open_parquet(data, columns, _existing(data, "the data set's Parquet files"))
