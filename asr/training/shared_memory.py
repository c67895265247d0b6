"""Tensors from one process to another without a copy: memory that has no name, sent through a pipe.

PyTorch's own way puts them into /dev/shm, of which a container has 64 MiB, and opens a socket for each tensor. Here
the memory is a file that ends with the last process that holds it, however that ends; on Linux it is on no disk.
"""

import os
from collections.abc import Sequence
from mmap import mmap
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from tempfile import TemporaryFile
from typing import IO

import torch

from asr.errors import UserError


def shared(tensor: torch.Tensor) -> IO[bytes]:
    """The elements of a contiguous tensor on the CPU, in memory that can be sent.

    Raises:
        UserError: `data.no_shared_memory`: there is no room.
    """
    file = _nameless()
    try:
        file.write(tensor.numpy().data)
        file.flush()
    except OSError as error:
        raise UserError(
            f"data.no_shared_memory: {tensor.nbytes / 2**20:.1f} MiB of samples find no room between two processes "
            f"({error.strerror}); lower train.workers or train.batch_size, or set train.workers to 0, which needs none"
        ) from error
    return file


def send(pipe: Connection, file: IO[bytes]) -> None:
    """Hands over what `shared` made, and lets it go here."""
    with file:
        send_handle(pipe, file.fileno(), 0)  # a process id only matters on Windows


def receive(pipe: Connection, shape: Sequence[int]) -> torch.Tensor:
    """What `send` sent, as float32; it lives as long as the tensor.

    Raises:
        EOFError: the other process is gone.
    """
    descriptor = recv_handle(pipe)
    try:
        memory = mmap(descriptor, 0)
    finally:
        os.close(descriptor)
    return torch.frombuffer(memory, dtype=torch.float32).view(*shape)


def _nameless() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("samples"), "wb")
    return TemporaryFile()  # it is closed where it is sent
