"""Killed and resumed equals uninterrupted: ``python -m tests.benchmarks.resume_equality [--kills 20] [--method auto]``.

A deterministic scan runs once without trouble, and once in processes that get SIGKILL at random moments: while they
import, open, evaluate, learn, save, compact or close. With ``--evaluators`` above 0 the driver and the evaluators are
processes of a local Ray that dies with the script. In the end both tables must be the same in every column but those
that say when and where (times, host, worker, attempt). Prints one line a method; ends with 1 if a table differs.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import rayscan as rs

VOLATILE = {"issued", "started", "ended", "host", "worker", "attempt", "stages"}
METHODS: dict[str, dict[str, Any]] = {
    "auto": {},
    "classifier": {"surrogate": "classifier", "steps": 50, "L": 2000},
    "regressor": {"surrogate": "regressor", "steps": 50, "L": 2000},
    "similarity": {"surrogate": "similarity", "steps": 50, "L": 2000},
    "paper": {"surrogate": "classifier", "selection": "paper", "steps": 50, "L": 2000},
}


def scan(out: Path, arguments: argparse.Namespace) -> None:
    """Scan to the goal: what runs in the process that is killed."""
    pause = arguments.pause

    def ring(a: float, b: float) -> float:
        time.sleep(pause)
        return a * a + b * b

    rs.Scan(
        space=rs.Space(a=(-1, 1), b=(-1, 1)), tool=rs.Function(ring, outputs=["r2"]), target=rs.Target(r2=(0.2, 0.3)),
        out=out, evaluators=arguments.evaluators, K=arguments.K, seed=3, deterministic=True, hidden=(16, 16),
        **METHODS[arguments.method],
    ).run(evaluations=arguments.points, progress=None)  # fmt: skip


def start(out: Path, arguments: argparse.Namespace) -> subprocess.Popen[bytes]:
    same = ("points", "K", "pause", "evaluators", "method")
    options = [word for name in same for word in (f"--{name}", str(getattr(arguments, name)))]
    command = [sys.executable, "-m", "tests.benchmarks.resume_equality", *options, "--into", str(out)]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True)


def rows(out: Path) -> int:
    try:
        return len(rs.open_run(out))
    except OSError:
        return 0


def different(first: Path, second: Path) -> list[str]:
    """Return the columns that differ; as text, because NaN differs from NaN."""
    one, two = rs.open_run(first).table, rs.open_run(second).table
    names = [name for name in one.column_names if name not in VOLATILE]
    return [name for name in names if repr(one[name].to_pylist()) != repr(two[name].to_pylist())]


def killed(out: Path, arguments: argparse.Namespace, rng: random.Random) -> tuple[list[int], int]:
    """Start the scan again and again, and kill it; return the rows after each kill, and the kills before a new row."""
    found, idle = [0], 0
    while len(found) <= arguments.kills:
        process = start(out, arguments)
        if rng.random() < 0.3:
            # While it starts or resumes.
            time.sleep(rng.uniform(0.2, 8.0))
        else:
            # By rows, not by time: the machine may be busier or less busy than a moment ago.
            wanted = found[-1] + (arguments.points - found[-1]) * rng.random() / (arguments.kills + 2 - len(found))
            while process.poll() is None and rows(out) <= wanted:
                time.sleep(0.05)
            # Any moment of a round.
            time.sleep(rng.uniform(0.0, arguments.K * arguments.pause))
        if process.poll() is not None:
            assert process.returncode == 0, f"the scan ended with {process.returncode}"
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        now = rows(out)
        idle += now == found[-1]
        found.append(now)
    return found[1:], idle


def compare(directory: Path, arguments: argparse.Namespace) -> bool:
    rng = random.Random(arguments.seed)
    straight, broken = directory / "straight", directory / "broken"
    began = time.monotonic()
    assert start(straight, arguments).wait() == 0, "the undisturbed scan failed"
    once = time.monotonic() - began
    found, idle = killed(broken, arguments, rng)
    assert start(broken, arguments).wait() == 0, "the last resume failed"
    differ = different(straight, broken)
    middle = sum(0 < count < arguments.points for count in found)
    enough = len(found) == arguments.kills and middle > len(found) // 3
    told = f"DIFFERENT: {', '.join(differ)}" if differ else "the tables are identical"
    print(
        f"{arguments.method}, {arguments.evaluators or 'no'} evaluators: {arguments.points} points "
        f"({once:.0f} s undisturbed), {len(found)} kills, {middle} of them in the middle, {idle} before a new row; "
        f"rows after each: {found}; {told}{'' if enough else '; TOO FEW KILLS in the middle: take more points'}",
        flush=True,
    )
    return not differ and enough


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=3000)
    parser.add_argument("--K", type=int, default=100)
    parser.add_argument("--pause", type=float, default=0.01, help="what a point takes, in seconds")
    parser.add_argument("--evaluators", type=int, default=0)
    parser.add_argument("--method", choices=METHODS, default="auto")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.into:
        scan(arguments.into, arguments)
        return 0
    with tempfile.TemporaryDirectory() as directory:
        return 0 if compare(Path(directory), arguments) else 1


if __name__ == "__main__":
    raise SystemExit(main())
