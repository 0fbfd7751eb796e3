"""The places where evaluators keep their directories: chosen, locked, and swept when their evaluators are dead."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import socket
import stat
import tempfile
from pathlib import Path

from rayscan.errors import ToolError
from rayscan.sandbox.lifeline import end_processes
from rayscan.sandbox.reaper import remove_lock, remove_tree

MEMORY = Path("/dev/shm")  # noqa: S108 - the very place is meant: a file system in memory
ROOM = 2**30
"""Free bytes that a file system in memory must have to be chosen; Ray's object store lives there, too."""


def choose_scratch(room: int = ROOM) -> tuple[Path, str]:
    """Return where sandboxes go: memory when there is room, else the disk with the reason."""
    disk = Path(tempfile.gettempdir())
    try:
        state = os.statvfs(MEMORY)
    except OSError:
        return disk, ""
    free = state.f_bavail * state.f_frsize
    if free < room:
        return (
            disk,
            f"{MEMORY} has {free >> 20} MiB free, expected {room >> 20}; sandboxes go to {disk}, which is slower",
        )
    if state.f_flag & os.ST_NOEXEC or not os.access(MEMORY, os.W_OK | os.X_OK):
        return disk, f"{MEMORY} may not be written to or run from; sandboxes go to {disk}, which is slower"
    return MEMORY, ""


def own_folder(root: Path) -> Path:
    """Return (make) this user's folder under a root that others may use as well.

    Raises
    ------
    ToolError
        When it cannot be made, or somebody else has made it.
    """
    folder = root / f"rayscan-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.lstat()
    except OSError as error:
        msg = f"cannot use {root} for scratch: {error.strerror}; choose another scratch directory"
        raise ToolError(msg) from error
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o022:
        msg = f"{folder} is not a directory that only this user can write to; choose another scratch directory"
        raise ToolError(msg)
    return folder


def safe_name(name: str) -> str:
    """Return a file name for any text; different texts give different names."""
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,39}", name) and not name.endswith(".lock"):
        return name
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)[:24]
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def take_lock(path: Path) -> int:
    """Return a descriptor that holds the lock; its holder's host and process are written into the file.

    Raises
    ------
    ToolError
        When a live evaluator holds it.
    """
    while True:
        try:
            for folder in (path.parent.parent, path.parent):
                folder.mkdir(mode=0o700, exist_ok=True)
            held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:
            continue  # its last user removed the folder in between
        except OSError as error:
            msg = f"cannot make {path}: {error.strerror}; choose another scratch directory"
            raise ToolError(msg) from error
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = path.read_text(encoding="utf-8", errors="replace") if path.exists() else "unknown"
            os.close(held)
            msg = f"another evaluator works in {path.with_suffix('')} ({owner}); give each worker a name of its own"
            raise ToolError(msg) from error
        if is_still(path, held):
            os.ftruncate(held, 0)
            os.pwrite(held, json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode(), 0)
            return held
        os.close(held)


def sweep(scratch: Path | str | None = None, run_id: str | None = None) -> list[Path]:
    """Remove what dead evaluators left behind: their processes, directories and locks.

    Only this user's, only of this host, and only where nobody holds the lock any more.

    Parameters
    ----------
    scratch : Path, optional
        The place given to `Workshop`; by default both places it may choose.
    run_id : str, optional
        Only this run's; by default those of all runs.

    Returns
    -------
    list of Path
        The directories that are gone now.
    """
    roots = [Path(scratch).expanduser().absolute()] if scratch is not None else [MEMORY, Path(tempfile.gettempdir())]
    swept: list[Path] = []
    for root in dict.fromkeys(roots):
        folder = root / f"rayscan-{os.getuid()}"
        if not folder.is_dir() or folder.is_symlink() or folder.lstat().st_uid != os.getuid():
            continue
        for lock in sorted(folder.glob("*/*.lock")):
            if run_id is None or lock.parent.name == safe_name(run_id):
                swept += _sweep_one(lock)
    return swept


def _sweep_one(lock: Path) -> list[Path]:
    try:
        held = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return []
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        host = json.loads(os.pread(held, 4096, 0) or b"{}").get("host", "")
    except (OSError, ValueError, AttributeError):
        os.close(held)
        return []
    try:
        if host not in {"", socket.gethostname()} or not is_still(lock, held):
            return []
        directory = lock.with_suffix("")
        end_processes(str(directory))
        if not remove_tree(str(directory)):
            return []
        remove_lock(str(lock))
    finally:
        os.close(held)
    return [directory]


def is_still(path: Path, held: int) -> bool:
    """Whether the locked file is the one at the path, not one that was removed since."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(held))
    except FileNotFoundError:
        return False
