"""FLAC (RFC 9639): STREAMINFO, and the chain of frames, whose own numbers show whether it is whole."""

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from asr.containers.mpeg import skip_id3
from asr.containers.promise import Promise, check_form, check_length
from asr.pcm import AudioError

SYNC = re.compile(rb"\xff[\xf8\xf9]")
SMALL_BLOCKS = {1: 192, **{code: 144 << code for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}
"""Frames of a block by the code in its header; codes 6 and 7 spell the number out."""
CRC16 = 0x8005
CRC16_PERIOD = 32_767
"""The powers of x modulo x^16 + x^15 + x^2 + 1 repeat after so many."""


@dataclass(frozen=True)
class Info:
    """STREAMINFO, and where the frames begin."""

    block: int
    """Frames of each block but the last, where blocks are of one size."""
    rate: int
    channels: int
    bits: int
    total: int
    """0 where the encoder did not know."""
    md5: bytes
    start: int


@dataclass(frozen=True)
class Chain:
    """Frames that continue each other."""

    first: int
    end: int
    """Samples."""
    last: int
    """Where the last frame begins (byte)."""
    stray: int
    """First sample of a frame that follows and does not continue it; -1 if there is none."""


def promise(data: bytes) -> Promise:
    """What a FLAC file says of itself.

    Raises:
        AudioError: it is cut short, frames are missing, or STREAMINFO contradicts them.
    """
    info = _info(data)
    check_form(info.rate, info.channels)
    check_length(info.total, info.rate)
    chain = _chain(data, info)
    if chain is None:
        if info.start < len(data) or info.total:
            raise AudioError("audio.truncated", f"the FLAC of {info.total} samples ends before its first frame does")
        return Promise("FLAC", info.rate, info.channels, 0)
    _check_total(info, chain)
    # A checksum stays zero over zeros, and only one frame in 2^24 ends in three of them.
    whole = crc16(data[chain.last :]) == 0 and not data.endswith(b"\0\0\0")
    return Promise(
        "FLAC",
        info.rate,
        info.channels,
        chain.end - chain.first,
        content=None if info.total else _with_total(data, chain.end - chain.first),
        notes=() if whole else ("audio.trailing_bytes",),
        md5=info.md5 if any(info.md5) else None,
        bits=info.bits,
        failure="audio.undecodable" if whole else "audio.truncated",
    )


def _with_total(data: bytes, total: int) -> bytes:
    """The file with its number of samples filled in: libsndfile fails at the end of one that lacks it."""
    at = skip_id3(data) + 21
    return data[:at] + ((data[at] & 0xF0) << 32 | total).to_bytes(5) + data[at + 5 :]


def _info(data: bytes) -> Info:
    position, info = skip_id3(data) + 4, b""
    while position + 4 <= len(data):
        kind, size = data[position], int.from_bytes(data[position + 1 : position + 4])
        if kind & 127 == 0:
            info = data[position + 4 : position + 38]
        position += 4 + size
        if kind & 128:
            break
    if len(info) < 34 or position > len(data):
        raise AudioError("audio.truncated", "the FLAC ends before its first frame")
    fields = int.from_bytes(info[10:18])
    rate, channels, bits = fields >> 44, (fields >> 41 & 7) + 1, (fields >> 36 & 31) + 1
    return Info(int.from_bytes(info[2:4]), rate, channels, bits, fields & (1 << 36) - 1, info[18:34], position)


def _check_total(info: Info, chain: Chain) -> None:
    found = chain.end - chain.first
    if chain.stray > chain.end:
        raise AudioError("audio.undecodable", f"the FLAC frame behind sample {found} is damaged or missing")
    if chain.stray >= 0:
        raise AudioError("audio.header_length", f"other FLAC frames follow the {found} samples: two files joined?")
    if info.total and found < info.total:
        raise AudioError("audio.truncated", f"frames for {found} of the {info.total} samples in the header are there")
    if info.total and found > info.total:
        raise AudioError("audio.header_length", f"{info.total} samples in the header, but frames for {found}")


def _chain(data: bytes, info: Info) -> Chain | None:
    """Frames from the first on, each beginning at the sample where the one before ended.

    Raises:
        AudioError: a frame that continues the others has another rate or width, or another number of channels.
    """
    head = data[info.start : info.start + 4]
    found = _frame(data, info.start, info) if SYNC.match(head) else None
    if found is None:
        return None
    first, end = found
    last, stray = info.start, -1
    for match in SYNC.finditer(data, info.start + 4):
        at = match.start()
        frame = _frame(data, at, info) if data[at + 1] == head[1] else None
        if frame is None:
            continue
        if frame[0] != end:
            if _form(data[at + 2 : at + 4]) == _form(head[2:4]):
                stray = frame[0]
            continue
        if _form(data[at + 2 : at + 4]) != _form(head[2:4]):
            raise AudioError("audio.params_change", f"the form of the FLAC changes at sample {end - first}")
        last, end, stray = at, frame[1], -1
    return Chain(first, end, last, stray)


def _form(raw: bytes) -> tuple[int, int, int]:
    """Codes of rate, channels (side and mid channels are a pair) and width in bytes 2 and 3 of a frame."""
    channels = raw[1] >> 4
    return raw[0] & 15, 1 if channels > 7 else channels, raw[1] & 15


def _frame(data: bytes, at: int, info: Info) -> tuple[int, int] | None:
    """First sample and end of the frame at byte `at`, or None where its header fails its checksum."""
    if at + 6 > len(data):
        return None
    lead = 8 - (data[at + 4] ^ 255).bit_length()  # ones at the top: bytes of the number, as in UTF-8
    position = at + 4 + max(1, lead)
    if lead in (1, 8) or position + 5 > len(data):
        return None
    number = data[at + 4] & (127 >> lead)
    for byte in data[at + 5 : position]:
        number = number << 6 | byte & 63
    code, rate = data[at + 2] >> 4, data[at + 2] & 15
    frames = SMALL_BLOCKS.get(code, 0)
    if code in (6, 7):
        frames = int.from_bytes(data[position : position + code - 5]) + 1
        position += code - 5
    position += {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if not frames or rate == 15 or _crc8(data[at:position]) != data[position]:
        return None
    start = number if data[at + 1] & 1 else number * info.block
    return start, start + frames


@lru_cache(maxsize=1)
def _crc8_table() -> bytes:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value << 1 ^ 0x07 if value & 128 else value << 1) & 255
        table.append(value)
    return bytes(table)


def _crc8(raw: bytes) -> int:
    table, check = _crc8_table(), 0
    for byte in raw:
        check = table[check ^ byte]
    return check


@lru_cache(maxsize=1)
def _powers() -> NDArray[np.uint16]:
    """x^k modulo the polynomial of FLAC's CRC-16, shape = (CRC16_PERIOD,)."""
    powers, value = [], 1
    for _ in range(CRC16_PERIOD):
        powers.append(value)
        value = (value << 1 ^ CRC16 if value & 0x8000 else value << 1) & 0xFFFF
    return np.array(powers, np.uint16)


def crc16(frame: bytes) -> int:
    """The frame's remainder, 0 for a whole frame that ends with its own checksum.

    A CRC is linear, so it is the sum (XOR) of the powers of x at the bits that are set.
    """
    bits = np.flatnonzero(np.unpackbits(np.frombuffer(frame, np.uint8))[::-1])
    return int(np.bitwise_xor.reduce(_powers()[bits % CRC16_PERIOD])) if bits.size else 0
