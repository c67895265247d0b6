"""Contract: `compare` calls a planted difference by its name, calls two draws of one system no difference, and refuses
to compare what cannot be compared."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from asr.comparing import comparison as comparing
from asr.comparing.comparison import Comparison, comparison
from asr.comparing.scored import scored
from asr.comparing.systems import Normalizer, System, read_pairs
from asr.comparing.table import WIDTH, render
from asr.comparing.verdict import Verdict, chance, points, verdict
from asr.errors import UserError
from asr.scoring.mapsswe import Mapsswe
from asr.scoring.paired import PairedTest, paired_bootstrap
from asr.scoring.wer import Pair

HERE = Normalizer.here("az", "keep")
WORDS = ("salam", "dünya", "bu", "gün", "hava", "yaxşı", "İndi", "IŞIQ")


def pair(number: int, hypothesis: str, reference: str = "Bu gün hava yaxşı.", group: str = "") -> Pair:
    return Pair(f"clip{number:03d}", reference, hypothesis, group or f"voice{number % 25}", 1.0 + number % 4)


def system(name: str, *texts: str, **options: str) -> System:
    return System(name, tuple(pair(i, text, **options) for i, text in enumerate(texts)), HERE)


def drawn(rates: np.ndarray, random: np.random.Generator, words: int = 8, clips: int = 6) -> System:
    """Clips in groups, each word wrong with its group's rate; `wər` is no word of the references."""
    wrong = random.random((len(rates), clips, words)) < rates[:, None, None]
    reference = " ".join(WORDS[:words])
    pairs = [
        Pair(f"{g:03d}-{c}", reference, " ".join(np.where(wrong[g, c], "wər", WORDS[:words])), f"g{g}", 2.0)
        for g, c in np.ndindex(wrong.shape[:2])
    ]
    return System("drawn", tuple(pairs), HERE)


def difficulties(groups: int, seed: int, mean: float = 0.06) -> np.ndarray:
    return np.random.default_rng(seed).gamma(4.0, mean / 4.0, groups)


@pytest.mark.parametrize(("planted", "better"), [(-0.01, "B"), (0.01, "A")])
def test_a_point_planted_in_many_groups_is_found_and_named(planted: float, better: str) -> None:
    rates = difficulties(600, seed=1)
    a, b = (
        drawn(np.clip(rates + shift, 0, 1), np.random.default_rng(seed)) for seed, shift in ((2, 0.0), (3, planted))
    )
    found = comparison(a, b)
    said = verdict(found)
    assert said.better == better
    assert said.line.startswith(f"{better} is better: WER ")
    assert found.wer.test.low < planted < found.wer.test.high
    assert "(95 %, 600 groups)" in said.line


def word_errors_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the rates that the verdict does not rest on, which take most of the time."""
    untested = comparing.Measure(0.0, 0.0, PairedTest(0.0, 0.0, 0.0, 0.5, 30))
    for name, nothing in (("_cer", untested), ("_ser", untested), ("_slices", ())):
        monkeypatch.setattr(comparing, name, lambda *_, nothing=nothing: nothing)


def test_two_draws_of_one_system_differ_in_about_one_trial_of_twenty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the same pure function; the bounds are those within which 200 trials of a true 5 % nearly always lie."""
    word_errors_alone(monkeypatch)
    rates = difficulties(30, seed=4)
    draws = [drawn(rates, np.random.default_rng(seed), words=4, clips=3) for seed in range(400)]
    alarms = sum(verdict(comparison(a, b)).better is not None for a, b in zip(draws[::2], draws[1::2], strict=True))
    assert binomtest(alarms, 200, 0.05).pvalue > 0.01


def test_figures_are_those_counted_by_hand() -> None:
    a = system("a", "bu gün hava", "Bu gün hava yaxşı.", "bu gün havada çox yaxşı", "bu gün hava yaxşı")
    b = system("b", "bu gün hava yaxşı", "bu gün yaxşı", "bu gün hava yaxşı", "bu gün hava yaxşı")
    found = comparison(a, b)
    assert (found.clips, found.words, found.silent_clips, found.changed) == (4, 16, 0, 3)
    assert (found.wer.a, found.wer.b) == (3 / 16, 1 / 16)
    assert found.wer.test == paired_bootstrap([0, 1, 0, 0], [1, 0, 2, 0], [4] * 4, [f"voice{i}" for i in range(4)])
    assert (found.orthographic.a, found.orthographic.b) == ((2 + 0 + 4 + 2) / 16, (2 + 3 + 2 + 2) / 16)
    assert (found.ser.a, found.ser.b) == (2 / 4, 1 / 4)
    totals = found.a_totals
    assert (totals.substitutions, totals.deletions, totals.insertions, totals.length_ratio) == (1, 1, 1, 1.0)
    assert (found.sentences.fixed, found.sentences.broken, found.sentences.p) == (2, 1, 1.0)
    assert [change.id for change in found.most_changed] == ["clip002", "clip000", "clip001"]
    assert [part.seconds for part in found.slices] == ["0-1", "1-2", "2-3", "3-5"]
    assert sum(part.words for part in found.slices) == found.words


def test_clips_without_speech_are_counted_apart() -> None:
    pairs = (pair(0, "bu gün hava yaxşı"), pair(1, "sağ ol", reference="..."))
    a, b = System("a", pairs, HERE), System("b", (pairs[0], replace(pairs[1], hypothesis="")), HERE)
    found = comparison(a, b)
    assert (found.clips, found.silent_clips, found.wer.a) == (1, 1, 0.0)
    assert (found.a_totals.words_on_silence, found.b_totals.words_on_silence) == (2, 0)


def test_exchanging_the_systems_exchanges_the_verdict() -> None:
    rates = difficulties(100, seed=5)
    a, b = (drawn(rates * factor, np.random.default_rng(6)) for factor in (1.5, 1.0))
    there, back = comparison(a, b), comparison(b, a)
    assert (verdict(there).better, verdict(back).better) == ("B", "A")
    assert there.wer.test.difference == -back.wer.test.difference
    assert there.wer.test.low == pytest.approx(-back.wer.test.high, abs=1e-3)
    assert there.sentences.fixed == back.sentences.broken


def with_test(test: PairedTest, p: float = 0.5) -> Verdict:
    """The verdict on a comparison whose tests came out so."""
    found = comparison(system("a", "bu gün"), system("b", "bu hava"))
    wer = replace(found.wer, a=0.0502, b=0.0502 + test.difference, test=test)
    return verdict(replace(found, wer=wer, mapsswe=replace(found.mapsswe, p=p)))


B_BETTER = PairedTest(-0.0081, -0.011, -0.0053, 1.0, 412)


@pytest.mark.parametrize(
    ("test", "p", "better", "parts"),
    [
        (
            B_BETTER,
            0.0001,
            "B",
            ["B is better: WER 4.21 % against 5.02 %, difference -0.81 [-1.10, -0.53] points (95 %, 412"],
        ),
        (B_BETTER, 0.0001, "B", ["probability of improvement 100.0 %, MAPSSWE p < 0.001"]),
        (B_BETTER, 0.2, "B", ["MAPSSWE p = 0.200; the two tests disagree, and the verdict follows the interval"]),
        (
            replace(B_BETTER, difference=0.01, low=0.001, high=0.02),
            0.01,
            "A",
            ["A is better: WER 5.02 % against 6.02 %"],
        ),
        (
            replace(B_BETTER, high=0.001),
            0.2,
            None,
            ["no difference shown: WER A 5.02 %, B 4.21 %", "about 0.60 points would"],
        ),
        (replace(B_BETTER, high=0.001), 0.01, None, ["about 0.60 points would have shown; the two tests disagree"]),
        (replace(B_BETTER, high=0.0), 0.2, None, ["no difference shown"]),
        (replace(B_BETTER, groups=19), 0.01, "B", ["; with fewer than 20 groups the interval is rough"]),
        (PairedTest(-0.01, -0.01, -0.01, 1.0, 1), 0.01, None, ["no difference shown", "one group cannot be resampled"]),
    ],
    ids=["example", "tests", "odds", "A", "none", "none at odds", "touches zero", "few groups", "one group"],
)
def test_the_verdict_follows_the_interval_and_says_what_limits_it(
    test: PairedTest, p: float, better: str | None, parts: list[str]
) -> None:
    said = with_test(test, p)
    assert said.better == better
    assert all(part in said.line for part in parts), said.line
    assert "\n" not in said.line


def test_equal_texts_are_no_difference_of_any_size() -> None:
    found = comparison(system("a", "bu gün"), system("b", "Bu, gün!"))
    assert verdict(found).line.startswith("no difference shown: both wrote the same words for all 1 clips")


@pytest.mark.parametrize(("value", "shown"), [(0.0, "0.00"), (-0.00001, "0.00"), (0.01, "+1.00"), (-0.001, "-0.10")])
def test_points_have_a_sign_unless_they_are_zero(value: float, shown: str) -> None:
    assert points(value) == shown


def test_small_probabilities_are_not_written_as_zero() -> None:
    assert [chance(p) for p in (0.0, 0.00099, 0.001, 1.0)] == ["p < 0.001", "p < 0.001", "p = 0.001", "p = 1.000"]


def without(name: str) -> Callable[[System], System]:
    return lambda b: replace(b, pairs=tuple(pair for pair in b.pairs if pair.id != name))


def altered(**changes: str) -> Callable[[System], System]:
    return lambda b: replace(b, pairs=(replace(b.pairs[0], **changes), *b.pairs[1:]))


def other(**changes: str) -> Callable[[System], System]:
    return lambda b: replace(b, normalizer=replace(b.normalizer, **changes))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("clip001"), "different sets: 1 only in A, such as clip001"),
        (altered(id="clip9"), "1 only in A, 1 only in B, such as clip000, clip9"),
        (altered(reference="Bu gün"), "1 with another reference, such as clip000"),
        (altered(reference="bu gün hava yaxşı"), "1 with another reference"),
        (altered(group="voice7"), "1 in another group"),
        (other(version="az-0"), "different normalisers (version"),
        (other(hash="0"), "different normalisers (hash"),
        (other(numbers="words"), "different normalisers (numbers keep and words)"),
        (other(language="tr"), "different normalisers (language az and tr)"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(change: Callable[[System], System], said: str) -> None:
    a = system("main", "bu gün", "bu hava")
    b = change(system("try", "bu gün", "bu hava"))
    with pytest.raises(UserError) as refused:
        comparison(a, b)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_at_most_three_clips_are_named_of_many() -> None:
    a, b = system("a", *["bu"] * 9), system("b", "bu")
    with pytest.raises(UserError, match="8 only in A, such as clip001, clip002, clip003; "):
        comparison(a, b)


def test_a_normaliser_that_is_not_this_codes_is_refused_though_both_have_it() -> None:
    a, b = (replace(system(name, "bu"), normalizer=replace(HERE, hash="0")) for name in "ab")
    with pytest.raises(UserError, match=r"B \(b\) and this code .*`dvc get"):
        comparison(a, b)


def test_a_test_set_without_words_is_refused() -> None:
    a, b = system("a", "bu", reference=" ."), system("b", "bu", reference=" .")
    with pytest.raises(UserError, match="none of the 1 clips has a word"):
        comparison(a, b)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no predictions"),
        ("{", "x:1: not JSON"),
        ("[]", "x:1: no prediction as evaluate writes them"),
        ('{"id": "a"}', "'reference'"),
        ('{"id": 1, "reference": "", "hypothesis": "", "group": "", "duration": 1}', "another type"),
    ],
)
def test_a_file_that_holds_no_predictions_is_refused(text: str, said: str) -> None:
    with pytest.raises(UserError, match=r".") as refused:
        System("x", read_pairs(text, "x"), HERE)
    assert said in str(refused.value)


def test_an_id_that_occurs_twice_is_refused() -> None:
    with pytest.raises(UserError, match="1 ids occur more than once, such as 'clip000'"):
        System("a", (pair(0, "bu"), pair(0, "gün")), HERE)


def test_a_line_separator_inside_a_text_does_not_end_its_row() -> None:
    row = {"id": "a", "reference": "bu\u2028gün", "hypothesis": "", "group": "", "duration": 1}
    (read,) = read_pairs(json.dumps(row, ensure_ascii=False) + "\n", "x")
    assert read.reference == "bu\u2028gün"


def found_of_any_kind() -> Comparison:
    long = "çoxuzunsöz" * 30
    names = ("m" * 300, "ə" * 300)
    texts = ([long] * 15, ["bu gün " + "hava " * 200, *[""] * 14])
    return comparison(*(system(name, *text) for name, text in zip(names, texts, strict=True)))


def test_the_table_is_no_wider_than_a_terminal_and_begins_with_the_verdict() -> None:
    found = found_of_any_kind()
    lines = render(found).splitlines()
    assert lines[0] == verdict(found).line
    assert [line for line in lines[1:] if len(line) > WIDTH] == []
    assert sum(" errors in 4 words: clip" in line for line in lines) == comparing.SHOWN


def test_the_plain_form_is_json() -> None:
    plain = json.loads(json.dumps(found_of_any_kind().as_plain(), allow_nan=False))
    assert plain["wer"].keys() == {"a", "b", "test"}


def test_texts_are_scored_with_the_number_option_of_the_metrics() -> None:
    pairs = [(pair(0, "beş", reference="5"), pair(0, "5", reference="5"))]
    kept = scored(pairs, HERE)
    spelt = scored(pairs, Normalizer.here("az", "words"))
    assert [kept.a.scores[0].errors, kept.b.scores[0].errors] == [1, 0]
    assert [spelt.a.scores[0].errors, spelt.b.scores[0].errors] == [0, 0]


def test_mapsswe_compares_the_normalised_texts_of_both() -> None:
    a, b = system("a", "Bu, gün hava yaxşı!"), system("b", "bu gün hava yaxşı")
    assert comparison(a, b).mapsswe.segments == 0
    assert isinstance(comparison(a, b).mapsswe, Mapsswe)
