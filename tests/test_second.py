"""Contract: a second data set shows what was forgotten, and no clip of it disappears without a reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from asr.audio import wav_bytes
from asr.decoding.generate import Transcriber
from asr.decoding.second import normalizer_of, read_second, second_section
from asr.errors import UserError
from asr.features import Edges, LogMel
from asr.models.build import save
from asr.scoring.skipped import Skipped
from asr.scoring.wer import corpus_score, score_utterances
from asr.text import normalize
from tests.factories import encoded
from tests.models import tone
from tests.test_baseline import made_from, talkative

WINDOW = 3.0
"""Of the tiny models (s)."""
TEXTS = {"a.wav": "Salam, dünya.", "b.wav": "İşığı yandır.", "c.wav": "", "d.flac": "Saat üçə on dəqiqə qalıb."}


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    model = talkative(4)
    return Transcriber(model.network, model.tokenizer, LogMel(80), Edges((WINDOW,), 0.0), "az", 1, 4)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights of `transcriber`, and one with others."""
    folder = tmp_path_factory.mktemp("bases")
    for name, seed in (("same", 4), ("other", 5)):
        (folder / name).mkdir()
        save(talkative(seed), folder / name, {})
    return folder


def write(folder: Path, rows: list[dict[str, str]], name: str = "manifest.jsonl") -> Path:
    """A second data set: a clip for each of `TEXTS`, and this manifest."""
    for place, clip in enumerate(TEXTS):
        samples = tone(0.8 + 0.3 * place, 300.0 + 90 * place)
        (folder / clip).write_bytes(encoded(samples, kind="FLAC") if clip.endswith("flac") else wav_bytes(samples))
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    if not name.endswith("jsonl"):
        mark = "\t" if name.endswith("tsv") else ","
        lines = [
            mark.join(rows[0]),
            *(mark.join(f'"{cell}"' if mark == "," else cell for cell in row.values()) for row in rows),
        ]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def plain(*names: str) -> list[dict[str, str]]:
    """Rows of the plain WAV files, or of these."""
    return [{"audio": name, "text": TEXTS[name]} for name in names or ("a.wav", "b.wav", "c.wav")]


def section(folder: Path, transcriber: Transcriber, base: str | Path = "scratch", **options: Any) -> dict[str, Any]:
    return second_section(folder, made_from(base), transcriber, "keep", **options)


@pytest.mark.parametrize("content", [[], ["README.md"], ["README.md", ".gitignore", ".DS_Store"]])
def test_an_empty_folder_is_skipped(tmp_path: Path, transcriber: Transcriber, content: list[str]) -> None:
    for name in content:
        (tmp_path / name).write_text("")
    reason = f"no second data set: put a manifest and its audio into {tmp_path.as_posix()}"
    assert section(tmp_path, transcriber) == {"skipped": reason}


@pytest.mark.parametrize("folder", [Path("nowhere/second"), Path()])
def test_no_folder_is_skipped_as_well(folder: Path) -> None:
    assert isinstance(read_second(folder, WINDOW), Skipped)


def test_the_folder_of_the_repository_holds_its_note_only() -> None:
    assert isinstance(read_second(Path(__file__).parents[1] / "data/second", WINDOW), Skipped)


def test_the_rates_are_those_of_the_texts_that_the_model_hears(tmp_path: Path, transcriber: Transcriber) -> None:
    found = section(write(tmp_path, plain()), transcriber)
    clips = read_second(tmp_path, WINDOW)
    assert not isinstance(clips, Skipped)
    texts = [item.text for item in transcriber.transcribe(clips.sounds, "t")]
    normal = [[normalize(text, "az") for text in column] for column in (list(TEXTS.values())[:2], texts[:2])]
    total = corpus_score(score_utterances(*normal))
    assert {**found, **total.as_plain()} == found
    assert found["wer_low"] <= found["wer"] <= found["wer_high"]
    assert found["cer_low"] <= found["cer"] <= found["cer_high"]
    emitted = len(normalize(texts[2], "az").split())
    assert found["silence"] == {"clips": 1, "clips_with_output": int(emitted > 0), "words_emitted": emitted}
    assert found["baseline"] == {"skipped": "trained from scratch: there is no base model"}
    json.dumps(found, allow_nan=False)


def test_what_cannot_be_scored_is_counted_by_reason(tmp_path: Path, transcriber: Transcriber) -> None:
    rows = plain("a.wav", "c.wav", "d.flac")
    rows += [{"audio": name, "text": "Salam"} for name in ("broken.wav", "absent.wav", "long.wav", "../a.wav")]
    write(tmp_path, rows)
    (tmp_path / "broken.wav").write_bytes(wav_bytes(tone(1.0))[:9000])
    (tmp_path / "long.wav").write_bytes(wav_bytes(tone(WINDOW + 0.01)))
    found = section(tmp_path, transcriber)
    assert found["rejected"] == {"audio.missing": 1, "audio.truncated": 1, "path.unsafe": 1, "signal.too_long": 1}
    assert found["clips"] + found["silence"]["clips"] + sum(found["rejected"].values()) == len(rows)


def test_a_clip_as_long_as_the_window_is_heard(tmp_path: Path) -> None:
    write(tmp_path, plain("a.wav"))
    (tmp_path / "a.wav").write_bytes(wav_bytes(tone(WINDOW)))
    found = read_second(tmp_path, WINDOW)
    assert not isinstance(found, Skipped)
    assert [len(found.rows), found.rejected] == [1, {}]


def test_nothing_is_forgotten_by_a_model_that_is_its_base(
    tmp_path: Path, transcriber: Transcriber, bases: Path
) -> None:
    base = section(write(tmp_path, plain()), transcriber, bases / "same")["baseline"]
    assert [base[f"wer_difference{end}"] for end in ("", "_low", "_high")] == [0, 0, 0]


def test_another_base_differs_by_the_difference_of_the_rates(
    tmp_path: Path, transcriber: Transcriber, bases: Path
) -> None:
    found = section(write(tmp_path, plain()), transcriber, bases / "other")
    base = found["baseline"]
    assert base["wer_difference"] == pytest.approx(found["wer"] - base["wer"])
    assert base["cer"] != found["cer"]
    assert base["silence"]["clips"] == 1


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.tsv", "manifest.jsonl"])
def test_every_kind_of_manifest_is_read_and_groups_where_it_names_them(tmp_path: Path, name: str) -> None:
    rows = [{**row, "group": f"speaker {place % 2}"} for place, row in enumerate(plain())]
    found = read_second(write(tmp_path, rows, name), WINDOW)
    assert not isinstance(found, Skipped)
    assert [(row.text, row.group) for row in found.rows] == [(row["text"], row["group"]) for row in rows]


def test_clips_of_one_speaker_are_one_group_of_the_interval(tmp_path: Path, transcriber: Transcriber) -> None:
    rows = [{**row, "group": "one"} for row in plain()]
    assert section(write(tmp_path, rows), transcriber)["groups"] == 1
    assert section(write(tmp_path, plain()), transcriber)["groups"] == 2


@pytest.mark.parametrize(
    ("language", "text", "form", "version"),
    [
        ("az", "IŞIQ", "ışıq", "own"),
        ("tr", "IŞIK", "ışık", "own"),
        ("ru", "Привет, Ёж!", "привет ёж", "whisper-basic"),
        ("en", "It's IRON", "it s iron", "whisper-basic"),
    ],
)
def test_a_language_without_a_normaliser_of_ours_has_whispers(
    language: str, text: str, form: str, version: str
) -> None:
    found = normalizer_of(language, "keep")
    assert found.form(text).strip() == form
    assert (found.version == version) == (version == "whisper-basic")
    assert found.as_plain()["language"] == language


def test_numbers_become_words_only_where_the_language_allows_it() -> None:
    assert normalizer_of("az", "words").form("5 alma") == "beş alma"
    assert [normalizer_of(language, "words").numbers for language in ("az", "ru")] == ["words", "keep"]
    assert normalizer_of("ru", "words").form("5 яблок").strip() == "5 яблок"


def test_the_models_are_told_the_language_of_the_data_set(
    tmp_path: Path, transcriber: Transcriber, bases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    original = Transcriber.transcribe

    def noted(self: Transcriber, *args: Any) -> Any:
        asked.append(self.language)
        return original(self, *args)

    monkeypatch.setattr(Transcriber, "transcribe", noted)
    write(tmp_path, [{"audio": "a.wav", "text": "Привет"}])
    found = section(tmp_path, transcriber, bases / "other", language="ru")
    assert asked == ["ru", "ru"]
    assert found["normalizer"] == {"language": "ru", "version": "whisper-basic", "hash": None, "numbers": "keep"}


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{"audio": "a.wav", "sentence": "x"}], "no column 'text' among audio, sentence"),
        ([{"path": "a.wav", "text": "x"}], "no column 'audio' among path, text"),
        (plain("a.wav", "a.wav"), "duplicate_id"),
        (plain("c.wav"), "no clip with words is left to score"),
        ([{"audio": "absent.wav", "text": "x"}], "audio.missing: 1"),
        ([], "manifest.empty"),
    ],
    ids=["text", "audio", "twice", "silence", "absent", "empty"],
)
def test_a_data_set_that_cannot_be_scored_is_refused(
    tmp_path: Path, transcriber: Transcriber, rows: list[dict[str, str]], problem: str
) -> None:
    with pytest.raises(UserError, match=problem):
        section(write(tmp_path, rows), transcriber)


@pytest.mark.parametrize(
    ("names", "problem"),
    [(["a.wav", "list.csv"], "holds a.wav but none of"), (["manifest.csv", "manifest.tsv"], "keep one of them")],
)
def test_a_folder_whose_manifest_is_in_doubt_is_refused(tmp_path: Path, names: list[str], problem: str) -> None:
    for name in names:
        (tmp_path / name).write_text("x")
    with pytest.raises(UserError, match=problem):
        read_second(tmp_path, WINDOW)


def test_an_unknown_language_is_refused_before_anything_is_heard(tmp_path: Path, transcriber: Transcriber) -> None:
    with pytest.raises(UserError, match="evaluate\\.second_language = 'xx'"):
        section(tmp_path, transcriber, language="xx")
