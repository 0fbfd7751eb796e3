"""Ctrl-C twice, or another signal before: once means finish what is under way, twice means now."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import rayscan as rs
from rayscan.commands.outcome import Exit
from rayscan.testing.chaos import survivors

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(150)]

CONFIG = """
out = "run"
parameters.x = [0, 1]
target.y = [0.4, 0.6]

[tool]
kind = "command"
command = ["PYTHON", "-S", "-E", "-c", "import time; x = {{x}}; time.sleep({sleep}); print('y =', x)"]
read = {{ y = {{ key = "y", file = "stdout" }} }}

[scan]
surrogate = "classifier"
proposal = "random"
initial = 10
K = 10
L = 100
evaluators = 2
drain = 90
scratch = "scratch"
{more}
"""


def start(folder: Path, sleep: str, more: str) -> subprocess.Popen[str]:
    config = CONFIG.format(sleep=sleep, more=more).replace("PYTHON", sys.executable)
    (folder / "scan.toml").write_text(config)
    command = [sys.executable, "-m", "rayscan.cli", "run", str(folder / "scan.toml"), "--evaluations", "1000"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=folder)


def wait_until(ready: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def rows(folder: Path) -> int:
    try:
        return len(rs.open_run(folder / "run"))
    except OSError:
        return 0


@pytest.mark.parametrize(
    ("sleep", "more", "first", "number"),
    [
        pytest.param("0.1 if x < 0.7 else 100", "", 3, signal.SIGTERM, id="programs that run for long"),
        pytest.param(
            "0",
            "deterministic = true\nholdout = 0\nsteps = 100000000\nepochs = 1000000000",
            10,
            signal.SIGINT,
            id="a network that learns for long",
        ),
    ],
)
def test_the_second_ctrl_c_ends_it_within_seconds(
    tmp_path: Path, sleep: str, more: str, first: int, number: signal.Signals
) -> None:
    """What it waits for is ended, all rows are there and right, and nobody and nothing is left behind.

    Until then what is under way goes on, also where a shell's ``kill %1`` or ``timeout`` told the whole process group.
    """
    process = start(tmp_path, sleep, more)
    wait_until(lambda: rows(tmp_path) >= first or process.poll() is not None)
    assert process.poll() is None, process.communicate()[1]
    time.sleep(1.0)
    os.killpg(process.pid, number)
    time.sleep(2.0)
    assert process.poll() is None, process.communicate()[1]
    family = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    again = time.monotonic()
    said = process.communicate(timeout=60)[1]
    assert time.monotonic() - again < 30, "seconds, even on a machine with too much to do, but not the 90 of a drain"
    assert process.returncode == Exit.STOPPED, said
    assert "stopping at once" in said
    assert "Traceback" not in said
    table = rs.open_run(tmp_path / "run").table
    ids = table["point_id"].to_pylist()
    assert len(ids) >= first
    assert len(set(ids)) == len(ids)
    assert table["y"].to_pylist() == pytest.approx(table["x"].to_pylist())
    wait_until(lambda: not survivors(tmp_path / "scratch"), 10.0)
    assert psutil.wait_procs(family, timeout=10.0)[1] == []
