"""Faults of rows and of splits among 66 to 76: copies, overlaps, unsafe paths, numbers that are none."""

import math
from collections.abc import Callable
from dataclasses import replace

from asr.text import upper
from tests.ugly.fault import Clip, ClipFault, Special
from tests.ugly.studio import Samples, Studio, Take, file_of
from tests.ugly.texts import text_clip

OUTSIDE = "Axşam düşəndə köhnə şəhərin küçələri tamam boşaldı."
"""A sentence of an outside test set, which `write_corpus` lays beside the corpus."""


def _clip(take: Take, text: str = "", faulty: bool = True, split: str = "train") -> Clip:
    return Clip(file_of(take.samples), text or take.text, take.seconds, faulty=faulty, split=split)


def _copies(studio: Studio) -> list[Clip]:
    """The first row is kept."""
    take = studio.spoken()
    return [_clip(take, faulty=False), _clip(take), replace(_clip(take), content=file_of(take.samples, "FLAC"))]


def _quieter(samples: Samples) -> Samples:
    return 0.4 * samples


def _near_copies(studio: Studio) -> list[Clip]:
    """Of one speaker: two speakers may say one sentence much alike."""
    take = studio.spoken()
    other = Clip(file_of(_quieter(take.samples), "OGG", "VORBIS"), take.text, take.seconds, ".ogg")
    return [replace(clip, speaker="twice") for clip in (_clip(take, faulty=False), other)]


def _contradiction(studio: Studio) -> list[Clip]:
    take = studio.spoken()
    return [_clip(take), _clip(take, studio.line())]


def _near_contradiction(studio: Studio) -> list[Clip]:
    take = studio.spoken()
    other = replace(take, samples=_quieter(take.samples))
    return [_clip(take), _clip(other, studio.line())]


def _between_splits(second: Callable[[str], str]) -> Callable[[Studio], list[Clip]]:
    """Two recordings, one of them for testing, whose texts are related."""

    def build(studio: Studio) -> list[Clip]:
        one = studio.noise("Sabah səhər tezdən böyük bacım Lənkəran şəhərinə yola düşəcək.")
        other = studio.noise(second(one.text))
        return [_clip(one, split="test", faulty=False), _clip(other)]

    return build


def _text_overlap(studio: Studio) -> list[Clip]:
    text = studio.line()
    held_out = replace(text_clip(text, studio), split="test", faulty=False)
    return [held_out, text_clip(upper(text), studio, len(text) / 13)]


def _heard_overlap(studio: Studio) -> list[Clip]:
    """The same recording, quieter and with another text, on both sides."""
    take = studio.spoken()
    other = replace(take, samples=_quieter(take.samples))
    return [_clip(take, studio.line(), faulty=False, split="test"), _clip(other)]


def _group_overlap(studio: Studio) -> list[Clip]:
    clips = [_clip(studio.noise(), split="test", faulty=False), _clip(studio.noise())]
    return [replace(clip, speaker="on both sides") for clip in clips]


def _named(name: str) -> Callable[[Studio], list[Clip]]:
    """A row with this path and no file."""
    return lambda studio: [Clip(Special.ABSENT, studio.line(), 2.0, name=name)]


def _case_clash(studio: Studio) -> list[Clip]:
    return [
        replace(_clip(studio.noise()), name="72-CASE.wav", faulty=False),
        replace(_clip(studio.noise()), name="72-case.wav"),
    ]


def _stating(stated: object) -> Callable[[Studio], list[Clip]]:
    return lambda studio: [replace(_clip(studio.noise()), stated=stated)]


def _external(studio: Studio) -> list[Clip]:
    return [_clip(studio.noise(OUTSIDE))]


UNSAFE = {
    "absolute path": "/etc/passwd.wav",
    "parent folder": "../outside.wav",
    "parent folder inside": "good/../../outside.wav",
    "NUL in a path": "72\0.wav",
    "backslash": "72\\a.wav",
    "drive letter": "C:/a.wav",
    "URL": "https://example.com/a.wav",
    "trailing space": "72 folder /a.wav",
}
FAULTS: tuple[ClipFault, ...] = (
    ClipFault(66, "copies", "manifest.duplicate_audio", _copies),
    ClipFault(66, "a copy in another rendering", "manifest.near_duplicate_audio", _near_copies),
    ClipFault(66, "another rendering in another split", "split.near_audio_overlap", _heard_overlap),
    ClipFault(67, "one recording with two texts", "manifest.conflicting_text", _contradiction),
    ClipFault(67, "two renderings with two texts", "split.near_conflicting_text", _near_contradiction),
    ClipFault(68, "a text of the test split", "split.text_overlap", _text_overlap),
    ClipFault(
        69,
        "nearly a text of the test split",
        "split.near_text_overlap",
        _between_splits(lambda text: text.replace("Lənkəran", "Lənkaran")),
    ),
    ClipFault(70, "a speaker of the test split", "split.group_overlap", _group_overlap),
    ClipFault(71, "a text of an outside test set", "split.external_overlap", _external),
    *(ClipFault(72, name, "path.unsafe", _named(path)) for name, path in UNSAFE.items()),
    ClipFault(72, "names that differ in case", "path.unsafe", _case_clash),
    ClipFault(72, "link out of the corpus", "path.unsafe", lambda studio: [Clip(Special.LINK_OUT, studio.line(), 2.0)]),
    ClipFault(76, "negative length", "manifest.bad_number", _stating(-1.0)),
    ClipFault(76, "length NaN", "manifest.bad_number", _stating(math.nan)),
    ClipFault(76, "no length", "manifest.bad_number", _stating(None)),
    ClipFault(76, "a word for a length", "manifest.bad_number", _stating("long")),
)
