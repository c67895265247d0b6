"""Faults of a manifest as a whole (41, 65, 73 to 75, 79, 83): each a tiny corpus of its own that must stop the run."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from asr.corpus.index import index_of
from asr.corpus.prepare import prepare
from asr.corpus.sources.open import open_source
from asr.corpus.validate import validate
from asr.corpus.workers import Crew
from asr.params import load_params
from tests.factories import data_params, encoded, speech_like
from tests.index_rows import LIMITS, index_row
from tests.pipeline import ROOT
from tests.ugly.fault import Fault

Stop = Fault[Callable[[Path], object]]
"""A fault that ends a run; `build` lays it in an empty folder and does what a stage would do, up to the UserError."""

HEADER = "audio,text\n"
ROWS = "a.wav,Salam.\nb.wav,Sağ ol.\n"


def _manifest(content: str | bytes, name: str = "corpus.csv", **columns: object) -> Callable[[Path], object]:
    """Reads a manifest with this content to its end."""

    def build(folder: Path) -> object:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        source = open_source(data_params(source="manifest", path=str(path), **columns))
        return list(source.clips)

    return build


def _json(*rows: dict[str, object]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def _all_outside(folder: Path) -> object:
    """A manifest whose every file lies outside its folder."""
    root = folder / "root"
    root.mkdir()
    (folder / "a.wav").write_bytes(encoded(speech_like(1.0)))
    (root / "metadata.csv").write_text("file_name,text\n../a.wav,Salam.\n", encoding="utf-8")
    source = open_source(data_params(source="folder", path=str(root)))
    with Crew(1) as crew:
        return prepare(source, folder / "clips", folder / "index.parquet", crew)


def _all_rejected(_: Path) -> object:
    return validate(index_of([index_row(n, text="...") for n in range(9)]), replace(LIMITS, max_rejected=0.5), "az")


def _nothing_to_test(_: Path) -> object:
    return validate(index_of([index_row(n, split="train") for n in range(9)]), LIMITS, "az")


def _params(old: str, new: str) -> Callable[[Path], object]:
    """The parameters of the sample, with a slip."""

    def build(folder: Path) -> object:
        content = (ROOT / "presets/sample.yaml").read_text(encoding="utf-8")
        assert old in content
        path = folder / "params.yaml"
        path.write_text(content.replace(old, new, 1), encoding="utf-8")
        return load_params(path)

    return build


SCHEMA: tuple[Stop, ...] = (
    Stop(65, "one name twice", "manifest.duplicate_id", _manifest(f"{HEADER}a.wav,Salam.\na.wav,Sağ ol.\n")),
    Stop(73, "a column is missing", "manifest.schema", _manifest("audio,sentence\na.wav,Salam.\n")),
    Stop(73, "a column twice", "manifest.schema", _manifest("audio,text,text\na.wav,Salam.,Salam.\n")),
    Stop(79, "a cell too many", "manifest.length_mismatch", _manifest(f"{HEADER}a.wav,Salam, dünya.\n")),
    Stop(73, "semicolons", "manifest.schema", _manifest("audio;text\na.wav;Salam.\n")),
    Stop(73, "a number for a text", "manifest.schema", _manifest(_json({"audio": "a.wav", "text": 0.5}), "a.jsonl")),
    Stop(73, "no JSON", "manifest.schema", _manifest('{"audio": "a.wav", text: "Salam."}\n', "a.jsonl")),
    Stop(73, "a key twice", "manifest.schema", _manifest('{"audio": "a", "text": "b", "text": "c"}\n', "a.jsonl")),
    Stop(
        73,
        "an unknown split",
        "manifest.schema",
        _manifest("audio,text,split\na.wav,Salam.,exam\n", split_column="split"),
    ),
    Stop(
        73,
        "a part of a longer file",
        "manifest.schema",
        _manifest(_json({"audio": "a.wav", "text": "Salam.", "offset": 3.5}), "a.jsonl"),
    ),
    Stop(74, "a quote that never closes", "manifest.row_count", _manifest(f'{HEADER}a.wav,"Salam.\nb.wav,Sağ ol.\n')),
    Stop(74, "a quote that swallows lines", "manifest.row_count", _manifest(f'{HEADER}a,"x\nb,y\nc,z"\nd,w\n')),
    Stop(74, "lines that end in CR alone", "manifest.row_count", _manifest('{"a": 1}\r{"a": 2}\r', "a.jsonl")),
    Stop(75, "no rows", "manifest.empty", _manifest(HEADER)),
    Stop(75, "an empty file", "manifest.empty", _manifest("", "a.jsonl")),
    Stop(75, "all rejected", "manifest.empty", _all_rejected),
    Stop(75, "nothing left to test with", "split.empty", _nothing_to_test),
    Stop(72, "every path outside", "path.unsafe", _all_outside),
    Stop(79, "a cell too few", "manifest.length_mismatch", _manifest(f"{HEADER}a.wav\n")),
)
ENCODINGS: tuple[Stop, ...] = (
    Stop(41, "UTF-16", "text.encoding", _manifest((HEADER + ROWS).encode("utf-16"))),
    Stop(41, "UTF-16 without a mark", "text.encoding", _manifest((HEADER + ROWS).encode("utf-16-le"))),
    Stop(41, "code page 1254", "text.encoding", _manifest((HEADER + ROWS).encode("cp1254"))),
    Stop(41, "ISO 8859-9", "text.encoding", _manifest((HEADER + ROWS).encode("iso8859-9"))),
    Stop(41, "cut within a letter", "text.encoding", _manifest(f"{HEADER}a.wav,Sağ".encode()[:-1])),
)
CONFIG: tuple[Stop, ...] = (
    Stop(83, "a mistyped key", "config.unknown_key", _params("max_steps:", "max_stepz:")),
    Stop(83, "a missing key", "config.unknown_key", _params("  weight_decay: 0.01", "  # weight_decay: 0.01")),
    Stop(83, "a number that YAML reads as text", "config.type", _params("2.7e-3", "27e-4")),
    Stop(83, "a word for a number", "config.type", _params("batch_size: 8", "batch_size: eight")),
)
FAULTS = (*SCHEMA, *ENCODINGS, *CONFIG)
