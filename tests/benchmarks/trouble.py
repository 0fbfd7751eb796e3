"""What becomes of a method whose function hangs, dies or has no answer at one point."""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from rayscan.problem.target import Target
from tests.benchmarks import bsmart, methods, samplers
from tests.benchmarks.problem import Array, Problem, one_island

TROUBLES = ("a point hangs", "a point's program dies", "a point has no answer")
AT, ENOUGH, PATIENCE = 150, 600, 20.0
"""The point in trouble, the evaluations after which a method has gone on, and the CPU seconds it gets for them."""
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
x, y = float(sys.argv[1]), float(sys.argv[2])
if {bad}:
    {what}
print("r =", x * x + y * y)
"""


class Troubled:
    """A disc, seen as the distance from its centre, in a function that does not always answer."""

    def __init__(self, kind: str, count: Path) -> None:
        self.kind, self.count = kind, count

    def __call__(self, u: Array) -> Array:
        before = self.count.stat().st_size
        with self.count.open("ab") as file:
            file.write(bytes(len(u)))
        answer = np.linalg.norm(u - 0.5, axis=1, keepdims=True)
        if before < AT <= before + len(u):
            if self.kind == TROUBLES[0]:
                time.sleep(10**6)
            if self.kind == TROUBLES[1]:
                msg = "the program ended with exit code 139"
                raise OSError(msg)
            answer[AT - 1 - before] = np.nan
        return answer


def disc(kind: str, count: Path) -> Problem:
    """Return the disc as a problem."""
    return Problem(
        "disc2", 2, ("r",), Target(r=(-np.inf, 0.1)), 0.0314, 1, Troubled(kind, count), one_island,
        lambda n, rng: rng.random((n, 2)),
    )  # fmt: skip


def attempt(method: str, kind: str, count: Path, said: Any) -> None:
    """Run a method on the disc, and leave its last words in `said`."""
    problem = disc(kind, count)
    try:
        if method in bsmart.SCANS:
            ended = bsmart.trace(problem, method, ENOUGH, 10**9, PATIENCE).ended
        elif method in samplers.SAMPLERS:
            ended = samplers.trace(problem, method, 0, ENOUGH, 10**9, 100, PATIENCE).ended
        else:
            ended = methods.trace(problem, method, 0, ENOUGH, 10**9, 100).ended
    except BaseException as error:
        ended = f"ends with {type(error).__name__}"
        if not isinstance(error, Exception):
            raise
    said.value = ended.encode()[:200]


def in_trouble(method: str, kind: str) -> str:
    """Return what became of a method, as seen from outside."""
    if method == "rayscan":
        return _scan(kind)
    context = multiprocessing.get_context("spawn")
    said = context.Array("c", 256)
    with tempfile.TemporaryDirectory() as folder:
        count = Path(folder) / "count"
        count.touch()
        process = context.Process(target=attempt, args=(method, kind, count, said))
        process.start()
        process.join(2 * PATIENCE)
        waits = process.is_alive()
        if waits:
            process.kill()
            process.join()
        reached = count.stat().st_size
    if reached >= ENOUGH:
        return "goes on"
    if waits or said.value == b"out of time":
        return f"still waiting after {PATIENCE:g} s, at {reached:,} evaluations"
    return said.value.decode() or f"ends after {reached:,} evaluations"


def _scan(kind: str) -> str:
    """Return the same for a scan of the whole package with a program, one point in thirty of which is in trouble."""
    import rayscan as rs

    what = {
        TROUBLES[0]: "time.sleep(10**6)", TROUBLES[1]: "os.kill(os.getpid(), signal.SIGSEGV)",
        TROUBLES[2]: "print('r = NaN'); sys.exit()",
    }[kind]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "program.py"
        program.write_text(PROGRAM.format(bad="int(1e6 * x) % 30 == 7", what=what))
        command = [sys.executable, "-S", "-E", str(program), "{x}", "{y}"]
        tool = rs.Command(command, read={"r": "key:r"}, name="disc")
        scan = rs.Scan(
            rs.Space(x=(0, 1), y=(0, 1)), tool, rs.Target(r=(0.2, 0.3)), out=Path(folder) / "run", evaluators=1, K=100,
        )  # fmt: skip
        begun = time.monotonic()
        result = scan.run(evaluations=300, progress=None)
        took = time.monotonic() - begun
        seen = result.table["status"].to_pylist()
        status = {name: seen.count(name) for name in ("tool_error", "unphysical", "timeout")}
        rows = ", ".join(f"{n} {name}" for name, n in status.items() if n)
        left = f", {300 - len(result)} left to the next run" if len(result) < 300 else ""
        return f"goes on: 300 evaluations in {took:.0f} s" + (f", {rows}" if rows else "") + left
