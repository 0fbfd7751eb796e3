"""The default method, killed and resumed, against the same scan left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_default_method_killed_at_random_equals_one_that_was_not():
    """SIGKILL at random moments of a deterministic scan, and the table is the same to the last bit."""
    command = [sys.executable, "-m", "tests.benchmarks.resume_equality", "--points", "300", "--K", "50"]
    done = subprocess.run(
        [*command, "--kills", "3", "--seed", "1"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=580
    )
    assert "the tables are identical" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout
