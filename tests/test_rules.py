"""Which clip earns which code, with what value and limit, and that the document lists exactly the codes there are."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.corpus.codes import ACTIONS, Action
from asr.corpus.findings import corpus_of
from asr.corpus.index import index_of
from asr.corpus.rules import NOTED, judge, rate_mislabels
from asr.corpus.thresholds import RATE, SIGNAL, WARNING
from tests.index_rows import LIMITS, index_row, limits

ROOT = Path(__file__).resolve().parent.parent

WORDS = "Sabah hava yaxşı olsa, uşaqlar bağa gedib alma yığacaqlar."


def words(characters):
    """So many characters of an ordinary sentence."""
    text = WORDS[:characters]
    assert len(text.strip()) == characters
    return text


# A fault, its code, the measured value, the limit.
REJECTED = [
    ({"duration": 0.09, "text": "o"}, "signal.too_short", 0.09, 0.1),
    ({"duration": 10.01, "text": words(50)}, "signal.too_long", 10.01, 10.0),
    ({"declared": 2.11}, "audio.duration_mismatch", 0.11, 0.1),
    ({"declared": 1.89}, "audio.duration_mismatch", 0.11, 0.1),
    ({"declared": 0.0}, "audio.duration_mismatch", 2.0, 0.1),
    ({"duration": 9.7, "declared": 10.0, "text": words(50)}, "audio.duration_mismatch", 0.3, 0.1),
    ({"channels": 2, "channel_correlation": -0.91}, "signal.antiphase", -0.91, -0.9),
    ({"rms_dbfs": -60.1}, "signal.silent_with_text", -60.1, -60.0),
    ({"clipped": 0.0101}, "signal.clipped", 0.0101, 0.01),
    ({"text": "bu", "duration": 2.5}, "text.char_rate", 0.8, 1.0),
    ({"text": words(51), "duration": 2.0}, "text.char_rate", 25.5, 25.0),
]

WARNED = [
    ({"clipped": 0.0011}, "signal.some_clipping", 0.0011, 0.001),
    ({"clipped": 0.01}, "signal.some_clipping", 0.01, 0.001),
    ({"channels": 2, "channel_gap_db": 20.1}, "signal.channels_differ", 20.1, 20.0),
    ({"channels": 2, "channel_correlation": 0.49}, "signal.channels_differ", 0.49, 0.5),
    ({"channels": 2, "channel_correlation": -0.9}, "signal.channels_differ", -0.9, 0.5),
    ({"bandwidth": 4099.0}, "signal.narrowband", 4099.0, 4100.0),
    ({"lead_silence": 1.01}, "signal.long_silence", 1.01, 1.0),
    ({"tail_silence": 1.01}, "signal.long_silence", 1.01, 1.0),
    ({"snr_db": 9.9}, "signal.low_snr", 9.9, 10.0),
    ({"speech_share": 0.299}, "signal.little_speech", 0.299, 0.3),
    ({"speech_share": 0.0}, "signal.little_speech", 0.0, 0.3),
    ({"tone_share": 0.91}, "signal.tone", 0.91, 0.9),
    ({"edge_db": -9.9}, "signal.cut_edge", -9.9, -10.0),
    ({"zero_run": 0.051}, "signal.dropout", 0.051, 0.05),
    ({"text": words(5), "duration": 2.0}, "text.unusual_rate", 2.5, 4.0),
    ({"text": words(45), "duration": 2.0}, "text.unusual_rate", 22.5, 22.0),
    ({"text": ""}, "signal.negative_example", None, None),
    ({"notes": "audio.wrong_extension"}, "audio.wrong_extension", None, None),
    ({"notes": "signal.resampled audio.trailing_bytes"}, "audio.trailing_bytes", None, None),
]

SOUND = [
    {},
    {"duration": 0.1, "text": "ha"},
    {"duration": 10.0, "text": words(40)},
    {"declared": 2.1},
    {"declared": 1.9},
    {"declared": None},
    {"channels": 2, "channel_correlation": 0.5, "channel_gap_db": 20.0},
    {"rms_dbfs": -60.0},
    {"clipped": 0.001},
    {"bandwidth": 4100.0},
    {"lead_silence": 1.0, "tail_silence": 1.0},
    {"snr_db": 10.0},
    {"speech_share": 0.3},
    {"speech_share": None},
    {"tone_share": 0.9},
    {"edge_db": -10.0},
    {"zero_run": 0.05},
    {"text": words(8), "duration": 2.0},
    {"text": words(44), "duration": 2.0},
    {"notes": "signal.resampled signal.dc_offset"},
]

SPEECH_ONLY = {
    "rms_dbfs": -120.0,
    "bandwidth": 0.0,
    "lead_silence": 2.0,
    "snr_db": 0.0,
    "speech_share": 0.0,
    "tone_share": 1.0,
    "edge_db": 0.0,
    "zero_run": 2.0,
}


def clip(number=0, **changes):
    """A clip at which nothing is odd, but for `changes`."""
    return index_row(number, **({"text": words(24)} | changes))


def corpus(*rows):
    return corpus_of(index_of(rows), "az")


def judged(params=LIMITS, **changes):
    """The findings of one clip."""
    return judge(corpus(clip(**changes)), params).get(0, [])


def codes(findings):
    return [finding.code for finding in findings]


@pytest.mark.parametrize(("changes", "code", "value", "limit"), REJECTED)
def test_a_bad_clip_is_rejected_with_the_measured_value_and_the_limit(changes, code, value, limit):
    (finding,) = judged(**changes)
    assert finding.code == code
    assert finding.rejects
    assert (finding.value, finding.limit) == (pytest.approx(value), pytest.approx(limit))


@pytest.mark.parametrize(("changes", "code", "value", "limit"), WARNED)
def test_an_odd_clip_is_kept_with_one_warning(changes, code, value, limit):
    (finding,) = judged(**changes)
    assert finding.code == code
    assert not finding.rejects
    assert (finding.value, finding.limit) == (value if value is None else pytest.approx(value), limit)
    assert finding.message


@pytest.mark.parametrize("changes", SOUND)
def test_a_clip_at_a_limit_is_sound(changes):
    assert judged(**changes) == []


def test_the_tables_above_hold_every_threshold():
    planted = {code for _, code, _, _ in REJECTED + WARNED}
    assert {threshold.code for threshold in (*SIGNAL, *RATE, *WARNING)} | NOTED.keys() <= planted


def test_thresholds_that_reject_and_thresholds_that_warn_stand_in_their_own_tables():
    assert {ACTIONS[threshold.code] for threshold in (*SIGNAL, *RATE)} == {Action.REJECT}
    assert {ACTIONS[threshold.code] for threshold in WARNING} | {ACTIONS[code] for code in NOTED} == {Action.WARN}


def test_a_long_clip_may_be_off_by_one_percent_of_its_stated_length():
    params = limits(max_duration=30.0, warn_slow=1.0)
    assert judged(params, duration=20.2, declared=20.0, text=WORDS) == []
    (finding,) = judged(params, duration=20.21, declared=20.0, text=WORDS)
    assert (finding.code, finding.limit) == ("audio.duration_mismatch", pytest.approx(0.2))


def test_the_message_of_a_wrong_length_names_both_lengths():
    (finding,) = judged(declared=3.5)
    assert finding.message.startswith("2 s are decoded and 3.5 s are stated")


def test_noise_and_silence_without_a_text_are_not_measured_as_speech():
    assert codes(judged(text="", **SPEECH_ONLY)) == ["signal.negative_example"]
    assert len(judged(text="salam dünya", **SPEECH_ONLY)) == len(SPEECH_ONLY)


def test_only_a_text_that_is_literally_empty_makes_an_example_of_silence():
    assert codes(judged(text=" \u200b\n", rms_dbfs=-120.0)) == ["text.empty"]


def test_faults_of_the_sound_count_without_a_text_as_well():
    assert codes(judged(text="", clipped=0.5)) == ["signal.clipped", "signal.negative_example"]


def test_a_rejected_clip_is_not_warned_of_the_same_thing_too():
    assert codes(judged(clipped=0.5)) == ["signal.clipped"]
    assert codes(judged(channels=2, channel_correlation=-1.0)) == ["signal.antiphase"]
    assert codes(judged(text="ha", duration=8.0)) == ["text.char_rate"]


def test_a_code_is_reported_once_a_clip():
    assert codes(judged(channel_gap_db=90.0, channel_correlation=0.0)) == ["signal.channels_differ"]


def test_a_clip_that_was_not_decoded_keeps_the_reason_of_prepare_and_no_other():
    zeros = dict.fromkeys(("duration", "bandwidth", "snr_db", "channel_correlation"), 0.0)
    zeros |= {"text": "<|x|>!" * 60}
    found = judged(code="audio.truncated", message="half of it", rms_dbfs=-120.0, notes="audio.trailing_bytes", **zeros)
    assert [(finding.code, finding.message) for finding in found] == [("audio.truncated", "half of it")]


def test_all_reasons_are_listed_in_a_fixed_order_and_warnings_after_them():
    found = judged(
        limits(max_label_tokens=20),
        duration=0.05,
        declared=9.0,
        channel_correlation=-1.0,
        rms_dbfs=-90.0,
        clipped=1.0,
        text="<|x|>!" * 20,
        snr_db=0.0,
        zero_run=0.06,
        notes="audio.trailing_bytes",
    )
    expected = [
        "audio.duration_mismatch",
        "signal.too_short",
        "signal.antiphase",
        "signal.silent_with_text",
        "signal.clipped",
        "text.special_token",
        "text.char_rate",
        "label.too_long",
        "signal.low_snr",
        "signal.dropout",
        "audio.trailing_bytes",
    ]
    assert [code for code in codes(found) if code in expected] == expected
    assert [finding.rejects for finding in found] == sorted((f.rejects for f in found), reverse=True)


def test_a_clip_of_no_length_is_judged_without_a_rate():
    assert codes(judged(duration=0.0)) == ["signal.too_short"]
    assert judged(limits(min_duration=0.0), duration=0.0) == []


@given(st.lists(st.sampled_from([changes for changes, *_ in REJECTED + WARNED] + SOUND), max_size=30))
def test_a_clip_is_judged_alike_alone_and_in_a_corpus(faults):
    rows = [clip(number, **changes) for number, changes in enumerate(faults)]
    together = judge(corpus(*rows), LIMITS)
    assert together == {n: found for n, row in enumerate(rows) if (found := judge(corpus(row), LIMITS).get(0))}


def spoken(first, clips, characters_per_second, group):
    """Clips of a group, all at the same speaking rate."""
    text = words(2 * characters_per_second)
    return [index_row(first + n, text=text, group=group) for n in range(clips)]


def mislabelled(rows, params=LIMITS, keys=None):
    clips = corpus(*rows)
    found = rate_mislabels(clips, keys or clips.index.texts["group"], clips.index.numbers["duration"] > 0, params)
    return {clips.index.texts["group"][place]: finding for place, finding in found}


def test_a_group_far_off_the_speaking_rate_of_the_corpus_is_a_mislabelled_sample_rate():
    rows = spoken(0, 40, 12, "usual") + spoken(100, 10, 6, "slow") + spoken(200, 10, 24, "fast")
    found = mislabelled(rows)
    assert {group: (f.code, f.value, f.limit) for group, f in found.items()} == {
        "slow": ("signal.rate_mislabel", 2.0, 1.7),
        "fast": ("signal.rate_mislabel", 2.0, 1.7),
    }


def test_a_group_within_the_ratio_or_with_few_clips_is_not():
    assert mislabelled(spoken(0, 40, 12, "usual") + spoken(100, 10, 20, "brisk")) == {}
    assert mislabelled(spoken(0, 40, 12, "usual") + spoken(100, 9, 24, "few")) == {}
    assert mislabelled([index_row(0, text="")]) == {}


def test_a_sentence_that_is_often_repeated_is_no_group_but_a_block_of_neighbours_is():
    rows = spoken(0, 40, 12, "usual") + spoken(100, 10, 24, "")
    keys = ["usual"] * 40 + ["the key of the others"] * 10
    assert mislabelled(rows, keys=keys) == {}
    assert list(mislabelled(rows, limits(block_clips=10), keys)) == [""]


def documented():
    """The codes in the tables of the document."""
    listed = re.findall(
        r"^\| `([a-z]+\.[a-z_]+)` \|", (ROOT / "docs" / "bad-data.md").read_text(encoding="utf-8"), re.M
    )
    assert len(listed) == len(set(listed)), "a code is listed twice"
    return set(listed)


def named_in_the_code():
    """Reason codes at the start of string constants, in all modules that may name one."""
    rooms = sorted({code.split(".")[0] for code in ACTIONS})
    pattern = re.compile(rf"((?:{'|'.join(rooms)})\.[a-z_]+)(:|$)")
    suffixes = {"csv", "json", "jsonl", "parquet", "tsv", "txt", "wav", "arrow"}
    found = set()
    for path in [*(ROOT / "asr" / "corpus").glob("*.py"), ROOT / "asr" / "audio.py", ROOT / "asr" / "text.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and (code := pattern.match(node.value)):
                found.add(code.group(1))
    return {code for code in found if code.split(".")[1] not in suffixes}


def test_the_document_lists_exactly_the_codes_there_are():
    assert documented() == ACTIONS.keys()


def test_the_code_names_no_code_without_an_action():
    assert named_in_the_code() <= ACTIONS.keys()
