"""Where an evaluator keeps its points' directories, and how what dead evaluators left behind is swept away."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import logging
import os
import re
import socket
import stat
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from rayscan.errors import ToolError
from rayscan.tools.lifeline import Lifeline, chosen_environment, end_processes
from rayscan.tools.reaper import remove_lock, remove_tree
from rayscan.tools.sandbox import Sandbox

log = logging.getLogger(__name__)

MEMORY = Path("/dev/shm")  # noqa: S108 - the very place is meant: a file system in memory
ROOM = 2**30
"""Free bytes that a file system in memory must have to be chosen; Ray's object store lives there, too."""
LEAST = 2**28
"""Below so many free bytes an evaluator leaves memory for the disk."""


class Workshop:
    """One evaluator's place of work: a directory that is locked, in which every attempt gets a new directory.

    Parameters
    ----------
    scratch : Path, optional
        Where to put it. By default in memory (``/dev/shm``) when there is room and programs may be run from there, else
        in ``TMPDIR``.
    run_id : str
        The scan.
    worker : str, optional
        The evaluator; must be its own within the run. A random name by default.

    Attributes
    ----------
    directory : Path
        ``<scratch>/rayscan-<uid>/<run_id>/<worker>``
    notice : str
        Why the place is not the one that was hoped for; else empty.

    Raises
    ------
    ToolError
        When no directory can be made, another live evaluator has it, or the reaper does not start.

    Notes
    -----
    However this process dies, its reaper ends its programs and removes its directory. When the reaper was killed as
    well, the next `sweep` does.
    """

    def __init__(self, scratch: Path | str | None = None, run_id: str = "run", worker: str | None = None) -> None:
        self.run_id = run_id
        self.worker = worker if worker is not None else f"worker-{uuid.uuid4().hex[:12]}"
        self._owner = os.getpid()
        self._environment = chosen_environment()
        self._serial = itertools.count(1)
        self._turn = threading.Lock()
        self._lifeline: Lifeline | None = None
        self._held = -1
        root, self.notice = (Path(scratch).expanduser(), "") if scratch is not None else choose_scratch()
        self._may_move = scratch is None and root == MEMORY
        if self.notice:
            log.warning(self.notice)
        self._settle(root)

    def _settle(self, root: Path) -> None:
        """Take a directory under a root, and start the reaper that guards it."""
        folder = own_folder(root) / safe_name(self.run_id)
        self.directory = folder / safe_name(self.worker)
        self._lock = folder / f"{self.directory.name}.lock"
        self._held = take_lock(self._lock)
        # We hold its lock, so whatever lies there belongs to nobody.
        if self.directory.exists():
            end_processes(str(self.directory))
        if not remove_tree(str(self.directory)):
            self._let_go()
            msg = f"{self.directory} is in the way and cannot be removed; remove it, or choose another scratch place"
            raise ToolError(msg)
        self.directory.mkdir(mode=0o700)
        self._lifeline = None
        try:
            self._guard()
        except ToolError:
            remove_tree(str(self.directory))
            remove_lock(str(self._lock))
            self._let_go()
            raise

    def _guard(self) -> Lifeline:
        """Return the running reaper, a new one when the last was killed."""
        if self._held < 0:
            msg = f"the workshop {self.directory} is closed; open a new one"
            raise ToolError(msg)
        if self._lifeline is None:
            self._lifeline = Lifeline(self.directory, self._lock, self._held)
        return self._lifeline

    def _run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._turn:
            lifeline = self._guard()
            try:
                return lifeline.run(request)
            except ToolError:
                self._lifeline = None
                raise

    @contextlib.contextmanager
    def sandbox(self, point_id: int, attempt: int = 1, verbose: bool = False) -> Iterator[Sandbox]:
        """Give one attempt at one point a new, empty directory; at the end it is removed with all that is in it."""
        if self._held < 0:
            self._guard()
        self._keep_room()
        directory = self.directory / f"{int(point_id)}-{int(attempt)}-{next(self._serial)}"
        try:
            directory.mkdir(mode=0o700)
        except OSError as error:
            msg = f"cannot make the sandbox {directory}: {error.strerror}; is the disk full, or was scratch cleaned?"
            raise ToolError(msg) from error
        try:
            yield Sandbox(directory, self._run, self._environment, verbose=verbose)
        finally:
            if not remove_tree(str(directory)):
                log.warning("could not remove the sandbox %s; it is tried again at the end", directory)

    def free(self) -> int:
        """Return the free bytes where the sandboxes are."""
        state = os.statvfs(self.directory)
        return state.f_bavail * state.f_frsize

    def _keep_room(self) -> None:
        if not self._may_move or self.free() >= LEAST:
            return
        disk = Path(tempfile.gettempdir())
        self.notice = f"{self.directory} has only {self.free() >> 20} MiB left; sandboxes move to {disk}"
        log.warning(self.notice)
        self._may_move = False
        self.close()
        self._settle(disk)

    def stop(self) -> None:
        """End the program that runs now, if any; callable from another thread."""
        if (lifeline := self._lifeline) is not None:
            lifeline.stop()

    def close(self) -> None:
        """End everything that still runs and remove the directory. Harmless when called twice."""
        if self._held < 0 or self._owner != os.getpid():
            return
        lifeline, self._lifeline = self._lifeline, None
        if lifeline is None or not lifeline.close():
            end_processes(str(self.directory))
            if not remove_tree(str(self.directory)):
                log.warning("could not remove %s; the next start sweeps it", self.directory)
            else:
                remove_lock(str(self._lock))
        self._let_go()

    def _let_go(self) -> None:
        os.close(self._held)
        self._held = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
        if _is_still(path, held):
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
    roots = [Path(scratch).expanduser()] if scratch is not None else [MEMORY, Path(tempfile.gettempdir())]
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
        if host not in {"", socket.gethostname()} or not _is_still(lock, held):
            return []
        directory = lock.with_suffix("")
        end_processes(str(directory))
        if not remove_tree(str(directory)):
            return []
        remove_lock(str(lock))
    finally:
        os.close(held)
    return [directory]


def _is_still(path: Path, held: int) -> bool:
    """Whether the locked file is the one at the path, not one that was removed since."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(held))
    except FileNotFoundError:
        return False
