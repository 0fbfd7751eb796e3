"""Disks that refuse, fill up, go away for a while or are slow, on purpose: for tests of scans that must survive them.

`sick_disk` makes the disk of this process sick, below a directory; it needs nothing. `small_disk` is a real file system
of a few megabytes, for programs as well as for Python; it needs the right to mount one.

>>> with sick_disk("runs/test", errno.EIO, on=OPERATIONS, probability=0.05, lasting=2.0, seed=1):  # doctest: +SKIP
...     rayscan.Scan(space, tool, target, out="runs/test", evaluators=0).run(evaluations=2000)
"""

from __future__ import annotations

import builtins
import collections
import contextlib
import errno
import io
import os
import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rayscan.errors import ConfigError

OPERATIONS = ("open", "write", "fsync", "rename")
"""What can be refused: opening a file to write, writing to it, making it durable, giving a file its name."""


class SickDisk(threading.Event):
    """What is wrong with a disk. It is sick while the event is set; clear it, and the disk is well.

    Attributes
    ----------
    refused : Counter
        How often each operation was refused.
    room : int or None
        Bytes that may still be written before the disk is full; add to it to free some space. None: without limit.
    """

    def __init__(
        self,
        below: Path | str,
        code: int,
        on: Sequence[str],
        probability: float,
        lasting: float,
        latency: float,
        room: int | None,
        seed: int,
    ) -> None:
        super().__init__()
        unknown = sorted(set(on) - set(OPERATIONS))
        if unknown or not 0 <= probability <= 1:
            wrong = f"on = {unknown[0]!r}" if unknown else f"probability = {probability!r}"
            msg = f"{wrong}; expected operations among {', '.join(OPERATIONS)}, and a probability in [0, 1]"
            raise ConfigError(msg)
        self.refused: collections.Counter[str] = collections.Counter()
        self.room = room
        self._root, self._code, self._on = Path(below).resolve(), code, frozenset(on)
        self._probability, self._lasting, self._latency = probability, lasting, latency
        self._random = random.Random(seed)  # noqa: S311 - chaos, not secrets
        self._until = 0.0
        self._turn = threading.Lock()
        self.set()

    def visit(self, operation: str, file: Any, size: int = 0) -> int:
        """Return how many of `size` bytes may be written, after a while perhaps.

        Parameters
        ----------
        operation : str
        file : int or path-like
            A descriptor or a path; what does not lie below the directory is left alone.
        size : int

        Raises
        ------
        OSError
            The operation is refused.
        """
        if not self.is_set() or not _path_of(file).is_relative_to(self._root):
            return size
        time.sleep(self._latency)
        with self._turn:
            if operation in self._on and self._strikes():
                self._refuse(operation, self._code)
            if operation != "write" or self.room is None:
                return size
            if size and not self.room:
                self._refuse(operation, errno.ENOSPC)
            size = min(size, self.room)
            self.room -= size
            return size

    def _strikes(self) -> bool:
        now = time.monotonic()
        if now >= self._until and self._random.random() < self._probability:
            self._until = now + self._lasting
            return True
        return now < self._until

    def _refuse(self, operation: str, code: int) -> None:
        self.refused[operation] += 1
        raise OSError(code, os.strerror(code))


@contextlib.contextmanager
def sick_disk(
    below: Path | str,
    code: int = errno.ENOSPC,
    *,
    on: Sequence[str] = ("write", "fsync"),
    probability: float | None = None,
    lasting: float = 0.0,
    latency: float = 0.0,
    room: int | None = None,
    seed: int = 0,
) -> Iterator[SickDisk]:
    """Make the disk below a directory sick for this process: files that Python opens, writes, syncs and renames.

    A scan writes in its driver. With ``evaluators=0`` that is this process.

    Parameters
    ----------
    below : Path or str
    code : int
        The ``errno`` of what is refused: ``ENOSPC`` for a full disk, ``EIO`` or ``ESTALE`` for a network file system
        that is away.
    on : sequence of str
        Which of `OPERATIONS` may be refused.
    probability : float, optional
        That an operation is refused. By default 1, or 0 when the disk is only to be slow or small.
    lasting : float
        Seconds for which everything in `on` is refused once something was: a network file system that is away.
    latency : float
        Seconds that each operation takes longer.
    room : int, optional
        Bytes until the disk is full; the write that finds less writes what fits, as a real disk does.
    seed : int

    Yields
    ------
    SickDisk
        Set at first; clear it and the disk is well again.

    Raises
    ------
    ConfigError
        For an unknown operation or an impossible probability.
    """
    if probability is None:
        probability = 0.0 if latency or room is not None else 1.0
    disk = SickDisk(below, code, on, probability, lasting, latency, room, seed)
    real = {name: getattr(os, name) for name in ("open", "write", "pwrite", "fsync", "replace", "rename", "link")}
    real_open = io.open
    sick = _stand_ins(disk, real)

    def sick_file(file: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if isinstance(file, int) or not set(mode) & set("wax+"):
            return real_open(file, mode, *rest, **more)
        disk.visit("open", file)
        return _open_sick(disk, file, mode, *rest, **more)

    try:
        for name, function in sick.items():
            setattr(os, name, function)
        io.open = builtins.open = sick_file
        yield disk
    finally:
        io.open = builtins.open = real_open
        for name, function in real.items():
            setattr(os, name, function)


def _stand_ins(disk: SickDisk, real: dict[str, Any]) -> dict[str, Any]:
    """Return functions of ``os`` that visit the disk first."""

    def sick_open(path: Any, flags: int, *rest: Any, **more: Any) -> Any:
        if flags & (os.O_WRONLY | os.O_RDWR):
            disk.visit("open", path)
        return real["open"](path, flags, *rest, **more)

    def sick_write(handle: int, data: Any) -> Any:
        return real["write"](handle, memoryview(data)[: disk.visit("write", handle, len(data))])

    def sick_pwrite(handle: int, data: Any, offset: int) -> Any:
        return real["pwrite"](handle, memoryview(data)[: disk.visit("write", handle, len(data))], offset)

    def sick_fsync(handle: int) -> None:
        disk.visit("fsync", handle)
        real["fsync"](handle)

    def renamer(name: str) -> Any:
        def rename(source: Any, target: Any, **more: Any) -> None:
            disk.visit("rename", target)
            real[name](source, target, **more)

        return rename

    direct = {"open": sick_open, "write": sick_write, "pwrite": sick_pwrite, "fsync": sick_fsync}
    return direct | {name: renamer(name) for name in ("replace", "rename", "link")}


def _open_sick(
    disk: SickDisk, file: Any, mode: str, buffering: int = -1, encoding: str | None = None, *rest: Any, **more: Any
) -> Any:
    """Open a file to write as ``open`` does, with every write through the sick disk."""

    class File(io.FileIO):
        def write(self, data: Any) -> int:
            view = memoryview(data).cast("B")
            return super().write(view[: disk.visit("write", file, len(view))])

    raw = File(file, mode.replace("b", "").replace("t", ""))
    if "b" in mode and buffering == 0:
        return raw
    size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
    buffered = io.BufferedRandom(raw, size) if "+" in mode else io.BufferedWriter(raw, size)
    return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, *rest, **more)


def _path_of(file: Any) -> Path:
    """Return where a file lies, given by its descriptor or its path."""
    return Path(f"/proc/self/fd/{file}").resolve() if isinstance(file, int) else Path(os.fsdecode(file)).resolve()


@contextlib.contextmanager
def small_disk(size: int) -> Iterator[Path]:
    """Mount a file system of `size` bytes, in memory, and unmount it at the end.

    Parameters
    ----------
    size : int

    Yields
    ------
    Path
        An empty directory.

    Raises
    ------
    PermissionError
        This user may not mount anything. ``unshare -rm`` before the command lets most users do.
    """
    with tempfile.TemporaryDirectory(prefix="rayscan-small-") as place:
        options = f"size={size},mode=700"
        try:
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "rayscan-small", place],  # noqa: S607 - the system's own
                check=True, capture_output=True, text=True,
            )  # fmt: skip
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or str(error)
            msg = f"cannot mount a small file system ({said.strip()}); run the command under 'unshare -rm', or as root"
            raise PermissionError(msg) from error
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", "-l", place], check=True)  # noqa: S607 - as above
