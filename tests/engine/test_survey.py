"""Scans that end when unbiased points say that the valid region is covered, or its volume known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rayscan as rs
from rayscan.engine.survey import NOTHING, Findings, Survey
from rayscan.errors import ConfigError
from rayscan.learn.data import Origin, Rows
from rayscan.progress import Goal, Progress
from rayscan.results.saturation import Coverage, estimate_coverage
from rayscan.results.volume import Volume, estimate_volume


def rows(n: int, seed: int = 0) -> Rows:
    """Return uniform points of which a quarter of the square is valid."""
    rng = np.random.default_rng(seed)
    u = rng.random((n, 2))
    none = np.full(n, np.nan)
    valid = (u < 0.5).all(axis=1)
    origin = np.where(rng.random(n) < 0.5, Origin.UNIFORM, Origin.POPULATION).astype(np.int8)
    return Rows(
        np.arange(n), u, np.zeros(n, np.int8), none[:, None], valid, none, none, origin,
        np.where(origin == Origin.UNIFORM, 1.0, np.nan), none, np.zeros(n, np.int32),
    )  # fmt: skip


def uniform_of(script: type[Any]) -> Any:
    """Return a proposer that draws uniform points of known density only."""

    class Uniform(script):  # type: ignore[misc]
        def ask(self, n: int, pending: np.ndarray) -> Any:
            drawn = super().ask(n, pending)
            drawn.origin[:] = Origin.UNIFORM
            return drawn

    return Uniform(initial=8)


def test_findings_do_not_depend_on_the_order_or_the_size_of_batches() -> None:
    """Rows one by one in any order, over thousands of batches, or all at once: the same as from the table."""
    table = rows(2500)
    whole, bits = Survey(table), Survey(table[:0])
    for row in np.random.default_rng(1).permutation(len(table)):
        bits.add(table[row : row + 1])
    for survey in (whole, bits):
        assert survey.findings == NOTHING
        survey.look(always=False, least=1)
        assert survey.findings.coverage == estimate_coverage(table.u, table.origin, table.density, table.valid)
        assert survey.findings.volume == estimate_volume(table.origin, table.density, table.valid, table.generation)
    assert whole.findings.coverage.share > 0.97
    assert whole.findings.volume.value == pytest.approx(0.25, abs=0.05)


def test_a_look_waits_until_the_scan_has_grown() -> None:
    """Between two looks there are 5 % more rows, and as many as a step has; in deterministic mode any new row."""
    table = rows(4000)
    survey = Survey(table[:1000])
    survey.look(always=False, least=10)
    first = survey.findings
    survey.add(table[1000:1049])
    survey.look(always=False, least=10)
    assert survey.findings is first
    survey.add(table[1049:1050])
    survey.look(always=False, least=100)
    assert survey.findings is first
    survey.look(always=False, least=10)
    assert survey.findings is not first
    second = survey.findings
    survey.look(always=True, least=10)
    assert survey.findings is second
    survey.add(table[1050:1051])
    survey.look(always=True, least=10)
    assert survey.findings is not second


def test_a_goal_needs_more_than_the_estimate() -> None:
    """Coverage counts by its lower limit, the volume by its relative error; without either goal nothing is reached."""
    found = Findings(Coverage(0.97, 0.02, 60), Volume(0.1, 0.006, 500, 0.12, 0.01))
    assert found.reached(Goal(coverage=0.96)) == ""
    said = "97.0% ± 2.0% of the valid region covered, by 60 probes"
    assert (
        found.reached(Goal(coverage=0.94))
        == f"{said}; a region that all blind points missed may be 0.1 times as large (95 %)"
    )
    assert found.reached(Goal(coverage=0.8)) == said
    assert found.reached(Goal(volume_error=0.05)) == ""
    assert found.reached(Goal(volume_error=0.07)) == "valid volume known to 6.0%"
    assert found.reached(Goal(coverage=0.96, volume_error=0.07)) != ""
    assert NOTHING.reached(Goal(coverage=0.01, volume_error=0.99)) == ""


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_scan_ends_when_the_volume_is_known(bench: Any, make_script: Any, deterministic: bool) -> None:
    """It goes on until the error is as asked for, not much longer, and a second run ends at once."""
    goal = Goal(volume_error=0.2, evaluations=3000)
    progress = bench.open(proposer=uniform_of(make_script), deterministic=deterministic).run(goal)
    table = bench.close()
    assert progress.state.startswith("done: valid volume known to 1"), progress.state
    assert progress.volume_error is not None
    assert progress.volume_error <= 0.2
    done = len(table)
    origin = np.full(done, Origin.UNIFORM)
    valid = table["valid"].to_numpy(zero_copy_only=False)
    # Otherwise a busy machine may hand over many rows at a time.
    before = int(done / 1.1) - 20 if deterministic else 0
    assert estimate_volume(origin[:before], np.ones(before), valid[:before]).relative > 0.2
    again = bench.open(proposer=uniform_of(make_script), deterministic=deterministic).run(goal)
    assert again.evaluations == done
    assert again.state == progress.state


def test_a_scan_ends_when_the_region_is_covered(bench: Any, make_script: Any) -> None:
    """The lower limit of the coverage ends it, or another goal before it."""
    progress = bench.open(proposer=uniform_of(make_script)).run(Goal(coverage=0.9, evaluations=3000))
    assert "of the valid region covered" in progress.state
    assert progress.coverage is not None
    assert progress.coverage_error is not None
    assert progress.coverage - progress.coverage_error >= 0.9
    assert progress.evaluations < 3000
    bench.close()
    progress = bench.open(proposer=uniform_of(make_script)).run(
        Goal(coverage=0.999, evaluations=progress.evaluations + 9)
    )
    assert progress.state.endswith("evaluations")


def test_points_chosen_by_score_reach_no_such_goal(bench: Any) -> None:
    """With a hundred start points of known density and none after, the goals of others end the scan."""
    progress = bench.open(initial=8).run(Goal(coverage=0.5, volume_error=0.1, evaluations=400))
    assert progress.state == "done: 400 evaluations"
    assert progress.coverage is None


def test_the_progress_line_says_how_far_it_is() -> None:
    """Only what the goal asks for is shown, and a question mark before anything is known."""
    goal = Goal(coverage=0.95, volume_error=0.05)
    assert "covered ?/95% · volume error ?/5%" in Progress("scanning", goal=goal).line()
    known = Progress("scanning", goal=goal, coverage=0.913, coverage_error=0.021, volume_error=0.083)
    assert "covered 91.3% ± 2.1%/95% · volume error 8.3%/5%" in known.line()
    assert "covered" not in Progress("scanning", goal=Goal(valid=5), coverage=0.9, coverage_error=0.1).line()


def square(out: Path | None = None, **options: Any) -> rs.Scan:
    return rs.Scan(
        space=rs.Space(a=(0, 1), b=(0, 1)), tool=rs.Function(lambda x: x.sum(axis=1), outputs=["y"], vectorized=True),
        target=rs.Target(y=(0.9, 1.1)), evaluators=0, out=out, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        ({"coverage": 1.0}, "coverage = 1.0; expected a share between 0 and 1"),
        ({"volume_error": 0}, "volume_error = 0; expected a positive number"),
        ({"volume_error": 3}, "volume_error = 3; expected a share between 0 and 1"),
        ({}, "coverage=, volume_error="),
        ({"valid": 1.5}, "valid = 1.5; expected a whole number of points"),
        ({"evaluations": float("inf")}, "evaluations = inf; expected a whole number of points"),
        ({"steps": 2.5}, "steps = 2.5; expected a whole number of steps"),
        ({"valid": True}, "valid = True; expected a positive number"),
    ],
)
def test_impossible_goals_are_refused(tmp_path: Path, goal: dict[str, float], message: str) -> None:
    """Nothing is started or written."""
    with pytest.raises(ConfigError, match=message):
        square(tmp_path / "run").run(**goal)
    assert not (tmp_path / "run").exists()


def test_a_count_may_be_written_as_a_float() -> None:
    """1e2 points are a hundred."""
    assert len(square(initial=8, K=8).run(evaluations=1e1, progress=False).table) == 10


@pytest.mark.parametrize("options", [{"surrogate": "classifier"}, {"selection": "paper"}])
def test_a_method_without_probes_says_so(tmp_path: Path, options: dict[str, str]) -> None:
    """Before anything is started: with points chosen by score such a goal would never be reached."""
    with pytest.raises(ConfigError, match="chooses all its points by score"):
        square(tmp_path / "run", **options).run(coverage=0.9, valid=10)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_whole_scan_knows_the_volume_it_says(tmp_path: Path) -> None:
    """The default method on a band of known area: the volume goal ends it, and the area is within the error."""
    scan = square(tmp_path / "run", hidden=(30, 30))
    result = scan.run(volume_error=0.08, evaluations=6000, progress=None)
    assert scan.progress().state.startswith("done: valid volume known to")
    volume = result.volume()
    assert volume.relative <= 0.08
    assert abs(volume.value - 0.19) < 4 * volume.error
    assert math.isfinite(result.coverage().share)
    assert result.coverage() == result.diagnostics().coverage
    covered = scan.run(coverage=0.9, evaluations=6000, progress=None)
    assert covered.coverage().lower >= 0.9
