"""Sessions in a process that is killed without warning, again and again, and what is on the disk afterwards."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import rayscan as rs
from rayscan.testing.chaos import survivors

SCRIPT = """
import sys
import rayscan as rs

out, scratch, deterministic, goal, pause = sys.argv[1:6]

def f(a, b):
    import time
    time.sleep(float(pause))
    return a * a + b * b

scan = rs.Scan(
    space=rs.Space(a=(-1, 1), b=(-1, 1)), tool=rs.Function(f, outputs=["r2"]), target=rs.Target(r2=(0.2, 0.3)),
    out=out, scratch=scratch, evaluators=0, surrogate="classifier", proposal="random", K=20, L=200, steps=10,
    hidden=(8,), seed=3, deterministic=deterministic == "True",
)
print("go", flush=True)
scan.run(evaluations=int(goal), progress=None)
print("done" if not scan.interrupted else "interrupted", flush=True)
"""
VOLATILE = {"issued", "started", "ended", "host", "worker", "attempt", "stages"}


def start(
    out: Path, scratch: Path, *, deterministic: bool, goal: int = 90, pause: float = 0.0
) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(out), str(scratch), str(deterministic), str(goal), str(pause)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert process.stdout is not None
    assert process.stdout.readline() == "go\n"
    return process


def finish(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return out.strip()


def lasting(table: Any) -> dict[str, str]:
    """Return each column that does not depend on when and where, exactly; as text, because NaN differs from NaN."""
    return {name: repr(table[name].to_pylist()) for name in table.column_names if name not in VOLATILE}


def rows_of(out: Path) -> int:
    try:
        return len(rs.open_run(out))
    except OSError:
        return 0


def clean(scratch: Path) -> bool:
    end = time.monotonic() + 5
    while survivors(scratch) and time.monotonic() < end:
        time.sleep(0.1)
    return not survivors(scratch)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_deterministic_scan_killed_at_random_equals_one_that_was_not(tmp_path: Path) -> None:
    """SIGKILL at random moments, and the table is the same to the last bit; nothing is left in scratch."""
    straight = tmp_path / "straight"
    assert finish(start(straight, tmp_path / "scratch", deterministic=True, pause=0.01)) == "done"
    rng, killed = random.Random(5), tmp_path / "killed"
    for _ in range(3):
        process = start(killed, tmp_path / "scratch", deterministic=True, pause=0.01)
        had, end = rows_of(killed), time.monotonic() + 60
        while rows_of(killed) <= had and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(rng.uniform(0.0, 0.6))
        process.kill()
        process.communicate()
    assert 0 < rows_of(killed) <= 90
    assert finish(start(killed, tmp_path / "scratch", deterministic=True)) == "done"
    assert lasting(rs.open_run(killed).table) == lasting(rs.open_run(straight).table)
    assert clean(tmp_path / "scratch")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_a_scan_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and Slurm's warning: the point under way is finished, the script goes on, nothing is left."""
    process = start(tmp_path / "run", tmp_path / "scratch", deterministic=False, goal=10_000, pause=0.02)
    end = time.monotonic() + 20
    while not rows_of(tmp_path / "run") and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(number)
    assert finish(process) == "interrupted"
    rows = rs.open_run(tmp_path / "run").table["point_id"].to_pylist()
    assert rows
    assert rows == list(range(len(rows)))
    assert clean(tmp_path / "scratch")


def test_a_second_signal_ends_a_point_that_hangs(tmp_path: Path) -> None:
    """Twice Ctrl-C does not wait for the point under way; the point is evaluated by the next session."""
    process = start(tmp_path / "run", tmp_path / "scratch", deterministic=False, goal=50, pause=600.0)
    end = time.monotonic() + 20
    while not list((tmp_path / "scratch").glob("*/*/*/0-*")) and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None, "once means finishing the point"
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    assert finish(process) == "interrupted"
    assert time.monotonic() - started < 10
    assert rows_of(tmp_path / "run") == 0
    assert finish(start(tmp_path / "run", tmp_path / "scratch", deterministic=False, goal=50)) == "done"
    assert rs.open_run(tmp_path / "run").table["point_id"].to_pylist() == list(range(50))
    assert clean(tmp_path / "scratch")


def test_a_run_without_a_place_leaves_none(tmp_path: Path) -> None:
    """A temporary run directory lives as long as its scan or its result, and no longer than its process."""
    script = """
import gc, sys, pathlib
import rayscan as rs

def make():
    scan = rs.Scan(
        space=rs.Space(a=(-1, 1)), tool=rs.Function(lambda a: a, outputs=["y"]), target=rs.Target(y=(0, 1)),
        evaluators=0, surrogate="classifier", proposal="random", K=5, steps=2, L=50,
    )
    scan.advance(2)
    return scan.result()

first, second = make(), make()
assert first.table.num_rows == second.table.num_rows == 15
paths = [first.path, second.path]
assert all(path.is_dir() for path in paths)
del first
gc.collect()
assert not paths[0].exists() and paths[1].is_dir()
print(paths[1])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not Path(done.stdout.strip()).exists()
    assert list(tmp_path.glob("rayscan*")) == []
