"""The volume is unbiased, its error honest, also when nothing was found."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rayscan.learn.coverage.audit import Audit
from rayscan.learn.data import Origin
from rayscan.results.volume import estimate_volume, importance


def scan(seed, valid, d, rounds=12):
    """Return origin, density and validity of a loop with a uniform start and audited rounds."""
    rng = np.random.default_rng([seed, 1])
    audit, found = Audit(d), []
    batches = [(rng.random((300, d)), np.full(300, Origin.INITIAL), np.ones(300))]
    for _ in range(rounds):
        found.append(batches[-1][0][valid(batches[-1][0])])
        audit.fit(np.concatenate(found), rng)
        batches.append(audit.batch(30, 30, rng))
    u, origin, density = (np.concatenate(part) for part in zip(*batches, strict=True))
    return origin, density, valid(u)


def test_pulls_have_mean_zero_and_width_one():
    """On a box of known volume the deviations in units of the error are those of a normal distribution."""
    side = np.array([0.2, 0.5])
    pulls = []
    for seed in range(24):
        volume = estimate_volume(*scan(seed, lambda u: (u < side).all(axis=1), 2))
        pulls.append((volume.value - 0.1) / volume.error)
    assert abs(np.mean(pulls)) < 0.6
    assert 0.6 < np.std(pulls, ddof=1) < 1.5


def test_audit_beats_uniform_points():
    """With the audit the error is smaller than a binomial one of as many uniform points."""
    volume = estimate_volume(*scan(0, lambda u: (np.abs(u - 0.5) < 0.1).all(axis=1), 2, rounds=20))
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
    for volume in (estimate_volume([], [], []), estimate_volume([Origin.CHAIN], [np.nan], [True])):
        assert volume.error == math.inf
        assert volume.upper == 1
        assert "unknown" in str(volume)


def test_points_of_unknown_or_selected_density_do_not_count():
    """Chain, given and map points change nothing, whatever their number."""
    origin = np.array([Origin.UNIFORM] * 100)
    valid = np.arange(100) < 20
    alone = estimate_volume(origin, np.ones(100), valid)
    more = np.repeat([Origin.CHAIN, Origin.GIVEN, Origin.MAP], 50)
    density = np.concatenate([np.ones(100), np.repeat([np.nan, np.nan, 7.0], 50)])
    volume = estimate_volume(np.concatenate([origin, more]), density, np.concatenate([valid, np.ones(150, bool)]))
    assert volume.value == pytest.approx(alone.value)
    assert volume.error == pytest.approx(alone.error)
    assert volume.evaluations == alone.evaluations == 100


def test_a_rare_target_is_not_diluted_by_a_start_that_could_not_see_it():
    """Plain points that miss a tiny region do not pull the estimate below what the mixture measured."""
    rng = np.random.default_rng(0)
    origin = np.repeat([Origin.INITIAL, Origin.AUDIT], [1000, 1000])
    valid = np.concatenate([np.zeros(1000, bool), rng.random(1000) < 0.2])
    density = np.concatenate([np.ones(1000), np.full(1000, 2e4)])
    volume = estimate_volume(origin, density, valid)
    assert volume.value == pytest.approx(1e-5, rel=0.15)
    assert volume.error < 0.1 * volume.value
    assert volume.unseen == pytest.approx(3e-3, rel=0.02)


@pytest.mark.parametrize("hits", [1, 4, 100])
def test_the_error_is_that_of_one_more_of_the_heaviest(hits):
    """Few valid points have the error of a count plus one; one that weighs ten times more dominates it twice over."""
    density = np.full(4000, 40.0)
    valid = np.arange(4000) % (4000 // hits) == 7
    even = estimate_volume(np.full(4000, Origin.AUDIT), density, valid)
    # The weights grow with the root of the place, which lets few of them scatter by some more.
    assert even.relative == pytest.approx(math.sqrt(hits + 1) / hits, rel=0.35)
    density[np.flatnonzero(valid)[-1]] = 4.0
    uneven = estimate_volume(np.full(4000, Origin.AUDIT), density, valid)
    heaviest = importance(np.full(4000, Origin.AUDIT), density, valid)[valid].max()
    assert math.sqrt(2) * heaviest <= uneven.error < 1.5 * math.sqrt(2) * heaviest + even.error


def test_importance_adds_up_to_the_volume():
    """The volume is the sum of what its valid points add, and points of unknown density add nothing."""
    origin, density, valid = scan(1, lambda u: (u < 0.3).all(axis=1), 2)
    origin, density = np.append(origin, Origin.CHAIN), np.append(density, np.nan)
    valid = np.append(valid, True)
    weight = importance(origin, density, valid)
    assert weight[-1] == 0
    assert weight[valid].sum() == pytest.approx(estimate_volume(origin, density, valid).value)
