"""Coverage is what unbiased probes say, not what the points found say of themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import KDTree

from rayscan.learn.data import Origin
from rayscan.results.saturation import ENOUGH, UNKNOWN, Coverage, estimate_coverage, reach

SMALL, LARGE = np.array([0.1, 0.1]), np.array([0.6, 0.6])
"""Corners of a square of side 0.2 and of one of side 0.3: three and seven tenths of the valid region."""


def inside(u):
    return ((u > SMALL) & (u < SMALL + 0.2)).all(axis=1) | ((u > LARGE) & (u < LARGE + 0.3)).all(axis=1)


def scan(seed, *, knows_small, n=4000, blind=0.25):
    """Return the rows of a scan whose chains know the large square, and the small one if they are told."""
    rng = np.random.default_rng(seed)
    u = rng.random((n, 2))
    chain = rng.random(n) >= blind
    where = np.where((rng.random(n) < 0.3) & knows_small, 0, 1)[:, None]
    walked = np.where(where == 0, SMALL + 0.2 * u, LARGE + 0.3 * u)
    u = np.where(chain[:, None], walked, u)
    origin = np.where(chain, Origin.POPULATION, Origin.UNIFORM)
    return u, origin, np.where(chain, np.nan, 1.0), inside(u)


def test_an_island_without_points_is_missing_from_the_coverage():
    """A square that nobody was in before the last third is missing then; one that chains know is not."""
    u, origin, density, valid = scan(0, knows_small=False)
    valid = valid & ((u > 0.5).all(axis=1) | (np.arange(len(u)) > 2700))
    found = estimate_coverage(u, origin, density, valid)
    assert 0.8 < found.share < 0.97
    whole = estimate_coverage(*scan(1, knows_small=True))
    assert whole.share > 0.98
    assert whole.lower > 0.96
    assert 80 < whole.probes < 140


def test_the_share_is_that_of_the_exact_region():
    """On average over scans whose chains leave a gap, it is the share of exact points within reach, with its error."""
    seen, exact = [], []
    for seed in range(12):
        rng = np.random.default_rng([seed, 1])
        u = rng.random((3000, 2))
        chain = rng.random(3000) < 0.5
        across = np.where(u[:, 0] < 0.7, u[:, 0] * 0.6, 0.5 + 0.1 * u[:, 0])
        u = np.where(chain[:, None], np.column_stack([across, 0.4 * u[:, 1]]), u)
        valid = (u[:, 0] < 0.6) & (u[:, 1] < 0.4)
        seen.append(estimate_coverage(u, np.where(chain, 5, 2), np.where(chain, np.nan, 1.0), valid))
        known = KDTree(u[:2250][valid[:2250]])
        exact.append(np.mean(known.query(rng.random((4000, 2)) * [0.6, 0.4])[0] <= reach(known)))
    share, error = np.array([(one.share, one.error) for one in seen]).T
    assert np.mean(exact) < 0.95
    assert share.mean() == pytest.approx(np.mean(exact), abs=0.02)
    assert 0.5 < error.mean() / share.std(ddof=1) < 2.5


def test_points_that_were_chosen_are_no_probes():
    """Without a point of known density nothing is said, however many points there are; nor with few valid ones."""
    u, origin, density, valid = scan(0, knows_small=True)
    assert estimate_coverage(u, np.full(len(u), Origin.POPULATION), np.full(len(u), np.nan), valid) == UNKNOWN
    few = valid & (np.cumsum(valid) < ENOUGH)
    assert estimate_coverage(u, origin, density, few) == UNKNOWN
    assert estimate_coverage(np.empty((0, 2)), [], [], []) == UNKNOWN
    assert UNKNOWN.lower == 0
    assert str(UNKNOWN) == "no probes"


def test_few_probes_never_prove_much():
    """All of n equal probes within reach leaves an error of one in n + 1: twenty are needed to claim 95 %."""
    rng = np.random.default_rng(0)
    u = rng.random((2000, 2))
    for probes, proven in ((5, False), (15, False), (30, True)):
        density = np.full(2000, np.nan)
        density[1000 :: 1000 // probes][:probes] = 1.0
        density[1000 + probes * (1000 // probes) :] = np.nan
        origin = np.where(np.isfinite(density), Origin.UNIFORM, Origin.POPULATION)
        found = estimate_coverage(u, origin, density, np.ones(2000, bool))
        assert found.probes == pytest.approx(np.isfinite(density).sum())
        assert (found.lower >= 0.95) == proven


def test_heavy_probes_count_by_their_weight():
    """A probe of small density stands for more of the region, in the share and in its error."""
    rng = np.random.default_rng(0)
    u = 0.3 * rng.random((1000, 2))
    density = np.full(1000, np.nan)
    probes = np.arange(600, 1000, 8)
    density[probes] = 10.0
    light = estimate_coverage(
        u, np.where(np.isfinite(density), Origin.PROBE, Origin.POPULATION), density, np.ones(1000, bool)
    )
    u[800], density[800] = 0.9, 1.1
    heavy = estimate_coverage(
        u, np.where(np.isfinite(density), Origin.PROBE, Origin.POPULATION), density, np.ones(1000, bool)
    )
    assert light.share > 0.95
    assert 0.75 < heavy.share < 0.9
    assert heavy.error > 3 * light.error
    assert heavy.probes < 0.6 * light.probes


def test_the_lower_limit_is_an_error_below():
    """Never below nothing."""
    assert Coverage(0.9, 0.02, 100).lower == pytest.approx(0.88)
    assert Coverage(0.1, 0.2, 3).lower == 0
    assert str(Coverage(0.9, 0.02, 100)) == "90.0% ± 2.0%"
