"""Trouble on purpose: evaluators that die and points that kill or hang; and a look at what was left behind.

Killers from outside, of evaluators, drivers and nodes, are in `rayscan.testing.killers`, disks that refuse in
`rayscan.testing.disk`. For tests of scans that must survive all of it, with one's own tool as well as with ours:

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
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from rayscan.errors import ConfigError
from rayscan.sandbox.lifeline import COOKIE
from rayscan.testing.killers import DriverKiller, EvaluatorKiller, NodeKiller, kill_driver
from rayscan.tools.base import Array, Outcome, Tool

if TYPE_CHECKING:
    from rayscan.sandbox.sandbox import Sandbox

__all__ = ["DriverKiller", "EvaluatorKiller", "Frail", "NodeKiller", "kill_driver", "survivors"]

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
    poison : float or collection of int
        Share of the points that kill their evaluator every time; or their ids.
    hangs : float or collection of int
        Share of the points at which the evaluator hangs, or their ids; `deadline` must then be set.
    deadline : float, optional
        Seconds after which the pool is to end an evaluator that hangs.
    seed : int
        Of every choice.

    Raises
    ------
    ConfigError
        For shares that are none, hangs without a deadline, and ids for a vectorised tool, which is not told them.

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
        poison: float | Collection[int] = 0.0,
        hangs: float | Collection[int] = 0.0,
        deadline: float | None = None,
        seed: int = 0,
    ) -> None:
        shares = {"deaths": deaths, "poison": _share(poison), "hangs": _share(hangs)}
        for name, share in {**shares, "poison + hangs": shares["poison"] + shares["hangs"]}.items():
            if not 0 <= share <= 1:
                msg = f"{name} = {share!r}; expected a share in [0, 1]"
                raise ConfigError(msg)
        if tool.vectorized and not (isinstance(poison, float | int) and isinstance(hangs, float | int)):
            msg = "ids of points for a vectorised tool: it gets blocks of places; expected shares of the points"
            raise ConfigError(msg)
        if hangs and deadline is None:
            msg = "hangs without a deadline: expected deadline= in seconds, or the scan would wait for ever"
            raise ConfigError(msg)
        self.tool, self.deaths, self.seed = tool, deaths, seed
        self.poison, self.hangs = _plain(poison), _plain(hangs)
        self.outputs, self.cores, self.name = tool.outputs, tool.cores, f"frail {tool.name}"
        self.deadline = tool.deadline if deadline is None else deadline
        self._random = random.Random(seed)  # noqa: S311 - chaos, not secrets

    def is_poison(self, point: Mapping[str, float], point_id: int = -1) -> bool:
        """Whether this point kills its evaluator every time."""
        if isinstance(self.poison, float | int):
            return self._place(point) < self.poison
        return point_id in self.poison

    def is_hanging(self, point: Mapping[str, float], point_id: int = -1) -> bool:
        """Whether the evaluator hangs at this point."""
        if isinstance(self.hangs, float | int):
            return 0 <= self._place(point) - _share(self.poison) < self.hangs
        return point_id in self.hangs

    def _place(self, point: Mapping[str, float]) -> float:
        """Return a number in [0, 1) that depends on the point and the seed alone."""
        values = ",".join(f"{name}={float(value)!r}" for name, value in sorted(point.items()))
        digest = hashlib.sha256(f"{self.seed}:{values}".encode()).digest()
        return int.from_bytes(digest[:7], "big") / 2**56

    def check(self, parameters: Sequence[str]) -> None:
        self.tool.check(parameters)

    def describe(self) -> dict[str, Any]:
        knobs = {"deaths": self.deaths, "poison": self.poison, "hangs": self.hangs, "seed": self.seed}
        return {**self.tool.describe(), "frail": knobs}

    def open(self, scratch: Path) -> None:
        # Every evaluator draws its own deaths: with equal ones all would die at the same count of points.
        self._random = random.Random(f"{self.seed}:{scratch.name}")  # noqa: S311 - as above
        self.tool.open(scratch)

    def close(self) -> None:
        self.tool.close()

    def evaluate(self, point: Mapping[str, float], sandbox: Sandbox) -> Outcome:
        # A sandbox is named after its point; nothing else of a tool knows ids.
        point_id = int(sandbox.directory.name.partition("-")[0])
        if self.is_poison(point, point_id) or self._random.random() < self.deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.is_hanging(point, point_id):
            time.sleep(LONG)
        return self.tool.evaluate(point, sandbox)

    def evaluate_many(self, x: Array, parameters: Sequence[str]) -> Array:
        return self.tool.evaluate_many(x, parameters)


def _share(chosen: float | Collection[int]) -> float:
    """Return a share of the points; where their ids are given, none is chosen by its place."""
    return float(chosen) if isinstance(chosen, float | int) else 0.0


def _plain(chosen: float | Collection[int]) -> float | list[int]:
    return float(chosen) if isinstance(chosen, float | int) else sorted(int(point_id) for point_id in chosen)


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
