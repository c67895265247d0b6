"""Azerbaijani orthography: cleaning of labels, normalisation for scoring, letter case."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr import text as orthography
from asr.text import clean, lower, normalize, normalizer_hash, upper

ALPHABET = "abcçdeəfgğhxıijkqlmnoöprsştuüvyz"

NORMALIZED = [
    # letter case: the pairs I/ı and İ/i
    ("İstanbul", "istanbul"),
    ("IŞIQ", "ışıq"),
    ("Işıq", "ışıq"),
    ("İŞIQ", "işıq"),
    ("İndi elə", "indi elə"),
    ("DİL", "dil"),
    ("BAKI", "bakı"),
    ("Bakı", "bakı"),
    ("ƏLİ", "əli"),
    ("ĞÜÇÖŞ", "ğüçöş"),
    # composed, decomposed, and what Python's lower() leaves behind
    (unicodedata.normalize("NFD", "gözəl"), "gözəl"),
    (unicodedata.normalize("NFD", "ÇÖRƏK ağacı"), "çörək ağacı"),
    (unicodedata.normalize("NFD", "İstanbul"), "istanbul"),
    ("İstanbul".lower(), "istanbul"),
    ("ı\u0307ndi", "indi"),
    ("i\u0307\u0307ndi", "indi"),
    # look-alikes of ə: mended in Latin words only
    ("sәhәr", "səhər"),
    ("ӘLİ", "əli"),
    ("s\u01ddh\u01ddr", "səhər"),
    ("\u018eli", "əli"),
    ("мәктәб", "мәктәб"),
    ("2021-cә", "2021-cə"),
    ("Bakı'dә", "bakıdə"),
    ("səhәr/мәктәб", "səhər мәктәб"),
    # invisible characters
    ("gəl\u00adsin", "gəlsin"),
    ("süd\u200bdü", "süddü"),
    ("\ufeffsalam", "salam"),
    ("\u200esalam\u200f", "salam"),
    ("go\u200d\u0308zəl", "gözəl"),
    # spaces
    ("salam\u00a0dünya", "salam dünya"),
    ("  salam \t dünya\r\n", "salam dünya"),
    ("salam\u2028dünya\u3000", "salam dünya"),
    # apostrophes: dropped, the parts join
    ("Bakı'da", "bakıda"),
    ("Bakı\u2019da", "bakıda"),
    ("Bakı\u02bcda", "bakıda"),
    ("mə'na", "məna"),
    ("'salam' dedi", "salam dedi"),
    # hyphens and dashes: kept inside a word only
    ("ilk-dəfə", "ilk-dəfə"),
    ("2021-ci il", "2021-ci il"),
    ("hər\u2011hansı", "hər-hansı"),
    ("3-5", "3-5"),
    ("salam - dünya", "salam dünya"),
    ("salam \u2014 dünya", "salam dünya"),
    ("salam\u2013dünya", "salam dünya"),
    ("-dən", "dən"),
    ("bəli--xeyr", "bəli xeyr"),
    ("- - -", ""),
    # digits and signs that are read aloud
    ("3,5 kq.", "3,5 kq"),
    ("saat 14:30,", "saat 14:30"),
    ("1.000.000", "1.000.000"),
    ("a,b", "a b"),
    ("2,-3", "2 3"),
    ("5%", "5 %"),
    ("5 %-i", "5 % i"),
    ("10₼", "10 ₼"),
    ("½", "½"),
    # other punctuation
    ("Salam, dünya!", "salam dünya"),
    ("Bakı (paytaxt) şəhəri", "bakı paytaxt şəhəri"),
    ("«Azərbaycan» qəzeti…", "azərbaycan qəzeti"),
    ("a_b", "a b"),
    ("...", ""),
    ("", ""),
]

CLEANED = [
    ("Bakı, İstanbul!", "Bakı, İstanbul!", ()),
    (unicodedata.normalize("NFD", "Çox gözəl."), "Çox gözəl.", ("text.not_nfc",)),
    ("gəl\u00adsin", "gəlsin", ("text.invisible",)),
    ("i\u0307ndi", "indi", ("text.casing",)),
    ("Bakı\u2019da", "Bakı'da", ("text.punct_form",)),
    ("hər\u2010hansı", "hər-hansı", ("text.punct_form",)),
    (" salam\u00a0dünya ", "salam dünya", ("text.spaces",)),
    ("Sәhәr мәктәб", "Səhər мәктәб", ("text.lookalike",)),
    ("ә", "ә", ()),
    ("\u200bsa\u00a0la\u02bcm", "sa la'm", ("text.invisible", "text.punct_form", "text.spaces")),
    ("«Salam» — dedi…", "«Salam» — dedi…", ()),
]

# Any text, and text made of what the rules touch, which random characters would rarely hit.
texts = st.text() | st.text(alphabet="aiıIİəәЖ19 -,.:/'’%₼_\u0307\u0308\u0323\u00ad\u200d\u00a0\u2011(«S")


@pytest.mark.parametrize(("text", "expected"), NORMALIZED)
def test_text_is_normalised_for_scoring(text, expected):
    assert normalize(text, "az") == expected


@pytest.mark.parametrize(("text", "expected", "repairs"), CLEANED)
def test_a_label_is_repaired_and_each_repair_is_named(text, expected, repairs):
    cleaned = clean(text)
    assert (cleaned.text, cleaned.repairs) == (expected, repairs)


@settings(max_examples=500)
@given(texts)
def test_cleaning_twice_changes_nothing(text):
    assert clean(clean(text).text).repairs == ()


@settings(max_examples=500)
@given(texts)
def test_a_repair_is_named_exactly_when_the_text_changed(text):
    cleaned = clean(text)
    assert bool(cleaned.repairs) == (cleaned.text != text)


@settings(max_examples=500)
@given(texts)
def test_normalising_twice_changes_nothing(text):
    once = normalize(text, "az")
    assert normalize(once, "az") == once


@given(texts)
def test_typing_habits_that_cleaning_mends_never_reach_the_score(text):
    assert normalize(clean(text).text, "az") == normalize(text, "az")


@given(st.text(alphabet=ALPHABET))
def test_every_lower_case_word_survives_upper_and_lower(word):
    assert lower(upper(word)) == word


@given(st.text(alphabet=ALPHABET + upper(ALPHABET)))
def test_decomposed_and_composed_words_have_the_same_lower_case(word):
    assert lower(unicodedata.normalize("NFD", word)) == lower(word)


def test_upper_case_keeps_the_32_letters_apart():
    assert len(set(upper(ALPHABET))) == len(ALPHABET) == 32
    assert upper("işıq") == "İŞIQ"


def test_a_language_without_rules_is_refused():
    with pytest.raises(ValueError, match="'kk' has no normaliser"):
        normalize("сәлем", "kk")


def test_the_hash_of_the_normaliser_follows_its_tables(monkeypatch):
    before = normalizer_hash()
    assert normalizer_hash() == before
    monkeypatch.setattr(orthography, "_SPOKEN_SIGNS", "%")
    assert normalizer_hash() != before


def test_a_long_word_takes_no_more_than_linear_time():
    word = "a" * 200_000
    assert normalize(f"{word}ә" + "-" * 200_000 + "b" + "," * 200_000, "az") == f"{word}ə b"
