"""A forked scan goes on from the rows that it took: learner, goals, resume, the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import rayscan as rs
from rayscan.cli import app
from rayscan.errors import ResumeMismatchError
from rayscan.learn.proposer import Proposer
from rayscan.store import RunDirectory

POINTS = 40
METHODS = [{"surrogate": "auto"}, {"surrogate": "classifier", "L": 200, "epochs": 3}]


def r2(x: float, y: float) -> float:
    return x * x + y * y


def make(out: Path, target: rs.Target | None = None, **options: Any) -> rs.Scan:
    options = {
        "K": 10, "initial": POINTS, "evaluators": 0, "hidden": (8,), "space": rs.Space(x=(-1, 1), y=(-1, 1)), **options
    }  # fmt: skip
    tool = rs.Function(r2, outputs=["r2"])
    return rs.Scan(tool=tool, target=target or rs.Target(r2=(0.1, 0.4)), out=out, **options)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fork") / "old"
    make(path).run(evaluations=POINTS, progress=None)
    return path


def places(path: Path) -> np.ndarray:
    return np.array(rs.open_run(path).table["u"].to_pylist())


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What the proposer is told and asked, in order."""
    from rayscan.engine import session

    taken: list[tuple[str, int]] = []
    make_proposer = session.make_proposer

    def spied(*arguments: Any) -> Proposer:
        proposer = make_proposer(*arguments)
        tell, ask = proposer.tell, proposer.ask

        def noted_tell(rows: Any) -> None:
            taken.append(("tell", len(rows)))
            tell(rows)

        def noted_ask(n: int, pending: Any) -> Any:
            taken.append(("ask", n))
            return ask(n, pending)

        monkeypatch.setattr(proposer, "tell", noted_tell)
        monkeypatch.setattr(proposer, "ask", noted_ask)
        return proposer

    monkeypatch.setattr(session, "make_proposer", spied)
    return taken


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method["surrogate"])
def test_the_learner_hears_of_all_rows_before_it_proposes(
    old: Path, tmp_path: Path, notes: list[tuple[str, int]], method: dict[str, Any], deterministic: bool
) -> None:
    """Both methods start from the rows taken over, not from a first design; they count in the goal."""
    result = make(tmp_path / "new", fork=old, deterministic=deterministic, **method).run(
        evaluations=POINTS + 10, progress=None
    )
    assert notes[:2] == [("tell", POINTS), ("ask", 10)]
    table = result.table.to_pandas()
    assert table.point_id.tolist() == list(range(POINTS + 10))
    assert (table.origin[:POINTS] == "fork").all()
    assert not table.origin[POINTS:].isin(["fork", "initial"]).any()
    assert (table.generation[POINTS:] == 1).all()


def test_few_rows_are_joined_by_a_first_design(old: Path, tmp_path: Path) -> None:
    """Where the rows taken over are fewer than the first points, the rest is drawn evenly over the new space."""
    space = rs.Space(x=(0.2, 1.5), y=(-1, 1))
    scan = make(tmp_path / "new", fork=old, space=space, initial=30)
    parent = scan.take_over()
    assert parent is not None
    assert 5 < parent.taken < 25
    origin = scan.run(evaluations=30, progress=None).table["origin"].to_pylist()
    assert origin == ["fork"] * parent.taken + ["initial"] * (30 - parent.taken)


def test_a_fork_draws_points_of_its_own(old: Path, tmp_path: Path) -> None:
    """With the same seed a fork does not repeat its parent's points, and two forks of one parent agree."""
    for name in ("a", "b"):
        make(tmp_path / name, fork=old, initial=POINTS + 20, deterministic=True).run(
            evaluations=POINTS + 20, progress=None
        )
    first, second = places(tmp_path / "a"), places(tmp_path / "b")
    np.testing.assert_array_equal(first, second)
    longer = make(tmp_path / "longer", initial=POINTS + 20).run(evaluations=POINTS + 20, progress=None)
    parents = {place.tobytes() for place in places(longer.path)}
    assert all(place.tobytes() in parents for place in first[:POINTS])
    assert not any(place.tobytes() in parents for place in first[POINTS:])


def test_a_goal_that_the_rows_reach_already_costs_nothing(old: Path, tmp_path: Path) -> None:
    """Valid rows count at once."""
    scan = make(tmp_path / "new", rs.Target(r2=(0, 2)), fork=old)
    assert scan.run(valid=POINTS, progress=None).valid.num_rows == POINTS
    assert len(rs.open_run(tmp_path / "new")) == POINTS


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method["surrogate"])
def test_an_interrupted_fork_goes_on_as_if_nothing_had_happened(
    old: Path, tmp_path: Path, method: dict[str, Any]
) -> None:
    """In deterministic mode: stopped right after the take-over and again later, the points are the same."""
    options = {"fork": old, "deterministic": True, **method}
    make(tmp_path / "whole", **options).run(evaluations=POINTS + 30, progress=None)
    make(tmp_path / "parts", **options).take_over()
    for evaluations in (POINTS + 4, POINTS + 17, POINTS + 30):
        make(tmp_path / "parts", **options).run(evaluations=evaluations, progress=None)
    np.testing.assert_array_equal(places(tmp_path / "parts"), places(tmp_path / "whole"))


def test_a_fork_is_resumed_with_and_without_being_named_again(old: Path, tmp_path: Path) -> None:
    """The same script goes on; so does one without fork=; another problem is refused as for any run."""
    new = tmp_path / "new"
    for evaluations, options in ((50, {"fork": old}), (53, {"fork": old}), (56, {})):
        make(new, rs.Target(r2=(0.2, 0.5)), **options).run(evaluations=evaluations, progress=None)
        assert rs.open_run(new).table["point_id"].to_pylist() == list(range(evaluations))
    with pytest.raises(ResumeMismatchError, match=r"target\.r2"):
        make(new, rs.Target(r2=(0.2, 0.6)), fork=old).run(evaluations=60, progress=None)


def test_a_fork_can_be_forked(old: Path, tmp_path: Path) -> None:
    """Rows pass on, with their way back step by step."""
    make(tmp_path / "child", rs.Target(r2=(0.2, 0.5)), fork=old).take_over()
    make(tmp_path / "grandchild", rs.Target(r2=(0.3, 0.6)), fork=tmp_path / "child").take_over()
    assert RunDirectory(tmp_path / "grandchild").details["parent"]["taken"] == POINTS
    message = rs.open_run(tmp_path / "grandchild").table["message"][7].as_py()
    assert message == f"point 7 of {old}; point 7 of {tmp_path / 'child'}"


CONFIG = """
parameters.x = [-1, 1]
parameters.y = [-1, 1]
target.r2 = [0.1, 0.4]
scan = { evaluators = 0, initial = 200 }
[tool]
kind = "function"
f = "fork_model:r2"
outputs = ["r2"]
"""


def cli(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_the_command_line_refuses_with_the_way_out_and_forks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal of another problem names the command; the command says how many rows it took; it can be repeated."""
    (tmp_path / "fork_model.py").write_text("def r2(x, y):\n    return x * x + y * y\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "fork_model", raising=False)
    config, old, new = tmp_path / "scan.toml", tmp_path / "old", tmp_path / "new"
    config.write_text(CONFIG)
    assert cli("run", config, "--out", old, "--evaluations", 30, "--no-plot").exit_code == 0
    config.write_text(CONFIG.replace("[0.1, 0.4]", "[0.1, 0.5]").replace("x = [-1, 1]", "x = [0, 2]"))
    refused = cli("run", config, "--out", old, "--evaluations", 40, "--no-plot")
    assert refused.exit_code == 2
    assert "space.x.hi: 1 → 2" in refused.stderr
    assert "target.r2.hi: 0.4 → 0.5" in refused.stderr
    assert f"`rayscan run … --out NEW --fork {old}`" in refused.stderr
    for evaluations in (40, 45):
        done = cli("run", config, "--out", new, "--fork", old, "--evaluations", evaluations, "--no-plot")
        assert done.exit_code == 0, done.output
        assert (f"of 30 rows of {old} taken over, not: " in done.output) is (evaluations == 40)
        assert len(rs.open_run(new)) == evaluations
    assert cli("run", config, "--out", old, "--fork", old, "--evaluations", 40).exit_code == 2
