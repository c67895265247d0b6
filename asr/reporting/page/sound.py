"""The clips of the page as sound: MP3, small enough for a page that is one file, the same bytes every time.

MP3 plays in every browser. Opus would sound better at this size, but libsndfile gives each Ogg stream a random number.
"""

import base64
import io
from collections.abc import Mapping, Sequence

from tqdm import tqdm

from asr.corpus.clips import Clips
from asr.pcm import SAMPLE_RATE, Pcm16

BUDGET = 13_000_000
"""Characters of base64 in one page: a page of 1,000 clips stays below 15 MB with its pictures and texts."""
FINE = 0.8
"""libsndfile's compression level that means 44 kbit/s at 16 kHz: hardly worse than the original."""
COMPACT = 0.94
"""21 kbit/s: intelligible, dull above 4 kHz; taken where a page of `FINE` clips would be too large."""
FINE_RATE = 6_000
"""More bytes a second than `FINE` takes, headers of short clips included."""


def embedded(ids: Sequence[str], seconds: float, clips: Clips) -> Mapping[str, str]:
    """Base64 of the MP3 of each clip, as far as `BUDGET` reaches.

    Args:
        ids: the clips, those that matter most first.
        seconds: length of all of them together.
        clips: their samples.

    Raises:
        UserError: the store has no such clip.
    """
    level = FINE if seconds * FINE_RATE * 4 / 3 <= BUDGET else COMPACT
    sounds: dict[str, str] = {}
    left = BUDGET
    for clip_id in tqdm(ids, desc="report", unit="clip", delay=2, disable=None, leave=False):
        sound = base64.b64encode(mp3(clips[clip_id], level)).decode()
        left -= len(sound)
        if left < 0:
            break
        sounds[clip_id] = sound
    return sounds


def mp3(pcm: Pcm16, level: float) -> bytes:
    """One clip; its header says how much padding the codec added, so that players keep its length.

    Args:
        pcm: samples at 16 kHz, shape = (samples,).
        level: of compression, from 0 to 0.99.
    """
    import soundfile

    file = io.BytesIO()
    soundfile.write(
        file,
        pcm,
        SAMPLE_RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="AVERAGE",
        compression_level=level,
    )
    return file.getvalue()
