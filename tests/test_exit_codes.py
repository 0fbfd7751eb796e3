"""What the shell is told, in each of the ways in which a command can end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import rayscan as rs
from rayscan.cli import app
from rayscan.commands.outcome import Exit
from rayscan.commands.run import EPILOG

ROOT = Path(__file__).parents[1]
CONFIG = """
parameters.x = [0, 1]
target.y = [2, 3]
scan = { evaluators = 0, initial = 5000 }
[tool]
kind = "function"
f = "waiting_model:y"
outputs = ["y"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A scan that never finds anything, a hundredth of a second a point."""
    (tmp_path / "waiting_model.py").write_text("import time\n\ndef y(x):\n    time.sleep(0.01)\n    return x\n")
    (tmp_path / "scan.toml").write_text(CONFIG)
    return tmp_path / "scan.toml"


def start(config: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{config.parent}"}
    return subprocess.Popen(
        [sys.executable, "-m", "rayscan.cli", "run", str(config), "--out", str(config.parent / "run"), *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for_rows(config: Path) -> None:
    end = time.monotonic() + 120
    while not (config.parent / "run" / "progress.json").exists() and time.monotonic() < end:
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1], ids=lambda number: number.name)
def test_a_signal_ends_with_3_and_everything_saved(config: Path, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and Slurm's warning: points under way are finished, the way to go on is said, the code is 3."""
    with start(config, "--valid", "5") as scan:
        wait_for_rows(config)
        scan.send_signal(number)
        out, err = scan.communicate(timeout=120)
    assert scan.returncode == Exit.STOPPED == 3
    assert f"{number.name}: finishing the points under way and saving" in err
    assert "stopped before the goal; the same command goes on" in out
    rows = rs.open_run(config.parent / "run").table
    assert rows["point_id"].to_pylist() == list(range(rows.num_rows))
    assert rows.num_rows > 0
    assert "Traceback" not in err


def test_rayscan_stop_ends_a_scan_of_another_process_with_3(config: Path) -> None:
    """`rayscan stop RUN --wait` from elsewhere: 0 for the one who asks, 3 for the scan that is asked."""
    with start(config, "--valid", "5") as scan:
        wait_for_rows(config)
        asked = CliRunner().invoke(app, ["stop", str(config.parent / "run"), "--wait", "100"])
        assert asked.exit_code == Exit.DONE
        assert scan.wait(120) == Exit.STOPPED


def test_the_time_limit_is_a_goal(config: Path) -> None:
    """A scan that has had its time has done what it was asked for: 0, and soon."""
    begun = time.monotonic()
    with start(config, "--valid", "5", "--time-limit", "1 s") as scan:
        out, err = scan.communicate(timeout=120)
    assert scan.returncode == Exit.DONE == 0, err
    assert time.monotonic() - begun < 100
    assert "stopped before the goal" not in out
    assert 0 < len(rs.open_run(config.parent / "run")) < 5000


def test_a_broken_tool_ends_with_1_and_bad_input_with_2(config: Path) -> None:
    """What fails on the way is 1 with the rows saved; what is wrong beforehand is 2 with nothing begun."""
    with start(config, "--valid", "0") as scan:
        assert scan.wait(120) == 2
    with start(config) as scan:
        assert "give --valid N" in scan.communicate(timeout=120)[1]
    assert scan.returncode == Exit.BAD_INPUT == 2
    assert not (config.parent / "run").exists()
    (config.parent / "waiting_model.py").write_text("def y(x):\n    raise OSError('no licence')\n")
    with start(config, "--valid", "5") as scan:
        _, err = scan.communicate(timeout=120)
    assert scan.returncode == Exit.FAILED == 1
    assert "function y raised OSError: no licence" in err
    assert len(rs.open_run(config.parent / "run")) >= 20


def test_help_and_the_pages_list_every_code() -> None:
    """The codes stand in --help and in docs/running.md, with the numbers that the commands return."""
    told = dict.fromkeys(re.findall(r"(?:^Exit codes: |; )(\d) ", EPILOG))
    assert list(told) == [str(int(code)) for code in Exit]
    shown = " ".join(CliRunner().invoke(app, ["run", "--help"]).output.replace("│", " ").split())
    assert " ".join(EPILOG.split()) in shown
    page = (ROOT / "docs" / "running.md").read_text()
    assert re.findall(r"^\| (\d) \|", page, re.MULTILINE) == list(told)
