"""Trouble on purpose: evaluators that die, drivers that are killed. For disks that refuse see `rayscan.testing.disk`.

For tests of scans that must survive all of it, with one's own tool as well as with ours:

>>> tool = Frail(my_tool, deaths=0.03, poison=1e-3, seed=1)  # doctest: +SKIP
>>> with DriverKiller("runs/test", every=(2.0, 5.0), times=3, seed=1):  # doctest: +SKIP
...     rayscan.Scan(space, tool, target, out="runs/test").run(evaluations=2000)
>>> survivors(scratch)  # doctest: +SKIP
[]
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psutil

from rayscan.errors import ConfigError
from rayscan.sandbox.lifeline import COOKIE
from rayscan.store import live_holder
from rayscan.tools.base import Array, Outcome, Tool

if TYPE_CHECKING:
    from rayscan.sandbox.sandbox import Sandbox

LONG = 3600.0
"""How long a hanging point hangs; a test that fails must not leave it for ever."""


class Frail(Tool):
    """A tool whose evaluator dies, at random or always at the same points.

    Parameters
    ----------
    tool : Tool
        What does the work where nothing goes wrong.
    deaths : float
        Probability that an evaluation kills its evaluator; drawn anew each time.
    poison : float
        Share of the points that kill their evaluator every time.
    hangs : float
        Share of the points at which the evaluator hangs; `deadline` must then be set.
    deadline : float, optional
        Seconds after which the pool is to end an evaluator that hangs.
    seed : int
        Of every choice.

    Raises
    ------
    ConfigError
        For shares that are none, or hangs without a deadline.

    Examples
    --------
    >>> from rayscan import Function
    >>> frail = Frail(Function(lambda x: x, outputs=["y"]), poison=0.25, seed=1)
    >>> sum(frail.is_poison({"x": float(x)}) for x in range(1000))
    256
    """

    def __init__(
        self,
        tool: Tool,
        *,
        deaths: float = 0.0,
        poison: float = 0.0,
        hangs: float = 0.0,
        deadline: float | None = None,
        seed: int = 0,
    ) -> None:
        for name, share in (
            ("deaths", deaths),
            ("poison", poison),
            ("hangs", hangs),
            ("poison + hangs", poison + hangs),
        ):
            if not 0 <= share <= 1:
                msg = f"{name} = {share!r}; expected a share in [0, 1]"
                raise ConfigError(msg)
        if hangs and deadline is None:
            msg = "hangs without a deadline: expected deadline= in seconds, or the scan would wait for ever"
            raise ConfigError(msg)
        self.tool, self.deaths, self.poison, self.hangs, self.seed = tool, deaths, poison, hangs, seed
        self.outputs, self.cores, self.name = tool.outputs, tool.cores, f"frail {tool.name}"
        self.deadline = tool.deadline if deadline is None else deadline
        self._random = random.Random(seed)  # noqa: S311 - chaos, not secrets

    def is_poison(self, point: Mapping[str, float]) -> bool:
        """Whether this point kills its evaluator every time."""
        return self._place(point) < self.poison

    def is_hanging(self, point: Mapping[str, float]) -> bool:
        """Whether the evaluator hangs at this point."""
        return self.poison <= self._place(point) < self.poison + self.hangs

    def _place(self, point: Mapping[str, float]) -> float:
        """Return a number in [0, 1) that depends on the point and the seed alone."""
        values = ",".join(f"{name}={float(value)!r}" for name, value in sorted(point.items()))
        digest = hashlib.sha256(f"{self.seed}:{values}".encode()).digest()
        return int.from_bytes(digest[:7], "big") / 2**56

    def check(self, parameters: Sequence[str]) -> None:
        self.tool.check(parameters)

    def describe(self) -> dict[str, Any]:
        knobs = {name: getattr(self, name) for name in ("deaths", "poison", "hangs", "seed")}
        return {**self.tool.describe(), "frail": knobs}

    def open(self, scratch: Path) -> None:
        # Every evaluator draws its own deaths: with equal ones all would die at the same count of points.
        self._random = random.Random(f"{self.seed}:{scratch.name}")  # noqa: S311 - as above
        self.tool.open(scratch)

    def close(self) -> None:
        self.tool.close()

    def evaluate(self, point: Mapping[str, float], sandbox: Sandbox) -> Outcome:
        if self.is_poison(point) or self._random.random() < self.deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.is_hanging(point):
            time.sleep(LONG)
        return self.tool.evaluate(point, sandbox)

    def evaluate_many(self, x: Array, parameters: Sequence[str]) -> Array:
        return self.tool.evaluate_many(x, parameters)


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
    holder = live_holder(run) or {}
    pid = holder.get("pid")
    if not isinstance(pid, int) or pid == os.getpid():
        return None
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return pid
    return None


class DriverKiller:
    """Kills the driver of a scan several times, from a thread, while the scan goes on.

    Parameters
    ----------
    run : Path or str
        The run directory; it may not exist yet.
    every : tuple of (float, float)
        Seconds between two kills: from, to. They count while a driver is at work.
    times : int
    seed : int

    Attributes
    ----------
    killed : list of int
        Process ids.
    """

    def __init__(self, run: Path | str, *, every: tuple[float, float], times: int, seed: int = 0) -> None:
        self.killed: list[int] = []
        self._run, self._every, self._times = Path(run), every, times
        self._random = random.Random(seed)  # noqa: S311 - chaos, not secrets
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="driver-killer", daemon=True)

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
                left -= 0.1 if self._is_at_work() else 0.0
            pid = None if self._end.is_set() else kill_driver(self._run)
            if pid is not None:
                self.killed.append(pid)

    def _is_at_work(self) -> bool:
        try:
            return live_holder(self._run) is not None
        except OSError:
            return False


def survivors(scratch: Path | str) -> list[str]:
    """Return what evaluators left behind below a scratch root: programs that still run, directories that still exist.

    Parameters
    ----------
    scratch : Path or str
        What was given to the scan as ``scratch``.

    Returns
    -------
    list of str
        One line each; empty is good. Reapers clean up within a second or so of a death: ask more than once.
    """
    root = Path(scratch).expanduser().resolve()
    found = [f"directory {path}" for path in sorted(root.glob("rayscan-*/*/*"))]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            place = process.environ().get(COOKIE, "")
            if place and Path(place).is_relative_to(root):
                found.append(f"process {process.pid}: {' '.join(process.cmdline())[:100]}")
    return found
