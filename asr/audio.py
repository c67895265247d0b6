"""Decodes audio to mono 16 kHz PCM16, or says with a reason code why it cannot be done faithfully.

libsndfile is silent about much that is wrong (a WAV cut in half reports the half as the whole). So
`asr.containers` reads first what the bytes promise, and the decoded samples are held to it. The codes
of `AudioError` are listed in `docs/bad-data.md`.
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from asr.containers import foreign, read, riff
from asr.containers.blocks import FloatCheck, Mixer, floats, packed
from asr.containers.promise import MAX_RATE, Promise, check_form, check_length, max_seconds, recordings
from asr.pcm import SAMPLE_RATE, AudioError, Encoded, Pcm16, Sound

MAX_BYTES = 1 << 30
FULL_SCALE = 32_768
"""PCM16 steps from zero to full scale."""
BLOCK = 1 << 20
"""Frames read at once: bounds what a false header makes this process allocate (32 MiB for 8 channels)."""
LITTLE_INT16 = np.dtype("<i2")
PLAIN = "WAV PCM_16"
FOREIGN_DELAY = 4096
"""Frames: four blocks of AAC, which its encoders add and its decoders may or may not take away."""
HASHED = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}
"""Bits a sample of the FLAC forms whose MD5 can be checked."""
WAV_HEAD = Struct("<4sI8sIHHIIHH4sI")
"""The canonical WAV header of 44 bytes."""
PLAIN_FORM = (b"WAVEfmt ", 16, riff.PCM, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16, b"data")
"""Its fields from the third on, but for the size, for what is stored as it comes."""


def decode_file(path: Path) -> Sound:
    """Decodes a regular file; see `decode`.

    Raises:
        AudioError: the file is absent, unreadable or too large, or `decode` refuses its content.
    """
    return decode(read_file(path), path.name)


def decode_recording(path: Path) -> Sound:
    """The same for a file of up to 12 h, which no clip of a corpus may be.

    Raises:
        AudioError: as `decode_file`.
    """
    with recordings():
        return decode_file(path)


def read_file(path: Path) -> bytes:
    """The bytes of a regular file.

    Raises:
        AudioError: it is absent, unreadable or larger than `MAX_BYTES`.
    """
    try:
        if not path.is_file():
            raise AudioError("audio.missing", "no such file")
        _check_bytes(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise AudioError("audio.unreadable", f"the file cannot be read: {error.strerror}") from error


def decode(data: Encoded, name: str = "", /) -> Sound:
    """Decodes a file's bytes; `name` is only asked whether its extension tells the truth.

    PCM16 at 16 kHz in one channel is returned bit for bit. Anything else goes through float32: mean of
    the channels, soxr's HQ resampler, rounding to the nearest step with saturation.

    Raises:
        AudioError: the bytes are no audio, are cut short, or cannot be rendered without guessing.
    """
    sound = plain_wav(data)
    if sound is None:
        sound = _decode_any(bytes(data))
    if read.contradicts(name, sound.encoding.split()[0]):
        return replace(sound, notes=(*sound.notes, "audio.wrong_extension"))
    return sound


def plain_wav(data: Encoded) -> Sound | None:
    """The sound of a faultless RIFF WAV of PCM16, mono, 16 kHz, without libsndfile; None for anything else.

    The samples are read-only and share the memory of `data`.
    """
    length = len(data)
    if not WAV_HEAD.size < length <= 2 * SAMPLE_RATE * max_seconds():
        return None
    magic, stated, *form, size = WAV_HEAD.unpack_from(data)
    if magic != b"RIFF":
        return None
    if tuple(form) == PLAIN_FORM and size + 44 == length == stated + 8 and size % 2 == 0:
        return Sound(np.frombuffer(data, LITTLE_INT16, size // 2, 44), PLAIN, SAMPLE_RATE, 1)
    place = riff.plain_samples(bytes(data))
    if place is None:
        return None
    start, size = place
    pcm = np.require(np.frombuffer(data, LITTLE_INT16, size // 2, start), requirements="A")
    return Sound(pcm, PLAIN, SAMPLE_RATE, 1)


def wav_bytes(pcm: Pcm16) -> bytes:
    """A WAV file of mono 16 kHz PCM16, shape = (samples,); equal samples give equal bytes."""
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def _check_bytes(size: int) -> None:
    if size > MAX_BYTES:
        raise AudioError("audio.header_absurd", f"{size} bytes; the cap is {MAX_BYTES}: cut it into utterances")


def _decode_any(data: bytes) -> Sound:
    """Decodes what is not a plain WAV, or says why not."""
    if not data:
        raise AudioError("audio.zero_bytes", "the file is empty")
    _check_bytes(len(data))
    promise = read.promise(data)
    if promise.codec:
        return _foreign(data, promise)
    if promise.frames == 0:
        raise AudioError("audio.no_samples", "a header without samples")
    check_length(promise.frames or 0, promise.rate or SAMPLE_RATE)
    try:
        with soundfile.SoundFile(io.BytesIO(promise.content or data)) as file:
            return _read(file, promise)
    except soundfile.LibsndfileError as error:
        raise AudioError(promise.failure, f"libsndfile: {error.error_string}") from error


def _read(file: soundfile.SoundFile, promise: Promise) -> Sound:
    """Decodes to the end and holds the result to the promise; raises AudioError where they differ."""
    check_form(file.samplerate, file.channels)
    if file.channels != promise.channels:
        raise AudioError("audio.bad_format", f"{promise.channels} channels in the header, {file.channels} decoded")
    mixer, check, digest = Mixer(file.channels), FloatCheck(), hashlib.md5(usedforsecurity=False)
    hashed = promise.md5 is not None and HASHED.get(file.subtype) == promise.bits
    for block in _blocks(file, promise, hashed):
        if hashed:
            digest.update(packed(block, promise.bits))
        if file.subtype in ("FLOAT", "DOUBLE"):
            check.add(block)
        mixer.add(block)
        check_length(mixer.frames, file.samplerate)
    check.judge()
    if promise.frames is None and file.frames <= max_seconds() * file.samplerate:
        promise = replace(promise, frames=file.frames, rate=file.samplerate)
    _compare(mixer.frames, file.samplerate, promise, promise.slack)
    if hashed and digest.digest() != promise.md5:
        raise AudioError("audio.hash_mismatch", "the samples have another MD5 than the one their encoder stored")
    return _sound(mixer, f"{promise.container} {file.subtype}", file.samplerate, promise.notes)


def _blocks(file: soundfile.SoundFile, promise: Promise, hashed: bool) -> Iterator[NDArray[Any]]:
    """All samples, shape = (frames, channels), as integers where their width or their MD5 is wanted."""
    dtype = "int32" if hashed else "float32"
    dtype = {"PCM_16": "int16", "DOUBLE": "float64"}.get(file.subtype, dtype)
    room = min(BLOCK, max(1, file.frames))
    left = max_seconds() * MAX_RATE if promise.limit is None else promise.limit
    try:
        while len(block := file.read(min(room, left), dtype=dtype, always_2d=True)):
            left -= len(block)
            yield block
    except soundfile.LibsndfileError as error:
        message = f"{promise.container} stops decoding: cut short or damaged ({error.error_string})"
        raise AudioError(promise.failure, message) from error


def _compare(frames: int, rate: int, promise: Promise, slack: int) -> None:
    """Raises AudioError where more or fewer frames came out than the file's own bytes promise."""
    if promise.frames is None:
        if not frames:
            raise AudioError("audio.no_samples", "a header without samples")
        return
    wanted = promise.frames * rate / (promise.rate or rate)
    if frames < wanted - slack:
        raise AudioError("audio.truncated", f"{frames} of the {wanted:.0f} frames in the header are there")
    if frames > wanted + slack:
        raise AudioError("audio.header_length", f"{wanted:.0f} frames in the header, but {frames} decoded")


def _foreign(data: bytes, promise: Promise) -> Sound:
    """Decodes what libsndfile cannot, where another decoder is installed."""
    samples, rate = foreign.decoded(data, promise)
    slack = max(rate // 10, (promise.frames or 0) // 100, FOREIGN_DELAY)
    _compare(len(samples), rate, promise, slack)
    mixer = Mixer(samples.shape[1])
    mixer.add(samples)
    return _sound(mixer, f"{promise.container} {promise.codec}", rate, promise.notes)


def _sound(mixer: Mixer, encoding: str, rate: int, notes: tuple[str, ...]) -> Sound:
    mono = mixer.mono()
    if not mono.size:
        raise AudioError("audio.no_samples", "a header without samples")
    if rate != SAMPLE_RATE:
        mono = soxr.resample(floats(mono), rate, SAMPLE_RATE, quality="HQ")
        notes = (*notes, "signal.resampled")
    return Sound(_pcm16(mono), encoding, rate, mixer.channels, mixer.correlation(), mixer.gap_db(), notes)


def _pcm16(mono: NDArray[Any]) -> Pcm16:
    """Rounded to the nearest step, beyond full scale to the last; PCM16 as it is."""
    if mono.dtype == np.int16:
        return mono
    steps = floats(mono) * np.float32(FULL_SCALE)
    np.clip(np.rint(steps, out=steps), -FULL_SCALE, FULL_SCALE - 1, out=steps)
    return steps.astype(np.int16)
