"""Contract: numbers and signs become the words that are spoken, once, and nothing else of a text changes."""

import re

import pytest
from babel import Locale
from hypothesis import given, settings
from hypothesis import strategies as st
from num2words import num2words

from asr import numbers as number_rules
from asr.corpus.sample.sentences import copula, dative, locative, spoken_number
from asr.errors import UserError
from asr.numbers import NUMBER_LANGUAGES, spell_numbers
from asr.text import clean, lower, normalize

SPOKEN = [
    # ordinals, with endings after them, and typed in other ways
    ("2021-ci ildə", "az", "iki min iyirmi birinci ildə"),
    ("5-ci, 10-cu", "az", "beşinci, onuncu"),
    ("1990-cı illərdə", "az", "min doqquz yüz doxsanıncı illərdə"),
    ("3-cüsü 5-cilər", "az", "üçüncüsü beşincilər"),
    ("5CI 4-CÜ", "az", "beşinci dördüncü"),
    ("5'inci 4. kat, saat 5. Sonra", "tr", "beşinci dördüncü kat, saat beş. Sonra"),
    # endings join, in the harmony of the word
    ("5-də 2021-də 6-ya", "az", "beşdə iki min iyirmi birdə altıya"),
    ("4-ü 20-si 40-dan 90-lar", "az", "dördü iyirmisi qırxdan doxsanlar"),
    ("4-lərin 4-ündən 10-larının", "az", "dördlərin dördündən onlarının"),
    ("10-luq 1%-lik 5-dir 10-dək", "az", "onluq bir faizlik beşdir ondək"),
    ("5-də, 5də, 5'də, 5-da, 5-de", "az", "beşdə, beşdə, beşdə, beşdə, beşdə"),
    ("'5-də'", "az", "'beşdə'"),
    ("2021'de 4'ü 4'te 5'er", "tr", "iki bin yirmi birde dördü dörtte beşer"),
    # what follows and is no ending stands apart
    ("3-otaqlı 5kq 5a", "az", "üç otaqlı beş kq beş a"),
    ("COVID-19 F16 x5y6", "az", "COVID on doqquz F on altı x beş y altı"),
    # percent, money, degrees
    ("5% 5 % %5", "az", "beş faiz beş faiz beş faiz"),
    ("5%-i 3,5%-dən", "az", "beş faizi üç tam onda beş faizdən"),
    ("%5 5% %5'i", "tr", "yüzde beş yüzde beş yüzde beşi"),
    ("10₼ 10 ₼-a ₼10", "az", "on manat on manata on manat"),
    ("$5 7 € 100₽ 50₺ £3", "az", "beş dollar yeddi avro yüz rubl əlli lirə üç funt"),
    ("2,50 ₼ 2,00 ₼ 2,5 ₼", "az", "iki manat əlli qəpik iki manat iki tam onda beş manat"),
    ("12,50 ₺ 10 ₺'ye", "tr", "on iki lira elli kuruş on liraya"),
    ("25° 25 °C 25°-də", "az", "iyirmi beş dərəcə iyirmi beş dərəcə iyirmi beş dərəcədə"),
    # decimals
    ("3,5 3.5 0,05", "az", "üç tam onda beş üç tam onda beş sıfır tam yüzdə beş"),
    ("0,125 3,14159", "az", "sıfır tam mində yüz iyirmi beş üç tam bir dörd bir beş doqquz"),
    ("3,5 3,05 3,14", "tr", "üç virgül beş üç virgül sıfır beş üç virgül on dört"),
    # thousands
    ("1 000 000, 1.000.000, 1.000", "az", "bir milyon, bir milyon, min"),
    ("1,000; 1,000,000; 12 345 nəfər", "az", "min; bir milyon; on iki min üç yüz qırx beş nəfər"),
    ("1.234,5 2 500,75 ₼", "az", "min iki yüz otuz dörd tam onda beş iki min beş yüz manat yetmiş beş qəpik"),
    # long and coded numbers
    ("123456789", "az", "yüz iyirmi üç milyon dörd yüz əlli altı min yeddi yüz səksən doqquz"),
    ("1234567890", "az", "bir iki üç dörd beş altı yeddi səkkiz doqquz sıfır"),
    ("050 007 0501", "az", "sıfır əlli sıfır sıfır yeddi sıfır beş sıfır bir"),
    ("050-123-45-67", "az", "sıfır əlli yüz iyirmi üç qırx beş altmış yeddi"),
    ("50 123 45 67", "az", "əlli yüz iyirmi üç qırx beş altmış yeddi"),
    ("45 50 123", "az", "qırx beş əlli yüz iyirmi üç"),
    ("1 000 000 000 000 000", "az", "bir" + " sıfır" * 15),
    # times
    ("14:30 14:30-da 08:05", "az", "on dörd otuz on dörd otuzda səkkiz sıfır beş"),
    ("14:00-da 00:30", "az", "on dörd sıfır sıfırda sıfır sıfır otuz"),
    ("saat 14.30, 23:59:59", "az", "saat on dörd otuz, iyirmi üç əlli doqquz əlli doqquz"),
    ("14:30'da", "tr", "on dört otuzda"),
    # dates
    ("01.02.2023 01.02.2023-də", "az", "bir fevral iki min iyirmi üçüncü il bir fevral iki min iyirmi üçüncü ildə"),
    ("1.2.2023-cü il", "az", "bir fevral iki min iyirmi üçüncü il"),
    ("01.02.2023'te", "tr", "bir şubat iki bin yirmi üçte"),
    ("31.13.2023", "az", "otuz bir.on üç.iki min iyirmi üç"),
    # ranges keep their hyphen, as words do; minus
    ("3-5 10-15 3-5-ci", "az", "üç-beş on-on beş üç-beşinci"),
    ("-5 \u22125 (-5%)", "az", "mənfi beş mənfi beş (mənfi beş faiz)"),
    ("-5°C", "tr", "eksi beş derece"),
    # other signs
    ("№5 № 5", "az", "nömrə beş nömrə beş"),
    ("2+3=5 AT&T 5‰", "az", "iki üstəgəl üç bərabərdir beş AT və T beş promil"),
    ("2+3=5 AT&T №5", "tr", "iki artı üç eşittir beş AT ve T numara beş"),
    ("% artdı, %%", "az", "faiz artdı, faiz faiz"),
    # no known form: part by part
    ("1/2 24/7 1.2.3 25:00", "az", "bir/iki iyirmi dörd/yeddi bir.iki.üç iyirmi beş:sıfır sıfır"),
    # no reading at all: as it was
    ("½ ٣ a@b XX əsr", "az", "½ ٣ a@b XX əsr"),
    ("Saat beşdə gəl.", "az", "Saat beşdə gəl."),
]

NORMALIZED = [
    ("2021-ci ildə, 5%-i!", "az", "iki min iyirmi birinci ildə beş faizi"),
    ("Bakı'da 5'də", "az", "bakıda beşdə"),
    ("5-дә 5-d\u04d9", "az", "beş дә beşdə"),
    ("10-15 ilk-dəfə", "az", "on-on beş ilk-dəfə"),
    ("İSTANBUL'DA 2,5 KG", "tr", "istanbulda iki virgül beş kg"),
    ("1.2.3", "az", "bir iki üç"),
]

texts = st.text() | st.text(alphabet="0123456789 0123456789-'.,:/%₼$°C+=№&aıidəcüӘә½٣\u0307\u0308")


@pytest.mark.parametrize(("text", "language", "expected"), SPOKEN)
def test_numbers_are_spelt_out_as_they_are_spoken(text, language, expected):
    assert spell_numbers(text, language) == expected


@pytest.mark.parametrize(("text", "language", "expected"), NORMALIZED)
def test_a_text_is_normalised_with_its_numbers_spelt_out(text, language, expected):
    assert normalize(text, language, "words") == expected


@pytest.mark.parametrize(("text", "language", "expected"), SPOKEN)
def test_the_same_text_in_digits_and_in_words_is_one_to_scoring(text, language, expected):
    assert normalize(text, language, "words") == normalize(expected, language)


@pytest.mark.parametrize("language", NUMBER_LANGUAGES)
@settings(max_examples=300)
@given(text=texts)
def test_no_text_is_too_odd_and_no_digit_or_spoken_sign_is_left(language, text):
    cleaned = clean(text).text
    once = spell_numbers(cleaned, language)
    assert not re.search("[0-9%₼$°+=№&]", once)
    assert spell_numbers(once, language) == once
    assert " ".join(once.split()) == once


@pytest.mark.parametrize("language", NUMBER_LANGUAGES)
@given(text=texts)
def test_a_text_without_digits_and_spoken_signs_is_the_same_under_both_options(language, text):
    plain = re.sub("[0-9%‰₼$€£₽₺°+=№&]", "", clean(text).text)
    assert spell_numbers(plain, language) == plain
    assert normalize(plain, language, "words") == normalize(plain, language)


def test_the_sample_corpus_and_the_normaliser_say_numbers_and_their_endings_alike():
    for value in range(2_000):
        words = spoken_number(value)
        assert spell_numbers(str(value), "az") == words
        assert spell_numbers(f"{value}-də", "az") == locative(words)
        assert spell_numbers(f"{value}-dir", "az") == copula(words)
        assert spell_numbers(f"{value}-{dative(words)[len(words) :]}", "az") == dative(words)


@pytest.mark.parametrize("language", NUMBER_LANGUAGES)
def test_numbers_and_ordinals_are_those_of_num2words(language):
    values = [*range(1_200), 1_990, 10_000, 99_999, 100_000, 1_000_000, 20_300_400, 999_999_999]
    for value in values:
        cardinal, ordinal = spell_numbers(str(value), language), spell_numbers(f"{value}-inci", language)
        theirs = [num2words(value, lang=language), num2words(value, lang=language, to="ordinal")]
        if language == "tr":  # num2words writes them without the spaces of running text
            cardinal, ordinal = cardinal.replace(" ", ""), ordinal.replace(" ", "")
        assert [cardinal, ordinal] == theirs


@pytest.mark.parametrize("language", NUMBER_LANGUAGES)
def test_months_are_those_of_unicode(language):
    theirs = Locale(language).months["format"]["wide"]
    for month in range(1, 13):
        assert spell_numbers(f"1.{month}.2000", language).split()[1] == lower(theirs[month], language)


def test_both_languages_read_the_same_signs():
    assert {frozenset(speech.signs) for speech in number_rules._SPEECH.values()} == {frozenset("%‰°№&+=₼$€£₽₺")}
    assert tuple(number_rules._SPEECH) == NUMBER_LANGUAGES


@pytest.mark.parametrize("language", ["kk", "uz", "ky", "tk"])
@pytest.mark.parametrize("act", [spell_numbers, lambda text, language: normalize(text, language, "words")])
def test_a_language_without_number_words_is_refused_with_those_that_have_them(act, language):
    with pytest.raises(UserError, match=f"'{language}' cannot be spelt out, only in az and tr: keep them as digits"):
        act("5", language)


def test_an_unknown_language_is_refused():
    with pytest.raises(UserError, match="'de' has no normaliser"):
        spell_numbers("5", "de")


@pytest.mark.parametrize(
    "unit", ["1", "1,", "1.", "1-", "1 100 ", "1.100.", "1,000", "5-lə", "-", "'", "1'", "%", "1a", "1 "]
)
def test_a_long_text_takes_no_more_than_linear_time(unit):
    spell_numbers(unit * 20_000 + "1", "az")
