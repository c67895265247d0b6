"""Contract: the data card says in words what the metrics say in numbers, and is fit for the Hugging Face Hub."""

import re
from typing import Any

import pytest
import yaml

from asr.corpus.card import PROXY, card
from asr.corpus.clips import SPLITS
from asr.corpus.index import IndexRow, index_of
from asr.corpus.splitting.external import Reference
from asr.corpus.statistics import metrics
from asr.corpus.validate import Validated, validate
from tests.index_rows import index_row, limits
from tests.test_statistics import MIXED, SIXTY


def validated(*more: IndexRow, **changes: Any) -> Validated:
    return validate(index_of([*SIXTY, *more]), limits(**changes), "az")


def front_matter(text: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return content


def rows(text: str) -> dict[str, list[str]]:
    """Cells of all rows of tables by the first one."""
    found = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| ")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in found}


def test_the_totals_are_those_of_the_metrics_and_add_up() -> None:
    corpus = validated(*MIXED)
    found, report = rows(card(corpus)), metrics(corpus)
    for name, part in report["reconciliation"].items():
        clips, hours, mean, product = found[name]
        assert int(clips) == part["clips"]
        assert float(hours) == float(product) == round(part["hours"], 4)
        assert float(mean) == round(part["mean_duration"], 4)
    assert int(found["in"][0]) == int(found["kept"][0]) + int(found["rejected"][0])
    assert int(found["kept"][0]) == sum(int(found[name][0]) for name in SPLITS)


def test_every_reason_stands_in_the_card_with_its_count_and_their_sum() -> None:
    corpus = validated(*MIXED)
    found, report = rows(card(corpus)), metrics(corpus)
    for kind in ("rejected", "repaired", "warned"):
        assert report[kind]
        assert {code: int(found[f"`{code}`"][0]) for code in report[kind]} == report[kind]
    assert found["**all**"][0] == str(sum(report["rejected"].values()))
    assert f"{report['rejected_share']:.2%}" in card(corpus)


def test_the_front_matter_is_what_the_hub_reads() -> None:
    content = front_matter(card(validated(*MIXED)))
    assert content["language"] == ["az"]
    assert content["task_categories"] == ["automatic-speech-recognition"]
    assert content["size_categories"] == ["n<1K"]
    files = content["configs"][0]["data_files"]
    assert {file["split"]: file["path"] for file in files} == {name: f"{name}.jsonl" for name in SPLITS}


@pytest.mark.parametrize(
    ("licence", "identifiers"),
    [
        ("CC-BY-NC-4.0", ["cc-by-nc-4.0", "cc0-1.0"]),
        ("ask the archive: it's theirs", ["cc0-1.0", "other"]),
        ("", ["cc0-1.0", "unknown"]),
    ],
)
def test_licences_are_the_hubs_identifiers(licence: str, identifiers: list[str]) -> None:
    text = card(validated(index_row(100, licence=licence)))
    assert front_matter(text)["license"] == identifiers
    assert ("Nobody states the terms of 1 kept clip" in text) == (not licence)


def test_a_name_from_outside_breaks_neither_the_front_matter_nor_a_table() -> None:
    source = "a: b\n---\n| [x](y) | {z}"
    text = card(validated(*(index_row(100 + n, source=source) for n in range(70))))
    assert front_matter(text)["pretty_name"].endswith("from a: b --- | [x](y) | {z}, test")
    assert rows(text)["a: b --- \\| [x](y) \\| {z}"][0] == "70"


def test_blocks_are_called_a_proxy_and_named_groups_are_not() -> None:
    grouped = [index_row(n, group=f"g{n % 12}", text=SIXTY[n].text) for n in range(60)]
    assert PROXY in card(validated(block_clips=5))
    assert "60 by a block of neighbours" in card(validated(block_clips=5))
    assert PROXY not in card(validate(index_of(grouped), limits(block_clips=5), "az"))


def test_leakage_is_stated_with_how_much_it_concerns() -> None:
    shared = [index_row(100 + n, group="Aysel", split=name, text=f"{name} üçün cümlə") for n, name in enumerate(SPLITS)]
    text = card(validated(*shared))
    assert rows(text)["groups"] == ["1", "3", "0.0017"]
    assert rows(text)["texts"] == ["0", "0", "0.0000"]
    assert "Aysel" not in text


def test_outside_test_sets_are_compared_or_said_not_to_be() -> None:
    assert "No outside test set was given" in card(validated())
    heard = Reference("fleurs.txt", frozenset({"kitab dəniz gəlir uzaqdan"}))
    more = index_row(100, text="Kitab dəniz gəlir uzaqdan.", split="test")
    corpus = validate(index_of([*SIXTY, more]), limits(), "az", [heard])
    assert "| fleurs.txt | test | 1 | 1 |" in card(corpus)


def test_a_clean_corpus_says_so() -> None:
    text = card(validated())
    for sentence in ("Nothing was rejected.", "No kept clip is repaired.", "No kept clip is warned of."):
        assert sentence in text
    assert "The source names no groups, and no blocks were formed." in text


def test_one_group_for_all_is_named_by_its_share() -> None:
    clips = [index_row(n, group="all", split=SPLITS[n % 3], text=SIXTY[n].text) for n in range(60)]
    assert "the largest has 60 clips (100.0%)" in card(validate(index_of(clips), limits(), "az"))


def test_equal_corpora_have_equal_cards_whatever_the_order_of_their_rows() -> None:
    assert card(validated(*MIXED)) == card(validate(index_of([*MIXED, *SIXTY][::-1]), limits(), "az"))
