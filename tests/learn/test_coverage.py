"""The default method: coverage, determinism, exact shares, and whatever a scan may throw at it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rayscan.errors import ConfigError
from rayscan.learn.coverage import method, sampler
from rayscan.learn.coverage.method import CoverageProposer
from rayscan.learn.data import Origin, Proposals, Rows
from rayscan.learn.options import LearnOptions
from rayscan.learn.population import population
from rayscan.learn.snapshot import from_bytes, to_bytes
from rayscan.learn.surrogates import contest
from rayscan.learn.surrogates.labels.jury import ALIKE, PLAIN, POINTS
from rayscan.problem.constraints import Above, Gaussian, Window
from rayscan.problem.target import Target

Array = NDArray[np.float64]
Function = Callable[[Array], Array]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller minibatches, fewer steps and particles: the problems here are easy."""
    monkeypatch.setattr(contest, "STEPS", 120)
    monkeypatch.setattr(contest, "FIRST_STEPS", 150)
    monkeypatch.setattr(contest, "BATCH", 128)
    monkeypatch.setattr(sampler, "PLACED", 300)
    monkeypatch.setattr(population, "SIZE", 300)


def evaluate(
    proposals: Proposals, function: Function, target: Target, names: tuple[str, ...], first: int, status: int = 0
) -> Rows:
    values = function(proposals.u)
    judged = target.judge({name: values[:, j] for j, name in enumerate(names)})
    n = len(proposals)
    failed = np.full(n, status, dtype=np.int8)
    return Rows(
        np.arange(first, first + n), proposals.u, failed, values, judged.valid, judged.likelihood, judged.penalty,
        proposals.origin, proposals.density, proposals.score,
        np.full(n, proposals.generation, dtype=np.int32),
    )  # fmt: skip


def scan(
    proposer: CoverageProposer,
    function: Function,
    target: Target,
    names: tuple[str, ...],
    batches: int,
    size: int = 100,
) -> Rows:
    told: list[Rows] = []
    for batch in range(batches):
        proposals = proposer.ask(size, np.empty((0, proposer.d)))
        assert len(proposals) == size
        assert ((proposals.u >= 0) & (proposals.u <= 1)).all()
        told.append(evaluate(proposals, function, target, names, batch * size))
        proposer.tell(told[-1])
        proposer.refit()
    return Rows.concatenate(told)


def make(d: int, target: Target, names: tuple[str, ...], seed: int = 1, **options: object) -> CoverageProposer:
    return CoverageProposer(d, target, names, LearnOptions(K=100, hidden=(40, 40), device="cpu", **options), seed)


def ring(u: Array) -> Array:
    """A ring of radius 0.3 in the plane z = 0.5."""
    x = u - 0.5
    return np.hypot(np.hypot(x[:, 0], x[:, 1]) - 0.3, x[:, 2])[:, None]


RING = Target(y=(-0.05, 0.05))


def test_ring_in_three_dimensions_gets_covered() -> None:
    """Every arc of a thin ring of 1.5 % of the volume is found, mostly by valid points."""
    rows = scan(make(3, RING, ("y",)), ring, RING, ("y",), 10)
    found = rows.u[rows.valid] - 0.5
    sectors = np.histogram(np.arctan2(found[:, 1], found[:, 0]), 12, (-math.pi, math.pi))[0]
    assert rows.valid[500:].mean() > 0.4
    assert sectors.min() > 0.3 * sectors.mean()


def test_both_of_two_separated_islands_are_found() -> None:
    """Two balls in opposite corners of four dimensions, 0.1 % of the volume, are both filled."""
    centres = np.array([[0.2] * 4, [0.8] * 4])

    def nearest(u: Array) -> Array:
        return np.min([np.linalg.norm(u - centre, axis=1) for centre in centres], axis=0)[:, None]

    target = Target(y=(-1.0, 0.1))
    rows = scan(make(4, target, ("y",)), nearest, target, ("y",), 12)
    low = (rows.u[rows.valid][:, 0] < 0.5).mean()
    assert rows.valid.sum() > 60
    assert 0.25 < low < 0.75


def test_a_rare_target_is_reached_from_the_penalty() -> None:
    """A target of 5e-6 of the volume, which 1,500 uniform points would miss 99 times in 100, is found."""

    def distance(u: Array) -> Array:
        return np.linalg.norm((u - [0.31, 0.62, 0.43, 0.74]) * [1, 2, 1, 2], axis=1)[:, None]

    target = Target(y=(-1.0, 0.045))
    rows = scan(make(4, target, ("y",)), distance, target, ("y",), 15)
    assert rows.valid.sum() >= 5


def test_several_constraints_of_different_kinds_hold_together() -> None:
    """Windows, one-sided limits and two measurements at once are satisfied by most late proposals."""

    def observables(u: Array) -> Array:
        return np.column_stack([u[:, 0] + u[:, 1], 100 * u[:, 2] ** 2, u[:, 0] - u[:, 3], 10 * u[:, 1]])

    target = Target(a=Window(0.9, 1.1), b=Above(50.0), c=Gaussian(0.1, 0.2), e=Gaussian(4.0, (1.0, 2.0)))
    names = ("a", "b", "c", "e")
    rows = scan(make(4, target, names), observables, target, names, 10)
    assert rows.valid[:100].mean() < 0.1
    assert rows.valid[600:].mean() > 0.5


def test_same_seed_and_rows_give_the_same_proposals_and_another_seed_others() -> None:
    """Two proposers that saw the same rows agree to the last digit."""
    first = scan(make(3, RING, ("y",)), ring, RING, ("y",), 4)
    np.testing.assert_array_equal(first.u, scan(make(3, RING, ("y",)), ring, RING, ("y",), 4).u)
    assert not np.array_equal(first.u, scan(make(3, RING, ("y",), seed=2), ring, RING, ("y",), 4).u)


def test_a_saved_state_continues_as_if_nothing_had_happened() -> None:
    """A proposer restored from bytes proposes what the original does, before and after another refit."""
    original = make(3, RING, ("y",))
    rows = scan(original, ring, RING, ("y",), 4)
    copy = make(3, RING, ("y",))
    copy.load_state_dict(from_bytes(to_bytes(original.state_dict())), rows)
    assert copy.generation == original.generation == 4
    for batch in range(2):
        told = []
        for proposer in (original, copy):
            proposals = proposer.ask(100, np.empty((0, 3)))
            told.append(evaluate(proposals, ring, RING, ("y",), 400 + 100 * batch))
            proposer.tell(told[-1])
            proposer.refit()
        np.testing.assert_array_equal(told[0].u, told[1].u)


def test_global_random_state_is_left_alone() -> None:
    """Neither NumPy's nor torch's global generator moves."""
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002 - the global generator is what is tested
    before = (torch.get_rng_state().clone(), np.random.get_state()[1].copy())  # noqa: NPY002
    scan(make(3, RING, ("y",)), ring, RING, ("y",), 3)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_uniform_share_is_exact_however_points_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the start, exactly one in ten points is uniform, counted over asks of any size."""
    monkeypatch.setattr(method, "PROBES_FROM", 10**9)
    proposer = make(3, RING, ("y",))
    scan(proposer, ring, RING, ("y",), 3)
    origin = np.concatenate([proposer.ask(n, np.empty((0, 3))).origin for n in (1, 7, 13, 79, 100, 300)])
    uniform = np.cumsum(origin == Origin.UNIFORM)
    assert uniform[-1] == 50
    assert np.abs(uniform - 0.1 * np.arange(1, 501)).max() < 1


def test_density_is_one_for_uniform_points_and_unknown_for_guided_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without probes, only points drawn from the prior carry a density."""
    monkeypatch.setattr(method, "PROBES_FROM", 10**9)
    proposer = make(3, RING, ("y",))
    scan(proposer, ring, RING, ("y",), 3)
    proposals = proposer.ask(100, np.empty((0, 3)))
    np.testing.assert_array_equal(np.isfinite(proposals.density), proposals.origin == Origin.UNIFORM)
    assert (proposals.density[proposals.origin == Origin.UNIFORM] == 1).all()
    assert ((proposals.score >= 0) & (proposals.score <= 1)).all()


def test_the_start_is_a_balanced_design_or_the_given_points() -> None:
    """Sobol points fill every cell of a 4 by 4 grid; given points come first, in order, and are marked."""
    design = make(2, RING, ("y",), initial=64).ask(64, np.empty((0, 2)))
    assert (design.origin == Origin.INITIAL).all()
    assert (np.histogram2d(*design.u.T, bins=4, range=((0, 1), (0, 1)))[0] == 4).all()
    points = np.linspace(0.1, 0.9, 10).reshape(5, 2)
    given = make(2, RING, ("y",), initial=points).ask(7, np.empty((0, 2)))
    np.testing.assert_array_equal(given.u[:5], points)
    assert list(given.origin) == [Origin.GIVEN] * 5 + [Origin.UNIFORM] * 2


def test_pending_points_repel_new_ones() -> None:
    """Points from the chains keep farther from a pending cloud than they would without one."""
    proposers = [make(3, RING, ("y",)) for _ in range(2)]
    for proposer in proposers:
        scan(proposer, ring, RING, ("y",), 8)
    cloud = np.random.default_rng(0).uniform([0.0, 0.0, 0.4], [0.5, 1.0, 0.6], (30_000, 3))
    inside = [
        (p.u[p.origin == Origin.POPULATION][:, 0] < 0.5).mean()
        for p in (proposers[0].ask(400, np.empty((0, 3))), proposers[1].ask(400, cloud))
    ]
    assert inside[1] < inside[0] - 0.1


def test_fast_collects_more_valid_points_and_covers_less() -> None:
    """While surrogates learn, the biased selection gets more points into the target, from a narrower part of it."""
    even, fast = (scan(make(3, RING, ("y",), selection=name), ring, RING, ("y",), 8) for name in ("default", "fast"))
    learning = slice(100, 500)
    assert fast.valid[learning].mean() > even.valid[learning].mean() + 0.02
    assert np.abs(ring(fast.u[fast.valid])).mean() < np.abs(ring(even.u[even.valid])).mean()


def test_walkers_on_labels_take_doubtful_places_for_as_good_as_sure_ones() -> None:
    """Until the word of islands alike is heard the most: then they keep to where the jury is sure."""
    target = Target(labels="y")
    proposer = make(3, target, ("y",))
    scan(proposer, lambda u: (ring(u) < 0.15).astype(float), target, ("y",), 4)
    jury = proposer.belief.jury
    assert jury is not None
    anywhere, rng = np.random.default_rng(0).random((2000, 3)), np.random.default_rng(1)
    level = jury.level(proposer.growth.walked)
    jury.alike.middle = np.full((2, 3), 0.5)
    even = []
    for heard in (PLAIN, ALIKE):
        jury.stack.weight = np.full(POINTS + 1, 0.25)
        jury.stack.weight[heard] += 1e-6
        proposer.sampler.restart(proposer.replay.best(), proposer.growth.walked, rng)
        answer = proposer.belief.answer(torch.from_numpy(anywhere))
        density, p = proposer.sampler._sought.log(answer).numpy(), np.exp(proposer.belief.log_p(anywhere))
        even.append(p[density == 0].min())
        assert (density[p < even[-1]] < 0).all()
    assert level <= even[0] < 1.5 * level
    assert even[1] > 0.5


def test_fast_is_refused_for_another_surrogate() -> None:
    """Which method a selection belongs to is said before anything starts."""
    with pytest.raises(ConfigError, match="selection = 'fast' belongs to the default method"):
        LearnOptions(surrogate="classifier", selection="fast")


def half(u: Array) -> Array:
    return u[:, :1]


@pytest.mark.parametrize(
    ("function", "target"),
    [
        pytest.param(half, Target(y=(-1, 2)), id="all valid"),
        pytest.param(half, Target(y=(5, 6)), id="none valid"),
        pytest.param(lambda u: np.full((len(u), 1), np.nan), Target(y=(0, 1)), id="all NaN"),
        pytest.param(lambda u: np.ones((len(u), 1)), Target(y=(5, 6)), id="constant"),
        pytest.param(lambda u: np.where(u[:, :1] < 0.5, np.inf, 1e100), Target(y=(0, 1)), id="huge"),
        pytest.param(half, Target(y=(0.5, math.inf)), id="half infinite"),
        pytest.param(lambda u: (u[:, :1] > 2).astype(float), Target(labels="y"), id="labels, none valid"),
        pytest.param(lambda u: (u[:, :1] < 2).astype(float), Target(labels="y"), id="labels, all valid"),
        pytest.param(half, Target(lambda y: y), id="function"),
    ],
)
def test_degenerate_answers_never_stop_the_scan(function: Function, target: Target) -> None:
    """Whatever the answers, the next batch comes, inside the cube, with the uniform share."""
    proposer = make(2, target, ("y",), initial=20)
    told = scan(proposer, function, target, ("y",), 4, size=20)
    assert len(np.unique(told.u, axis=0)) == 80
    assert (told.origin[20:] == Origin.UNIFORM).sum() >= 6


def test_one_row_and_failures_are_enough_to_go_on() -> None:
    """A refit after a single row, or after nothing but failures, is followed by points."""
    single = make(2, RING, ("y",), initial=0)
    single.tell(evaluate(single.ask(1, np.empty((0, 2))), half, RING, ("y",), 0))
    single.refit()
    assert len(single.ask(5, np.empty((0, 2)))) == 5
    failed = make(2, RING, ("y",), initial=0)
    failed.tell(evaluate(failed.ask(50, np.empty((0, 2))), half, RING, ("y",), 0, status=3))
    failed.refit()
    assert len(failed.ask(5, np.empty((0, 2)))) == 5


def test_failed_regions_are_learned_and_avoided() -> None:
    """Where the program fails, inside what would be the target, few points are proposed later."""

    def fails_left(u: Array) -> Array:
        return np.where(u[:, :1] < 0.5, np.nan, u[:, 1:2])

    target = Target(y=(0.4, 0.6))
    rows = scan(make(3, target, ("y",)), fails_left, target, ("y",), 8)
    late = rows.u[500:][rows.origin[500:] == Origin.POPULATION]
    assert (late[:, 0] < 0.5).mean() < 0.1


def test_observables_of_skipped_programs_are_learned_where_they_exist() -> None:
    """The second program runs only where the first constraint holds; both are satisfied in the end."""

    def chain(u: Array) -> Array:
        first = u[:, 0]
        return np.column_stack([first, np.where((first > 0.4) & (first < 0.6), u[:, 1] + u[:, 2], np.nan)])

    target = Target(a=(0.4, 0.6), b=(0.9, 1.0))
    rows = scan(make(3, target, ("a", "b")), chain, target, ("a", "b"), 10)
    assert rows.valid[600:].mean() > 0.5


def test_labels_alone_find_the_whole_of_a_region() -> None:
    """With a yes or no per point, both halves of a ring are found and most late points are valid."""
    target = Target(labels="y")

    def label(u: Array) -> Array:
        return (np.abs(np.linalg.norm(u - 0.5, axis=1) - 0.3) < 0.05).astype(float)[:, None]

    rows = scan(make(2, target, ("y",)), label, target, ("y",), 8)
    found = rows.u[rows.valid] - 0.5
    sectors = np.histogram(np.arctan2(found[:, 1], found[:, 0]), 8, (-math.pi, math.pi))[0]
    assert rows.valid[500:].mean() > 0.5
    assert sectors.min() > 0.3 * sectors.mean()
