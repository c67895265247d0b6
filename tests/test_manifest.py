"""Manifests: what a table says arrives unchanged, what it must not say is refused with file and line."""

import csv
import io
import json
import math
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr.corpus.clips import SourceClip
from asr.corpus.sources import tables
from asr.corpus.sources.manifest import Columns, check_unique, checked, labels, read_clips, stated_seconds
from asr.errors import UserError

PLAIN = Columns("audio", "text", None, None)
FULL = Columns("audio", "text", "speaker", "split", "seconds")


def read(path: Path, content: str | bytes, columns: Columns = PLAIN, encoding: str = "utf-8") -> list[SourceClip]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_clips(path, columns, encoding, "manifest")


def pairs(clips: list[SourceClip]) -> list[tuple[str, str]]:
    return [(clip.name, clip.text) for clip in clips]


# What every format has in common

CSV = 'audio,text,speaker,split,seconds\n001,"Salam, dünya",007,train,3.42\nb/2.wav,,NA,,1\n'
TSV = "audio\ttext\tspeaker\tsplit\tseconds\n001\tSalam, dünya\t007\ttrain\t3.42\nb/2.wav\t\tNA\t\t1\n"
JSONL = (
    '{"audio": "001", "text": "Salam, dünya", "speaker": "007", "split": "train", "seconds": 3.42, "more": [1]}\n'
    '\n{"audio": "b/2.wav", "text": null, "speaker": "NA", "split": null, "seconds": "1", "more": {}}\n'
)
FORMATS = [("m.csv", CSV), ("m.TSV", TSV), ("m.jsonl", JSONL)]


@pytest.mark.parametrize(("name", "content"), FORMATS)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_format_gives_the_same_clips(tmp_path, name, content, ends, mark):
    clips = read(tmp_path / name, mark + content.replace("\n", ends), FULL)
    assert [(c.name, c.text, c.group, c.split, c.declared, c.fault, c.source) for c in clips] == [
        ("001", "Salam, dünya", "007", "train", 3.42, None, "manifest"),
        ("b/2.wav", "", "NA", "", 1.0, None, "manifest"),
    ]
    assert [clip.notes for clip in clips] == [("text.bom",) if mark else (), ()]


@pytest.mark.parametrize(("name", "content"), FORMATS)
def test_a_stated_encoding_is_used(tmp_path, name, content):
    assert read(tmp_path / name, content.encode("utf-16"), FULL, "utf-16") == read(tmp_path / name, content, FULL)


WORDS = ["NA", "N/A", "null", "NULL", "nan", "NaN", "None", "", "001", "1e5", "True", "-", "1,5", " a ", "inf", "=1+1"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("name", ["m.csv", "m.tsv", "m.jsonl"])
def test_words_that_lenient_readers_take_for_something_else_stay_text(tmp_path, name, word):
    row = {"audio": word, "text": word, "speaker": word}
    [clip] = read(tmp_path / name, written([row], name), Columns("audio", "text", "speaker", None))
    assert (clip.name, clip.text, clip.group) == (word, word, word)


def written(rows: list[dict[str, str]], name: str) -> str:
    """A table as the standard library writes it; TSV without quoting."""
    if name.endswith(".jsonl"):
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    buffer = io.StringIO(newline="")
    tabs = {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None} if name.endswith(".tsv") else {}
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n", **tabs)
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\t"), max_size=12)
ROWS = st.lists(st.fixed_dictionaries({"audio": CELL, "text": CELL}), min_size=1, max_size=6)


@pytest.mark.parametrize("name", ["m.csv", "m.tsv", "m.jsonl"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(ROWS)
def test_rows_come_back_as_they_were_written(tmp_path, name, rows):
    clips = read(tmp_path / name, written(rows, name))
    assert pairs(clips) == [(row["audio"], row["text"]) for row in rows]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.fixed_dictionaries({"audio": st.text(), "text": st.text()}), min_size=1, max_size=6))
def test_json_lines_can_hold_any_text(tmp_path, rows):
    rows = [{key: text.encode("utf-8", "replace").decode() for key, text in row.items()} for row in rows]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    assert pairs(read(tmp_path / "m.jsonl", content)) == [(row["audio"], row["text"]) for row in rows]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.sampled_from(["m.csv", "m.tsv", "m.jsonl"]),
    st.lists(st.sampled_from([*'",\t\r\n\\{}:[] a1\ufeff', "audio", "text", "audio,text\n", '{"audio":', '"text":'])),
)
def test_any_content_is_read_or_refused_in_one_line(tmp_path, name, pieces):
    refusal = ""
    try:
        clips = read(tmp_path / name, "".join(pieces))
        assert len(clips) < max(2, len("".join(pieces)))
    except UserError as error:
        refusal = str(error)
    assert "\n" not in refusal
    kinds = ("schema", "row_count", "empty", "length_mismatch")
    assert not refusal or refusal.startswith(tuple(f"manifest.{kind}: " for kind in kinds))


def test_columns_are_those_that_the_parameters_name(tmp_path):
    content = "text,path,sentence\nx,a.wav,Salam\n"
    assert pairs(read(tmp_path / "m.csv", content, Columns("path", "sentence", None, None))) == [("a.wav", "Salam")]


def test_the_order_of_the_rows_changes_no_clip(tmp_path):
    lines = [f"{n}.wav,mətn {n},{n / 7}\n" for n in range(30)]
    shuffled = lines[7:] + lines[6::-1]
    columns = Columns("audio", "text", None, None, "s")
    first, second = (
        read(tmp_path / "m.csv", "\ufeffaudio,text,s\n" + "".join(rows), columns) for rows in (lines, shuffled)
    )
    assert first != second
    assert set(first) == set(second)


# Lines


@pytest.mark.parametrize("name", ["m.csv", "m.tsv", "m.jsonl"])
@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_a_separator_inside_a_transcript_does_not_split_the_row(tmp_path, name, separator):
    rows = [{"audio": "a", "text": f"bir{separator}iki"}, {"audio": "b", "text": separator}]
    clips = read(tmp_path / name, written(rows, name))
    assert pairs(clips) == [(row["audio"], row["text"]) for row in rows]
    assert clips[0].notes == ()


ENDS = [("\n", "\n", ()), ("\r\n", "\r\n", ()), ("\n", "\r\n", ("text.line_breaks",))]
ENDS_OF_CELLS = [*ENDS, ("\r", "\r", ()), ("\r", "\n", ("text.line_breaks",)), ("\r\n", "\r", ("text.line_breaks",))]


@pytest.mark.parametrize(("first", "second", "notes"), ENDS_OF_CELLS)
@pytest.mark.parametrize(("name", "between"), [("m.csv", ","), ("m.tsv", "\t")])
def test_line_ends_of_any_system_are_read_and_a_mixture_is_noted(tmp_path, name, between, first, second, notes):
    lines = [f"audio{between}text{first}", f"a{between}x{second}", second, f"b{between}y"]
    clips = read(tmp_path / name, "".join(lines))
    assert pairs(clips) == [("a", "x"), ("b", "y")]
    assert clips[0].notes == notes


@pytest.mark.parametrize(("first", "second", "notes"), ENDS)
def test_line_ends_of_json_lines_are_read_and_a_mixture_is_noted(tmp_path, first, second, notes):
    clips = read(tmp_path / "m.jsonl", f'{{"audio": "a", "text": "x"}}{first}{{"audio": "b", "text": "y"}}{second}')
    assert pairs(clips) == [("a", "x"), ("b", "y")]
    assert clips[0].notes == notes


def test_an_unbalanced_quotation_mark_in_tsv_is_text(tmp_path):
    content = 'audio\ttext\na.wav\t"Salam\nb.wav\tdedi" o\nc.wav\t"\n'
    assert [text for _, text in pairs(read(tmp_path / "m.tsv", content))] == ['"Salam', 'dedi" o', '"']


def test_rows_are_counted_against_the_lines_of_the_file(tmp_path, monkeypatch):
    """A planted fault: a reader that loses the last row."""
    real = tables.csv.reader

    class Losing:
        def __init__(self, lines, **options):
            rows = list(real(lines, **options))
            self.rows, self.line_num = iter(rows[:-1]), 0

        def __iter__(self):
            return self

        def __next__(self):
            self.line_num += 1
            return next(self.rows)

    monkeypatch.setattr(tables.csv, "reader", Losing)
    with pytest.raises(UserError, match=r"manifest\.row_count: .*m\.csv: 3 lines, but 2 rows"):
        read(tmp_path / "m.csv", "audio,text\na,x\nb,y\n")


# Refusals

BAD = [
    ("m.csv", 'audio,text\na,"Salam\nb,iki"\nc,üç\n', r"row_count: .*m\.csv:2: a quotation mark opens .* closes 1 "),
    ("m.csv", 'audio,text\na,bir\nb,"iki\nc,üç\n', r"row_count: .*m\.csv:3: unexpected end of data"),
    ("m.csv", 'audio,text\na,"bir\riki"\n', r"row_count: .*m\.csv:2: a quotation mark opens here"),
    ("m.csv", 'audio,text\na,"bir" iki\n', r"row_count: .*m\.csv:2: .*expected after"),
    ("m.csv", "audio,text\na," + "x" * 200_000, r"row_count: .*m\.csv:2: field larger"),
    ("m.csv", "audio,text\na,bir,iki\n", r"length_mismatch: .*m\.csv:2: 3 cells under 2 columns"),
    ("m.csv", "audio,text\na\n", r"length_mismatch: .*m\.csv:2: 1 cells under 2 columns"),
    ("m.csv", "audio,text\n\n\na\n", r"length_mismatch: .*m\.csv:4: 1 cells under 2 columns"),
    ("m.csv", "audio,text\na,bir\n \n", r"length_mismatch: .*m\.csv:3: 1 cells under 2 columns"),
    ("m.tsv", "audio\ttext\na\tbir\tiki\n", r"length_mismatch: .*m\.tsv:2: 3 cells under 2 columns"),
    ("m.csv", "audio,sentence\na,bir\n", r"schema: .*m\.csv:1: no column 'text'; it has audio, sentence: name"),
    ("m.csv", "audio,sentence\n", r"schema: .*no column 'text'"),
    ("m.csv", "Audio,text\na,b\n", r"schema: .*no column 'audio'; it has Audio, text"),
    ("m.csv", "audio;text\na;bir\n", r"schema: .*m\.csv:1: the cells stand between ';', not commas"),
    ("m.csv", "audio\ttext\na\tbir\n", r"schema: .*m\.csv:1: the cells stand between '\\t', not commas"),
    ("m.csv", "sep=;\naudio;text\n", r"schema: .*m\.csv:1: the cells stand between ';'"),
    ("m.tsv", "audio,text\na,bir\n", r"schema: .*m\.tsv:1: the cells stand between ',', not tabs"),
    ("m.csv", "audio,text,text\na,bir,iki\n", r"schema: .*m\.csv:1: column 'text' stands twice"),
    ("m.csv", "audio,text\n", r"empty: .*no rows"),
    ("m.csv", "", r"empty: .*no rows"),
    ("m.csv", "\ufeff\n\n", r"empty: .*no rows"),
    ("m.jsonl", "", r"empty: .*no rows"),
    ("m.jsonl", '{"audio": "a", "text": "x"}\n{"audio": "b", "text": \n', r"schema: .*m\.jsonl:2: not JSON"),
    ("m.jsonl", '["a", "x"]\n', r"schema: .*m\.jsonl:1: found list"),
    ("m.jsonl", '"a"\n', r"schema: .*m\.jsonl:1: found str"),
    ("m.jsonl", '{"audio": "a", "text": "x"}\r{"audio": "b", "text": "x"}\r', r"row_count: .*lines end in CR alone"),
    ("m.jsonl", '{"audio": "a", "text": "x"} {"audio": "b", "text": "x"}\n', r"schema: .*:1: not JSON .Extra"),
    ("m.jsonl", '{"audio": "a", "text": "x"}\n{"audio": "b"}\n', r"schema: .*m\.jsonl:2: no column 'text'; it has"),
    ("m.jsonl", '{"audio": "a", "text": "x", "text": "y"}\n', r"schema: .*m\.jsonl:1: .*key 'text' stands twice"),
    ("m.jsonl", '{"a\\nb": 1, "a\\nb": 2}\n', r"schema: .*m\.jsonl:1: .*key ''a\\nb'' stands twice"),
    ("m.jsonl", '{"a\\nb": 1, "\\ud800": 2}\n', r"schema: .*no column 'audio'; it has 'a\\nb', '\\ud800'"),
    ("m.jsonl", '{"audio": "a", "text": 1.5}\n', r"schema: .*m\.jsonl:1: 1\.5 is no text"),
    ("m.jsonl", '{"audio": "a", "text": NaN}\n', r"schema: .*m\.jsonl:1: nan is no text"),
    ("m.jsonl", '{"audio": "a", "text": -Infinity}\n', r"schema: .*m\.jsonl:1: -inf is no text"),
    ("m.jsonl", '{"audio": "a", "text": true}\n', r"schema: .*m\.jsonl:1: True is no text"),
    ("m.jsonl", '{"audio": "a", "text": ["x"]}\n', r"schema: .*m\.jsonl:1: \['x'\] is no text"),
    ("m.jsonl", '{"audio": {"path": "a"}, "text": "x"}\n', r"schema: .*m\.jsonl:1: \{'path': 'a'\} is no text"),
    ("m.jsonl", '{"audio": "a", "text": "\\ud800"}\n', r"schema: .*m\.jsonl:1: '\\ud800' is no text"),
    ("m.jsonl", '{"audio": "a", "text": "x", "n": ' + "[" * 100_000 + "}\n", r"schema: .*m\.jsonl:1: not JSON"),
    ("m.jsonl", '{"audio": "a", "text": ' + "1" * 5000 + "}\n", r"schema: .*m\.jsonl:1: not JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), BAD)
def test_a_malformed_manifest_is_refused_with_its_code_and_line(tmp_path, name, content, message):
    with pytest.raises(UserError, match=r"^manifest\." + message) as caught:
        read(tmp_path / name, content)
    assert "\n" not in str(caught.value)
    str(caught.value).encode()


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"unknown kind of manifest; expected a name that ends in \.csv, \.tsv, \.jsonl"
    ):
        read(tmp_path / "m.txt", "audio,text\n")


def test_what_nobody_reads_may_be_anything(tmp_path):
    """Only columns that are used must hold text: alignments are lists, quality scores may be NaN."""
    content = '{"audio": "a", "text": "x", "words": [["x", 0.1]], "snr": NaN, "more": {"b": null}}\n'
    assert pairs(read(tmp_path / "m.jsonl", content)) == [("a", "x")]


def test_whole_numbers_in_json_become_their_digits(tmp_path):
    [clip] = read(tmp_path / "m.jsonl", '{"audio": "a", "text": "x", "s": 7}\n', Columns("audio", "text", "s", None))
    assert clip.group == "7"


# Splits

SPLITS = {
    "train": ["train", "training", "Train"],
    "validation": ["validation", "valid", "dev", "val", "DEV"],
    "test": ["test", "testing", "eval", "evaluation"],
    "": [""],
}


@pytest.mark.parametrize(("word", "split"), [(word, split) for split, words in SPLITS.items() for word in words])
def test_the_words_of_the_field_stand_for_the_three_splits(word, split):
    row = {"audio": "a", "text": "x", "set": word}
    assert labels(row, Columns("audio", "text", None, "set"), "here").split == split


@pytest.mark.parametrize("word", ["other", "invalidated", " train", "0", "contest"])
def test_an_unknown_split_is_refused_with_the_allowed_ones(tmp_path, word):
    with pytest.raises(UserError, match=rf"schema: .*m\.csv:3: set = '{word}'; allowed are train, .*, dev, .* nothing"):
        read(tmp_path / "m.csv", f"audio,text,set\na,x,train\nb,y,{word}\n", Columns("audio", "text", None, "set"))


# Durations

SECONDS = [(3.42, 3.42), ("3.42", 3.42), (3, 3.0), ("0", 0.0), ("1e1", 10.0), (".5", 0.5), ("+2.", 2.0), (0.0, 0.0)]
BAD_SECONDS = [
    ("3,42", "holds a comma; write a decimal point"),
    ("1,234.5", "is no number"),
    (None, "is missing"),
    ("", "is missing"),
    (-1, "is negative"),
    ("-0.5", "is negative"),
    (math.nan, "is not finite"),
    (math.inf, "is not finite"),
    ("1e999", "is not finite"),
    (10**400, "is not finite"),
    ("nan", "is no number"),
    ("Infinity", "is no number"),
    ("1_000", "is no number"),
    (" 3", "is no number"),
    ("3 s", "is no number"),
    ("00:03", "is no number"),
    ("٣", "is no number"),
    ("1" * 100_000 + "x", "is no number"),
    (True, "is no number"),
    ([3], "is no number"),
]


@pytest.mark.parametrize(("value", "seconds"), SECONDS)
def test_a_duration_is_a_number_or_its_digits(value, seconds):
    assert stated_seconds(value, "duration") == (seconds, None)


@pytest.mark.parametrize(("value", "why"), BAD_SECONDS)
def test_a_duration_that_makes_no_sense_rejects_its_row_alone(value, why):
    found = labels({"audio": "a", "text": "x", "duration": value}, Columns("audio", "text", None, None, "duration"), "")
    assert (found.text, found.declared) == ("x", None)
    assert found.fault is not None
    code, message = found.fault
    assert code == "manifest.bad_number"
    assert message.startswith("duration = ")
    assert why in message


@given(st.floats(min_value=0, allow_infinity=False))
def test_any_duration_that_python_writes_is_read_back_exactly(seconds):
    assert stated_seconds(repr(seconds), "s") == stated_seconds(seconds, "s") == (seconds, None)


def test_a_row_of_json_may_lack_the_duration_but_not_all_rows(tmp_path):
    columns = Columns("audio", "text", None, None, "duration")
    rows = '{"audio": "a", "text": "x"}\n{"audio": "b", "text": "x", "duration": 1}\n'
    first, second = read(tmp_path / "m.jsonl", rows, columns)
    assert (first.fault, second.fault) == (("manifest.bad_number", "duration = None is missing"), None)
    with pytest.raises(UserError, match=r"schema: .*no column 'duration'; it has audio, text"):
        read(tmp_path / "m.jsonl", rows.splitlines()[0], columns)


def test_bare_nan_in_the_duration_rejects_the_row(tmp_path):
    columns = Columns("audio", "text", None, None, "duration")
    [clip] = read(tmp_path / "m.jsonl", '{"audio": "a", "text": "x", "duration": NaN}\n', columns)
    assert clip.fault == ("manifest.bad_number", "duration = nan is not finite")


# Names


def clips_named(*names: str) -> list[SourceClip]:
    return [SourceClip(name, "x", audio=None) for name in names]  # type: ignore[arg-type]  # audio is not opened


def test_a_name_given_twice_is_refused_with_both_rows():
    with pytest.raises(UserError, match=r"manifest\.duplicate_id: rows 1 and 3 of the source \(from 0\) .* 'b'"):
        check_unique(clips_named("a", "b", "c", "b"))


def test_different_names_and_missing_ones_are_let_pass():
    check_unique(clips_named("a", "A", "b", "", ""))


def test_names_that_clash_by_case_reject_the_later_in_any_order():
    for names in (["a.wav", "A.wav", "b.wav"], ["A.wav", "b.wav", "a.wav"]):
        faults = {clip.name: clip.fault for clip in checked(clips_named(*names))}
        assert faults["A.wav"] is faults["b.wav"] is None
        code, message = faults["a.wav"]
        assert code == "path.unsafe"
        assert "'a.wav' differs from 'A.wav' only in case" in message


# Layouts of the field


def test_a_common_voice_table_is_read_by_its_column_names(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "common_voice_az_1.mp3").write_bytes(b"sound")
    content = (
        "client_id\tpath\tsentence_id\tsentence\tup_votes\tlocale\n"
        'aa11\tcommon_voice_az_1.mp3\t9\t"Bəli", dedi o\t2\taz\n'
    )
    [clip] = read(tmp_path / "validated.tsv", content, Columns("path", "sentence", "client_id", None))
    assert (clip.name, clip.text, clip.group) == ("common_voice_az_1.mp3", '"Bəli", dedi o', "aa11")
    assert clip.audio.root == tmp_path / "clips"


@pytest.mark.parametrize("clips", ["absent", "link"])
def test_without_a_folder_of_its_own_a_common_voice_table_names_files_beside_it(tmp_path, clips):
    if clips == "link":
        (tmp_path / "clips").symlink_to("/")
    content = "client_id\tpath\tsentence\naa\ta.mp3\tx\n"
    [clip] = read(tmp_path / "m.tsv", content, Columns("path", "sentence", None, None))
    assert clip.audio.root == tmp_path


NEMO = Columns("audio_filepath", "text", None, None, "duration")


@pytest.mark.parametrize("offset", ["", ', "offset": 0', ', "offset": 0.0', ', "offset": null', ', "offset": "0.00"'])
def test_a_nemo_manifest_is_read_by_its_column_names(tmp_path, offset):
    content = f'{{"audio_filepath": "wav/a.wav", "duration": 3.42, "text": "salam"{offset}}}\n'
    [clip] = read(tmp_path / "m.json.jsonl", content, NEMO)
    assert (clip.name, clip.text, clip.declared, clip.fault) == ("wav/a.wav", "salam", 3.42, None)


@pytest.mark.parametrize("offset", ["1.5", '"1.5"', "1e-3", "7"])
def test_an_offset_that_asks_for_a_cut_is_refused(tmp_path, offset):
    content = f'{{"audio_filepath": "a.wav", "duration": 3.42, "text": "salam", "offset": {offset}}}\n'
    with pytest.raises(
        UserError, match=r"schema: .*m\.jsonl:1: offset = .*: parts of longer files are not cut out; cut"
    ):
        read(tmp_path / "m.jsonl", content, NEMO)


def test_an_offset_column_of_a_csv_counts_too(tmp_path):
    with pytest.raises(UserError, match=r"m\.csv:3: offset = '2'"):
        read(tmp_path / "m.csv", "audio,text,offset\na,x,0\nb,y,2\n")


@pytest.mark.parametrize("offset", ["NaN", "-1", '"x"'])
def test_an_offset_that_makes_no_sense_rejects_its_row(tmp_path, offset):
    content = f'{{"audio_filepath": "a.wav", "duration": 3.42, "text": "salam", "offset": {offset}}}\n'
    [clip] = read(tmp_path / "m.jsonl", content, NEMO)
    assert clip.fault is not None
    assert clip.fault[0] == "manifest.bad_number"


def test_the_alphabet_of_names_is_free(tmp_path):
    names = [f"{letter}.wav" for letter in string.punctuation.replace('"', "") + "əı"]
    content = "audio\ttext\n" + "".join(f"{name}\tx\n" for name in names)
    assert [name for name, _ in pairs(read(tmp_path / "m.tsv", content))] == names
