"""Disks that refuse, on purpose: for tests of scans that must pause and go on."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def sick_disk(below: Path | str, code: int = errno.ENOSPC) -> Iterator[threading.Event]:
    """Let writes of this process to files below a directory fail, for as long as the event is set.

    What is refused is ``os.pwrite`` and ``os.fsync``, which is how rows and the journal are written.

    Parameters
    ----------
    below : Path or str
    code : int
        The ``errno``: ``ENOSPC`` for a full disk, ``EIO`` for a network file system that is away.

    Yields
    ------
    threading.Event
        Set at first; clear it and the disk is well again.
    """
    root = Path(below).resolve()
    sick = threading.Event()
    sick.set()
    pwrite, fsync = os.pwrite, os.fsync

    def refuse(handle: int) -> None:
        if sick.is_set() and Path(f"/proc/self/fd/{handle}").resolve().is_relative_to(root):
            raise OSError(code, os.strerror(code))

    def sick_pwrite(handle: int, data: Any, offset: int) -> int:
        refuse(handle)
        return pwrite(handle, data, offset)

    def sick_fsync(handle: Any) -> None:
        refuse(handle)
        fsync(handle)

    os.pwrite, os.fsync = sick_pwrite, sick_fsync  # type: ignore[assignment]
    try:
        yield sick
    finally:
        os.pwrite, os.fsync = pwrite, fsync
