"""Contract: damaged bytes give a `Sound` or an `AudioError`, and nothing else, whatever the damage."""

import numpy as np
import pytest

from asr.audio import decode
from asr.corpus.codes import ACTIONS
from asr.pcm import AudioError, Sound
from tests.factories import encoded, speech_like
from tests.test_foreign import M4A, WEBM

SPEECH = speech_like(0.3)
FILES = {
    "WAV": encoded(SPEECH),
    "WAV of floats": encoded(SPEECH / 32768, subtype="FLOAT"),
    "AIFF": encoded(SPEECH, kind="AIFF"),
    "AU": encoded(SPEECH, kind="AU"),
    "CAF": encoded(SPEECH, kind="CAF"),
    "W64": encoded(SPEECH, kind="W64"),
    "RF64": encoded(SPEECH, kind="RF64"),
    "FLAC": encoded(SPEECH, kind="FLAC"),
    "Vorbis": encoded(SPEECH, kind="OGG", subtype="VORBIS"),
    "Opus": encoded(SPEECH, kind="OGG", subtype="OPUS"),
    "MP3": encoded(SPEECH, kind="MP3", subtype="MPEG_LAYER_III"),
    "M4A": M4A,
    "WebM": WEBM,
}
ROUNDS = 60


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """`data` with a few bytes changed, most of them near the beginning, where sizes are; half of the time cut too."""
    content = bytearray(data)
    for _ in range(random.integers(1, 5)):
        reach = min(len(content), 100) if random.random() < 0.7 else len(content)
        content[random.integers(reach)] = random.choice([0, 1, 127, 128, 255, random.integers(256)])
    return bytes(content[: random.integers(1, len(content))] if random.random() < 0.4 else content)


def outcome(data: bytes) -> Sound | AudioError:
    try:
        return decode(data, "a.wav")
    except AudioError as error:
        return error


def is_allowed(found: Sound | AudioError) -> bool:
    """A code that is listed, in one line; or samples, and notes that are listed."""
    if isinstance(found, AudioError):
        return found.code in ACTIONS and "\n" not in found.message
    return found.pcm.dtype == np.int16 and found.pcm.size > 0 and set(found.notes) <= set(ACTIONS)


@pytest.mark.parametrize("name", FILES)
def test_damage_gives_a_sound_or_a_known_code_and_nothing_else(name):
    random = np.random.default_rng(sum(name.encode()))
    files = [damaged(FILES[name], random) for _ in range(ROUNDS)]
    assert [data for data in files if not is_allowed(outcome(data))] == []
