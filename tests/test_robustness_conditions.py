"""Contract: every robustness number follows from what the model does: planted models get the numbers they deserve."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from asr.corpus.clips import Utterance
from asr.decoding.generate import Hypothesis
from asr.errors import UserError
from asr.features import Edges
from asr.pcm import SAMPLE_RATE, Pcm16
from asr.robustness.material import Heard, choose
from asr.robustness.mixing import FULL_SCALE, speech_level
from asr.robustness.noise import COLUMNS, FEWEST_VOICES, SNRS_DB, Noisy, others, under_noise
from asr.robustness.non_speech import SOUNDS, on_non_speech
from asr.robustness.quiet import DOWN_DB, when_quiet
from asr.scoring.skipped import Skipped
from tests.factories import speech_like

TEXTS = ("Salam, dünya.", "İşığı yandır.", "Saat üçə on dəqiqə qalıb.", "Bakıda hava küləkli olacaq.")
COUNT = 8
UTTERANCES = [
    Utterance(f"clip{i}", TEXTS[i % len(TEXTS)], (4000 + 640 * i) / SAMPLE_RATE, f"g{i % 2}", "test", "")
    for i in range(COUNT)
] + [Utterance("silent", "", 0.5, "g0", "test", "")]
CLIPS = {item.id: speech_like(item.duration, seed) for seed, item in enumerate(UTTERANCES)}
BY_LENGTH = {len(CLIPS[item.id]): item for item in UTTERANCES[:COUNT]}
"""Every clip has a length of its own, which no condition changes: it tells a planted model what was said."""
MATERIAL = choose(UTTERANCES, CLIPS, 100, "az", "keep")


@dataclass(frozen=True)
class Planted:
    """A recogniser that answers as it is told to, whatever else is in the batch."""

    answer: Callable[[Pcm16], str]

    def transcribe(self, clips: Sequence[Pcm16], _: str) -> list[Hypothesis]:
        return [Hypothesis(self.answer(clip), False) for clip in clips]


def said(clip: Pcm16) -> str:
    return BY_LENGTH[len(clip)].text


def snr_db(clip: Pcm16) -> float:
    """Of a clip in noise, by taking away what there is of the clean one."""
    clean = CLIPS[BY_LENGTH[len(clip)].id].astype(float)
    gain = clean @ clip / (clean @ clean)
    noise = clip - gain * clean
    return float(20 * np.log10(gain * speech_level(clean.astype(np.int16)) / np.sqrt(np.mean(noise**2))))


PERFECT = Planted(said)
MUTE = Planted(lambda _: "")
CHATTY = Planted(lambda _: "Təşəkkür edirəm!")
LOST_BELOW_7_DB = Planted(lambda clip: said(clip) if snr_db(clip) > 7 else "")


def clean(recogniser: Planted) -> Heard:
    return MATERIAL.heard(recogniser.transcribe(MATERIAL.clips, "clean"))


def noisy(recogniser: Planted) -> Noisy:
    return under_noise(recogniser, MATERIAL, clean(PERFECT), UTTERANCES, CLIPS)


def test_clips_with_words_are_chosen_by_their_ids_alone() -> None:
    chosen = [item.id for item in MATERIAL.items]
    assert sorted(chosen) == [item.id for item in UTTERANCES[:COUNT]]
    assert chosen != sorted(chosen)
    for count in (1, 3, 7):
        again = choose(UTTERANCES[::-1], CLIPS, count, "az", "keep")
        assert [item.id for item in again.items] == chosen[:count]
    assert MATERIAL.references[0] == MATERIAL.normalized(MATERIAL.items[0].text)


def test_a_split_without_words_is_refused() -> None:
    with pytest.raises(UserError, match="1 clips without a single reference word"):
        choose(UTTERANCES[COUNT:], CLIPS, 5, "az", "keep")


def test_a_perfect_model_makes_no_error_in_any_noise() -> None:
    plain = noisy(PERFECT).as_plain()
    for kind in ("white", "pink", "hum", "babble"):
        for snr in SNRS_DB:
            found = plain[kind][f"snr_{snr}_db"]
            assert (found["wer"], found["wer_difference"], found["clips"]) == (0, 0, COUNT)
    assert plain["clean"]["wer"] == 0


def test_a_model_that_is_lost_below_7_db_is_lost_at_0_and_5_db_in_every_noise() -> None:
    plain = noisy(LOST_BELOW_7_DB).as_plain()
    for kind in ("white", "pink", "hum", "babble"):
        assert [plain[kind][f"snr_{snr}_db"]["wer"] for snr in SNRS_DB] == [1, 1, 0, 0], kind
        lost = plain[kind]["snr_0_db"]
        assert lost["deletions"] == lost["words"]
        assert (lost["wer_difference"], lost["wer_difference_low"], lost["wer_difference_high"]) == (1, 1, 1)


def test_the_table_has_clean_speech_and_every_noise_at_every_ratio() -> None:
    table = noisy(LOST_BELOW_7_DB).table()
    assert table.columns == COLUMNS
    assert [row[:3] for row in table.rows] == [
        (kind, snr, float(kind != "clean" and snr < 7))
        for kind in ("clean", "white", "pink", "hum", "babble")
        for snr in SNRS_DB
    ]
    assert {row[3:] for row in table.rows} == {(clean(PERFECT).total.words, COUNT)}


def test_a_clip_meets_the_same_noise_in_any_company() -> None:
    heard: dict[int, list[bytes]] = {}

    def listen(clip: Pcm16) -> str:
        heard.setdefault(len(clip), []).append(clip.tobytes())
        return ""

    noisy(Planted(listen))
    alone = choose(UTTERANCES, CLIPS, 1, "az", "keep")
    before = {length: list(sounds) for length, sounds in heard.items()}
    heard.clear()
    under_noise(Planted(listen), alone, alone.heard([Hypothesis("", False)]), UTTERANCES[::-1], CLIPS)
    (length,) = heard
    assert heard[length] == before[length]
    assert len(set(heard[length])) == 4 * len(SNRS_DB)


def test_babble_is_made_of_other_clips_and_of_other_groups_where_there_are_enough() -> None:
    for item in MATERIAL.items:
        voices = others(item, UTTERANCES)
        assert len(voices) >= FEWEST_VOICES
        assert all(voice.text for voice in voices)
        assert {voice.group for voice in voices} == {"g0", "g1"} - {item.group}
    one_group = [replace(item, group="") for item in UTTERANCES]
    voices = others(one_group[0], one_group)
    assert len(voices) == 6
    assert one_group[0] not in voices


def test_babble_is_left_out_with_a_reason_where_clips_are_few() -> None:
    few = UTTERANCES[:4]
    material = choose(few, CLIPS, 100, "az", "keep")
    found = under_noise(PERFECT, material, material.heard(PERFECT.transcribe(material.clips, "")), few, CLIPS)
    assert isinstance(found.kinds["babble"], Skipped)
    assert "fewer than 4" in found.as_plain()["babble"]["skipped"]
    assert "babble" not in {row[0] for row in found.table().rows}


def test_words_written_where_nobody_speaks_are_counted_by_kind_of_sound() -> None:
    loud = Planted(lambda clip: "bir iki üç" if np.sqrt(np.mean((clip / FULL_SCALE) ** 2)) > 0.0099 else " . ")
    found = on_non_speech(loud, Edges((5.0, 10.0), 0.1), "az", "keep").as_plain()
    assert list(found) == list(SOUNDS)
    for kind in ("silence", "room"):
        assert (found[kind]["clips_with_output"], found[kind]["words_per_minute"]) == (0, 0), kind
    for kind in ("white", "hum", "music", "breath"):
        assert (found[kind]["clips"], found[kind]["clips_with_output"], found[kind]["words_emitted"]) == (12, 12, 36)
        assert found[kind]["words_per_minute"] == pytest.approx(60 * 36 / 48)
    assert found["silence"]["clips"] == 3


@pytest.mark.parametrize(
    ("edges", "longest", "clips"), [((0.5,), 0.5, 4), ((1.0, 3.0), 3.0, 8), ((3.0, 7.9), 3.0, 8), ((8.0,), 8.0, 12)]
)
def test_no_sound_is_longer_than_the_model_takes(edges: tuple[float, ...], longest: float, clips: int) -> None:
    lengths: list[float] = []
    listener = Planted(lambda clip: lengths.append(len(clip) / SAMPLE_RATE) or "")
    found = on_non_speech(listener, Edges(edges, 0.1), "az", "keep")
    assert max(lengths) == longest
    assert found.kinds["white"].clips == clips


def test_a_mute_model_writes_nothing_and_recalls_nothing_and_a_chatty_one_the_reverse() -> None:
    edges = Edges((10.0,), 0.1)
    silent = on_non_speech(MUTE, edges, "az", "keep").kinds.values()
    chatty = on_non_speech(CHATTY, edges, "az", "keep").kinds.values()
    assert sum(kind.words_emitted for kind in silent) == 0
    assert all(kind.words_emitted == 2 * kind.clips == 2 * kind.clips_with_output for kind in chatty)
    quiet = when_quiet(MUTE, MATERIAL, clean(MUTE)).as_plain()
    assert {level["recall"] for level in quiet.values()} == {0}


@pytest.mark.parametrize("gate_db", [10, 25, 45])
def test_a_gate_on_loudness_shows_as_lost_recall_below_it(gate_db: int) -> None:
    quietest = min(speech_level(clip) for clip in MATERIAL.clips) * 10 ** (-gate_db / 20)
    gated = Planted(lambda clip: said(clip) if speech_level(clip) >= 0.9 * quietest else "")
    found = when_quiet(gated, MATERIAL, clean(gated)).as_plain()
    for decibels in DOWN_DB:
        heard = found[f"down_{decibels}_db"]
        assert (heard["recall"], heard["wer"]) == ((1, 0) if decibels < gate_db else (0, 1))
        assert heard["wer_difference"] == heard["wer"]
    assert found["down_0_db"]["recall"] == 1


def test_a_condition_is_compared_with_the_clean_clips_it_was_made_of() -> None:
    wrong = [Hypothesis("" if i == 0 else item.text, False) for i, item in enumerate(MATERIAL.items)]
    before = MATERIAL.heard(wrong)
    plain = MATERIAL.as_plain(clean(PERFECT), before)
    assert plain["wer"] == 0
    assert plain["wer_difference"] == pytest.approx(-before.total.wer)
    assert plain["wer_difference_low"] <= plain["wer_difference"] <= plain["wer_difference_high"]
