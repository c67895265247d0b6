"""From bytes to a promise: finds the container and asks the module that knows it."""

from collections.abc import Callable

from asr.containers import aiff, asf, au, caf, flac, matroska, mp4, mpeg, ogg, riff, sniff, wave64
from asr.containers.promise import Promise, unsupported
from asr.pcm import AudioError

READERS: dict[str, Callable[[bytes], Promise]] = {
    "WAV": riff.promise,
    "AIFF": aiff.promise,
    "AU": au.promise,
    "CAF": caf.promise,
    "W64": wave64.promise,
    "FLAC": flac.promise,
    "OGG": ogg.promise,
    "MP3": mpeg.promise,
    "MP4": mp4.promise,
    "Matroska": matroska.promise,
    "ASF": asf.promise,
}
EXTENSIONS = {
    "WAV": "wav wave bwf rf64",
    "AIFF": "aif aiff aifc",
    "AU": "au snd",
    "CAF": "caf",
    "W64": "w64",
    "FLAC": "flac",
    "OGG": "ogg oga opus spx",
    "MP3": "mp3 mpga mp2 mpa",
    "MP4": "mp4 m4a m4b mov 3gp",
    "Matroska": "webm weba mkv mka",
    "ASF": "wma asf wmv",
    "AAC": "aac",
    "AMR": "amr awb",
    "NIST SPHERE": "sph nist",
}
CONTAINER_OF = {extension: name for name, words in EXTENSIONS.items() for extension in words.split()}
"""The container that an extension announces."""


def promise(data: bytes) -> Promise:
    """What the bytes of an audio file say of themselves.

    Raises:
        AudioError: they are no audio, or contradict themselves.
    """
    name = sniff.container(data)
    text = "" if name in READERS and name != "MP3" else sniff.no_audio(data)
    if text:
        raise AudioError("audio.not_audio", f"{text} instead of audio; fetch the file again")
    if name.endswith(" video"):
        raise AudioError("audio.multi_stream", f"{name}: extract its audio with `ffmpeg -i in -vn -ar 16000 out.wav`")
    if name in READERS:
        return READERS[name](data)
    if name:
        return unsupported(name, name)
    raise AudioError("audio.undecodable", "the beginning is that of no known audio container")


def contradicts(name: str, container: str) -> bool:
    """Whether a file's name has the extension of another container; an unknown one says nothing."""
    announced = CONTAINER_OF.get(name.rpartition(".")[2].lower()) if "." in name else None
    return announced is not None and announced != ("WAV" if container == "RF64" else container)
