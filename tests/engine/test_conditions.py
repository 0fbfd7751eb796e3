"""A scan with conditions between its parameters, from the file to the table and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rayscan as rs
from rayscan.errors import ResumeMismatchError

SPACE: dict[str, Any] = {"m1": (0, 100), "m2": rs.Log(1, 100), "gap": rs.Derived("m2 - m1")}
WHERE = "gap > 0 and m1 + m2 > 20"


def model(m1: float, m2: float, gap: float) -> dict[str, float]:
    """Programs of this kind must never see a negative gap."""
    assert gap > 0
    return {"y": m1 / m2}


def make(out: Path, where: Any = WHERE, **options: Any) -> rs.Scan:
    options = {"K": 40, "surrogate": "classifier", "hidden": (16,), "steps": 100, "L": 1000, "evaluators": 0, **options}
    return rs.Scan(
        space=rs.Space(SPACE, where=where), tool=rs.Function(model, outputs=["y"]), target=rs.Target(y=(0.4, 0.6)),
        out=out, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 120 points."""
    path = tmp_path_factory.mktemp("conditions") / "run"
    make(path).run(evaluations=120, progress=None)
    return path


def test_no_row_violates_the_conditions_and_the_volume_is_of_what_is_left(run: Path) -> None:
    """None is evaluated, none is counted: the volume is the share of the prior where they hold."""
    result = rs.open_run(run)
    table = result.table.to_pandas()
    rng = np.random.default_rng(0)
    m1, m2 = 100 * rng.random(400_000), 100 ** rng.random(400_000)
    left = (m1 < m2) & (m1 + m2 > 20)
    exact = ((m1 > 0.4 * m2) & (m1 < 0.6 * m2))[left].mean()

    assert len(table) == 120
    assert set(table.status) == {"ok"}
    assert ((table.gap > 0) & (table.m1 + table.m2 > 20)).all()
    assert abs(result.volume().value - exact) < 3 * result.volume().error


def test_a_changed_condition_is_another_problem(run: Path) -> None:
    """A run goes on with the same conditions, however they are written, and with no others."""
    with pytest.raises(ResumeMismatchError, match=r"where\[1\]: m1 \+ m2 > 20 → m1 \+ m2 > 30"):
        make(run, "gap > 0 and m1 + m2 > 30").run(evaluations=200, progress=None)
    with pytest.raises(ResumeMismatchError, match="where: removed"):
        make(run, None).run(evaluations=200, progress=None)
    make(run, ["gap>0", "m1+m2 > 20"]).run(evaluations=150, progress=None)

    table = rs.open_run(run).table.to_pandas()
    assert len(table) == 150
    assert ((table.gap > 0) & (table.m1 + table.m2 > 20)).all()


def test_a_fork_takes_the_rows_that_satisfy_the_new_conditions(run: Path, tmp_path: Path) -> None:
    """Rows that violate them are left, and counted as outside of the new space."""
    scan = make(tmp_path / "new", "gap > 0 and m1 + m2 > 60", fork=run)
    parent = scan.take_over()
    old, new = rs.open_run(run).table.to_pandas(), rs.open_run(tmp_path / "new").table.to_pandas()

    assert parent is not None
    assert 0 < parent.taken == (old.m1 + old.m2 > 60).sum() < len(old)
    assert parent.left == {"outside the new space": len(old) - parent.taken}
    assert (new.m1 + new.m2 > 60).all()


def test_a_file_says_what_a_script_says(run: Path) -> None:
    """The scan.toml of a run holds the conditions, and checks a point that satisfies them."""
    from rayscan.config import load_config

    text = (run / "scan.toml").read_text()
    assert f'[space]\nwhere = "{WHERE}"' in text
    assert load_config(run).space == rs.Space(SPACE, where=WHERE)
