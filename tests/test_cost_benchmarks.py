"""Contract: the benchmarks of scoring and scaling compare equal work, and their sums are right."""

from dataclasses import replace
from pathlib import Path

import pytest

from asr.corpus.clips import read_split
from asr.pcm import SAMPLE_RATE
from benchmarks import score
from benchmarks.scaling import corpus_figures, exponent
from benchmarks.scaling_corpus import Cost, Noise, write_split

PAIRS = score.pairs(200, seed=1)


def test_every_way_of_counting_is_timed_on_equal_texts_with_equal_counts() -> None:
    figures = score.measured(*PAIRS, rounds=1)
    counts = figures["counts, equal in all"]
    errors = counts["substitutions"] + counts["deletions"] + counts["insertions"]
    assert 0.06 < errors / counts["words"] < 0.14
    assert figures["jiwer loop over ours, ratio of a round"].runs == 1


def test_a_way_that_counts_otherwise_stops_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_more(references: score.Texts, hypotheses: score.Texts) -> score.Counts:
        counts = score.ours(references, hypotheses)
        return replace(counts, insertions=counts.insertions + 1)

    monkeypatch.setitem(score.COUNTING, "ours", one_more)
    with pytest.raises(SystemExit, match="the counts differ"):
        score.measured(*PAIRS, rounds=1)


def test_equal_seeds_make_equal_pairs() -> None:
    assert score.pairs(200, seed=1) == PAIRS != score.pairs(200, seed=2)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_is_the_power_of_the_growth(power: float) -> None:
    assert exponent(1000, 3.0, 8000, 3.0 * 8**power) == pytest.approx(power)


def test_seconds_come_from_all_rounds_but_the_first_and_memory_from_the_first() -> None:
    costs = {clips: {"read": [Cost(99.0, 7.0), Cost(clips / 100, 0.0), Cost(clips / 100, 0.0)]} for clips in (100, 800)}
    figures = dict(corpus_figures(costs))
    assert figures["read, 800 clips, s"].median == 8.0
    assert figures["read, 800 clips, MiB"] == 7.0
    assert figures["read, exponent from 100 to 800 clips"] == 1.0


def test_a_made_up_split_is_read_as_a_real_one_and_its_clips_are_as_long_as_it_says(tmp_path: Path) -> None:
    write_split(tmp_path / "train.jsonl", 50)
    utterances, clips = read_split(tmp_path / "train.jsonl"), Noise(50)
    assert [len(clips[item.id]) / SAMPLE_RATE for item in utterances] == [item.duration for item in utterances]
    assert all(abs(len(item.text) - 14.8 * item.duration) <= 3 for item in utterances)
