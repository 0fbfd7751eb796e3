"""A clock that is set back in the middle of a scan: nothing waits for it, and no duration is negative."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import rayscan as rs
from rayscan.cli import app
from rayscan.store.arrays import column


class Clock:
    """The system's clock, which is set back by an hour at every hundredth look, and ahead by two at others."""

    def __init__(self) -> None:
        self.read, self.looks, self.off = time.time, 0, 0.0

    def __call__(self) -> float:
        self.looks += 1
        self.off += -3600.0 if self.looks % 100 == 0 else 7200.0 if self.looks % 333 == 0 else 0.0
        return self.read() + self.off


@pytest.mark.parametrize("vectorized", [False, True])
@pytest.mark.parametrize("deterministic", [False, True])
def test_a_clock_that_jumps_disturbs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vectorized: bool, deterministic: bool
) -> None:
    """Every point has its row and a duration that is none below zero; report, status and resume work."""
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)

    def square(x: np.ndarray) -> np.ndarray:
        return x[:, 0] ** 2

    tool = rs.Function(square, vectorized=True) if vectorized else rs.Function(lambda x: x * x)

    def scan() -> rs.Scan:
        return rs.Scan(
            rs.Space(x=(-1, 1)), tool, rs.Target(y=(0.2, 0.4)), out=tmp_path / "run", evaluators=0, K=20, initial=900,
            deterministic=deterministic,
        )  # fmt: skip

    for evaluations in (350, 400):
        result = scan().run(evaluations=evaluations, progress=None)
        table = result.table
        assert table["point_id"].to_pylist() == list(range(evaluations))
        took = column(table, "ended") - column(table, "started")
        assert (took >= 0).all()
        assert (took < 60).all()
    if not vectorized:
        assert clock.off != 0
        assert (np.diff(column(table, "started")) < -3000).any()
    text = result.report()
    assert "evaluations" in text
    assert "-3" not in text.partition("Time")[2].partition("Programs")[0]
    shown = CliRunner().invoke(app, ["status", str(tmp_path / "run")], catch_exceptions=False)
    assert shown.exit_code == 0
    assert "as of -" not in shown.output
