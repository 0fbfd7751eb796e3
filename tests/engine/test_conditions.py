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
    assert "m1 + m2 > 20" in result.report()


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


def mixture(f1: float, f2: float, f3: float, m1: float, m2: float) -> dict[str, float]:
    """Programs of this kind get all fractions, and masses in order."""
    assert abs(f1 + f2 + f3 - 1) < 1e-9
    assert m1 < m2
    return {"y": f1 + f2 * m1 / m2}


def test_fractions_and_masses_in_order_from_seeds_to_report(tmp_path: Path) -> None:
    """A scan with joint priors begins with seeds, is resumed, forked, drawn and reported like any other."""
    space = rs.Space(rs.Simplex("f1", "f2", "f3"), rs.Ordered("m1", "m2", of=(0, 100)))

    def scan(out: str, **options: Any) -> rs.Scan:
        return rs.Scan(
            space, rs.Function(mixture, outputs=["y"]), rs.Target(y=(0.4, 0.6)), tmp_path / out, K=30,
            surrogate="classifier", hidden=(16,), steps=50, L=1000, evaluators=0, **options,
        )  # fmt: skip

    seed = {"f1": 0.5, "f2": 0.3, "m1": 10.0, "m2": 20.0}
    scan("run", seeds=[seed]).run(evaluations=40, progress=None)
    result = scan("run", seeds=[seed]).run(evaluations=60, progress=None)
    table = result.table.to_pandas()
    parent = scan("fork", fork=tmp_path / "run").take_over()

    assert len(table) == 60
    assert table.loc[0, list(seed)].to_dict() == pytest.approx(seed)
    assert (table.status == "ok").all()
    assert (table.f1 + table.f2 + table.f3).to_numpy() == pytest.approx(1, abs=1e-9)
    assert parent is not None
    assert parent.taken == 60
    forked = rs.open_run(tmp_path / "fork").table
    assert np.array_equal(np.stack(forked["u"].to_numpy()), np.stack(result.table["u"].to_numpy()))
    assert "f3         simplex  0 to 1, what the others leave, with f1" in result.report()
    assert len(result.plot.vegas().axes) >= space.d
    assert result.plot.parameters == ["f1", "f2", "f3", "m1", "m2"]
