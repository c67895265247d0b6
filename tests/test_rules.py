"""Which clips are rejected, by which code, and that the document lists exactly these codes."""

import ast
import re
from pathlib import Path

import pytest

from asr.corpus.rules import duplicates, judge
from tests.index_rows import LIMITS, candidate, limits

ROOT = Path(__file__).resolve().parent.parent

REJECTED = [
    ({"duration": 0.09}, "signal.too_short", 0.09, 0.1),
    ({"duration": 10.01}, "signal.too_long", 10.01, 10.0),
    ({"rms_dbfs": -60.1}, "signal.silent_with_text", -60.1, -60.0),
    ({"text": "salam\x00 dünya"}, "text.control", None, None),
    ({"text": "salam\x7f dünya"}, "text.control", None, None),
    ({"text": "salam\x1cdünya"}, "text.control", None, None),
    ({"text": "<|az|> salam"}, "text.special_token", None, None),
    ({"text": "<|startoftranscript|>"}, "text.special_token", None, None),
    ({"text": "<\u200b|az|> salam"}, "text.special_token", None, None),
    ({"text": "..."}, "text.empty", None, None),
    ({"text": "— ! —"}, "text.empty", None, None),
    ({"text": "bu", "duration": 2.5}, "text.char_rate", 0.8, 1.0),
    ({"text": "s" * 51, "duration": 2.0}, "text.char_rate", 25.5, 25.0),
    ({"text": "s" * 101, "duration": 9.0}, "label.too_long", 101, 100),
]

KEPT = [
    {},
    {"duration": 0.1, "text": "ha"},
    {"duration": 10.0, "text": "s" * 100},
    {"rms_dbfs": -60.0},
    {"text": "s" * 50, "duration": 2.0},
    {"text": "", "rms_dbfs": -120.0},
    {"text": "", "rms_dbfs": -30.0},
    {"text": " \u200b\n", "rms_dbfs": -120.0},
    {"text": "salam\tdünya\r\n"},
    {"text": "5 %"},
    {"text": "a < b | c > d"},
]


def codes(findings):
    return {id: finding.code for id, finding in findings.items()}


@pytest.mark.parametrize(("changes", "code", "value", "limit"), REJECTED)
def test_a_bad_clip_is_rejected_with_the_measured_value_and_the_limit(changes, code, value, limit):
    finding = judge(candidate(**changes), LIMITS)[0]
    assert finding.code == code
    assert finding.value == (None if value is None else pytest.approx(value))
    assert finding.limit == limit
    assert finding.message


@pytest.mark.parametrize("changes", KEPT)
def test_a_sound_clip_is_kept(changes):
    assert judge(candidate(**changes), LIMITS) == []


def test_a_clip_without_samples_keeps_the_reason_of_prepare_and_no_other():
    undecodable = candidate(code="audio.truncated", message="half of it", duration=0.0, rms_dbfs=-120.0, text="...")
    assert [(f.code, f.message) for f in judge(undecodable, LIMITS)] == [("audio.truncated", "half of it")]


def test_all_reasons_are_listed_in_a_fixed_order():
    found = judge(candidate(duration=0.05, rms_dbfs=-90.0, text="!<|x|>!" * 20), LIMITS)
    assert [finding.code for finding in found] == [
        "signal.too_short",
        "signal.silent_with_text",
        "text.special_token",
        "text.char_rate",
        "label.too_long",
    ]


def test_a_clip_of_no_length_is_judged_without_a_rate():
    assert [finding.code for finding in judge(candidate(duration=0.0), LIMITS)] == ["signal.too_short"]
    assert judge(candidate(duration=0.0), limits(min_duration=0.0)) == []


def test_the_later_copy_of_a_clip_is_rejected():
    copies = [candidate(2, sha256="same", text="Salam!"), candidate(1, sha256="same", text="salam"), candidate(3)]
    assert codes(duplicates(copies)) == {"id000002": "manifest.duplicate_audio"}


def test_copies_with_different_texts_are_all_rejected():
    copies = [candidate(n, sha256="same", text=text) for n, text in enumerate(["bir", "iki", "bir"])]
    assert set(codes(duplicates(copies)).values()) == {"manifest.conflicting_text"}
    assert len(duplicates(copies)) == 3


def test_the_first_copy_is_the_one_with_the_lowest_row():
    early, late = (
        candidate(5, id="zzz", row=1, sha256="s", text="a"),
        candidate(6, id="aaa", row=2, sha256="s", text="a"),
    )
    assert list(duplicates([late, early])) == ["aaa"]


def codes_in_the_code():
    """Reason codes at the start of string constants, in all modules that may name one."""
    pattern = re.compile(r"((?:audio|label|manifest|path|signal|split|text)\.[a-z_]+)(:|$)")
    suffixes = {"csv", "json", "jsonl", "parquet", "tsv", "txt", "wav"}
    found = set()
    for path in [*sorted((ROOT / "asr" / "corpus").glob("*.py")), ROOT / "asr" / "audio.py", ROOT / "asr" / "text.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and (code := pattern.match(node.value)):
                found.add(code.group(1))
    return {code for code in found if code.split(".")[1] not in suffixes}


def codes_in_the_document():
    table_rows = re.findall(
        r"^\| `([a-z]+\.[a-z_]+)` \|", (ROOT / "docs" / "bad-data.md").read_text(encoding="utf-8"), re.M
    )
    assert len(table_rows) == len(set(table_rows)), "a code is listed twice"
    return set(table_rows)


def test_every_code_is_documented_and_every_documented_code_exists():
    assert codes_in_the_code() == codes_in_the_document()
