"""Contract: joined clips are recognised as long recordings are, and times are judged by what the model says."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import AddedToken

from asr.corpus.clips import Utterance
from asr.decoding.generate import Hypothesis, Transcriber
from asr.features import Edges, LogMel
from asr.models.build import SpeechModel, generation_config
from asr.pcm import SAMPLE_RATE, Pcm16
from asr.robustness.long_form import LENGTH_SECONDS, PAUSE_SECONDS, RECORDINGS, LongForm, in_long_form, joined
from asr.robustness.material import choose
from asr.robustness.timestamps import MOST_CLIPS, TOLERANCE_SECONDS, judged, said_times, with_timestamps
from asr.scoring.skipped import Skipped
from tests.factories import speech_like
from tests.models import tiny_model, tone

WORDS = ("salam", "dünya", "hava", "külək", "işıq", "Bakı", "saat", "gecə", "səhər", "yol")


def material(count: int) -> Any:
    utterances = [
        Utterance(f"c{i}", f"{WORDS[i % 10]} {WORDS[i // 10]}", 1.5 + 0.01 * i, "g", "", "") for i in range(count)
    ]
    clips = {item.id: speech_like(item.duration, seed) for seed, item in enumerate(utterances)}
    return choose(utterances, clips, count, "az", "keep")


MANY, FEW = material(66), material(5)


def planted(answer: Callable[[str], str], chosen: Any = MANY) -> Any:
    """A recogniser of long recordings that answers with what becomes of the texts of the clips it hears whole."""
    known = [(clip.tobytes(), item.text) for clip, item in zip(chosen.clips, chosen.items, strict=True)]

    def text(heard: bytes) -> str:
        inside = sorted((heard.find(clip), said) for clip, said in known if clip in heard)
        return " ".join(said for _, said in inside)

    def transcribe(clips: Sequence[Pcm16], _: str) -> list[Hypothesis]:
        return [Hypothesis(answer(text(clip.tobytes())), False) for clip in clips]

    return SimpleNamespace(transcribe=transcribe, edges=Edges((5.0, 10.0), 0.1))


def found(answer: Callable[[str], str], chosen: Any = MANY) -> LongForm:
    perfect = chosen.heard([Hypothesis(item.text, False) for item in chosen.items])
    return in_long_form(planted(answer, chosen), chosen, perfect)


def test_clips_are_joined_to_minutes_with_pauses_between_them() -> None:
    recordings = joined(MANY.clips)
    places = [place for recording in recordings for place in recording.places]
    assert places == list(range(len(places))), "no clip twice, none left out before the last"
    assert len(recordings) == RECORDINGS
    for recording in recordings:
        clips = [MANY.clips[place] for place in recording.places]
        pauses = (len(recording.pcm) - sum(map(len, clips))) / SAMPLE_RATE / len(clips)
        assert PAUSE_SECONDS[0] < pauses < PAUSE_SECONDS[1]
        assert LENGTH_SECONDS / 2 <= len(recording.pcm) / SAMPLE_RATE < LENGTH_SECONDS + 4
        assert np.array_equal(recording.pcm[: len(clips[0])], clips[0])


def test_few_clips_make_one_recording_of_all_of_them() -> None:
    (recording,) = joined(FEW.clips)
    assert recording.places == (0, 1, 2, 3, 4)
    assert len(recording.pcm) < LENGTH_SECONDS * SAMPLE_RATE


def test_joining_is_the_same_every_time() -> None:
    assert [r.pcm.tobytes() for r in joined(MANY.clips)] == [r.pcm.tobytes() for r in joined(MANY.clips)]


@pytest.mark.parametrize("chosen", [MANY, FEW], ids=["many", "few"])
def test_a_perfect_model_makes_no_error_in_long_recordings(chosen: Any) -> None:
    perfect = found(str, chosen)
    assert (perfect.score.errors, perfect.looping) == (0, 0)
    assert perfect.score.words == perfect.short.words
    assert perfect.segments > perfect.recordings
    assert perfect.as_plain()["wer_difference"] == 0


def test_what_a_model_drops_in_long_recordings_is_deleted_and_the_short_form_beside_it_is_not() -> None:
    plain = found(lambda _: "").as_plain()
    assert plain["deletions"] == plain["words"] == plain["short_form"]["words"]
    assert (plain["wer"], plain["short_form"]["wer"], plain["wer_difference"]) == (1, 0, 1)


def test_what_a_model_adds_is_inserted_and_loops_are_counted() -> None:
    echo = found(lambda text: f"{text} təşəkkür")
    assert echo.score.insertions == echo.segments
    assert echo.looping == 0
    loop = found(lambda text: f"{text} təşəkkür təşəkkür təşəkkür təşəkkür")
    assert loop.looping == loop.recordings


@pytest.mark.parametrize(
    ("times", "seconds", "counts"),
    [
        ([0.0, 0.9], 1.0, (1, 1, 1)),
        ([0.0, 0.4, 0.4, 1.0], 1.0, (1, 1, 1)),
        ([0.0, 1.0 + TOLERANCE_SECONDS], 1.0, (1, 1, 1)),
        ([0.0, 2.9], 1.0, (1, 1, 0)),
        ([0.5, 0.2], 1.0, (1, 0, 0)),
        ([0.0], 1.0, (0, 0, 0)),
        ([], 1.0, (0, 0, 0)),
    ],
)
def test_times_are_judged_by_number_order_and_place(
    times: list[float], seconds: float, counts: tuple[int, int, int]
) -> None:
    result = judged([times, [0.0, 0.5]], [seconds, 1.0])
    assert (result.with_times - 1, result.monotone - 1, result.inside - 1) == counts
    assert result.as_plain()["with_times_share"] == result.with_times / 2


def timed_model() -> SpeechModel:
    """Random weights, a window of 3 s, and timestamp tokens behind all others."""
    torch.manual_seed(3)
    model = tiny_model(dropout=0.0)
    names = [AddedToken(f"<|{number * 0.02:.2f}|>", special=False, normalized=False) for number in range(151)]
    model.tokenizer.add_tokens(names)
    model.network.resize_token_embeddings(len(model.tokenizer), mean_resizing=False)
    model.network.generation_config = generation_config(model.network, model.tokenizer, "az")
    return model


def transcriber(model: SpeechModel, batch_size: int = 3) -> Transcriber:
    return Transcriber(model.network, model.tokenizer, LogMel(80), model.edges, "az", 1, batch_size)


def test_a_model_with_timestamp_tokens_is_asked_for_times() -> None:
    model, clips = timed_model(), [tone(0.4 + 0.1 * i, 200 + 30 * i) for i in range(MOST_CLIPS + 2)]
    times = said_times(transcriber(model), clips[:4])
    assert len(times) == 4
    for said in times:
        assert said, "the first token is a time by force"
        assert all(0 <= second <= 3.0 for second in said)
    result = with_timestamps(transcriber(model), clips)
    assert result.clips == MOST_CLIPS
    assert result == with_timestamps(transcriber(model, batch_size=32), clips)


def test_a_model_that_never_says_when_its_text_ends_has_no_times() -> None:
    model = timed_model()
    first = model.tokenizer.convert_tokens_to_ids("<|0.00|>")
    with torch.no_grad():  # the layer before has a mean of 1, so that these tokens have a score of -160
        model.network.model.decoder.layer_norm.bias.fill_(1)
        model.network.proj_out.weight[first:] = -10
    result = with_timestamps(transcriber(model), [tone(0.5), tone(1.0)])
    assert result.clips == 2
    assert result.with_times == 0


def test_without_timestamp_tokens_the_section_says_so() -> None:
    result = with_timestamps(transcriber(tiny_model()), [tone(0.5)])
    assert result == Skipped("the tokenizer has no timestamp tokens")
    assert result.as_plain() == {"skipped": "the tokenizer has no timestamp tokens"}
