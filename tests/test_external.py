"""Outside test sets: read strictly, and kept out of training."""

import codecs
import json

import numpy as np
import pytest

from asr.corpus.clips import SPLITS
from asr.corpus.findings import corpus_of
from asr.corpus.index import index_of
from asr.corpus.splitting.external import Reference, overlaps, read_references
from asr.errors import UserError
from tests.index_rows import index_row

LONG = "Bu cümlə kifayət qədər uzundur."
KEY = "bu cümlə kifayət qədər uzundur"
GOOD = {
    "plain.txt": f"{LONG}\nSalam!\n\n",
    "windows.txt": f"{LONG}\r\nSalam!\r\n",
    "marked.txt": f"\ufeff{LONG}\nSalam!",
    "separator.txt": f"{LONG.replace(' ', chr(0x2028), 1)}\nSalam!",
    "table.csv": f'id,text\n1,"{LONG}"\n2,Salam!\n',
    "quoted.csv": f'text\n"{LONG}"\n"""Salam!"""\n',
    "voice.tsv": f'client_id\tsentence\n1\t{LONG}\n2\t"Salam!\n',
    "fleurs.jsonl": json.dumps({"transcription": LONG}) + "\n\n" + json.dumps({"transcription": "Salam!"}) + "\n",
    "preferred.jsonl": json.dumps({"sentence": "x", "text": LONG}) + "\n" + json.dumps({"text": "Salam!"}),
    "LOUD.TXT": f"{LONG.upper().replace('I', 'İ').replace('İFAYƏT', 'İFAYƏT')}\nSalam!",
}


@pytest.mark.parametrize("name", GOOD)
def test_every_kind_of_file_gives_its_normalised_texts(tmp_path, name):
    (tmp_path / name).write_text(GOOD[name], encoding="utf-8", newline="")
    assert read_references(tmp_path, "az") == (Reference(name, frozenset({KEY, "salam"})),)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.txt", codecs.BOM_UTF16_LE + LONG.encode("utf-16-le"), "not UTF-8"),
        ("a.txt", "Salam".encode("utf-16-le"), "NUL"),
        ("a.txt", "şəkil".replace("ə", "e").encode("cp1254"), "not UTF-8"),
        ("a.txt", b"\n\n", "holds no transcript"),
        ("a.csv", b"", "none of the columns text, sentence, transcription among none"),
        ("a.csv", b"id,words\n1,Salam\n", "none of the columns .* among id, words"),
        ("a.csv", b"id,text\n1\n", "row 2 has 1 cells and the header 2"),
        ("a.csv", b"id,text\n1,Salam, dost\n", "row 2 has 3 cells"),
        ("a.csv", b'id,text\n1,"Salam\n2,Bir\n', "mend the quotes"),
        ("a.csv", b'id,text\n1,"Salam\n2,"\n', "row 2 holds a line break"),
        ("a.tsv", b"0\tx.wav\tSalam\n", "none of the columns"),
        ("a.tsv", b'id\ttext\n1\t"Salam\tdost"\n', "row 2 has 3 cells"),
        ("a.jsonl", b"{\n", ":1: not JSON"),
        ("a.jsonl", b'{"text": "a"}\n["b"]\n', ":2: list where an object is expected"),
        ("a.jsonl", b'{"text": "a"}\n{"words": "b"}\n', ":2: none of the columns"),
        ("a.jsonl", b'{"text": null}\n', ":1: the transcript is None"),
    ],
)
def test_what_cannot_be_read_faithfully_is_refused_by_name(tmp_path, name, content, problem):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=problem) as caught:
        read_references(tmp_path, "az")
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_come_by_name_also_from_folders_below_and_others_are_ignored(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("z.txt", "b/a.txt", "README.md", "clip.wav"):
        (tmp_path / name).write_text("Salam!", encoding="utf-8")
    assert [reference.name for reference in read_references(tmp_path, "az")] == ["b/a.txt", "z.txt"]


def test_a_missing_folder_or_an_empty_path_holds_no_references(tmp_path, monkeypatch):
    (tmp_path / "requirements.txt").write_text("numpy", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    folder = type(tmp_path)
    assert read_references(tmp_path / "none", "az") == ()
    assert read_references(folder(""), "az") == ()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("Salam", encoding="utf-8")
    with pytest.raises(UserError, match="is a file"):
        read_references(tmp_path / "a.txt", "az")


def found(rows, references, min_characters=10):
    corpus = corpus_of(index_of(rows), "az")
    sides = np.array([SPLITS.index(row.split) for row in rows], np.int8)
    return overlaps(corpus, sides, np.ones(len(rows), np.bool_), references, min_characters)


def test_training_clips_with_outside_texts_leave_and_those_of_other_splits_stay():
    rows = [index_row(n, text=LONG, split=split) for n, split in enumerate(SPLITS)]
    rows.append(index_row(3, text="Tamam başqa bir cümlə.", split="train"))
    (finding,) = found(rows, [Reference("fleurs.tsv", frozenset({KEY}))])[0]
    assert finding.code == "split.external_overlap"
    assert "fleurs.tsv" in finding.message
    assert set(found(rows, [Reference("fleurs.tsv", frozenset({KEY}))])) == {0}


def test_short_texts_recur_by_nature():
    rows = [index_row(0, text="Bəli.", split="train")]
    assert found(rows, [Reference("a", frozenset({"bəli"}))]) == {}
    assert set(found(rows, [Reference("a", frozenset({"bəli"}))], 4)) == {0}


def test_a_text_of_two_sets_is_named_by_the_first():
    rows = [index_row(0, text=LONG, split="train")]
    (finding,) = found(rows, [Reference("a", frozenset({KEY})), Reference("b", frozenset({KEY}))])[0]
    assert "test set a " in finding.message


def test_clips_that_are_out_already_get_no_finding():
    corpus = corpus_of(index_of([index_row(0, text=LONG)]), "az")
    assert overlaps(corpus, np.zeros(1, np.int8), np.zeros(1, np.bool_), [Reference("a", frozenset({KEY}))], 1) == {}
