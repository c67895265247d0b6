"""Good files of several forms, and ways to damage them at random: what `benchmarks/mutations.py` counts."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.factories import speech_like
from tests.ugly.headers import flac_total
from tests.ugly.studio import file_of, with_last_granule

Rng = np.random.Generator
HEADER = 64
"""Bytes at the beginning that header edits hit."""
SECONDS = 0.6
"""Of each good file."""
VARIANTS = 3
"""Good files of each form."""


@dataclass(frozen=True)
class Form:
    """A kind of good file."""

    name: str
    kind: str
    subtype: str
    rate: int = 16_000
    channels: int = 1
    checked: bool = False
    """Whether it has checksums over its samples."""

    def files(self) -> list[bytes]:
        """Good files of this form."""
        return [self._file(seed) for seed in range(VARIANTS)]

    def _file(self, seed: int) -> bytes:
        parts = [speech_like(SECONDS * self.rate / 16_000, VARIANTS * n + seed) / 32768 for n in range(self.channels)]
        return file_of(np.stack(parts, axis=1), self.kind, self.subtype, self.rate)


FORMS = (
    Form("WAV", "WAV", "PCM_16"),
    Form("WAV stereo", "WAV", "PCM_24", 44_100, 2),
    Form("WAV float", "WAV", "FLOAT"),
    Form("AIFF", "AIFF", "PCM_16"),
    Form("AU", "AU", "PCM_16", 22_050),
    Form("FLAC", "FLAC", "PCM_16", checked=True),
    Form("Ogg Vorbis", "OGG", "VORBIS", checked=True),
    Form("Ogg Opus", "OGG", "OPUS", 48_000, checked=True),
    Form("MP3", "MP3", "MPEG_LAYER_III"),
)


@dataclass(frozen=True)
class Mutation:
    """A way to damage a file."""

    name: str
    apply: Callable[[bytes, Form, Rng], bytes]
    flagged: Callable[[Form], bool]
    """Whether each such file of a form has to be refused or noted."""
    fits: Callable[[Form], bool] = lambda _: True
    may_miss_samples: bool = False
    """Whether it may hit bytes that carry no samples, such as tags: then the same samples as before are right."""


def _always(_: Form) -> bool:
    return True


def _never(_: Form) -> bool:
    return False


def _cut(data: bytes, _: Form, rng: Rng) -> bytes:
    return data[: int(rng.integers(1, len(data)))]


def _cut_near_end(data: bytes, _: Form, rng: Rng) -> bytes:
    return data[: len(data) - int(rng.integers(1, 9))]


def _header_only(data: bytes, form: Form, _: Rng) -> bytes:
    marks = {"WAV": (b"data", 8), "AIFF": (b"SSND", 16), "AU": (b".snd", 24), "FLAC": (b"fLaC", 42)}
    mark, length = marks.get(form.kind, (data[:4], 40))
    return data[: data.index(mark) + length]


def _bit_flip(data: bytes, _: Form, rng: Rng) -> bytes:
    return _with_bit(data, int(rng.integers(HEADER, len(data))), rng)


def _header_flip(data: bytes, _: Form, rng: Rng) -> bytes:
    return _with_bit(data, int(rng.integers(HEADER)), rng)


def _with_bit(data: bytes, place: int, rng: Rng) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << int(rng.integers(8))]) + data[place + 1 :]


def _header_edit(data: bytes, _: Form, rng: Rng) -> bytes:
    """One to four bytes of the header made anew."""
    length, place = int(rng.integers(1, 5)), int(rng.integers(HEADER))
    return data[:place] + rng.bytes(length) + data[place + length :]


def _zeroed(data: bytes, _: Form, rng: Rng) -> bytes:
    length = int(rng.integers(16, 2000))
    place = int(rng.integers(HEADER, max(HEADER + 1, len(data) - length)))
    return data[:place] + bytes(min(length, len(data) - place)) + data[place + length :]


def _doubled_tail(data: bytes, _: Form, rng: Rng) -> bytes:
    """The end of the file once more, as where a download was resumed at the wrong place."""
    return data + data[-int(rng.integers(64, len(data))) :]


def _two_in_one(data: bytes, form: Form, rng: Rng) -> bytes:
    return data + form.files()[int(rng.integers(VARIANTS))]


def _size(data: bytes, form: Form, rng: Rng, up: bool) -> bytes:
    """The number of bytes or of frames in the header, made larger or smaller."""
    if form.kind == "FLAC":
        total = int.from_bytes(data[18:26]) & (1 << 36) - 1
        return flac_total(data, _lie(total, rng, up))
    if form.kind == "OGG":
        return with_last_granule(data, lambda granule: granule + int(rng.integers(10_000, 1 << 30)))
    marks = {
        "WAV": ("<I", b"data", 4),
        "AU": (">I", b".snd", 8),
        "AIFF": (">I", *_aiff_field(rng)),
        "MP3": (">I", b"Info", 8),
    }
    kind, mark, offset = marks[form.kind]
    place = data.index(mark if mark in data else b"Xing") + offset
    [stated] = struct.unpack_from(kind, data, place)
    return data[:place] + struct.pack(kind, _lie(stated, rng, up)) + data[place + 4 :]


def _aiff_field(rng: Rng) -> tuple[bytes, int]:
    """Size of the samples, or their number."""
    return ((b"SSND", 4), (b"COMM", 10))[int(rng.integers(2))]


def _lie(stated: int, rng: Rng, up: bool) -> int:
    """Another positive number; off by 3 at least, since encoders of MP3 disagree by one frame."""
    return stated + int(rng.integers(3, 1 << 30)) if up else int(rng.integers(9, max(10, stated - 2)))


def _larger(data: bytes, form: Form, rng: Rng) -> bytes:
    return _size(data, form, rng, up=True)


def _smaller(data: bytes, form: Form, rng: Rng) -> bytes:
    return _size(data, form, rng, up=False)


def _float(values: Sequence[float]) -> Callable[[bytes, Form, Rng], bytes]:
    def apply(data: bytes, _: Form, rng: Rng) -> bytes:
        start = data.index(b"data") + 8
        place = start + 4 * int(rng.integers((len(data) - start) // 4))
        return data[:place] + struct.pack("<f", values[int(rng.integers(len(values)))]) + data[place + 4 :]

    return apply


def _is_float(form: Form) -> bool:
    return form.subtype == "FLOAT"


def _is_checked(form: Form) -> bool:
    return form.checked


def _is_not_mp3(form: Form) -> bool:
    return form.kind != "MP3"


MUTATIONS = (
    Mutation("cut anywhere", _cut, _always),
    Mutation("cut near the end", _cut_near_end, _always),
    Mutation("header only", _header_only, _always),
    Mutation("stated larger", _larger, _always),
    Mutation("stated smaller", _smaller, _always, lambda form: form.kind != "OGG"),  # there it is a cut by design
    Mutation("NaN", _float([np.nan]), _always, _is_float),
    Mutation("infinity", _float([np.inf, -np.inf]), _always, _is_float),
    Mutation("beyond full scale", _float([1.01, -7.0, 3e38]), _always, _is_float),
    Mutation("doubled tail", _doubled_tail, _is_not_mp3),
    Mutation("two in one", _two_in_one, _always),
    Mutation("bit flip", _bit_flip, _is_checked, may_miss_samples=True),
    Mutation("zeroed block", _zeroed, _is_checked, may_miss_samples=True),
    Mutation("bit flip in the header", _header_flip, _never),
    Mutation("header edit", _header_edit, _never),
)
