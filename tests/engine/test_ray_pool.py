"""The pool of Ray actors: what comes back when evaluators die, hang, or do not start."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rayscan as rs
from rayscan.engine.roster import Bounds, Demand
from rayscan.errors import ClusterError
from rayscan.testing.chaos import Frail, survivors
from rayscan.tools.base import Outcomes, Points, Status, Tool

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture
def new_pool(ray_session: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    from rayscan.engine.ray_pool import RayPool

    pools: list[RayPool] = []

    def make(tool: Tool, size: int = 2, cpus: float = 0.2) -> RayPool:
        bounds, demand = Bounds(size, size), Demand(cpus)
        pools.append(RayPool(tool, ("x",), f"test-{time.time_ns()}", bounds, demand, str(tmp_path / "scratch")))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
    end = time.monotonic() + 10
    while survivors(tmp_path / "scratch") and time.monotonic() < end:
        time.sleep(0.1)
    assert survivors(tmp_path / "scratch") == []


def points(ids: range) -> Points:
    n = len(ids)
    return Points(np.array(ids, dtype=np.int64), np.array(ids, dtype=float).reshape(n, 1), np.ones(n, np.int32))


def gather(pool: Any, n: int, seconds: float = 60.0) -> dict[int, tuple[Status, float, int]]:
    """Collect `n` outcomes; status, value and attempt by id."""
    found: dict[int, tuple[Status, float, int]] = {}
    end = time.monotonic() + seconds
    while len(found) < n and time.monotonic() < end:
        for outcomes in pool.collect(0.1):
            for one in outcomes.split():
                point_id = int(one.point_id[0])
                assert point_id not in found, "one outcome a point"
                found[point_id] = (Status(one.status[0]), float(one.observables[0, 0]), int(one.attempt[0]))
    assert len(found) == n
    extra: list[Outcomes] = pool.collect(0.1)
    assert extra == []
    return found


def test_every_point_is_answered_once(new_pool: Callable[..., Any]) -> None:
    """Quick points in chunks, all right; who evaluates is known in the meantime and afterwards."""
    pool = new_pool(rs.Function(lambda x: 2 * x, outputs=["y"]))
    pool.submit(points(range(40)))
    found = gather(pool, 40)
    assert all(found[i] == (Status.OK, 2.0 * i, 1) for i in range(40))
    end = time.monotonic() + 10
    while "working" in pool.crew() and time.monotonic() < end:
        # All answers are there; that nothing comes after them is told in a message of its own.
        pool.collect(0.1)
    assert pool.crew()["waiting"]
    assert set(pool.crew()) <= {"waiting", "starting"}
    pool.submit(points(range(40, 60)))
    assert pool.crew()["working"]


def test_blocks_of_a_vectorised_function(new_pool: Callable[..., Any]) -> None:
    """A vectorised function gets blocks, and a failing block does not take its neighbours with it."""

    def f(x: np.ndarray) -> np.ndarray:
        if (x == 7).any():
            raise ValueError("seven")
        return x[:, 0] + 1

    pool = new_pool(rs.Function(f, outputs=["y"], vectorized=True))
    pool.submit(points(range(100)))
    found = gather(pool, 100)
    assert found.pop(7)[0] == Status.TOOL_ERROR
    assert all(found[i][:2] == (Status.OK, i + 1.0) for i in found)


def test_a_point_that_kills_is_set_aside_and_the_others_come_back(new_pool: Callable[..., Any]) -> None:
    """Poison costs its evaluator three times, and nobody else an outcome."""

    def f(x: float) -> float:
        if x == 5:
            os._exit(1)
        return x

    pool = new_pool(rs.Function(f, outputs=["y"]))
    pool.submit(points(range(12)))
    found = gather(pool, 12)
    assert found.pop(5)[0] == Status.POISON
    assert all(found[i][:2] == (Status.OK, float(i)) for i in found)


def test_a_point_that_hangs_times_out_and_the_others_come_back(new_pool: Callable[..., Any]) -> None:
    """With a deadline, the evaluator of a hanging point is ended; points that were behind it are evaluated."""

    def f(x: float) -> float:
        if x == 3:
            time.sleep(600)
        return x

    tool = rs.Function(f, outputs=["y"])
    tool.deadline = 1.0
    pool = new_pool(tool)
    pool.submit(points(range(10)))
    found = gather(pool, 10)
    assert found.pop(3)[0] == Status.TIMEOUT
    assert all(found[i][:2] == (Status.OK, float(i)) for i in found)


def test_suspects_do_not_starve(new_pool: Callable[..., Any]) -> None:
    """A point whose evaluator died gets its turn while new points keep coming."""
    tool = Frail(rs.Function(lambda x: time.sleep(0.05) or x, outputs=["y"]), deaths=0.2, seed=1)
    pool = new_pool(tool, size=2)
    suspected: dict[int, int] = {}
    given, end = 0, time.monotonic() + 60
    while time.monotonic() < end and not any(attempt > 1 for attempt in suspected.values()):
        room = pool.room()
        if room:
            pool.submit(points(range(given, given + room)))
            given += room
        for outcomes in pool.collect(0.1):
            suspected |= dict(zip(outcomes.point_id.tolist(), outcomes.attempt.tolist(), strict=True))
    assert any(attempt > 1 for attempt in suspected.values())


def test_one_death_costs_no_pause_and_many_in_a_row_do() -> None:
    """An evaluator that died by accident is replaced at once; where none gets anywhere pauses grow, up to a limit."""
    from rayscan.engine.ray_pool import LONGEST_PAUSE, back_off

    pauses = [back_off(failures) for failures in range(1, 1100)]
    assert pauses[0] == 0
    assert pauses[1] > 0
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE


def test_a_tool_that_does_not_open_says_why(new_pool: Callable[..., Any]) -> None:
    """When no evaluator can open the tool, the error carries the tool's own words."""

    class Unopenable(rs.Tool):  # type: ignore[misc]
        outputs = ("y",)

        def open(self, scratch: Path) -> None:
            raise RuntimeError("there is no licence for this program")

        def evaluate(self, point: Any, sandbox: Any) -> Any:
            raise AssertionError

    pool = new_pool(Unopenable())
    pool.submit(points(range(2)))
    with pytest.raises(ClusterError, match=r"no evaluator could be started.*RuntimeError: there is no licence"):
        gather(pool, 2)


def test_a_node_that_lacks_the_program_says_so(new_pool: Callable[..., Any], tmp_path: Path) -> None:
    """The program is looked for where the evaluators are, not only where the user sits."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho y = $1\n")
    program.chmod(0o755)
    tool = rs.Command([str(program), "{x}"], read={"y": {"key": "y", "file": "stdout"}})
    tool.check(["x"])
    program.unlink()
    pool = new_pool(tool)
    pool.submit(points(range(2)))
    with pytest.raises(ClusterError, match=str(program)):
        gather(pool, 2)


def test_a_shipped_program_runs_from_its_copy(ray_session: Any, tmp_path: Path) -> None:
    """Program, data and arguments are found in the copy, though the original is gone; nothing stays behind."""
    from rayscan.engine.freight import Cargo, Freight
    from rayscan.engine.node_report import fingerprint, inspect_here
    from rayscan.engine.ray_pool import RayPool

    home = tmp_path / "Prog-1.0"
    (home / "bin").mkdir(parents=True)
    (home / "data.txt").write_text("40")
    program = home / "bin" / "prog"
    program.write_text('#!/bin/sh\necho y = $(($1 + $(cat "$2"))); echo $0\n')
    program.chmod(0o755)
    command = [str(program), "{x:d}", str(home / "data.txt")]
    tool = rs.Command(command, read={"y": r"regex:y = (\S+)"}, private={"own": home}).require(ship=[home])
    expected = fingerprint(tool)
    cargo = Cargo.of(tool)
    shutil.rmtree(home)
    scratch = str(tmp_path / "scratch")
    unpacked = Freight(tool, cargo).unpack(scratch)
    report = inspect_here(unpacked.tool, ("x",), scratch, expected, "there", unpacked.origins)
    assert report.complaint == ""
    assert unpacked.tool.private["own"].is_relative_to(scratch)  # type: ignore[attr-defined]
    unpacked.close()
    pool = RayPool(tool, ("x",), "test-shipped", Bounds(2, 2), Demand(0.2), scratch, cargo=cargo)
    try:
        pool.submit(points(range(4)))
        found = gather(pool, 4)
        # Those who have work when the pool closes are killed, and cannot tidy up themselves.
        pool.submit(points(range(4, 400)))
    finally:
        pool.close()
    assert [found[i][:2] for i in range(4)] == [(Status.OK, 40.0 + i) for i in range(4)]
    end = time.monotonic() + 10
    while list(Path(scratch).rglob("prog")) and time.monotonic() < end:
        time.sleep(0.1)
    assert list(Path(scratch).rglob("prog")) == []


def test_abandoned_points_are_forgotten_and_may_come_again(new_pool: Callable[..., Any]) -> None:
    """After `abandon` nothing of the past comes back, and the same ids can be submitted anew."""
    pool = new_pool(rs.Function(lambda x: time.sleep(30 if x < 4 else 0) or x, outputs=["y"]))
    pool.submit(points(range(4)))
    end = time.monotonic() + 30
    while not any(seat.open for seat in pool._crew.seats) and time.monotonic() < end:
        pool.collect(0.1)
    started = time.monotonic()
    pool.abandon()
    quick = points(range(4))
    pool.submit(Points(quick.point_id, quick.x + 10, quick.attempt + np.int32(1)))
    found = gather(pool, 4)
    assert {i: value for i, (_, value, _) in found.items()} == {0: 10.0, 1: 11.0, 2: 12.0, 3: 13.0}
    assert time.monotonic() - started < 28


def test_closing_does_not_wait_for_hanging_evaluators(new_pool: Callable[..., Any]) -> None:
    """A pool closes within seconds, whatever its evaluators do."""
    pool = new_pool(rs.Function(lambda x: time.sleep(600), outputs=["y"]))
    pool.submit(points(range(4)))
    end = time.monotonic() + 30
    while not any(seat.open for seat in pool._crew.seats) and time.monotonic() < end:
        pool.collect(0.1)
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 8
