"""One evaluator's place of work."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from rayscan.errors import ToolError
from rayscan.sandbox import scratch as places
from rayscan.sandbox.lifeline import Lifeline, chosen_environment, end_processes
from rayscan.sandbox.reaper import remove_lock, remove_tree
from rayscan.sandbox.sandbox import Sandbox
from rayscan.sandbox.scratch import choose_scratch, own_folder, safe_name, sweep, take_lock

__all__ = ["Workshop", "sweep"]

log = logging.getLogger(__name__)

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
    well, the next `rayscan.sandbox.scratch.sweep` does.
    """

    def __init__(self, scratch: Path | str | None = None, run_id: str = "run", worker: str | None = None) -> None:
        self.run_id = run_id
        self.worker = worker if worker is not None else f"worker-{uuid.uuid4().hex[:12]}"
        self._owner = os.getpid()
        self._environment = chosen_environment()
        self._serial = itertools.count(1)
        self._turn = threading.RLock()
        self._open = 0
        self._lifeline: Lifeline | None = None
        self._held = -1
        root, self.notice = (Path(scratch).expanduser().absolute(), "") if scratch is not None else choose_scratch()
        self._may_move = scratch is None and root == places.MEMORY
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
        if self._lifeline is None or not self._lifeline.usable:
            self._lifeline = Lifeline(self.directory, self._lock, self._held)
        return self._lifeline

    def _run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._turn:
            return self._guard().run(request)

    @contextlib.contextmanager
    def sandbox(self, point_id: int, attempt: int = 1, verbose: bool = False) -> Iterator[Sandbox]:
        """Give one attempt at one point a new, empty directory; at the end it is removed with all that is in it."""
        with self._turn:
            if self._held < 0:
                self._guard()
            self._keep_room()
            self._open += 1
        directory = self.directory / f"{int(point_id)}-{int(attempt)}-{next(self._serial)}"
        try:
            try:
                directory.mkdir(mode=0o700)
            except OSError as error:
                msg = (
                    f"cannot make the sandbox {directory}: {error.strerror}; is the disk full, or was scratch cleaned?"
                )
                raise ToolError(msg) from error
            yield Sandbox(directory, self._run, self._environment, verbose=verbose)
        finally:
            with self._turn:
                self._open -= 1
            if not remove_tree(str(directory)):
                log.warning("could not remove the sandbox %s; it is tried again at the end", directory)

    def free(self) -> int:
        """Return the free bytes where the sandboxes are."""
        state = os.statvfs(self.directory)
        return state.f_bavail * state.f_frsize

    def _keep_room(self) -> None:
        if not self._may_move or self._open or self.free() >= LEAST:
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
        """End everything that still runs and remove the directory. Harmless twice, and in a forked child."""
        if self._held < 0 or self._owner != os.getpid():
            return
        self.stop()
        with self._turn:
            if self._held >= 0:
                self._clear()

    def _clear(self) -> None:
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
