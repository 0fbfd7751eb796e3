"""The plug is pulled while a scan runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_whatever_a_crash_leaves_of_a_run_goes_on():
    """Copies at random moments, torn as a crash tears them, keep what was promised and reach their goal."""
    command = [sys.executable, "-m", "tests.benchmarks.power_cut", "--copies", "6", "--within", "0.2", "0.9"]
    done = subprocess.run(
        [*command, "--more", "60"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kill, power = (line.split() for line in done.stdout.splitlines()[-2:])
    assert (kill[:2], power[:2]) == (["kill", "3"], ["power", "3"])
    assert (kill[-1], power[-1]) == ("0", "0")
