"""Contract: no file that is decoded in isolation can harm, stop or hang the process that asks for it."""

import time
from collections.abc import Iterator

import numpy as np
import pytest

from asr.audio import decode
from asr.isolation import IsolatedDecoder
from asr.pcm import AudioError
from tests.bad_decoders import dangerous
from tests.factories import encoded, speech_like

FLAC = encoded(speech_like(0.3), kind="FLAC")
STEREO = encoded(np.stack([speech_like(0.3, 1), speech_like(0.3, 2)], axis=1), rate=22_050)


@pytest.fixture(scope="module")
def decoder() -> Iterator[IsolatedDecoder]:
    with IsolatedDecoder(seconds=1.0, decoder=dangerous) as isolated:
        yield isolated


@pytest.mark.parametrize("data", [FLAC, STEREO, encoded(speech_like(0.3))], ids=["flac", "stereo", "plain wav"])
def test_a_good_file_gives_the_same_sound_as_decoding_it_here(decoder: IsolatedDecoder, data: bytes) -> None:
    there, here = decoder(data, "a"), decode(data, "a")
    assert np.array_equal(there.pcm, here.pcm)
    assert [there.encoding, there.rate, there.channels, there.channel_correlation, there.channel_gap_db] == [
        here.encoding,
        here.rate,
        here.channels,
        here.channel_correlation,
        here.channel_gap_db,
    ]
    assert there.notes == here.notes


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"CRASH", "audio.decode_crash", "SIGSEGV"),
        (b"EXIT", "audio.decode_crash", "status 3"),
        (b"RAISE", "audio.decode_crash", "status 1"),
        (b"HANG", "audio.decode_timeout", "longer than 1 s"),
        (b"MEMORY", "audio.decode_crash", "memory"),
        (b"<html></html>", "audio.not_audio", "HTML"),
    ],
)
def test_a_file_that_harms_its_decoder_is_a_reason_and_the_next_file_decodes(
    decoder: IsolatedDecoder, data: bytes, code: str, words: str
) -> None:
    start = time.monotonic()
    with pytest.raises(AudioError) as caught:
        decoder(data, "bad")
    assert caught.value.code == code
    assert words in caught.value.message
    assert time.monotonic() - start < 5
    assert decoder(FLAC, "good.flac").pcm.size
