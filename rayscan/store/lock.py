"""One live scan per run directory, on one machine and across machines."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import json
import os
import socket
import time
import uuid
from pathlib import Path
from typing import Any

from rayscan.errors import RunLockedError, StoreError
from rayscan.plain_file import read_plain
from rayscan.store.files import disk_error

NAME = "lock"
BEAT = 20.0
"""Seconds between signs of life."""
STALE = 120.0
"""Seconds without a sign of life after which a holder on another machine counts as dead."""
_ATTEMPTS = 5
LARGEST = 2**16
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


class RunLock:
    """Holds the lock file of a run directory.

    Two means together: ``flock``, which the kernel releases when the holder dies and which NFS carries between
    machines; and, for file systems that do not, the holder's name in the file with a sign of life in its time stamp.
    The file is never removed, so that nobody can hold a lock on a name that is gone.

    Raises
    ------
    RunLockedError
        Another live scan holds it; names the holder.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self._token = uuid.uuid4().hex
        self._last_beat = time.monotonic()
        try:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise disk_error(directory, "lock the run directory", error) from error
        try:
            self._acquire(directory)
        except BaseException:
            os.close(self._handle)
            raise

    def beat(self) -> None:
        """Show a sign of life if one is due.

        Raises
        ------
        RunLockedError
            Another scan has taken the directory over (this one was suspended for long, or its network was).
        """
        if time.monotonic() - self._last_beat < BEAT:
            return
        self._last_beat = time.monotonic()
        try:
            holder = _holder_in(self.path)
        except FileNotFoundError:
            holder = {}
        except OSError:
            # A file system that is away says nothing about who is there.
            return
        if holder.get("token") != self._token:
            msg = (
                f"{self.path.parent}: {_name(holder)} took this run over while this scan gave no sign of life; "
                "stop one of the two"
            )
            raise RunLockedError(errno.EWOULDBLOCK, msg)
        # A full or failing disk must not end a scan that only wanted to say that it lives.
        with contextlib.suppress(OSError):
            os.utime(self.path)

    def release(self) -> None:
        """Let the next scan in."""
        with contextlib.suppress(OSError, StoreError):
            if read_holder(self.path.parent).get("token") == self._token:
                os.ftruncate(self._handle, 0)
        os.close(self._handle)

    def _acquire(self, directory: Path) -> None:
        kernel = _kernel_lock(self._handle, directory)
        holder = read_holder(directory)
        if holder and _may_live(self.path, holder, kernel=kernel):
            raise _locked(directory, holder)
        mine = {"rayscan": NAME, "host": socket.gethostname(), "pid": os.getpid(), "since": time.time(),
                "token": self._token}  # fmt: skip
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, json.dumps(mine).encode(), 0)
            os.fsync(self._handle)
        except OSError as error:
            raise disk_error(directory, "lock the run directory", error) from error


def live_holder(path: Path | str) -> dict[str, Any] | None:
    """Return who is scanning into a run directory now (``host``, ``pid``, ``since``), or None.

    Only looks: nothing is left behind, and a scan that starts at this moment is not disturbed.
    """
    directory = Path(path).expanduser()
    holder = read_holder(directory)
    if not holder:
        return None
    handle = os.open(directory / NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    kernel = True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            return holder
        kernel = False
    finally:
        os.close(handle)
    return holder if _may_live(directory / NAME, holder, kernel=kernel) else None


def _kernel_lock(handle: int, directory: Path) -> bool:
    """Take the kernel's lock; False where the file system has none."""
    for attempt in range(_ATTEMPTS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return False
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise disk_error(directory, "lock the run directory", error) from error
            if attempt + 1 == _ATTEMPTS:
                raise _locked(directory, read_holder(directory)) from None
            # Somebody who only looks holds it for microseconds.
            time.sleep(0.02)
        else:
            return True
    return False


def read_holder(directory: Path) -> dict[str, Any]:
    """Return who holds a run directory (``host``, ``pid``, ``since``), or nothing."""
    try:
        return _holder_in(directory / NAME)
    except OSError:
        return {}


def _holder_in(path: Path) -> dict[str, Any]:
    try:
        holder = json.loads(read_plain(path, LARGEST) or b"{}")
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def _may_live(path: Path, holder: dict[str, Any], *, kernel: bool) -> bool:
    if holder.get("host") == socket.gethostname():
        # The kernel's lock on one machine is exact: whoever held it is dead.
        return not kernel and process_exists(holder.get("pid"))
    return time.time() + _clock_ahead(path.parent) - path.stat().st_mtime < STALE


def process_exists(pid: object) -> bool:
    """Whether there is a process of this number on this machine."""
    try:
        os.kill(int(str(pid)), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


@functools.lru_cache(maxsize=64)
def _clock_ahead(directory: Path) -> float:
    """Return by how much the clock that stamps the directory's files, which may be another machine's, is ahead, in s.

    Asked once: who looks again and again writes nothing.
    """
    probe = directory / f".clock-{uuid.uuid4().hex}.part"
    try:
        probe.touch()
        return probe.stat().st_mtime - time.time()
    except OSError:
        return 0.0
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _name(holder: dict[str, Any]) -> str:
    since = holder.get("since")
    when = f" since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(since))}" if isinstance(since, float) else ""
    return f"process {holder.get('pid', '?')} on {holder.get('host', 'an unknown machine')}{when}"


def _locked(directory: Path, holder: dict[str, Any]) -> RunLockedError:
    here = holder.get("host") == socket.gethostname()
    after = "" if here else f", or wait {STALE:.0f} s if that machine is dead"
    msg = (
        f"{directory}: {_name(holder)} is scanning into this directory; stop it with "
        f"'rayscan stop {directory}'{after}, or choose another directory"
    )
    return RunLockedError(errno.EWOULDBLOCK, msg)
