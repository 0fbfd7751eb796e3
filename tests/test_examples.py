"""The examples that a newcomer types in, in a small size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_cos3_prints_a_count_for_every_step_and_draws(tmp_path: Path) -> None:
    """The paper's test function runs through the public interface, with every network that it offers."""
    picture = tmp_path / "cos3.png"
    arguments = ["--proposal", "vegas", "--K", "300", "--L", "3000", "--steps", "1", "--picture", str(picture)]
    command = [sys.executable, str(EXAMPLES / "cos3.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    rows = [line.split("last")[0].split() for line in done.stdout.splitlines() if "vegas" in line]
    assert [row[0] for row in rows] == ["similarity,", "classifier,", "regressor,"]
    assert all(len(row) == 4 for row in rows)
    assert picture.stat().st_size > 10_000
