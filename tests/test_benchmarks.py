"""The benchmark suite measures what it says: problems, metrics, bars and counting."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: the benchmarks' metrics were NOT tested")

NAMES = ("cos3", "mhiggs5", "shell7", "eggbox4", "ellipsoids6", "ridge10", "bands12", "islands8", "spiral2", "holes5")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the benchmarks, which are scripts of the checkout, be imported, behind whatever is installed."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parents[1])])
    return


def module(name: str) -> Any:
    """Import one of the benchmarks."""
    return importlib.import_module(f"tests.benchmarks.{name}")


@pytest.mark.parametrize("name", NAMES)
def test_reference_points_of_each_problem_are_valid_and_reach_every_island(name: str) -> None:
    """A sampler that leaves the target or an island out would make every coverage wrong."""
    problem = module("problems").PROBLEMS[name]()
    drawn = problem.draw(4000, np.random.default_rng(1))
    assert drawn.shape == (4000, problem.d)
    # Rounding may put a point that was built on the very edge outside.
    assert problem.valid(drawn).mean() > 0.999
    assert len(np.unique(problem.island(drawn))) == problem.islands


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"shell7", "ellipsoids6", "islands8"}])
def test_valid_fraction_of_each_common_problem_is_as_stated(name: str) -> None:
    """The stated fraction of the prior is what uniform points find, to five standard deviations."""
    problem = module("problems").PROBLEMS[name]()
    n = 400_000
    found = problem.valid(np.random.default_rng(2).random((n, problem.d))).mean()
    assert abs(found - problem.fraction) < 5 * np.sqrt(problem.fraction / n) + 0.003 * problem.fraction


@pytest.mark.parametrize("name", ["shell7", "ellipsoids6", "islands8"])
def test_rare_targets_agree_with_rejection_in_a_box_around_each_island(
    name: str,
) -> None:
    """Uniform points of a box around an island are valid as often, and lie where, the exact sampler says."""
    problem = module("problems").PROBLEMS[name]()
    rng = np.random.default_rng(3)
    drawn = problem.draw(20_000, rng)
    total = 0.0
    for label in range(problem.islands):
        built = drawn[problem.island(drawn) == label]
        low, high = built.min(axis=0) - 0.01, built.max(axis=0) + 0.01
        box = low + (high - low) * rng.random((400_000, problem.d))
        found = box[problem.valid(box)]
        found = found[problem.island(found) == label]
        total += len(found) / len(box) * float(np.prod(high - low))
        spread = built.std(axis=0) * np.sqrt(1 / len(found) + 1 / len(built))
        assert (np.abs(found.mean(axis=0) - built.mean(axis=0)) < 5 * spread).all()
        assert np.allclose(found.std(axis=0), built.std(axis=0), rtol=5 / np.sqrt(len(found)))
        assert len(found) > 100
    assert abs(total / problem.fraction - 1) < 0.15


def test_coverage_tells_a_uniform_sample_from_one_that_digs() -> None:
    """Uniform points cover as well as uniform points; points of one corner cover little and are told apart."""
    problem, measure = module("shapes").spiral2(), module("metrics").measure
    rng = np.random.default_rng(4)
    drawn = problem.draw(4000, rng)
    even, corner = measure(problem, drawn[:500]), measure(problem, drawn[drawn[:, 0] < 0.5][:500])
    assert abs(even.share - even.uniform) < 0.05
    assert abs(even.auc - 0.5) < 0.08
    assert corner.share < 0.7 * corner.uniform
    assert corner.auc > 0.7


def test_evaluations_to_a_goal_count_the_start_and_every_invalid_point() -> None:
    """The tenth valid point is reached at its place in the whole record."""
    loop, results, problem = module("loop"), module("results"), module("shapes").spiral2()
    trace = loop.Trace(2)
    rng = np.random.default_rng(5)
    for _ in range(3):
        u = rng.random((500, 2))
        trace.add(u, problem.valid(u), 0.1)
    result = results.assess(problem, "uniform", 0, trace)
    assert (result.total, result.valid, result.steps) == (1500, int(trace.valid.sum()), 3)
    tenth = result.evaluations[10]
    assert trace.valid[:tenth].sum() == 10
    assert trace.valid[tenth - 1]


def test_bars_pass_at_the_bar_and_miss_beyond_it_and_where_a_goal_was_not_reached() -> None:
    """PASS and MISS are decided on medians, and a goal that was never reached is a MISS."""
    bars, metrics, results = module("bars"), module("metrics"), module("results")
    bar = bars.BARS["cos3"]

    def runs(last: int | None) -> list[Any]:
        reached = {1000: bar.first} | ({10_000: last} if last else {})
        covered = {10_000: metrics.Coverage(0.9, 0.9, 13, 0.5)} if last else {}
        return [results.Result("cos3", "default", 0, evaluations=reached, coverage=covered, seconds=[1.0] * 9)]

    verdicts = {last: [cell.passed for cell in bars.cells("cos3", runs(last))] for last in (bar.last, bar.last + 1, 0)}
    assert all(verdicts[bar.last])
    assert verdicts[bar.last + 1] == [True, False, *[True] * (len(verdicts[bar.last]) - 2)]
    assert not any(verdicts[0][1:5])


def test_functions_given_to_other_samplers_stop_at_the_goal_and_count_each_call() -> None:
    """A peer cannot evaluate past the budget, and its record holds what it asked for inside the cube."""
    samplers, problem = module("samplers"), module("shapes").spiral2()
    function = samplers.Function(problem, budget=1000, goal=10**6, batch=300)
    rng = np.random.default_rng(6)
    first = function.likelihood(rng.random((400, 2)))
    outside = function.likelihood(np.full((50, 2), 1.5))
    assert (first <= 0).all()
    assert (outside == samplers.NOWHERE).all()
    assert function.trace.total == 400
    with pytest.raises(samplers.EnoughError):
        function.likelihood(rng.random((700, 2)))
    assert function.trace.total == 1000
    with pytest.raises(samplers.EnoughError):
        samplers.Function(problem, budget=10**6, goal=5, batch=300).likelihood(problem.draw(5, rng))


def test_labels_say_no_more_than_valid_or_not() -> None:
    """A labelled problem has the same valid points and no other observable."""
    labelled, problem = module("labels_only").labelled, module("shapes").holes5()
    u = np.random.default_rng(7).random((20_000, 5))
    bare = labelled(problem)
    assert np.array_equal(bare.valid(u), problem.valid(u))
    assert set(np.unique(bare.evaluate(u)[~np.isnan(problem.evaluate(u)[:, 0])])) == {0.0, 1.0}


def test_ablations_replace_parts_that_the_method_has_and_put_them_back() -> None:
    """An ablation of something that is not there would be a figure of nothing."""
    ablation = module("ablation")
    for each in ablation.ABLATIONS.values():
        before = [getattr(owner, name) for owner, name, _ in each.parts]
        with each.applied():
            changed = [getattr(owner, name) for owner, name, _ in each.parts]
        assert all(old is not new for old, new in zip(before, changed, strict=True))
        assert [getattr(owner, name) for owner, name, _ in each.parts] == before
    with pytest.raises(AttributeError), ablation.Ablation("it", ((ablation.Hops, "no_such_part", 0),)).applied():
        pass
