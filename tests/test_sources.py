"""Folders and manifests: what a table says arrives unchanged, what it must not say is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from asr.corpus.manifest import FileAudio, contained
from asr.corpus.selection import Source, chosen_rows
from asr.corpus.sources import open_source
from asr.errors import UserError
from asr.pcm import AudioError
from tests.factories import data_params, encoded, speech_like

SPEECH = speech_like(0.2)


def wav(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(SPEECH))


def opened_manifest(path: Path, content: str | bytes, **changes: object) -> Source:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_source(data_params(source="manifest", path=str(path), **changes))


def fields(source: Source) -> list[tuple[str, str, str, str]]:
    return [(clip.name, clip.text, clip.group, clip.split) for _, clip in source.clips]


def code_of(source: Source) -> str:
    [(_, clip)] = source.clips
    with pytest.raises(AudioError) as caught:
        clip.audio.samples()
    return caught.value.code


# Manifests

CSV = 'audio,text,speaker,split\n001,"Salam, dünya",007,train\nb/2.wav,,NA,test\n'
TSV = "audio\ttext\tspeaker\tsplit\n001\tSalam, dünya\t007\ttrain\nb/2.wav\t\tNA\ttest\n"
JSONL = (
    '{"audio": "001", "text": "Salam, dünya", "speaker": "007", "split": "train", "more": [1]}\n'
    '\n{"audio": "b/2.wav", "text": null, "speaker": "NA", "split": "test", "more": []}\n'
)


@pytest.mark.parametrize(("name", "content"), [("m.csv", CSV), ("m.TSV", TSV), ("m.jsonl", JSONL)])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_format_gives_the_same_rows_as_text_exactly_as_written(tmp_path, name, content, ends, mark):
    content = mark + content.replace("\n", ends)
    source = opened_manifest(tmp_path / name, content, group_column="speaker", split_column="split")
    assert source.total == 2
    assert fields(source) == [("001", "Salam, dünya", "007", "train"), ("b/2.wav", "", "NA", "test")]


def test_columns_are_those_that_the_parameters_name(tmp_path):
    source = opened_manifest(
        tmp_path / "m.csv", "text,path,sentence\nx,a.wav,Salam\n", audio_column="path", text_column="sentence"
    )
    assert fields(source) == [("a.wav", "Salam", "", "")]


def test_audio_is_found_relative_to_the_manifest(tmp_path):
    wav(tmp_path / "clips" / "a.wav")
    [(row, clip)] = opened_manifest(tmp_path / "m.csv", "audio,text\nclips/a.wav,Salam\n").clips
    assert row == 0
    assert np.array_equal(clip.audio.samples(), SPEECH)


def test_an_unbalanced_quotation_mark_in_tsv_is_text(tmp_path):
    lines = 'audio\ttext\na.wav\t"Salam\nb.wav\tdedi" o\nc.wav\t"\n'
    assert [text for _, text, _, _ in fields(opened_manifest(tmp_path / "m.tsv", lines))] == ['"Salam', 'dedi" o', '"']


def test_a_line_separator_inside_a_transcript_does_not_split_the_row(tmp_path):
    texts = ["bir\u2028iki", "üç\x85dörd", "beş\x0baltı"]
    rows = "".join(
        json.dumps({"audio": f"{n}", "text": text}, ensure_ascii=False) + "\n" for n, text in enumerate(texts)
    )
    assert [text for _, text, _, _ in fields(opened_manifest(tmp_path / "m.jsonl", rows))] == texts
    rows = "audio,text\n" + "".join(f"{n},{text}\n" for n, text in enumerate(texts))
    assert [text for _, text, _, _ in fields(opened_manifest(tmp_path / "m.csv", rows))] == texts


def test_whole_numbers_in_json_become_their_digits(tmp_path):
    source = opened_manifest(
        tmp_path / "m.jsonl", '{"audio": "a", "text": "x", "speaker": 7}\n', group_column="speaker"
    )
    assert fields(source) == [("a", "x", "7", "")]


BAD_MANIFESTS = [
    (
        "m.csv",
        'audio,text\na.wav,"Salam\nb.wav,iki"\nc.wav,üç\n',
        r"m\.csv:2: a quotation mark opens here and closes 1 ",
    ),
    ("m.csv", 'audio,text\na.wav,bir\nb.wav,"iki\nc.wav,üç\n', r"m\.csv:3: unexpected end of data"),
    ("m.csv", 'audio,text\na.wav,"bir" iki\n', r"m\.csv:2: .*expected after"),
    ("m.csv", "audio,text\na.wav,bir,iki\n", r"m\.csv:2: 3 cells under 2 columns"),
    ("m.csv", "audio,text\na.wav\n", r"m\.csv:2: 1 cells under 2 columns"),
    ("m.tsv", "audio\ttext\na.wav\tbir\tiki\n", r"m\.tsv:2: 3 cells under 2 columns"),
    ("m.csv", "audio,sentence\na.wav,bir\n", r"no column 'text'; it has audio, sentence"),
    ("m.csv", "audio,text,text\na.wav,bir,iki\n", r"a column stands twice"),
    ("m.csv", "audio,text\n", r"no rows"),
    ("m.csv", "", r"no rows"),
    ("m.csv", "audio,text\na.wav,bir\nb.wav,k\u0131z".encode("iso-8859-9"), r"m\.csv:3: not UTF-8"),
    ("m.csv", "audio,text\n".encode("utf-16"), r"m\.csv:1: not UTF-8"),
    ("m.jsonl", '{"audio": "a", "text": "x"}\n{"audio": "b", "text": \n', r"m\.jsonl:2: not JSON"),
    ("m.jsonl", '["a", "x"]\n', r"m\.jsonl:1: found list"),
    ("m.jsonl", '{"audio": "a", "text": "x"}\n{"audio": "b"}\n', r"m\.jsonl:2: no column 'text'; it has audio"),
    ("m.jsonl", '{"audio": "a", "text": 1.5}\n', r"m\.jsonl:1: 1\.5 is no text"),
    ("m.jsonl", '{"audio": "a", "text": "\\ud800"}\n', r"m\.jsonl:1: .*no text"),
    ("m.xlsx", "audio,text\n", r"unknown kind of manifest; expected a name that ends in \.csv, \.tsv, \.jsonl"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD_MANIFESTS)
def test_a_malformed_manifest_is_refused_with_file_and_line(tmp_path, name, content, message):
    with pytest.raises(UserError, match=message):
        opened_manifest(tmp_path / name, content)


def test_an_unknown_split_is_refused_with_the_allowed_ones(tmp_path):
    with pytest.raises(UserError, match=r"m\.csv:3: set = 'dev'; allowed are train, validation, test"):
        opened_manifest(tmp_path / "m.csv", "audio,text,set\na,x,train\nb,y,dev\n", split_column="set")


@pytest.mark.parametrize("path", ["", "no/such.csv"])
@pytest.mark.parametrize("source", ["manifest", "folder", "hub"])
def test_a_missing_path_is_refused_with_what_to_put_there(source, path):
    with pytest.raises(UserError, match=rf"data\.path = '{path}': not found; data\.source = {source} needs "):
        open_source(data_params(source=source, path=path))


# Paths that lead out of the corpus

UNSAFE = [
    "/etc/passwd",
    "../outside.wav",
    "a/../../outside.wav",
    "a/../inside.wav",
    "..",
    "a\\b.wav",
    "..\\outside.wav",
    "C:/outside.wav",
    "c:outside.wav",
    "http://example.org/a.wav",
    "file:///etc/passwd",
    "hf://datasets/a/b.wav",
    "a\0.wav",
    "",
    "link-out/outside.wav",
    "link-out.wav",
    "loop/a.wav",
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A corpus with a clip inside, one outside, and links to both; a sibling's name starts with the corpus's."""
    root = tmp_path / "corpus"
    wav(root / "inside.wav")
    wav(tmp_path / "corpus-2" / "outside.wav")
    wav(tmp_path / "outside.wav")
    (root / "link-out").symlink_to(tmp_path / "corpus-2")
    (root / "link-out.wav").symlink_to(tmp_path / "outside.wav")
    (root / "link-in.wav").symlink_to(root / "inside.wav")
    (root / "loop").symlink_to(root / "loop")
    return root


@pytest.mark.parametrize("name", UNSAFE)
def test_a_path_that_leads_out_is_a_row_with_a_reason_and_never_opened(corpus, name, monkeypatch):
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"opened {path}"))
    with pytest.raises(AudioError) as caught:
        FileAudio(corpus, name).samples()
    assert caught.value.code == "path.unsafe"


@pytest.mark.parametrize("name", ["inside.wav", "./inside.wav", "link-in.wav", "a..b/x.wav", "~/x.wav", "100%.wav"])
def test_a_plain_relative_path_stays_inside(corpus, name):
    assert contained(corpus, name).is_relative_to(corpus.resolve())


def test_links_above_the_corpus_are_no_matter(corpus, tmp_path):
    (tmp_path / "alias").symlink_to(corpus)
    assert np.array_equal(FileAudio(tmp_path / "alias", "inside.wav").samples(), SPEECH)


def test_an_unsafe_path_in_a_manifest_does_not_stop_the_others(corpus):
    rows = [{"audio": name, "text": "x"} for name in ["../outside.wav", "inside.wav"]]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    [(_, unsafe), (_, safe)] = opened_manifest(corpus / "m.jsonl", content).clips
    with pytest.raises(AudioError):
        unsafe.audio.samples()
    assert np.array_equal(safe.audio.samples(), SPEECH)


# Folders


def folder(root: Path, tables: dict[str, str], audio: list[str], **changes: object) -> Source:
    for name in audio:
        wav(root / name)
    for name, content in tables.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return open_source(data_params(source="folder", path=str(root), **changes))


def test_an_audio_folder_is_read_through_its_metadata(tmp_path):
    table = "file_name,text,speaker\na.wav,bir,s1\nsub/b.wav,iki,s2\n"
    source = folder(tmp_path, {"metadata.csv": table}, ["a.wav", "sub/b.wav"], group_column="speaker")
    assert source.notes == ()
    clips = [clip for _, clip in source.clips]
    assert [(c.name, c.text, c.group, c.split, c.source) for c in clips] == [
        ("a.wav", "bir", "s1", "", "folder"),
        ("sub/b.wav", "iki", "s2", "", "folder"),
    ]
    assert all(np.array_equal(clip.audio.samples(), SPEECH) for clip in clips)


SPLIT_WORDS = {
    "train": ["train", "training"],
    "validation": ["validation", "valid", "dev", "val"],
    "test": ["test", "testing", "eval"],
    "": ["contest", "x"],
}


@pytest.mark.parametrize(("word", "split"), [(word, split) for split, words in SPLIT_WORDS.items() for word in words])
def test_a_folder_named_for_a_split_gives_the_split(tmp_path, word, split):
    table = f"file_name,text\n{word}/a.wav,x\n"
    assert fields(folder(tmp_path, {"metadata.csv": table}, [f"{word}/a.wav"])) == [(f"{word}/a.wav", "x", "", split)]


def test_json_lines_metadata_is_read_too(tmp_path):
    table = '{"file_name": "a.wav", "text": "x"}\n'
    assert fields(folder(tmp_path, {"metadata.jsonl": table}, ["a.wav"])) == [("a.wav", "x", "", "")]


def test_each_split_may_have_its_own_metadata(tmp_path):
    tables = {"train/metadata.csv": "file_name,text\na.wav,bir\n", "test/metadata.csv": "file_name,text\na.wav,iki\n"}
    source = folder(tmp_path, tables, ["train/a.wav", "test/a.wav"])
    assert fields(source) == [("test/a.wav", "iki", "", "test"), ("train/a.wav", "bir", "", "train")]


def test_a_split_column_outweighs_the_folder(tmp_path):
    table = "file_name,text,set\ntrain/a.wav,x,test\n"
    source = folder(tmp_path, {"metadata.csv": table}, ["train/a.wav"], split_column="set")
    assert fields(source) == [("train/a.wav", "x", "", "test")]


def test_a_listed_file_that_is_absent_is_a_row_with_a_reason(tmp_path):
    assert code_of(folder(tmp_path, {"metadata.csv": "file_name,text\na.wav,x\n"}, [])) == "audio.missing"


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside.wav"])
def test_metadata_in_a_sub_folder_cannot_lead_out_of_it(tmp_path, name):
    wav(tmp_path / "outside.wav")
    assert code_of(folder(tmp_path / "c", {"train/metadata.csv": f"file_name,text\n{name},x\n"}, [])) == "path.unsafe"


def test_audio_that_no_metadata_lists_is_counted_in_a_note(tmp_path):
    source = folder(tmp_path, {"metadata.csv": "file_name,text\n./a.wav,x\n"}, ["a.wav", "b.wav", "c/d.WAV"])
    assert source.notes == ("2 audio files stand in no metadata file and are left out, such as b.wav",)


def test_a_folder_without_metadata_is_refused_with_the_convention(tmp_path):
    with pytest.raises(UserError, match=r"no metadata; .* needs a folder with metadata\.csv or metadata\.jsonl"):
        folder(tmp_path, {}, ["a.wav"])


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
