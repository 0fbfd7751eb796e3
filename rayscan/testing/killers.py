"""Killers: threads that end evaluators, drivers or nodes of a running scan, with a seed, from outside.

They find their victims by what these leave on this machine (lock files, the process table), need no Ray of their own,
and work beside a scan in this process as in another.
"""

from __future__ import annotations

import abc
import contextlib
import json
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

HEAD = "node:__internal_head__"
"""What a raylet's command line says of the head of a cluster."""


class Killer(abc.ABC):
    """Kills several times, from a thread, while a scan goes on.

    Parameters
    ----------
    every : tuple of (float, float)
        Seconds between two kills: from, to. They count while there is somebody to kill.
    times : int
    seed : int

    Attributes
    ----------
    killed : list of int
        Process ids.
    """

    def __init__(self, *, every: tuple[float, float], times: int, seed: int = 0) -> None:
        self.killed: list[int] = []
        self._every, self._times = every, times
        self._random = random.Random(seed)  # noqa: S311 - chaos, not secrets
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name=type(self).__name__, daemon=True)

    @abc.abstractmethod
    def victims(self) -> list[int]:
        """Return the process ids of those who could be killed now, in order."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _work(self) -> None:
        while len(self.killed) < self._times and not self._end.is_set():
            left = self._random.uniform(*self._every)
            while left > 0 and not self._end.wait(0.1):
                left -= 0.1 if self.victims() else 0.0
            victims = [] if self._end.is_set() else self.victims()
            if victims and kill(victim := self._random.choice(victims)):
                self.killed.append(victim)


class DriverKiller(Killer):
    """Kills the driver of a scan.

    Parameters
    ----------
    run : Path or str
        The run directory; it may not exist yet.
    every : tuple of (float, float)
        Seconds between two kills: from, to. They count while a driver is at work.
    times : int
    seed : int
    """

    def __init__(self, run: Path | str, *, every: tuple[float, float], times: int, seed: int = 0) -> None:
        super().__init__(every=every, times=times, seed=seed)
        self._run = Path(run)

    def victims(self) -> list[int]:
        pid = driver(self._run)
        return [] if pid is None else [pid]


class EvaluatorKiller(Killer):
    """Kills evaluators on this machine, whatever they are doing.

    Parameters
    ----------
    scratch : Path or str
        What was given to the scan as ``scratch``; every evaluator below it may be hit.
    every : tuple of (float, float)
        Seconds between two kills: from, to. They count while there are evaluators.
    times : int
    seed : int
    """

    def __init__(self, scratch: Path | str, *, every: tuple[float, float], times: int, seed: int = 0) -> None:
        super().__init__(every=every, times=times, seed=seed)
        self._scratch = Path(scratch)

    def victims(self) -> list[int]:
        return evaluators(self._scratch)


class NodeKiller(Killer):
    """Kills nodes of a Ray cluster on this machine, by their raylet; the head is spared.

    For a `ray.cluster_utils.Cluster`, whose nodes are all on one machine. Who runs it must be connected to the head.

    Parameters
    ----------
    address : str
        Of the cluster, such as ``Cluster.address``.
    every : tuple of (float, float)
        Seconds between two kills: from, to. They count while there are nodes.
    times : int
    seed : int
    """

    def __init__(self, address: str, *, every: tuple[float, float], times: int, seed: int = 0) -> None:
        super().__init__(every=every, times=times, seed=seed)
        self._address = address

    def victims(self) -> list[int]:
        return nodes(self._address)


def driver(run: Path | str) -> int | None:
    """Return the process on this machine that writes into a run directory; None when nobody does. Never this one."""
    # The store loads Arrow, and those who only kill evaluators do without.
    from rayscan.store import live_holder

    try:
        pid = (live_holder(run) or {}).get("pid")
    except OSError:
        return None
    return pid if isinstance(pid, int) and pid != os.getpid() and psutil.pid_exists(pid) else None


def evaluators(scratch: Path | str) -> list[int]:
    """Return the processes of the evaluators that work below a scratch root on this machine. Never this one."""
    found = (_evaluator(lock) for lock in sorted(Path(scratch).expanduser().glob("rayscan-*/*/*.lock")))
    return [pid for pid in found if pid is not None and pid != os.getpid()]


def _evaluator(lock: Path) -> int | None:
    """Return the process that wrote a workshop's lock, if it still lives and is not another with the same number."""
    with contextlib.suppress(OSError, ValueError, AttributeError, psutil.Error):
        pid = json.loads(lock.read_text(encoding="utf-8")).get("pid")
        process = psutil.Process(int(pid))
        if process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= lock.stat().st_mtime + 1.0:
            return int(process.pid)
    return None


def nodes(address: str) -> list[int]:
    """Return the raylets of a Ray cluster on this machine, the head's excepted."""
    return sorted(_raylets(f"--gcs-address={address}"))


def _raylets(cluster: str) -> Iterator[int]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.name() != "raylet" or process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = process.cmdline()
            if any(cluster in word for word in words) and not any(HEAD in word for word in words):
                yield process.pid


def kill(pid: int) -> bool:
    """SIGKILL a process and see its end; return whether there was one."""
    try:
        process = psutil.Process(pid)
        os.kill(pid, signal.SIGKILL)
    except (psutil.Error, OSError):
        return False
    # Of a child of this process nothing must stay, or those who watch it would think that it lives.
    with contextlib.suppress(psutil.Error):
        process.wait(timeout=5.0)
    return True


def kill_driver(run: Path | str) -> int | None:
    """SIGKILL the process that writes into a run directory on this machine.

    Parameters
    ----------
    run : Path or str

    Returns
    -------
    int or None
        Its process id; None when nobody was scanning there. Never this process.
    """
    pid = driver(run)
    return pid if pid is not None and kill(pid) else None
