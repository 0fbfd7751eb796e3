"""Reading and writing files in places where programs or other people leave theirs: never a pipe, a device or a link."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

LARGEST = 64 * 2**20
"""More bytes than any card, spectrum or description has."""


def open_plain(path: Path, *, follow: bool = False) -> BinaryIO:
    """Open an ordinary file for reading; parameters and errors as `read_plain`."""
    # Non-blocking: the mere opening of a pipe without a writer waits for ever.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        handle = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow:
            raise OSError(errno.ELOOP, "a link, not an ordinary file", str(path)) from None
        raise
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "not an ordinary file", str(path))


def read_plain(path: Path, limit: int = LARGEST, *, follow: bool = False) -> bytes:
    """Return the content of an ordinary file.

    Parameters
    ----------
    path : Path
    limit : int
        The most bytes that are read.
    follow : bool
        Whether `path` may be a link, as the path that a user gives may.

    Raises
    ------
    OSError
        It cannot be opened, is a link, pipe, device or directory, or is larger than `limit`; ``strerror`` says which.
    """
    with open_plain(path, follow=follow) as file:
        size = os.fstat(file.fileno()).st_size
        # Not all that is allowed at once: so much memory would be asked for.
        content = file.read(size + 1) if size <= limit else b""
        if size < len(content) <= limit:
            # It grows, or the system does not say how large it is.
            content += file.read(limit + 1 - len(content))
    if max(size, len(content)) > limit:
        raise OSError(errno.EFBIG, f"{max(size, len(content))} bytes; expected at most {limit}", str(path))
    return content


def write_new(path: Path, content: bytes) -> None:
    """Write a file that takes the place of whatever has its name: a link there is replaced, never followed.

    Raises
    ------
    OSError
    """
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
