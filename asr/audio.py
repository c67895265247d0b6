"""Decodes audio to mono 16 kHz PCM16, or says with a reason code why it cannot be done faithfully.

libsndfile is silent about much that is wrong (a WAV cut in half reports the half as the whole), so
sizes, counts, finiteness and range are checked here. The codes of `AudioError` are listed in
`docs/bad-data.md`.
"""

import codecs
import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from asr.pcm import SAMPLE_RATE, AudioError, Pcm16

MAX_SECONDS = 1800
"""Longest clip that is decoded; Whisper's window is 30 s, so anything near this was never an utterance."""
MAX_BYTES = 1 << 30
MIN_RATE, MAX_RATE = 4_000, 192_000
MAX_CHANNELS = 8
FULL_SCALE = 32_768
"""PCM16 steps from zero to full scale."""
BLOCK = 1 << 20
"""Frames read at once: bounds what a false header makes this process allocate (32 MiB for 8 channels)."""
OPEN_SIZE = 0xFFFFFFFF
"""RIFF data size of a writer that could not seek back, or of RF64, whose `ds64` chunk holds the true one."""


def decode_file(path: Path) -> Pcm16:
    """Decodes a regular file, shape = (samples,); see `decode`.

    Raises:
        AudioError: the file is absent, unreadable or too large, or `decode` refuses its content.
    """
    try:
        if not path.is_file():
            raise AudioError("audio.missing", "no such file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise AudioError("audio.header_absurd", f"{size} bytes; the cap is {MAX_BYTES}: cut it into utterances")
        data = path.read_bytes()
    except OSError as error:
        raise AudioError("audio.unreadable", f"the file cannot be read: {error.strerror}") from error
    return decode(data)


def decode(data: bytes) -> Pcm16:
    """Decodes a file's bytes; shape = (samples,), mono, 16 kHz.

    PCM16 at 16 kHz in one channel is returned bit for bit. Anything else goes through float32: mean of
    the channels, soxr's HQ resampler, rounding to the nearest step with saturation.

    Raises:
        AudioError: the bytes are no audio, are cut short, or cannot be rendered without guessing.
    """
    if not data:
        raise AudioError("audio.zero_bytes", "the file is empty")
    _check_riff_sizes(data)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check_header(file)
            pcm = _pcm16(file)
    except soundfile.LibsndfileError as error:
        raise _refusal(data, error) from error
    if not pcm.size:
        raise AudioError("audio.no_samples", "a header without samples")
    return pcm


def wav_bytes(pcm: Pcm16) -> bytes:
    """A WAV file of mono 16 kHz PCM16, shape = (samples,); equal samples give equal bytes."""
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def _pcm16(file: soundfile.SoundFile) -> Pcm16:
    if (file.samplerate, file.channels, file.subtype) == (SAMPLE_RATE, 1, "PCM_16"):
        exact: Pcm16 = _read(file, "int16")[:, 0]
        return exact
    samples = _read(file, "float32")
    if file.subtype in ("FLOAT", "DOUBLE"):
        _check_float(samples)
    mono: NDArray[np.float32] = samples.mean(axis=1, dtype=np.float32)
    if file.samplerate != SAMPLE_RATE:
        mono = soxr.resample(mono, file.samplerate, SAMPLE_RATE, quality="HQ")
    return np.clip(np.rint(mono * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def _read(file: soundfile.SoundFile, dtype: Literal["int16", "float32"]) -> NDArray[Any]:
    """All frames in blocks, shape = (frames, channels); raises AudioError where the header promised more."""
    blocks = [np.zeros((0, file.channels), dtype)]
    try:
        while len(block := file.read(BLOCK, dtype=dtype, always_2d=True)):
            blocks.append(block)
    except soundfile.LibsndfileError as error:
        message = f"{file.format} of {file.frames} frames stops decoding: cut short or damaged ({error.error_string})"
        raise AudioError("audio.undecodable", message) from error
    samples = np.concatenate(blocks)
    if len(samples) < file.frames:
        raise AudioError("audio.truncated", f"{len(samples)} of the {file.frames} frames in the header are there")
    return samples


def _check_header(file: soundfile.SoundFile) -> None:
    if not MIN_RATE <= file.samplerate <= MAX_RATE:
        raise AudioError("audio.bad_rate", f"{file.samplerate} Hz; accepted are {MIN_RATE} to {MAX_RATE}")
    if file.channels > MAX_CHANNELS:
        raise AudioError("audio.bad_channels", f"{file.channels} channels; accepted are 1 to {MAX_CHANNELS}")
    if file.frames > MAX_SECONDS * file.samplerate:
        seconds = file.frames // file.samplerate
        raise AudioError("audio.header_absurd", f"the header claims {seconds} s; the cap is {MAX_SECONDS} s")


def _check_float(samples: NDArray[np.float32]) -> None:
    """Raises AudioError for what only files of floats can hold: NaN, infinity, magnitudes beyond full scale."""
    bad = int(np.count_nonzero(~np.isfinite(samples)))
    if bad:
        raise AudioError("signal.nonfinite", f"{bad} samples are NaN or infinite")
    peak = float(np.abs(samples).max(initial=0))
    # One step beyond is what int16 / 32767 makes of -32768; rounding saturates it without harm.
    if peak > 1 + 1 / FULL_SCALE:
        raise AudioError("signal.out_of_range", f"largest sample {peak:g}; full scale is 1")


def _check_riff_sizes(data: bytes) -> None:
    """Raises AudioError for a WAV that ends before its data chunk does: libsndfile takes the rest for the whole."""
    if data[:4] not in (b"RIFF", b"RIFX", b"RF64") or data[8:12] != b"WAVE":
        return
    order: Literal["big", "little"] = "big" if data[:4] == b"RIFX" else "little"
    position, long_size = 12, OPEN_SIZE
    while position + 8 <= len(data):
        name, size = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], order)
        body = position + 8
        if name == b"ds64":
            long_size = int.from_bytes(data[body + 8 : body + 16], "little")
        if name == b"data":
            size = long_size if size == OPEN_SIZE else size
            # A header alone is not cut short: `decode` finds that it has no samples.
            if size != OPEN_SIZE and body < len(data) < body + size:
                raise AudioError("audio.truncated", f"{len(data) - body} of the {size} bytes of samples are there")
            return
        position = body + size + size % 2
    raise AudioError("audio.truncated", "the WAV ends before its samples begin")


_FOREIGN = (
    (4, b"ftyp", "MP4/M4A"),
    (0, b"\x1aE\xdf\xa3", "WebM/Matroska"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"#!AMR", "AMR"),
    (0, b"\x30\x26\xb2\x75", "WMA"),
)
"""Offset, signature and name of formats that libsndfile lacks."""


def _refusal(data: bytes, error: soundfile.LibsndfileError) -> AudioError:
    """Why libsndfile could not open the bytes, named as precisely as their beginning allows."""
    for start, signature, name in _FOREIGN:
        if data.startswith(signature, start):
            advice = "convert it, for example with `ffmpeg -i in -ar 16000 -ac 1 out.wav`"
            return AudioError("audio.unsupported_codec", f"{name}: {advice}")
    text = _text_kind(data[:512])
    if text:
        return AudioError("audio.not_audio", f"{text} instead of audio; fetch the file again")
    return AudioError("audio.undecodable", f"libsndfile: {error.error_string}")


def _text_kind(head: bytes) -> str:
    """What kind of text `head` begins, or nothing for binary data."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head).lstrip()  # a cut last character is no error
    except UnicodeDecodeError:
        return ""
    if text.startswith("version https://git-lfs"):
        return "a Git LFS pointer (`git lfs pull` fetches the file)"
    if text.startswith(("<", "{", "[")):
        return "an HTML or XML page" if text[0] == "<" else "a JSON document"
    return "plain text" if text and all(c.isprintable() or c.isspace() for c in text) else ""
