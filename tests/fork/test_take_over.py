"""Which rows of an older run a fork takes, what becomes of them, and what it says of the others."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rayscan as rs
from rayscan.errors import ConfigError, StoreError
from rayscan.results.weights import effective_size
from rayscan.store import RunDirectory

POINTS = 60
ROOT = Path(__file__).parents[2]


def model(x: float, y: float) -> dict[str, float]:
    """Some points are refused, some break the function."""
    if x > 0.9:
        return {"r2": math.nan, "s": math.nan}
    if y > 0.9:
        msg = "out of memory"
        raise RuntimeError(msg)
    return {"r2": x * x + y * y, "s": x + y}


def make(out: Path | None, target: rs.Target | None = None, space: rs.Space | None = None, **options: Any) -> rs.Scan:
    options = {"initial": POINTS, "evaluators": 0, "tool": rs.Function(model, outputs=["r2", "s"]), **options}
    return rs.Scan(
        space=space or rs.Space(x=(-1, 1), y=(-1, 1)), target=target or rs.Target(r2=(0.2, 0.3)), out=out, **options
    )


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of sixty points, some of which failed."""
    path = tmp_path_factory.mktemp("fork") / "old"
    make(path).run(evaluations=POINTS, progress=None)
    return path


def frame(path: Path) -> Any:
    return rs.open_run(path).table.to_pandas()


def snapshot(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_rows_that_fit_are_judged_anew_and_the_old_run_is_not_touched(old: Path, tmp_path: Path) -> None:
    """Values stay to the last digit, places and verdicts are those of the new problem, ids begin at 0."""
    before, new = snapshot(old), tmp_path / "new"
    scan = make(new, rs.Target(r2=(0.5, 0.8)), rs.Space(x=(-1, 2), y=(-0.5, 1)), fork=old)
    parent = scan.take_over()
    rows, theirs = frame(new), frame(old)
    fits = theirs[(theirs.y >= -0.5) & (theirs.status != "tool_error")].reset_index()

    assert parent is not None
    assert (parent.rows, parent.taken) == (POINTS, len(fits))
    failed = int((theirs.status == "tool_error").sum())
    assert failed > 0
    assert parent.left == {
        "failed for technical reasons": failed, "outside the new space": POINTS - failed - len(fits),
    }  # fmt: skip
    assert rows.point_id.tolist() == list(range(len(fits)))
    assert (rows[["x", "y", "r2", "s"]].fillna(-9) == fits[["x", "y", "r2", "s"]].fillna(-9)).all().all()
    assert (rows.valid == ((rows.r2 >= 0.5) & (rows.r2 <= 0.8))).all()
    assert rows.valid.any()
    np.testing.assert_allclose(scan.problem.space.to_physical(np.vstack(rows.u)), rows[["x", "y"]], atol=1e-12)
    assert (rows.penalty[rows.valid] == 0).all()
    assert snapshot(old) == before


def test_refused_points_stay_labels_and_every_row_says_where_it_is_from(old: Path, tmp_path: Path) -> None:
    """Unphysical rows are taken with their status; origin and message lead back to the old row."""
    make(tmp_path / "new", fork=old).take_over()
    rows, theirs = frame(tmp_path / "new"), frame(old).set_index("point_id")
    assert (rows.status == "unphysical").sum() == (theirs.status == "unphysical").sum() > 0
    assert not rows.valid[rows.status == "unphysical"].any()
    assert set(rows.origin) == {"fork"}
    for message, x in zip(rows.message, rows.x, strict=True):
        point, _, where = message.rpartition("point ")[2].partition(" of ")
        assert where == str(old)
        assert theirs.x[int(point)] == x


def test_rows_of_another_scan_have_no_known_density(old: Path, tmp_path: Path) -> None:
    """Neither the volume nor the exact weights rest on them, though they are counted as evaluations."""
    make(tmp_path / "new", fork=old).take_over()
    result = rs.open_run(tmp_path / "new")
    assert result.volume().evaluations == 0
    assert np.isnan(result.table["density"].to_numpy()).all()
    assert effective_size(result.weights) <= result.valid.num_rows
    assert rs.open_run(old).volume().evaluations == POINTS


def test_the_run_remembers_its_parent(old: Path, tmp_path: Path) -> None:
    """Path, fingerprint and the account of rows are in run.json, the metadata of every file, the log and the report."""
    make(tmp_path / "new", fork=old).take_over()
    run, theirs = RunDirectory(tmp_path / "new"), RunDirectory(old)
    parent = run.details["parent"]
    assert (parent["path"], parent["fingerprint"]) == (str(old), theirs.fingerprint)
    assert json.loads(run.schema.metadata["parent"]) == parent
    assert f"rows of {old} taken over" in (run.path / "log").read_text()
    assert str(old) in rs.open_run(run.path).report().replace("\n", "")


def test_a_place_keeps_its_last_digit_where_the_prior_stays(old: Path, tmp_path: Path) -> None:
    """Only axes whose prior changed get new coordinates."""
    make(tmp_path / "new", space=rs.Space(x=(-1, 1), y=(-2, 2)), fork=old).take_over()
    theirs = frame(old)
    kept = np.vstack(theirs[theirs.status != "tool_error"].u)
    u = np.vstack(frame(tmp_path / "new").u)
    assert (u[:, 0] == kept[:, 0]).all()
    np.testing.assert_allclose(u[:, 1], (kept[:, 1] + 0.5) / 2)


def test_axes_may_change_places_and_priors(old: Path, tmp_path: Path) -> None:
    """Parameters are found by name; a logarithmic prior takes the points that it can reach."""
    space = rs.Space(y=rs.Log(0.01, 1), x=(-1, 1))
    make(tmp_path / "new", space=space, fork=old).take_over()
    rows, theirs = frame(tmp_path / "new"), frame(old)
    assert len(rows) == ((theirs.y >= 0.01) & (theirs.status != "tool_error")).sum()
    np.testing.assert_allclose(space.to_physical(np.vstack(rows.u)), rows[["y", "x"]])


def test_new_derived_quantities_are_computed(old: Path, tmp_path: Path) -> None:
    """A derived parameter or observable that the old run lacked is worked out from what it has."""
    space = rs.Space(x=(-1, 1), y=(-1, 1), xy=rs.Derived("x * y"))
    target = rs.Target(ratio=(0, 1), derive={"ratio": "r2 / (1 + xy)"})
    make(tmp_path / "new", target, space, fork=old).take_over()
    rows = frame(tmp_path / "new")
    ok = rows[rows.status == "ok"]
    np.testing.assert_allclose(ok.ratio, ok.r2 / (1 + ok.x * ok.y))
    assert (ok.valid == (ok.ratio <= 1)).all()


def test_a_target_function_is_asked_anew(old: Path, tmp_path: Path) -> None:
    """Parameters and observables reach the user's function as in a scan."""
    make(tmp_path / "new", rs.Target(lambda x, s: x > s), fork=old).take_over()
    rows = frame(tmp_path / "new")
    ok = rows[rows.status == "ok"]
    assert (ok.valid == (ok.x > ok.s)).all()
    assert 0 < ok.valid.sum() < len(ok)


def test_constants_must_be_what_they_were(old: Path, tmp_path: Path) -> None:
    """A parameter that is now constant takes the rows with that value, which may be none: then nothing is made."""
    with pytest.raises(ConfigError, match=r"no row fits .*with another value of a fixed or derived parameter"):
        make(tmp_path / "new", space=rs.Space(x=(-1, 1), y=0.123), fork=old).take_over()
    assert list(tmp_path.iterdir()) == []
    theirs = frame(old)
    value = float(theirs.y[theirs.status == "ok"].iloc[0])
    parent = make(tmp_path / "new", space=rs.Space(x=(-1, 1), y=value), fork=old).take_over()
    assert parent is not None
    assert parent.taken == 1


@given(low=st.floats(-1, 0.8), width=st.floats(0.01, 1.5))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exactly_the_rows_inside_are_taken(old: Path, tmp_path: Path, low: float, width: float) -> None:
    """Whatever the new range: no row outside it comes along, and none inside is forgotten."""
    from rayscan.engine.fork import Fork

    theirs = frame(old)
    space = rs.Space(x=(low, low + width), y=(-1, 1))
    inside = (theirs.x >= low) & (theirs.x <= low + width) & (theirs.status != "tool_error")
    plan = Fork(old, make(None, space=space).problem)
    if inside.any():
        columns, _, parent = plan._columns()
        assert parent.taken == inside.sum()
        assert (columns["x"] == theirs.x[inside]).all()
    else:
        with pytest.raises(ConfigError, match="no row fits"):
            plan._columns()


def other(x: float, y: float) -> dict[str, float]:
    return {"r2": x * x + y * y}


def test_another_tool_is_refused_unless_the_user_vouches_for_it(old: Path, tmp_path: Path) -> None:
    """The difference is shown with the way to say that it does not matter; then needed observables must be there."""
    tool = rs.Function(other, outputs=["r2"])
    with pytest.raises(ConfigError, match=r"tool\.function: model#\w+ → other#\w+") as caught:
        make(tmp_path / "new", tool=tool, fork=old)
    assert "--same-tool" in str(caught.value)
    assert not (tmp_path / "new").exists()
    make(tmp_path / "new", tool=tool, fork=old, same_tool=True).take_over()
    assert "s" not in frame(tmp_path / "new").columns

    wider = rs.Function(lambda x, y: (x, y, x * y), outputs=["r2", "s", "t"])
    with pytest.raises(ConfigError, match=r"the target needs 't', which is not among its observables, r2, s"):
        make(None, rs.Target(v=(0, 1), derive={"v": "t + s"}), tool=wider, fork=old, same_tool=True)
    make(tmp_path / "wider", tool=wider, fork=old, same_tool=True).take_over()
    assert frame(tmp_path / "wider").t.isna().all()


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (rs.Space(x=(-1, 1), y=(-1, 1), z=(0, 1)), "'z' is new"),
        (rs.Space(x=(-1, 1)), "'y' is no longer there"),
        (rs.Space(x=(-1, 1), Y=(-1, 1)), "'Y' is new, 'y' is no longer there"),
    ],
)
def test_other_parameters_are_refused(old: Path, tmp_path: Path, space: rs.Space, said: str) -> None:
    """A point without one of its parameters is not the same point."""
    tool = rs.Function(lambda **point: (0.0, 0.0), outputs=["r2", "s"])
    with pytest.raises(ConfigError, match=f"expected the same parameters, x, y; {said}"):
        make(tmp_path / "new", space=space, tool=tool, fork=old, same_tool=True)
    assert not (tmp_path / "new").exists()


def test_points_that_a_chain_left_early_are_taken_only_where_that_decides(tmp_path: Path) -> None:
    """What the old target cut short may be wanted by the new one: such rows are left, with the reason."""

    def first(x: float) -> float:
        return x

    def second(x: float) -> float:
        return 10 * x

    def chain() -> rs.Chain:
        stages = [rs.Function(first, outputs=["a"], name="first"), rs.Function(second, outputs=["b"], name="second")]
        return rs.Chain(stages, when={"second": "a"})

    def scan(out: str, low: float, high: float, **fork: Any) -> rs.Scan:
        target = rs.Target(a=(low, high), b=(0, 10))
        return make(tmp_path / out, target, rs.Space(x=(0, 1)), tool=chain(), **fork)

    scan("old", 0.4, 0.6).run(evaluations=POINTS, progress=None)
    parent = scan("new", 0.3, 0.5, fork=tmp_path / "old").take_over()
    rows, theirs = frame(tmp_path / "new"), frame(tmp_path / "old")
    unknown = (theirs.a >= 0.3) & (theirs.a < 0.4)
    assert parent is not None
    assert parent.left == {"stopped early for the old target, before the new one was decided": unknown.sum()}
    assert unknown.sum() > 0
    assert rows.a.tolist() == theirs.a[~unknown].tolist()
    assert (rows.valid == ((rows.a >= 0.3) & (rows.a <= 0.5))).all()


def test_kept_files_come_along_and_links_do_not(tmp_path: Path) -> None:
    """Spectra of rows that are valid now are copied under the new ids; a link planted in kept/ is not followed."""

    def scan(out: str, low: float, high: float, **options: Any) -> rs.Scan:
        tool = rs.Command(
            ["python", "-c", "open('out', 'w').write('y = {x}'); print('y = {x}')"],
            read={"y": r"regex:y = (\S+)"}, keep="all", keep_files=["out"], name="echo",
        )  # fmt: skip
        return make(
            tmp_path / out, rs.Target(y=(low, high)), rs.Space(x=(0, 1)), tool=tool, keep="valid", initial=12, **options
        )

    old = tmp_path / "old"
    scan("old", 0, 1).run(evaluations=12, progress=None)
    (tmp_path / "secret").write_text("secret")
    theirs = frame(old)
    victim = theirs[theirs.x > 0.5].kept.iloc[0][0]
    (old / "kept" / victim).unlink()
    (old / "kept" / victim).symlink_to(tmp_path / "secret")
    scan("new", 0.5, 1, fork=old).take_over()
    rows = frame(tmp_path / "new")
    kept = [list(names) for names in rows.kept]
    assert [bool(names) for names in kept] == (rows.valid & (rows.x != theirs[theirs.x > 0.5].x.iloc[0])).tolist()
    assert sum(map(len, kept)) == rows.valid.sum() - 1 > 0
    for names, x, point_id in zip(kept, rows.x, rows.point_id, strict=True):
        for name in names:
            assert name == f"{point_id}-out"
            text = (tmp_path / "new" / "kept" / name).read_text()
            assert float(text.removeprefix("y = ")) == pytest.approx(x, rel=1e-9)


def test_a_fork_that_was_killed_left_nothing_in_the_way(old: Path, tmp_path: Path) -> None:
    """Killed in the middle of the take-over: the new run is not there yet, and the same command makes it whole."""
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom rayscan.store import Store\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\nimport test_take_over as t\n"
        "Store.flush = lambda self: os._exit(9)\n"
        f"t.make(Path({str(tmp_path / 'new')!r}), fork={str(old)!r}, same_tool=True).take_over()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 9
    assert [path.name for path in tmp_path.iterdir()] == [".new.fork.part"]
    make(tmp_path / "new", fork=old).take_over()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert len(frame(tmp_path / "new")) == (frame(old).status != "tool_error").sum()


def test_a_fork_goes_into_a_new_or_empty_directory_only(old: Path, tmp_path: Path) -> None:
    """Another run, foreign files, the old run itself: refused, nothing touched. An empty directory will do."""
    (tmp_path / "empty").mkdir()
    make(tmp_path / "empty", fork=old).take_over()
    assert len(frame(tmp_path / "empty")) > 0
    make(tmp_path / "other").run(evaluations=3, progress=None)
    for taken in (tmp_path / "other", old):
        before = snapshot(taken)
        with pytest.raises(ConfigError, match="holds a run already, and it is no fork of"):
            make(taken, fork=old)
        assert snapshot(taken) == before
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("42")
    with pytest.raises(StoreError, match="nothing was changed"):
        make(tmp_path / "thesis", fork=old).take_over()
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]
    with pytest.raises(StoreError, match="no such run directory"):
        make(tmp_path / "new", fork=tmp_path / "nothing")
