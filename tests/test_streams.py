"""Contract: Ogg, MP3 and FLAC are held to their own checksums, counts, numbers and ends."""

import hashlib
import struct
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import decode
from asr.containers import flac, ogg
from asr.containers.mpeg import parse_head
from asr.pcm import AudioError
from tests.factories import encoded, speech_like

SPEECH = speech_like(1.0)
VORBIS = encoded(SPEECH, kind="OGG", subtype="VORBIS")
OPUS = encoded(SPEECH, kind="OGG", subtype="OPUS")
MP3 = encoded(SPEECH, kind="MP3", subtype="MPEG_LAYER_III")
FLAC = encoded(SPEECH, kind="FLAC")
TRUNCATED, LONGER, DAMAGED = "audio.truncated", "audio.header_length", "audio.undecodable"
TRAILING = "audio.trailing_bytes"


def verdict(data: bytes) -> str:
    """The code of a refusal, else the notes."""
    try:
        return " ".join(decode(data).notes)
    except AudioError as error:
        return error.code


def flipped(data: bytes, byte: int, bit: int = 0) -> bytes:
    content = bytearray(data)
    content[byte] ^= 1 << bit
    return bytes(content)


# Ogg


@dataclass(frozen=True)
class Page:
    flags: int
    granule: int
    serial: int
    sequence: int
    table: bytes
    body: bytes

    def raw(self) -> bytes:
        """The page with its checksum made new."""
        head = struct.pack("<4sBBqII", b"OggS", 0, self.flags, self.granule, self.serial, self.sequence)
        rest = bytes([len(self.table)]) + self.table + self.body
        return head + struct.pack("<I", slow_crc(head + bytes(4) + rest, 32, 0x04C11DB7)) + rest


def slow_crc(data: bytes, width: int, polynomial: int) -> int:
    """Bit by bit, most significant first, from 0: the definition."""
    check, top = 0, 1 << width - 1
    for byte in data:
        check ^= byte << width - 8
        for _ in range(8):
            check = (check << 1 ^ polynomial if check & top else check << 1) & (1 << width) - 1
    return check


def pages(data: bytes) -> list[Page]:
    found, at = [], 0
    while at < len(data):
        _, _, flags, granule, serial, sequence, _, count = struct.unpack_from("<4sBBqIIIB", data, at)
        table = data[at + 27 : at + 27 + count]
        end = at + 27 + count + sum(table)
        found.append(Page(flags, granule, serial, sequence, table, data[at + 27 + count : end]))
        at = end
    return found


def joined(some: list[Page]) -> bytes:
    return b"".join(page.raw() for page in some)


def last_changed(data: bytes, **changes: int) -> bytes:
    *rest, last = pages(data)
    return joined([*rest, replace(last, **changes)])


def stream(packet: bytes, serial: int, flags: int = 6) -> Page:
    return Page(flags, 0, serial, 0, bytes([len(packet)]), packet)


def renumbered(data: bytes, serial: int) -> list[Page]:
    return [replace(page, serial=serial) for page in pages(data)]


def ogg_flac(rate: int = 16_000, samples: int = 4_000) -> bytes:
    """A FLAC of one frame, in Ogg (the mapping of xiph.org)."""
    raw = encoded(SPEECH[:samples], rate, kind="FLAC")
    start = flac._info(raw).start
    head = b"\x7fFLAC\1\0\0\1fLaC" + raw[4:42]
    comment = b"\x84\0\0\x08" + bytes(8)
    frame = raw[start:]
    table = b"\xff" * (len(frame) // 255) + bytes([len(frame) % 255])
    first = [Page(2, 0, 7, 0, bytes([len(head)]), head), Page(0, 0, 7, 1, bytes([len(comment)]), comment)]
    return joined([*first, Page(4, samples, 7, 2, table, frame)])


THEORA = stream(b"\x80theora\3\2\1" + bytes(30), 99)
OTHER_RATE = encoded(SPEECH, 8_000, kind="OGG", subtype="VORBIS")
STEREO = encoded(np.stack([SPEECH, SPEECH], axis=1), kind="OGG", subtype="VORBIS")

OGG_FAULTS = [
    ("a page without the end flag", last_changed(VORBIS, flags=0), TRUNCATED),
    ("the last page gone", joined(pages(VORBIS)[:-1]), TRUNCATED),
    ("Opus without its last page", joined(pages(OPUS)[:-1]), TRUNCATED),
    ("Opus cut in half", OPUS[: len(OPUS) // 2], TRUNCATED),
    ("only half a page", VORBIS[:20], TRUNCATED),
    ("the first page gone", joined(pages(VORBIS)[1:]), TRUNCATED),
    ("an end beyond the samples", last_changed(VORBIS, granule=len(SPEECH) + 5_000), TRUNCATED),
    ("an Opus end beyond the samples", last_changed(OPUS, granule=48_000 * 2), DAMAGED),
    ("an Opus end before the beginning", last_changed(OPUS, granule=3), LONGER),
    ("an end that is absurd", last_changed(VORBIS, granule=1 << 60), "audio.header_absurd"),
    ("a page missing", joined([*pages(VORBIS)[:1], *pages(VORBIS)[2:]]), DAMAGED),
    ("a zeroed stretch", VORBIS[:5_000] + bytes(300) + VORBIS[5_300:], DAMAGED),
    ("junk between pages", pages(VORBIS)[0].raw() + b"junk" + joined(pages(VORBIS)[1:]), DAMAGED),
    ("Theora beside Vorbis", joined([replace(THEORA, flags=2), *pages(VORBIS)]), "audio.multi_stream"),
    ("two streams one after the other", joined(pages(VORBIS) + renumbered(VORBIS, 5)), "audio.multi_stream"),
    ("8 kHz after 16 kHz", joined(pages(VORBIS) + renumbered(OTHER_RATE, 5)), "audio.params_change"),
    ("stereo after mono", joined(pages(VORBIS) + renumbered(STEREO, 5)), "audio.params_change"),
    ("Speex", joined([stream(b"Speex   " + bytes(28) + struct.pack("<IIII", 16_000, 4, 0, 1) + bytes(28), 1)]),
     "audio.unsupported_codec"),
    ("a tag behind the end", VORBIS + b"TAG" + bytes(125), TRAILING),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), [pytest.param(d, e, id=name) for name, d, e in OGG_FAULTS])
def test_an_ogg_file_that_contradicts_itself_is_refused_or_noted(data, expected):
    assert verdict(data) == expected


@given(st.binary(min_size=1, max_size=400))
def test_the_fast_checksum_of_a_page_is_the_defined_one(body):
    table = b"\xff" * (len(body) // 255) + bytes([len(body) % 255])
    raw = Page(0, 1, 2, 3, table, body).raw()
    assert [page.end for page in ogg._pages(raw)] == [len(raw)]


@pytest.mark.parametrize("byte", range(0, 4_000, 97))
def test_every_flipped_bit_of_an_ogg_file_is_found(byte):
    assert verdict(flipped(VORBIS, byte, byte % 8)) in (DAMAGED, TRUNCATED, "audio.not_audio")


def test_flac_in_ogg_decodes_and_its_hash_is_checked():
    assert np.array_equal(decode(ogg_flac()).pcm, SPEECH[:4_000])
    first, *rest = pages(ogg_flac())
    wrong = replace(first, body=first.body[:-16] + bytes(range(16)))
    assert verdict(joined([wrong, *rest])) == "audio.hash_mismatch"


@pytest.mark.parametrize("rate", [8_000, 12_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("frames", [1, 119, 960, 12_345])
def test_opus_has_the_length_that_its_last_page_says(rate, frames):
    data = encoded(np.resize(SPEECH, frames), rate, "OGG", "OPUS")
    assert abs(len(decode(data).pcm) - frames * 16_000 / rate) <= 1


# MP3


ID3V2 = b"ID3\4\0\0\0\0\2\0" + bytes(256)
ID3V1 = b"TAG" + bytes(125)
APE = b"APETAGEX" + struct.pack("<IIII", 2_000, 32, 0, 0) + bytes(8)
LYRICS = b"LYRICSBEGIN" + b"IND0000200" + b"000021" + b"LYRICS200"


def head_at(data: bytes) -> int:
    """Where the second frame begins."""
    head = parse_head(data[:4])
    assert head is not None
    return head.size(head.bits)


MP3_OTHER_RATE = encoded(speech_like(1.0), 24_000, kind="MP3", subtype="MPEG_LAYER_III")
MP3_STEREO = encoded(np.stack([SPEECH, SPEECH], axis=1), kind="MP3", subtype="MPEG_LAYER_III")
BARE = MP3[head_at(MP3) :]
"""Without the information frame."""

MP3_FAULTS = [
    ("cut by a byte", MP3[:-1], TRUNCATED),
    ("cut in half", MP3[: len(MP3) // 2], TRUNCATED),
    ("cut by two bytes without a count", BARE[:-2], TRUNCATED),
    ("two files joined", MP3 + MP3, LONGER),
    ("another rate behind", MP3 + MP3_OTHER_RATE, "audio.params_change"),
    ("stereo behind mono", BARE + MP3_STEREO, "audio.params_change"),
    ("a stretch of noise", MP3[:2_000] + b"\x55" * 900 + MP3[2_900:], DAMAGED),
    ("nothing but a tag", ID3V2, "audio.no_samples"),
    ("a tag and nonsense", ID3V2 + b"\1" * 500, DAMAGED),
    ("text behind", MP3 + b"some text at the end", TRAILING),
    ("zeros behind", MP3 + bytes(500), TRAILING),
    ("a tag in front", ID3V2 + MP3, ""),
    ("two tags in front", ID3V2 + ID3V2 + MP3, ""),
    ("a tag and zeros in front", ID3V2 + bytes(700) + MP3, ""),
    ("ID3v1 behind", MP3 + ID3V1, ""),
    ("APE and ID3v1 behind", MP3 + APE + ID3V1, ""),
    ("lyrics and ID3v1 behind", MP3 + LYRICS + ID3V1, ""),
    ("no information frame", BARE, ""),
]


@pytest.mark.parametrize(("data", "expected"), [pytest.param(d, e, id=name) for name, d, e in MP3_FAULTS])
def test_an_mp3_that_contradicts_itself_is_refused_or_noted(data, expected):
    assert verdict(data) == expected


def with_count(data: bytes, change: int) -> bytes:
    """`data` with another number of frames in its Xing header, and no number of bytes."""
    at = max(data.find(b"Xing"), data.find(b"Info"))
    count = int.from_bytes(data[at + 8 : at + 12]) + change
    return data[: at + 8] + struct.pack(">II", count, 0) + data[at + 16 :]


@pytest.mark.parametrize(("change", "expected"), [(1, ""), (0, ""), (5, TRUNCATED), (-5, LONGER)])
def test_the_count_in_an_mp3_header_may_include_the_header_itself_but_nothing_more(change, expected):
    assert verdict(with_count(MP3, change)) == expected


@pytest.mark.parametrize("data", [BARE, with_count(MP3, 1), with_count(MP3, -1), ID3V2 + BARE + ID3V1])
def test_an_mp3_without_a_true_count_is_read_to_its_end(data):
    """libsndfile alone guesses the length of a file of varying bitrate, and stops there."""
    frames = (len(decode(MP3).pcm) + 1_105) / 576  # with what the encoder put in front
    assert abs(len(decode(data).pcm) / 576 - frames) <= 2


@pytest.mark.parametrize(
    ("rate", "channels"), [(r, c) for r in (8_000, 16_000, 22_050, 32_000, 44_100) for c in (1, 2)]
)
def test_an_mp3_has_the_length_of_what_was_encoded(rate, channels):
    samples = np.tile(speech_like(0.7)[:, None], (1, channels))
    sound = decode(encoded(samples, rate, "MP3", "MPEG_LAYER_III"))
    assert abs(len(sound.pcm) - len(samples) * 16_000 / rate) <= 1


# FLAC


def with_total(data: bytes, total: int) -> bytes:
    return data[:21] + bytes([data[21] & 0xF0 | total >> 32]) + struct.pack(">I", total & 0xFFFFFFFF) + data[26:]


def without_md5(data: bytes) -> bytes:
    return data[:26] + bytes(16) + data[42:]


FLAC_FAULTS = [
    ("a total of one more", with_total(FLAC, 16_001), TRUNCATED),
    ("a total of one less", with_total(FLAC, 15_999), LONGER),
    ("a total at the end of a frame", with_total(without_md5(FLAC), 4_096), LONGER),
    ("an absurd total", with_total(FLAC, 2**36 - 1), "audio.header_absurd"),
    ("an unknown total", with_total(FLAC, 0), ""),
    ("an unknown total, cut", with_total(FLAC, 0)[:-9], TRUNCATED),
    ("no hash", without_md5(FLAC), ""),
    ("another hash", FLAC[:26] + bytes(range(16)) + FLAC[42:], "audio.hash_mismatch"),
    ("a flipped bit in the middle", flipped(FLAC, len(FLAC) // 2), DAMAGED),
    ("cut in its metadata", FLAC[:30], TRUNCATED),
    ("cut in its first frame", FLAC[:500], TRUNCATED),
    ("cut by a byte", FLAC[:-1], TRUNCATED),
    ("two files joined", FLAC + FLAC, LONGER),
    ("a tag behind", FLAC + ID3V1, TRAILING),
    ("a tag in front", ID3V2 + FLAC, ""),
    ("header alone", with_total(FLAC[: flac._info(FLAC).start], 0), "audio.no_samples"),
]


@pytest.mark.parametrize(("data", "expected"), [pytest.param(d, e, id=name) for name, d, e in FLAC_FAULTS])
def test_a_flac_that_contradicts_itself_is_refused_or_noted(data, expected):
    assert verdict(data) == expected


@pytest.mark.parametrize(("subtype", "width"), [("PCM_S8", 1), ("PCM_16", 2), ("PCM_24", 3)])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_hash_of_every_width_is_that_of_its_encoder(subtype, width, channels):
    samples = np.random.default_rng(1).integers(-(2**31), 2**31, (5_000, channels)).astype(np.int32)
    samples >>= 32 - 8 * width
    data = encoded(samples << 32 - 8 * width, kind="FLAC", subtype=subtype)
    raw = samples.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    assert data[26:42] == hashlib.md5(raw, usedforsecurity=False).digest()
    assert verdict(data) == ""
    assert verdict(flipped(data, 30)) == "audio.hash_mismatch"


@given(st.binary(max_size=60))
def test_the_fast_checksum_of_a_flac_frame_is_the_defined_one(body):
    whole = body + struct.pack(">H", slow_crc(body, 16, 0x8005))
    assert flac.crc16(whole) == 0
    assert (flac.crc16(whole[:-1] + bytes([whole[-1] ^ 1])) == 0) is False


@pytest.mark.parametrize("byte", range(45, 12_000, 397))
def test_every_flipped_bit_of_flac_audio_is_found(byte):
    assert verdict(flipped(FLAC, byte, byte % 8)) in (DAMAGED, TRUNCATED, LONGER, "audio.params_change")
