"""Decodes in a child process that may crash, hang or grow without harm to this one.

libsndfile and the libraries under it are C code that reads files made by strangers; soundfile#385 and
pytorch/audio#65 report a hang and a crash on broken ones. Sending a clip to another process costs half a
millisecond, so prepare decodes in its workers and comes here only with the clips of a part whose worker
was lost.
"""

import json
import multiprocessing
import resource
import signal
from dataclasses import fields
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import numpy as np

from asr.audio import decode, plain_wav
from asr.errors import UserError
from asr.pcm import AudioError, Decode, Encoded, Sound

DECODE_SECONDS = 10.0
"""Longest that decoding one file may take. A half-hour MP3, far beyond any utterance, takes about two."""
DECODE_BYTES = 8 << 30
"""Address space of the child; far more than a file within the caps of `asr.audio` needs."""


class IsolatedDecoder:
    """A `Decode` whose work happens in a child process, which is replaced when it is lost.

    A context manager: leaving it ends the child.
    """

    def __init__(self, seconds: float = DECODE_SECONDS, decoder: Decode = decode) -> None:
        self._seconds = seconds
        self._decoder = decoder
        self._child: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> "IsolatedDecoder":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def __call__(self, data: Encoded, name: str = "", /) -> Sound:
        """The sound in `data`.

        Raises:
            AudioError: whatever the decoder refuses; `audio.decode_timeout` or `audio.decode_crash` where it
                does not come back.
        """
        if plain_wav(data) is not None:
            return decode(data, name)  # reads it without foreign code
        answer = self._ask(data, name)
        if isinstance(answer, AudioError):
            raise answer
        return answer

    def _ask(self, data: Encoded, name: str) -> Sound | AudioError:
        pipe = self._started()
        try:
            pipe.send_bytes(name.encode("utf-8", "surrogateescape"))
            pipe.send_bytes(data)
            if not pipe.poll(self._seconds):
                self._end()
                return AudioError("audio.decode_timeout", f"decoding takes longer than {self._seconds:g} s")
            return _unpacked(json.loads(pipe.recv_bytes()), pipe)
        except (EOFError, ConnectionError):
            return AudioError("audio.decode_crash", f"the decoder ended with {self._last_words()}")

    def _started(self) -> Connection:
        if self._pipe is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._child = context.Process(target=_serve, args=(theirs, self._decoder), daemon=True)
            self._child.start()
            theirs.close()
            self._wait_until_ready(self._pipe)
        return self._pipe

    def _wait_until_ready(self, pipe: Connection) -> None:
        """Its start is not a file's time, nor a file's fault."""
        try:
            pipe.recv_bytes()
        except EOFError as error:
            raise UserError(
                f"the process that decodes audio ends at its start ({self._last_words()}): most often memory ran out; "
                "close other programs and run again"
            ) from error

    def _last_words(self) -> str:
        """How the child ended, in words."""
        assert self._child is not None
        self._child.join()
        code = self._child.exitcode or 0
        self._end()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"

    def _end(self) -> None:
        if self._child is not None and self._pipe is not None:
            self._pipe.close()
            self._child.kill()
            self._child.join()
        self._child = self._pipe = None


def _serve(pipe: Connection, decoder: Decode) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    pipe.send_bytes(b"ready")
    while True:
        try:
            name = pipe.recv_bytes().decode("utf-8", "surrogateescape")
            data = pipe.recv_bytes()
        except EOFError:
            return
        _answer(pipe, decoder, data, name)


def _answer(pipe: Connection, decoder: Decode, data: bytes, name: str) -> None:
    """Facts as JSON, then the samples: what a broken child says is never unpickled."""
    try:
        sound = decoder(data, name)
    except AudioError as error:
        pipe.send_bytes(json.dumps({"code": error.code, "message": error.message}).encode())
    except MemoryError:
        message = f"decoding needs more than {DECODE_BYTES >> 30} GiB of memory"
        pipe.send_bytes(json.dumps({"code": "audio.decode_crash", "message": message}).encode())
    else:
        facts = {field.name: getattr(sound, field.name) for field in fields(Sound) if field.name != "pcm"}
        pipe.send_bytes(json.dumps(facts).encode())
        pipe.send_bytes(np.ascontiguousarray(sound.pcm).tobytes())


def _unpacked(facts: dict[str, Any], pipe: Connection) -> Sound | AudioError:
    if "code" in facts:
        return AudioError(facts["code"], facts["message"])
    pcm = np.frombuffer(pipe.recv_bytes(), np.int16)
    return Sound(pcm, **(facts | {"notes": tuple(facts["notes"])}))


def _limit_memory() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or hard > DECODE_BYTES:
        resource.setrlimit(resource.RLIMIT_AS, (DECODE_BYTES, hard))
