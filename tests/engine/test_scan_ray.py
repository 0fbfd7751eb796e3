"""Whole scans on Ray: in a small cluster of the user's, with a tool that misbehaves, and killed from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rayscan as rs
from rayscan.errors import ClusterError, ConfigError
from rayscan.testing.chaos import DriverKiller, Frail, survivors

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("ray_session")]


@pytest.fixture
def arguments(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What a small scan needs; afterwards nothing may be left in scratch."""
    yield {
        "space": rs.Space(a=(0, 1), b=(0, 1)), "target": rs.Target(y=(0.9, 1.1)), "out": tmp_path / "run",
        "scratch": str(tmp_path / "scratch"), "surrogate": "classifier", "proposal": "random", "K": 40, "L": 400,
        "steps": 10, "hidden": (8,), "evaluators": 2,
    }  # fmt: skip
    end = time.monotonic() + 10
    while survivors(tmp_path / "scratch") and time.monotonic() < end:
        time.sleep(0.1)
    assert survivors(tmp_path / "scratch") == []


def total(seconds: float = 0.0) -> rs.Function:
    return rs.Function(lambda a, b: time.sleep(seconds) or a + b, outputs=["y"])


def check(table: Any, n: int) -> None:
    assert table["point_id"].to_pylist() == list(range(n))
    ok = np.array(table["status"].to_pylist()) == "ok"
    assert np.array_equal((table["a"].to_numpy() + table["b"].to_numpy())[ok], table["y"].to_numpy()[ok])


def test_two_scans_share_a_small_cluster_of_the_users(arguments: dict[str, Any], tmp_path: Path) -> None:
    """Two CPUs hold a driver and more evaluators than CPUs, one scan after another, and resume works."""
    first = rs.Scan(tool=total(), **{**arguments, "evaluators": 5})
    check(first.run(evaluations=60, progress=None).table, 60)
    second = rs.Scan(tool=total(), **{**arguments, "out": tmp_path / "other", "deterministic": True})
    with second:
        check(second.advance(1).table, 80)
        check(second.advance(1).table, 120)
        check(first.run(evaluations=90, progress=None).table, 90)
        check(second.advance(1).table, 160)


def test_deterministic_scans_do_not_depend_on_the_pool(arguments: dict[str, Any], tmp_path: Path) -> None:
    """Without Ray and with it, the same seed gives the same points."""
    places = []
    for evaluators in (0, 3):
        out = tmp_path / f"with{evaluators}"
        scan = rs.Scan(tool=total(), **{**arguments, "out": out, "evaluators": evaluators, "deterministic": True})
        places.append(scan.run(evaluations=130, progress=None).table["u"].to_pylist())
    assert places[0] == places[1]


def test_a_tool_that_does_not_open_is_named(arguments: dict[str, Any]) -> None:
    """The error of a scan whose tool cannot start shows the tool's own message, and no row is made."""

    class Unopenable(rs.Tool):  # type: ignore[misc]
        outputs = ("y",)

        def open(self, scratch: Path) -> None:
            raise OSError("libgfortran.so.5: cannot open shared object file")

        def evaluate(self, point: Any, sandbox: Any) -> Any:
            raise AssertionError

    scan = rs.Scan(tool=Unopenable(), **arguments)
    with pytest.raises(ClusterError, match="cannot open shared object file"):
        scan.run(evaluations=10, progress=None)
    assert len(rs.open_run(arguments["out"])) == 0


def test_a_function_that_cannot_travel_is_refused(arguments: dict[str, Any]) -> None:
    """A function that holds an open file or a lock gives an error that says what to do."""
    import threading

    lock = threading.Lock()
    scan = rs.Scan(tool=rs.Function(lambda a, b: float(lock.locked()), outputs=["y"]), **arguments)
    with pytest.raises(ConfigError, match="belongs to this process"):
        scan.run(evaluations=10, progress=None)


@pytest.mark.chaos
@pytest.mark.timeout(200)
def test_nothing_is_lost_whatever_dies(arguments: dict[str, Any]) -> None:
    """Dying evaluators, poison, hangs and a killed driver: one row a point, right values, poison set aside."""
    tool = Frail(total(0.02), deaths=0.02, poison=0.01, hangs=0.01, deadline=1.0, seed=7)
    scan = rs.Scan(tool=tool, **{**arguments, "evaluators": 4, "max_tool_errors": 1.0})
    with DriverKiller(arguments["out"], every=(1.5, 2.5), times=1, seed=2) as killer:
        table = scan.run(evaluations=200, progress=None).table
    assert len(killer.killed) == 1
    check(table, 200)
    status = np.array(table["status"].to_pylist())
    places = [{"a": a, "b": b} for a, b in zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True)]
    poison, hanging = np.array([tool.is_poison(p) for p in places]), np.array([tool.is_hanging(p) for p in places])
    assert poison.any()
    assert hanging.any()
    assert (status[poison] == "poison").all()
    assert (status[hanging] == "timeout").all()
    # Three random deaths at one point are poison to the pool, too: one point in 125,000.
    assert (status[~poison & ~hanging] == "ok").sum() == 200 - poison.sum() - hanging.sum()
    assert scan.progress().lost > 0


SCRIPT = """
import sys
import rayscan as rs

def f(a, b):
    import time
    time.sleep(0.05)
    return a + b

scan = rs.Scan(
    space=rs.Space(a=(0, 1), b=(0, 1)), tool=rs.Function(f, outputs=["y"]), target=rs.Target(y=(0.9, 1.1)),
    out=sys.argv[1], scratch=sys.argv[2], surrogate="classifier", proposal="random", K=40, L=400, steps=10,
    hidden=(8,), evaluators=2,
)
scan.run(evaluations=int(sys.argv[3]), progress=None)
print("interrupted" if scan.interrupted else "done")
"""


def start(out: Path, scratch: Path, goal: int) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(out), str(scratch), str(goal)], stdout=subprocess.PIPE, text=True,
        env=environment, start_new_session=True,
    )  # fmt: skip


def wait_for_rows(out: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            if len(rs.open_run(out)) >= 10:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError("no rows within a minute")


@pytest.mark.timeout(200)
def test_ctrl_c_and_a_killed_script_can_be_resumed(tmp_path: Path) -> None:
    """Ctrl-C for the whole process group ends a scan in order; after SIGKILL of the script another resumes at once."""
    out, scratch = tmp_path / "run", tmp_path / "scratch"
    process = start(out, scratch, 100_000)
    wait_for_rows(out, process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60)[0].strip() == "interrupted"
    assert process.returncode == 0
    had = rs.open_run(out).table["point_id"].to_pylist()
    assert had == list(range(len(had))), "what was under way was finished"
    process = start(out, scratch, 100_000)
    time.sleep(1.0)
    end = time.monotonic() + 60
    while len(rs.open_run(out)) <= len(had) + 5 and time.monotonic() < end:
        time.sleep(0.1)
    process.kill()
    process.communicate()
    goal = len(rs.open_run(out)) + 150
    process = start(out, scratch, goal)
    assert process.communicate(timeout=100)[0].strip() == "done"
    table = rs.open_run(out).table
    # The orphaned driver may have gone on for a moment.
    assert table.num_rows >= goal
    check(table, table.num_rows)
    end = time.monotonic() + 10
    while survivors(scratch) and time.monotonic() < end:
        time.sleep(0.1)
    assert survivors(scratch) == []
