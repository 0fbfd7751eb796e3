"""The volume is unbiased, its error honest, also when nothing was found."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rayscan.learn.data import Origin
from rayscan.results.volume import estimate_volume, importance, tail_index

FLOOR = 0.1


def scan(seed, side, d, rounds=12, *, wide=1.3):
    """Return origin, density and validity of a loop that scans a box in the corner: a uniform start, then rounds of
    uniform points and of probes, drawn from a larger box and from everywhere, with the density of the mixture."""
    rng = np.random.default_rng([seed, 1])
    around = np.minimum(np.asarray(side) * wide, 1.0)
    batches = [(rng.random((300, d)), np.full(300, Origin.INITIAL), np.ones(300))]
    for _ in range(rounds):
        u, probe = rng.random((60, d)), np.arange(60) < 30
        narrow = probe & (rng.random(60) > FLOOR)
        u[narrow] *= around
        inside = (u < around).all(axis=1)
        density = 0.5 + 0.5 * (FLOOR + (1 - FLOOR) * inside / around.prod())
        order = rng.permutation(60)
        batches.append((u[order], np.where(probe, Origin.PROBE, Origin.UNIFORM)[order], density[order]))
    u, origin, density = (np.concatenate(part) for part in zip(*batches, strict=True))
    return origin, density, (u < side).all(axis=1)


def test_pulls_have_mean_zero_and_width_one():
    """On a box of known volume the deviations in units of the error are those of a normal distribution."""
    side = np.array([0.2, 0.5])
    pulls = []
    for seed in range(24):
        volume = estimate_volume(*scan(seed, side, 2))
        pulls.append((volume.value - 0.1) / volume.error)
    assert abs(np.mean(pulls)) < 0.6
    assert 0.6 < np.std(pulls, ddof=1) < 1.5


def test_probes_beat_uniform_points():
    """With probes the error is smaller than a binomial one of as many uniform points."""
    volume = estimate_volume(*scan(0, np.array([0.2, 0.2]), 2, rounds=20))
    binomial = math.sqrt(0.04 * 0.96 / volume.evaluations)
    assert volume.value == pytest.approx(0.04, abs=4 * volume.error)
    assert volume.error < 0.9 * binomial


def test_uniform_points_alone_give_a_binomial_share():
    """The value is the share of hits and the error its binomial one."""
    valid = np.arange(1000) % 10 == 0
    volume = estimate_volume(np.full(1000, Origin.UNIFORM), np.ones(1000), valid)
    assert volume.value == pytest.approx(0.1)
    assert volume.error == pytest.approx(math.sqrt(0.09 / 1000), rel=0.02)
    assert volume.value + volume.error < volume.upper < volume.value + 3 * volume.error


def test_none_valid_gives_a_limit():
    """Nothing found of a thousand: value 0, an error about one point's worth, the limit of three."""
    volume = estimate_volume(np.full(1000, Origin.INITIAL), np.ones(1000), np.zeros(1000, bool))
    assert volume.value == 0
    assert volume.error == pytest.approx(1e-3, rel=0.05)
    assert volume.upper == volume.unseen == pytest.approx(3e-3, rel=0.02)
    assert "less than 0.003" in str(volume)


def test_no_points_say_nothing():
    """Without a point of known density the error is infinite."""
    for volume in (estimate_volume([], [], []), estimate_volume([Origin.POPULATION], [np.nan], [True])):
        assert volume.error == math.inf
        assert volume.upper == 1
        assert "unknown" in str(volume)


def test_points_of_unknown_or_selected_density_do_not_count():
    """Chain, given and map points change nothing, whatever their number."""
    origin = np.array([Origin.UNIFORM] * 100)
    valid = np.arange(100) < 20
    alone = estimate_volume(origin, np.ones(100), valid)
    more = np.repeat([Origin.POPULATION, Origin.GIVEN, Origin.MAP], 50)
    density = np.concatenate([np.ones(100), np.repeat([np.nan, np.nan, 7.0], 50)])
    volume = estimate_volume(np.concatenate([origin, more]), density, np.concatenate([valid, np.ones(150, bool)]))
    assert volume.value == pytest.approx(alone.value)
    assert volume.error == pytest.approx(alone.error)
    assert volume.evaluations == alone.evaluations == 100


def test_a_rare_target_is_not_diluted_by_a_start_that_could_not_see_it():
    """Plain points that miss a tiny region do not pull the estimate below what the mixture measured."""
    rng = np.random.default_rng(0)
    origin = np.repeat([Origin.INITIAL, Origin.PROBE], [1000, 1000])
    valid = np.concatenate([np.zeros(1000, bool), rng.random(1000) < 0.2])
    density = np.concatenate([np.ones(1000), np.full(1000, 2e4)])
    volume = estimate_volume(origin, density, valid)
    assert volume.value == pytest.approx(1e-5, rel=0.15)
    assert volume.error < 0.1 * volume.value
    assert volume.unseen == pytest.approx(3e-3, rel=0.02)


@pytest.mark.parametrize("hits", [100, 400])
def test_the_error_is_that_of_one_more_of_the_heaviest(hits):
    """Few valid points have the error of a count plus one; one that weighs ten times more dominates it twice over."""
    density = np.full(4000, 40.0)
    valid = np.arange(4000) % (4000 // hits) == 7
    even = estimate_volume(np.full(4000, Origin.PROBE), density, valid)
    # The weights grow with the root of the place, which lets few of them scatter by some more.
    assert even.relative == pytest.approx(math.sqrt(hits + 1) / hits, rel=0.5)
    density[np.flatnonzero(valid)[-1]] = 4.0
    uneven = estimate_volume(np.full(4000, Origin.PROBE), density, valid)
    heaviest = importance(np.full(4000, Origin.PROBE), density, valid)[valid].max()
    assert math.sqrt(2) * heaviest <= uneven.error < 1.5 * math.sqrt(2) * heaviest + even.error


def test_importance_adds_up_to_the_volume():
    """The volume is the sum of what its valid points add, and points of unknown density add nothing."""
    origin, density, valid = scan(1, np.array([0.3, 0.3]), 2)
    origin, density = np.append(origin, Origin.POPULATION), np.append(density, np.nan)
    valid = np.append(valid, True)
    weight = importance(origin, density, valid)
    assert weight[-1] == 0
    assert weight[valid].sum() == pytest.approx(estimate_volume(origin, density, valid).value)


def test_few_draws_leave_the_volume_unknown():
    """With fewer than ten effective draws there is no number with a small error, and no upper limit."""
    density, valid = np.full(4000, 40.0), np.arange(4000) % 1000 == 7
    volume = estimate_volume(np.full(4000, Origin.PROBE), density, valid)
    assert not volume.known
    assert volume.error == math.inf
    assert volume.upper == 1
    assert 0 <= volume.value < 4 / 4000 / 40
    assert "unknown, at least" in str(volume)
    assert "effective draws" in str(volume)


def test_a_heavy_tail_leaves_the_volume_unknown():
    """Where ever fewer draws weigh ever more, their scatter does not know the error, however many there are."""
    rng = np.random.default_rng(2)
    weights = (1 - rng.random(3000)) ** -1.0
    volume = estimate_volume(np.full(3000, Origin.PROBE), 1e4 / weights, np.ones(3000, bool))
    assert volume.tail > 0.7
    assert not volume.known
    assert volume.value < (weights / 1e4).mean()


def test_the_tail_index_is_that_of_the_weights():
    """Weights of a generalised Pareto distribution give back its index, on average; bounded ones none."""
    rng = np.random.default_rng(0)
    for k in (0.3, 0.7):
        found = [tail_index(((1 - rng.random(1000)) ** -k - 1) / k) for _ in range(30)]
        assert np.mean(found) == pytest.approx(k, abs=0.15)
    assert tail_index(np.ones(100)) == -math.inf
    assert math.isnan(tail_index(np.ones(10)))


def test_what_points_of_one_refit_share_is_in_the_error():
    """Runs of points with a common factor scatter as runs do, not as points."""
    rng = np.random.default_rng(3)
    factor = np.repeat(rng.lognormal(0, 0.5, 40), 50)
    origin, valid = np.full(2000, Origin.PROBE), rng.random(2000) < 0.8
    shared = estimate_volume(origin, 1e3 / factor, valid)
    alone = estimate_volume(origin, 1e3 / rng.permutation(factor), valid)
    assert shared.relative > 2 * alone.relative


def test_what_batches_hold_in_fixed_shares_is_not_in_the_error():
    """Of each batch, a fixed share are probes, nearly all valid: what scatters are the constants of refits.

    Points that are taken for independent would have twice that error.
    """
    rng, refits, found = np.random.default_rng(4), 30, []
    generation = np.repeat(np.arange(refits), 40)
    probe = np.tile(np.arange(40) < 8, refits)
    for _ in range(40):
        constant = rng.lognormal(-0.02, 0.2, refits)[generation]
        valid = probe & (rng.random(len(probe)) < 0.95)
        density = np.where(valid, 0.8 + 0.2 * 950 / constant, 0.8)
        origin = np.where(probe, Origin.PROBE, Origin.UNIFORM)
        volumes = [estimate_volume(origin, density, valid, known) for known in (generation, None)]
        if volumes[0].known:
            found.append([volumes[0].value, *(volume.error for volume in volumes)])
    value, error, independent = np.transpose(found)
    assert len(found) >= 38
    assert value.mean() == pytest.approx(1e-3, rel=0.03)
    assert 0.7 < value.std(ddof=1) / np.median(error) < 1.4
    assert np.median(independent) > 1.7 * np.median(error)


@pytest.mark.parametrize(("refits", "known"), [(3, True), (12, False)])
def test_one_refit_that_counts_for_most_of_many_leaves_the_volume_unknown(refits: int, known: bool) -> None:
    """Of three refits nobody can say which is out of line."""
    generation = np.repeat(np.arange(refits), 40)
    density = np.where(generation == 1, 10.0, 1e3)
    origin, valid = np.full(len(generation), Origin.PROBE), np.arange(len(generation)) % 2 == 0
    assert estimate_volume(origin, density, valid, generation).known == known


def test_an_estimate_that_grows_as_more_is_learned_is_none():
    """Early probes that saw a third of what later ones see leave the volume unknown."""
    rng = np.random.default_rng(4)
    origin, density = np.full(600, Origin.PROBE), np.full(600, 1e3)
    valid = rng.random(600) < np.where(np.arange(600) < 300, 0.3, 0.9)
    volume = estimate_volume(origin, density, valid)
    assert not volume.known
    assert "refits disagree" in str(volume)
    assert volume.value < 0.9e-3
