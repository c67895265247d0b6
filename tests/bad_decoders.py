"""Decoders that do what foreign code may do to a process: crash, hang, take all memory, raise the unforeseen."""

import os
import signal
import time

import numpy as np

from asr.audio import decode
from asr.pcm import Encoded, Sound


def dangerous(data: Encoded, name: str = "", /) -> Sound:
    """`decode`, but for files whose first word says what to do to the process."""
    data = bytes(data)
    if data.startswith(b"CRASH"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if data.startswith(b"EXIT"):
        os._exit(3)
    if data.startswith(b"HANG"):
        time.sleep(60)
    if data.startswith(b"MEMORY"):
        np.ones(1 << 40)
    if data.startswith(b"RAISE"):
        raise RuntimeError("unforeseen")
    return decode(data, name)
