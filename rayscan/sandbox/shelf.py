"""A directory that the evaluators of a node share: filled once, by whoever comes first, and gone after the last."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from rayscan.errors import ToolError
from rayscan.sandbox.reaper import remove_tree
from rayscan.sandbox.scratch import MEMORY, is_still, own_folder, sweep

FOLDER = "shared"
"""The folder of such directories within the user's own; `sweep` takes it for the name of a run."""
_PAUSE = 0.05


class Shelf:
    """A shared directory, in use as long as this object is open and this process lives.

    Parameters
    ----------
    name : str
        Says what is in it: two of the same name have the same content.
    fill : callable
        Takes an empty directory and puts the content into it. Called only where nobody has done it before.
    scratch : Path or str, optional
        Root of the scratch directories. By default the disk's (``TMPDIR``), unless programs may not be run from there.

    Attributes
    ----------
    directory : Path

    Raises
    ------
    ToolError
        The directory cannot be made; and what `fill` raises.

    Notes
    -----
    Who uses the directory holds a shared lock on the file beside it, which the kernel releases whatever becomes of the
    process; `rayscan.sandbox.scratch.sweep` removes what nobody holds.
    """

    def __init__(self, name: str, fill: Callable[[Path], None], scratch: Path | str | None = None) -> None:
        self._scratch = Path(scratch).expanduser().absolute() if scratch is not None else None
        place = own_folder(self._scratch or _disk()) / FOLDER / name
        self._lock, self._part, self.directory = place.with_name(f"{name}.lock"), place / "part", place / "content"
        self._held = self._take(fill)

    def _take(self, fill: Callable[[Path], None]) -> int:
        while True:
            held = self._open()
            try:
                # Waits while somebody fills it.
                fcntl.flock(held, fcntl.LOCK_SH)
                if is_still(self._lock, held):
                    if self.directory.is_dir():
                        return held
                    self._try_to_fill(held, fill)
            except BaseException:
                os.close(held)
                raise
            # The lock is let go of in between, so that the next look finds out who was first.
            os.close(held)

    def _open(self) -> int:
        while True:
            try:
                self._lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                return os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # its last user removed the folder in between
            except OSError as error:
                msg = f"cannot make {self._lock}: {error.strerror}; choose another scratch directory"
                raise ToolError(msg) from error

    def _try_to_fill(self, held: int, fill: Callable[[Path], None]) -> None:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE)
            return
        if not is_still(self._lock, held) or self.directory.is_dir():
            return
        remove_tree(str(self._part))
        try:
            self._part.mkdir(mode=0o700, parents=True)
            fill(self._part)
            self._part.rename(self.directory)
        except OSError as error:
            remove_tree(str(self._part))
            msg = (
                f"cannot fill {self.directory}: {error.strerror}; free some space, or choose another scratch directory"
            )
            raise ToolError(msg) from error
        except BaseException:
            remove_tree(str(self._part))
            raise

    def close(self) -> None:
        """Give it up; who is the last removes it. Harmless twice."""
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
            with contextlib.suppress(OSError):
                sweep(self._scratch, FOLDER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def clear_shelves(scratch: Path | str | None, patience: float) -> None:
    """Remove what nobody uses any more, waiting a while for users that are about to end.

    Parameters
    ----------
    scratch : Path, str or None
        As for `Shelf`.
    patience : float
        Seconds.
    """
    folder = (Path(scratch).expanduser().absolute() if scratch is not None else _disk()) / f"rayscan-{os.getuid()}"
    end = time.monotonic() + patience
    while (folder / FOLDER).is_dir():
        sweep(scratch, FOLDER)
        if time.monotonic() > end:
            return
        time.sleep(_PAUSE)


def _disk() -> Path:
    disk = Path(tempfile.gettempdir())
    return MEMORY if os.statvfs(disk).f_flag & os.ST_NOEXEC and MEMORY.is_dir() else disk
