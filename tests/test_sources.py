"""Sources of files: what `data.path` may be, and how folders are read; nothing in them is passed over in silence."""

import gzip
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from asr.corpus.clips import SourceClip
from asr.corpus.sources.archives import refuse_archive
from asr.corpus.sources.manifest import FileAudio
from asr.corpus.sources.open import open_source
from asr.corpus.sources.selection import Source, chosen_rows
from asr.errors import UserError
from asr.pcm import AudioError, Sound
from tests.factories import data_params


def echo(data: bytes, name: str) -> Sound:
    """A decoder whose samples are the bytes of the file, and whose encoding is the name it was given."""
    return Sound(np.frombuffer(data, np.uint8).astype(np.int16), name, 16_000, 1)


def heard(clip: SourceClip) -> bytes:
    """The bytes of the file behind a clip."""
    return clip.audio.sound(echo).pcm.astype(np.uint8).tobytes()


def put(path: Path, content: str | bytes = b"sound") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def opened_manifest(path: Path, content: str | bytes, **changes: object) -> Source:
    return open_source(data_params(source="manifest", path=str(put(path, content)), **changes))


def fields(source: Source) -> list[tuple[str, str, str, str]]:
    return [(clip.name, clip.text, clip.group, clip.split) for _, clip in source.clips]


def code_of(clip: SourceClip) -> str:
    with pytest.raises(AudioError) as caught:
        clip.audio.sound(echo)
    return caught.value.code


# data.path


@pytest.mark.parametrize("path", ["", "no/such.csv"])
@pytest.mark.parametrize("source", ["manifest", "folder", "hub"])
def test_a_missing_path_is_refused_with_what_to_put_there(source, path):
    with pytest.raises(UserError, match=rf"data\.path = '{path}': not found; data\.source = {source} needs "):
        open_source(data_params(source=source, path=path))


def test_a_folder_is_no_manifest_and_a_file_no_folder(tmp_path):
    put(tmp_path / "m.csv", "audio,text\n")
    with pytest.raises(UserError, match="a folder; name the manifest in it"):
        open_source(data_params(source="manifest", path=str(tmp_path)))
    with pytest.raises(UserError, match=r"a file; set data\.source to manifest"):
        open_source(data_params(source="folder", path=str(tmp_path / "m.csv")))


ZIP = "python -m zipfile -e .* FOLDER"
TAR = "python -m tarfile -e .* FOLDER --filter data"
UNPACK = "unpack it into an empty FOLDER"
HEADS = [
    (b"PK\x03\x04rest", "a zip archive", ZIP),
    (b"PK\x05\x06" + bytes(18), "an empty zip archive", ZIP),
    (bytes(257) + b"ustar\x0000", "a tar archive", TAR),
    (gzip.compress(b"audio,text\n", mtime=0), "a gzip file", "python -m gzip -d"),
    (b"BZh91AY", "a bzip2 file", UNPACK),
    (b"\xfd7zXZ\x00", "an xz file", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd file", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!\x1a\x07\x01\x00", "a rar archive", UNPACK),
]
NAMES = [
    ("c.zip", "a zip archive", ZIP),
    ("c.TAR", "a tar archive", TAR),
    ("c.tar.gz", "a tar archive", TAR),
    ("c.tgz", "a tar archive", TAR),
    ("c.tar.xz", "a tar archive", TAR),
    ("m.jsonl.gz", "a gzip file", "python -m gzip -d"),
    ("c.7z", "an archive", UNPACK),
    ("c.rar", "an archive", UNPACK),
    ("m.xlsx", "a spreadsheet", "save the table as CSV in UTF-8"),
]


@pytest.mark.parametrize("source", ["manifest", "folder", "hub"])
@pytest.mark.parametrize(
    ("name", "content", "kind", "command"),
    [("m.csv", *head) for head in HEADS] + [(name, b"", kind, command) for name, kind, command in NAMES],
)
def test_an_archive_is_refused_by_content_or_name_with_the_command_that_unpacks_it(
    tmp_path, source, name, content, kind, command
):
    path = put(tmp_path / name, content)
    with pytest.raises(UserError, match=f"{kind}; .*{command}") as caught:
        open_source(data_params(source=source, path=str(path)))
    assert "\n" not in str(caught.value)


def test_archives_that_python_writes_are_recognised_without_their_names(tmp_path):
    with tarfile.open(tmp_path / "1.csv", "w") as archive:
        archive.add(put(tmp_path / "a.wav"), "a.wav")
    with zipfile.ZipFile(tmp_path / "2.csv", "w") as archive:
        archive.write(tmp_path / "a.wav", "a.wav")
    with tarfile.open(tmp_path / "3.csv", "w:xz") as archive:
        archive.add(tmp_path / "a.wav", "a.wav")
    for number, kind in [(1, "a tar archive"), (2, "a zip archive"), (3, "an xz file")]:
        with pytest.raises(UserError, match=kind):
            refuse_archive(tmp_path / f"{number}.csv")


def test_the_advised_command_keeps_members_inside(tmp_path):
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        archive.add(put(tmp_path / "a.wav"), "../outside.wav")
    with pytest.raises(UserError) as caught:
        refuse_archive(tmp_path / "c.tar")
    command = re.search("`python (.*?)`", str(caught.value))
    assert command is not None
    arguments = command[1].replace("FOLDER", str(tmp_path / "out")).split()
    run = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert "outside the destination" in run.stderr
    assert not (tmp_path / "outside.wav").exists()


def test_other_files_and_folders_are_no_archives(tmp_path):
    refuse_archive(tmp_path)
    refuse_archive(put(tmp_path / "m.csv", "PK,audio\n"))
    refuse_archive(put(tmp_path / "data.parquet", b"PAR1"))
    os.mkfifo(tmp_path / "fifo")
    refuse_archive(tmp_path / "fifo")


# Manifests; tests/test_manifest.py says how tables are read


def test_audio_is_found_relative_to_the_manifest_and_handed_to_the_decoder_with_its_name(tmp_path):
    put(tmp_path / "clips" / "a.wav", b"salam")
    [(row, clip)] = opened_manifest(tmp_path / "m.csv", "audio,text\nclips/a.wav,Salam\n").clips
    assert row == 0
    assert heard(clip) == b"salam"
    assert clip.audio.sound(echo).encoding == "clips/a.wav"


def test_the_parameters_name_columns_and_encoding(tmp_path):
    table = "path,sentence,client_id,set,seconds\na.wav,Şəhər,s1,dev,1.5\n".encode("utf-16")
    source = opened_manifest(
        tmp_path / "m.csv",
        table,
        audio_column="path",
        text_column="sentence",
        group_column="client_id",
        split_column="set",
        duration_column="seconds",
        encoding="utf-16",
    )
    assert fields(source) == [("a.wav", "Şəhər", "s1", "validation")]
    assert [clip.declared for _, clip in source.clips] == [1.5]
    with pytest.raises(UserError, match=r"manifest\.schema: .*no column 'audio'"):
        opened_manifest(tmp_path / "m.csv", "file,x\na.wav,x\n")


def test_repairs_of_the_whole_file_reach_the_user_and_the_clip_that_sorts_first(tmp_path):
    source = opened_manifest(tmp_path / "m.csv", "\ufeffaudio,text\r\nb.wav,x\na.wav,y\n")
    assert [note.split(":")[0] for note in source.notes] == ["text.bom", "text.line_breaks"]
    assert {clip.name: clip.notes for _, clip in source.clips} == {
        "a.wav": ("text.bom", "text.line_breaks"),
        "b.wav": (),
    }


def test_a_name_given_twice_stops_before_any_file_is_opened(tmp_path):
    with pytest.raises(UserError, match=r"manifest\.duplicate_id: rows 0 and 2 .* 'a\.wav'"):
        opened_manifest(tmp_path / "m.csv", "audio,text\na.wav,x\nb.wav,y\na.wav,x\n")


def test_names_that_clash_by_case_reject_one_row(tmp_path):
    source = opened_manifest(tmp_path / "m.csv", "audio,text\na.wav,x\nA.wav,y\n")
    assert [clip.fault and clip.fault[0] for _, clip in source.clips] == ["path.unsafe", None]


def test_an_unsafe_path_does_not_stop_the_others_and_is_never_opened(tmp_path, monkeypatch):
    put(tmp_path / "outside.wav")
    put(tmp_path / "c" / "inside.wav")
    rows = [{"audio": name, "text": "x"} for name in ["../outside.wav", "/etc/passwd", "inside.wav"]]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    clips = [clip for _, clip in opened_manifest(tmp_path / "c" / "m.jsonl", content).clips]
    assert heard(clips[2]) == b"sound"
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"opened {path}"))
    assert [code_of(clip) for clip in clips[:2]] == ["path.unsafe", "path.unsafe"]


def test_what_is_no_file_is_a_row_with_a_reason_and_no_fifo_is_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo.wav")
    clips = [SourceClip(name, "x", FileAudio(tmp_path, name)) for name in ("fifo.wav", "no.wav", ".")]
    assert [code_of(clip) for clip in clips] == ["audio.unreadable", "audio.missing", "audio.unreadable"]


# Folders


def folder(root: Path, tables: dict[str, str], others: list[str], **changes: object) -> Source:
    root.mkdir(exist_ok=True)
    for name in others:
        put(root / name, name)
    for name, content in tables.items():
        put(root / name, content)
    return open_source(data_params(source="folder", path=str(root), **changes))


def test_an_audio_folder_is_read_through_its_metadata(tmp_path):
    table = "file_name,text,speaker,s\na.wav,bir,s1,2.5\nsub/b.wav,iki,s2,-1\n"
    source = folder(
        tmp_path, {"metadata.csv": table}, ["a.wav", "sub/b.wav"], group_column="speaker", duration_column="s"
    )
    assert source.notes == ()
    clips = [clip for _, clip in source.clips]
    assert [(c.name, c.text, c.group, c.split, c.source, c.declared) for c in clips] == [
        ("a.wav", "bir", "s1", "", "folder", 2.5),
        ("sub/b.wav", "iki", "s2", "", "folder", None),
    ]
    assert [clip.fault and clip.fault[0] for clip in clips] == [None, "manifest.bad_number"]
    assert [heard(clip) for clip in clips] == [b"a.wav", b"sub/b.wav"]


SPLIT_WORDS = {
    "train": ["train", "training", "Train"],
    "validation": ["validation", "valid", "dev", "val"],
    "test": ["test", "testing", "eval", "evaluation"],
    "": ["contest", "x"],
}


@pytest.mark.parametrize(("word", "split"), [(word, split) for split, words in SPLIT_WORDS.items() for word in words])
def test_a_folder_named_for_a_split_gives_the_split(tmp_path, word, split):
    table = f"file_name,text\n{word}/a.wav,x\n"
    assert fields(folder(tmp_path, {"metadata.csv": table}, [f"{word}/a.wav"])) == [(f"{word}/a.wav", "x", "", split)]


def test_the_outermost_folder_named_for_a_split_counts_and_a_file_name_does_not(tmp_path):
    table = "file_name,text\ntest/train/a.wav,x\ndev,y\n"
    assert [field[3] for field in fields(folder(tmp_path, {"metadata.csv": table}, []))] == ["test", ""]


def test_json_lines_metadata_is_read_too(tmp_path):
    table = '{"file_name": "a.wav", "text": "x"}\n'
    assert fields(folder(tmp_path, {"metadata.jsonl": table}, ["a.wav"])) == [("a.wav", "x", "", "")]


def test_each_split_may_have_its_own_metadata(tmp_path):
    tables = {"train/metadata.csv": "file_name,text\na.wav,bir\n", "test/metadata.csv": "file_name,text\na.wav,iki\n"}
    source = folder(tmp_path, tables, ["train/a.wav", "test/a.wav"])
    assert fields(source) == [("test/a.wav", "iki", "", "test"), ("train/a.wav", "bir", "", "train")]
    assert [heard(clip) for _, clip in source.clips] == [b"test/a.wav", b"train/a.wav"]


def test_a_file_that_two_metadata_files_list_is_refused(tmp_path):
    table = "file_name,text\na.wav,x\n"
    with pytest.raises(UserError, match=r"manifest\.duplicate_id: rows 0 and 1 .* 'a\.wav'"):
        folder(tmp_path, {"metadata.csv": table, "metadata.jsonl": '{"file_name": "a.wav", "text": "x"}'}, ["a.wav"])


def test_a_split_column_outweighs_the_folder(tmp_path):
    table = "file_name,text,set\ntrain/a.wav,x,test\n"
    source = folder(tmp_path, {"metadata.csv": table}, ["train/a.wav"], split_column="set")
    assert fields(source) == [("train/a.wav", "x", "", "test")]


@pytest.mark.parametrize(
    ("table", "name", "code"),
    [
        ("metadata.csv", "a.wav", "audio.missing"),
        ("train/metadata.csv", "/etc/passwd", "path.unsafe"),
        ("train/metadata.csv", "../outside.wav", "path.unsafe"),
    ],
)
def test_a_listed_file_that_is_absent_or_outside_is_a_row_with_a_reason(tmp_path, table, name, code):
    put(tmp_path / "outside.wav")
    [(_, clip)] = folder(tmp_path / "c", {table: f"file_name,text\n{name},x\n"}, []).clips
    assert code_of(clip) == code


LISTED = {"metadata.csv": "file_name,text\n./a.wav,x\n"}
LEFT_OUT = [
    (["b.wav", "c/d.WAV"], "2 audio files stand in no metadata file and are left out, such as b.wav"),
    (["e.wma"], "1 audio files stand in no metadata file and are left out, such as e.wma"),
    (["train.tsv", "x.parquet"], "2 other tables are not read, such as train.tsv"),
    (["more.zip", "c/d.tar.gz"], "2 archives are not unpacked, such as c/d.tar.gz"),
    (["._a.wav", "Thumbs.db", "c/.DS_Store"], "3 hidden or system files are passed over, such as ._a.wav"),
    (["__MACOSX/._a.wav", "__MACOSX/b.wav"], "1 hidden or system files are passed over, such as __MACOSX/"),
    ([".cache/metadata.csv", ".cache/b.wav"], "1 hidden or system files are passed over, such as .cache/"),
]


@pytest.mark.parametrize(("others", "note"), LEFT_OUT)
def test_what_a_folder_holds_beside_its_clips_is_counted_in_a_note(tmp_path, others, note):
    source = folder(tmp_path, LISTED, ["a.wav", *others])
    assert source.notes == (note,)
    assert source.total == 1


def test_plain_documents_need_no_note(tmp_path):
    assert folder(tmp_path, LISTED, ["a.wav", "README.md", "LICENSE"]).notes == ()


def test_linked_folders_are_named_and_not_entered(tmp_path):
    put(tmp_path / "other" / "b.wav")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "more").symlink_to(tmp_path / "other")
    source = folder(tmp_path / "c", LISTED, ["a.wav"])
    assert source.notes == ("1 linked folders are not entered, such as more",)


def test_a_name_that_is_not_utf8_can_still_be_printed(tmp_path):
    put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")))
    [note] = folder(tmp_path, LISTED, ["a.wav"]).notes
    assert note.encode().endswith(b"such as '\\udcff.wav'")


HINTS = [
    (
        ["train.csv", "a.wav"],
        r"there are other tables: set data\.source to manifest and data\.path to one .*train\.csv",
    ),
    (["data/train-0.parquet", "a.wav"], r"1 Parquet files, .*: set data\.source to hub and data\.name to null"),
    (["c.zip", "d.tar.gz"], r"archives such as c\.zip: .*python -m zipfile -e .*c\.zip FOLDER"),
    (["a.wav", "b/c.mp3", "c.zip"], r"2 audio files, such as a\.wav, without transcripts: write metadata\.csv or "),
    ([], r"needs a folder with metadata\.csv or metadata\.jsonl .columns file_name, text"),
    (["._metadata.csv", "__MACOSX/metadata.csv"], r"needs a folder with metadata\.csv"),
]


@pytest.mark.parametrize(("others", "hint"), HINTS)
def test_a_folder_without_metadata_is_refused_with_what_to_do_about_its_content(tmp_path, others, hint):
    with pytest.raises(UserError, match=f"no metadata; .*{hint}"):
        folder(tmp_path, {}, others)


# data.max_clips

ROWS = "audio,text\n" + "".join(f"{number:03d}.wav,x\n" for number in range(200))


def taken(path: Path, content: str, **changes: object) -> list[int]:
    return [row for row, _ in opened_manifest(path, content, **changes).clips]


def test_max_clips_draws_from_the_whole_corpus_in_source_order(tmp_path):
    rows = taken(tmp_path / "m.csv", ROWS, max_clips=20)
    assert len(set(rows)) == 20
    assert rows == sorted(rows)
    assert min(rows) < 50 < 150 < max(rows)


def test_the_draw_depends_on_names_and_seed_and_not_on_the_order_of_rows(tmp_path):
    header, *lines = ROWS.splitlines(keepends=True)
    back_to_front = header + "".join(reversed(lines))
    path = tmp_path / "m.csv"
    assert taken(path, back_to_front, max_clips=20) == sorted(199 - row for row in taken(path, ROWS, max_clips=20))
    assert taken(path, ROWS, max_clips=20) != taken(path, ROWS, max_clips=20, seed=2)


def test_a_smaller_draw_is_part_of_a_larger_one():
    names = [str(number) for number in range(100)]
    assert set(chosen_rows(names, 10, seed=3)) < set(chosen_rows(names, 30, seed=3))


def test_clips_without_names_are_drawn_by_row():
    assert chosen_rows([""] * 50, 10, seed=3) == chosen_rows([str(row) for row in range(50)], 10, seed=3)


@pytest.mark.parametrize("limit", [200, 201, None])
def test_a_limit_that_does_not_bind_takes_all(tmp_path, limit):
    assert taken(tmp_path / "m.csv", ROWS, max_clips=limit) == list(range(200))
