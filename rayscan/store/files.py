"""Writing that survives a crash, and errors of the disk with the place and the next step in them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from rayscan.errors import StoreError

PART = ".part"
_ADVICE = {
    errno.ENOSPC: "free some space: what is not written yet is still in memory",
    errno.EDQUOT: "the quota is used up; free some space: what is not written yet is still in memory",
    errno.EACCES: "check the permissions of the directory",
    errno.EPERM: "check the permissions of the directory",
    errno.EROFS: "the file system is mounted read-only; choose another directory",
    errno.EIO: "the disk or the network file system failed; what is not written yet is still in memory",
}


def disk_error(
    path: Path, what: str, error: OSError, otherwise: str = "what is not written yet is still in memory"
) -> StoreError:
    """Return a `StoreError` that keeps the ``errno`` of `error`; `otherwise` is the advice where there is no other."""
    code = error.errno or errno.EIO
    advice = _ADVICE.get(code, otherwise)
    return StoreError(code, f"{path}: cannot {what}: {error.strerror or os.strerror(code)}; {advice}")


def sync_file(path: Path) -> None:
    """Make what was written to a file durable."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network and FUSE file systems cannot fsync a directory; the rename is then as durable as they make it.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(handle)


def make_way(path: Path, *, overwrite: bool = False) -> None:
    """Refuse to write where something is already, unless it may be replaced; create the directory where there is none.

    Raises
    ------
    StoreError
    """
    if (path.exists() or path.is_symlink()) and not overwrite:
        msg = f"{path} exists; nothing was changed, choose another name"
        raise StoreError(errno.EEXIST, msg)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(path, "write", error, "choose another place") from error


def replace_atomically(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write ``<path>.part``, then make it durable and give it its name in one step.

    Raises
    ------
    StoreError
        With the ``errno``. The unfinished file is removed and the old one is untouched.
    """
    part = path.with_name(path.name + PART)
    try:
        fill(part)
        sync_file(part)
        part.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise disk_error(path, "write", error) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file in one step; see `replace_atomically`."""

    def fill(part: Path) -> None:
        part.write_bytes(data)

    replace_atomically(path, fill)
