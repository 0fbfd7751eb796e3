"""What a scan on a cluster must have come to: each id once, each value right; and a line for each thing seen."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

import rayscan as rs
from rayscan.errors import StoreError

PROGRAM = """#!/bin/sh
# A program that takes a moment, and whose answer can be checked.
sleep 0.2
slow="$(cat "$(dirname "$0")/../data/slow")"
if [ -n "$slow" ] && rmdir "$slow" 2>/dev/null; then sleep 45; fi
awk "BEGIN {{ printf \\"y = %.12g\\\\n\\", ($1) * ($1) * $(cat "$(dirname "$0")/../data/factor") }}"
"""
SCAN = """
[parameters]
x = [1, 10]
[tool]
kind = "command"
command = ["{home}/bin/square", "{{x:.12g}}"]
read = {{ y = 'regex:y = (\\S+)' }}
ship = ["{home}"]
timeout = 100
{more}
[target]
y = [0, 100]
[scan]
K = 400
initial = 4000
"""
PREPARE = (
    "from pathlib import Path; from tests.cluster.outcome import SCAN, make_program; home = Path.home() / 'square-1.0';"
    " make_program(home); Path('scan.toml').write_text(SCAN.format(home=home, more=''))"
)
"""Python that puts program and ``scan.toml`` into the home of whoever runs it."""
FACTOR = 3.0
_started = time.monotonic()


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"{time.monotonic() - _started:6.1f} s  {text}", flush=True)


def make_program(home: Path, slow: str = "") -> None:
    """Put the program and its data below a directory; who finds the directory `slow` takes it away and 45 s longer."""
    for folder in ("bin", "data"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "bin" / "square").write_text(PROGRAM.replace("{{", "{").replace("}}", "}"))
    (home / "bin" / "square").chmod(0o755)
    (home / "data" / "slow").write_text(slow)
    (home / "data" / "factor").write_text(f"{FACTOR}\n")


def hosts_of(run: str | Path) -> Counter[str]:
    """Return how many points each host has evaluated so far."""
    try:
        return Counter(rs.open_run(run).table["host"].to_pylist())
    except StoreError:
        return Counter()


def wait_for(what: str, ready: Callable[[], bool], seconds: float) -> float:
    """Wait until something is so; return the seconds that it took."""
    start = time.monotonic()
    while not ready():
        if time.monotonic() - start > seconds:
            msg = f"{what}: not within {seconds:.0f} s"
            raise RuntimeError(msg)
        time.sleep(0.25)
    return time.monotonic() - start


def check(run: str | Path, rows: int) -> None:
    """Check ids and values of a finished run; say what was found.

    Raises
    ------
    RuntimeError
        An id is missing or there twice, a value is wrong, or a point failed.
    """
    table = rs.open_run(run).table
    ids, x, y = (table[name].to_numpy() for name in ("point_id", "x", "y"))
    status = Counter(table["status"].to_pylist())
    again = int((table["attempt"].to_numpy() > 1).sum())
    whole = np.array_equal(ids, np.arange(len(ids))) and len(ids) >= rows
    right = np.allclose(y, FACTOR * x * x, rtol=1e-9)
    say(
        f"{len(ids)} rows, ids 0 to {ids.max()} once each: {whole}; values right: {right}; {dict(status)}; "
        f"{again} issued again; by host: {dict(Counter(table['host'].to_pylist()))}"
    )
    if not (whole and right and set(status) == {"ok"}):
        msg = f"{run}: the outcome is wrong"
        raise RuntimeError(msg)
