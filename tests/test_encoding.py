"""The encoding of a manifest: what is stated holds, what is not in it is refused with a diagnosis."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.corpus.sources.encoding import CODE_PAGES, decode_text, read_text
from asr.errors import UserError

TEXT = "audio,text\na.wav,Şəhər gözəldir\n"
ASCII = "audio,text\na.wav,salam\n"


@given(st.text(st.characters(codec="utf-8")))
def test_utf8_arrives_unchanged_but_for_a_leading_byte_order_mark(text):
    found = decode_text(text.encode(), "utf-8", "m.csv")
    assert found.text == text.removeprefix("\ufeff")
    assert found.notes == (("text.bom",) if text.startswith("\ufeff") else ())


def test_only_the_first_of_two_byte_order_marks_is_removed():
    assert decode_text("\ufeff\ufeffa".encode(), "utf-8", "m.csv").text == "\ufeffa"


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("text", [TEXT, ASCII, ""])
def test_an_encoding_that_is_stated_is_honoured(encoding, text):
    assert decode_text(text.encode(encoding), encoding, "m.csv").text == text


def test_a_code_page_that_is_stated_is_honoured():
    assert decode_text("k\u0131z,ş".encode("cp1254"), "cp1254", "m.csv").text == "kız,ş"


def test_a_mark_in_an_encoding_without_one_is_removed_and_noted():
    found = decode_text(("\ufeff" + TEXT).encode("utf-16-be"), "utf-16-be", "m.csv")
    assert (found.text, found.notes) == (TEXT, ("text.bom",))


WIDE = [
    ("\ufeff" + TEXT, "utf-16-le", "utf-16"),
    ("\ufeff" + TEXT, "utf-16-be", "utf-16"),
    ("\ufeff" + TEXT, "utf-32-le", "utf-32"),
    ("\ufeff" + TEXT, "utf-32-be", "utf-32"),
    *[(text, name, name) for name in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be") for text in (TEXT, ASCII)],
]


@pytest.mark.parametrize(("text", "encoding", "named"), WIDE)
def test_utf16_and_utf32_are_named_even_where_they_are_valid_utf8(text, encoding, named):
    data = text.encode(encoding)
    with pytest.raises(UserError, match=rf"text\.encoding: m\.csv:1: not UTF-8 but {named.upper()}, .* to {named}$"):
        decode_text(data, "utf-8", "m.csv")
    assert decode_text(data, named, "m.csv").text == text.removeprefix("\ufeff")


@pytest.mark.parametrize("data", [b"", b"a", b"ab\0", b"a\0b, salam"])
def test_few_nul_characters_do_not_make_utf16(data):
    assert decode_text(data, "utf-8", "m.csv").text == data.decode()


PAGES = [
    ("gözel", "cp1254", "'gözel' in cp1254 or iso8859-9"),
    ("şeher", "iso8859-9", "'şeher' in cp1254 or iso8859-9"),
    ("салам", "cp1251", "'салам' in cp1251"),
    ("çay", "cp857", "'çay' in cp857"),
]


@pytest.mark.parametrize(("text", "encoding", "reading"), PAGES)
def test_a_code_page_is_diagnosed_by_how_the_word_would_read(text, encoding, reading):
    with pytest.raises(UserError, match=reading) as caught:
        decode_text(b"audio,text\na.wav," + text.encode(encoding) + b" salam\n", "utf-8", "m.csv")
    message = str(caught.value)
    assert message.startswith("text.encoding: m.csv:2: not UTF-8 (")
    assert "none of these has the letter ə" in message
    assert "save the original as UTF-8, or set data.encoding" in message
    assert "\n" not in message


@pytest.mark.parametrize("page", CODE_PAGES)
def test_the_warning_is_true_no_code_page_has_the_letter(page):
    for letter in "əƏ":
        with pytest.raises(UnicodeEncodeError):
            letter.encode(page)


def test_a_file_that_ends_within_a_letter_is_called_cut_short():
    with pytest.raises(UserError, match=r"m\.csv:2: .* ends within a letter, so it may be cut short"):
        decode_text("audio,text\na.wav,şə".encode()[:-1], "utf-8", "m.csv")


def test_bytes_that_make_words_nowhere_are_called_damaged():
    with pytest.raises(UserError, match="the file is damaged or no text"):
        decode_text(bytes(range(256)) * 4, "utf-8", "m.csv")


@given(st.binary(max_size=60))
def test_any_bytes_are_either_decoded_exactly_or_refused_in_one_line(data):
    refusal = ""
    try:
        assert decode_text(data, "utf-8", "m.csv").text.encode() == data.removeprefix(b"\xef\xbb\xbf")
    except UserError as error:
        refusal = str(error)
    assert not refusal or refusal.startswith("text.encoding: m.csv:")
    assert "\n" not in refusal


def test_utf8_with_a_mark_under_another_encoding_is_a_contradiction():
    with pytest.raises(UserError, match=r"begins with the mark of UTF-8; set data\.encoding to utf-8"):
        decode_text(TEXT.encode("utf-8-sig"), "cp1254", "m.csv")


def test_a_wrong_statement_about_utf8_is_corrected():
    with pytest.raises(UserError, match=r"not ASCII .* set data\.encoding to utf-8, which it is"):
        decode_text(TEXT.encode(), "ascii", "m.csv")


@pytest.mark.parametrize("encoding", ["utf-99", "", "hex", "rot13", "a\0b", "ə"])
@pytest.mark.parametrize("data", [b"", TEXT.encode()])
def test_an_unknown_encoding_is_refused(encoding, data):
    with pytest.raises(UserError, match=r"data\.encoding = '.*': no encoding of text; write utf-8, or"):
        decode_text(data, encoding, "m.csv")


def test_a_fifo_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "m.csv")
    with pytest.raises(UserError, match="no regular file"):
        read_text(tmp_path / "m.csv", "utf-8")


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path):
    with pytest.raises(UserError, match=r"m\.csv: cannot be read \(No such file"):
        read_text(tmp_path / "m.csv", "utf-8")
