"""The audit's density is the density of its draws, and its volumes are unbiased."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayscan.errors import ConfigError
from rayscan.learn.coverage.audit import FLOOR, Audit
from rayscan.learn.data import Origin


def corner(n, d, seed=0, width=0.01):
    """Points of a small band in a corner, strongly correlated, so that the cube's faces cut most components."""
    rng = np.random.default_rng(seed)
    line = rng.random((n, 1)) * 0.2
    return np.clip(line + width * rng.random((n, d)), 0, 1)


def grid_of_the_square():
    axis = (np.arange(120) + 0.5) / 120
    return np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)


def fitted(u, seed=0):
    audit = Audit(u.shape[1])
    audit.fit(u, np.random.default_rng(seed))
    assert audit.ready
    return audit


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 4), st.integers(0, 1000))
def test_density_is_normalised_on_the_cube(d, seed):
    """The mean of one over the density of draws is the cube's volume, and of the density's own draws no other."""
    audit = fitted(corner(200, d, seed), seed)
    u = audit.sample(4000, np.random.default_rng(seed))
    weight = 1 / audit.density(u)
    error = weight.std() / np.sqrt(len(weight))
    assert ((u >= 0) & (u <= 1)).all()
    assert abs(weight.mean() - 1) < 5 * error + 0.02


def test_density_integrates_to_one_on_a_grid():
    """The density itself, summed over a fine grid of the square, is one."""
    audit = fitted(corner(60, 2, width=0.1))
    assert audit.density(grid_of_the_square()).mean() == pytest.approx(1, abs=0.005)


def test_density_is_that_of_the_draws():
    """As many draws fall into cells as the integral of the density says."""
    audit = fitted(corner(60, 2, width=0.1))
    u = audit.sample(20_000, np.random.default_rng(1))
    grid = grid_of_the_square()
    expected, _, _ = np.histogram2d(*grid.T, bins=8, range=[[0, 1]] * 2, weights=audit.density(grid) / len(grid))
    seen, _, _ = np.histogram2d(*u.T, bins=8, range=[[0, 1]] * 2)
    pull = (seen - 20_000 * expected) / np.sqrt(20_000 * expected)
    assert np.abs(pull).max() < 4.5


def test_draws_go_where_valid_points_are_but_never_only_there():
    """Most draws hit a region of a thousandth of the volume, and the density has a floor everywhere."""
    rng = np.random.default_rng(2)
    known = 0.4 + 0.1 * rng.random((500, 3))
    audit = fitted(known)
    u = audit.sample(2000, rng)
    hit = ((u > 0.4) & (u < 0.5)).all(axis=1).mean()
    assert hit > 0.2
    assert audit.density(rng.random((2000, 3))).min() >= FLOOR
    assert np.median(audit.density(known)) > 300
    assert audit.density(known).min() > 10


def test_volume_from_batches_is_unbiased_though_the_sample_is_not():
    """A fit to one half of the region only does not bias the mean of valid / density."""
    rng = np.random.default_rng(3)
    audit = fitted(0.4 + rng.random((100, 2)) * [0.05, 0.1])
    u, _, density = audit.batch(10_000, 10_000, rng)
    inside = ((u > 0.4) & (u < 0.5)).all(axis=1)
    weight = inside / density
    error = weight.std() / np.sqrt(len(weight))
    assert error < 7e-4
    assert abs(weight.mean() - 0.01) < 4 * error


def test_a_batch_has_exact_shares_in_random_order_and_one_density():
    """Counts are exact, either origin may come first, and the density is the mixture's for both."""
    audit = fitted(corner(100, 2))
    first = set()
    for seed in range(20):
        u, origin, density = audit.batch(6, 9, np.random.default_rng(seed))
        assert (origin == Origin.UNIFORM).sum() == 6
        assert (origin == Origin.AUDIT).sum() == 9
        np.testing.assert_allclose(density, 0.4 + 0.6 * audit.density(u), rtol=1e-12)
        first.add(int(origin[0]))
    assert first == {Origin.UNIFORM, Origin.AUDIT}


def test_without_enough_valid_points_all_is_uniform():
    """Before there is a model the whole batch is uniform, and its density exactly one."""
    audit = Audit(3)
    audit.fit(np.full((5, 3), 0.5), np.random.default_rng(0))
    u, origin, density = audit.batch(3, 4, np.random.default_rng(0))
    assert not audit.ready
    assert u.shape == (7, 3)
    assert (origin == Origin.UNIFORM).all()
    assert (density == 1).all()
    assert audit.batch(0, 0, np.random.default_rng(0))[0].shape == (0, 3)


@pytest.mark.parametrize("d", [1, 12])
def test_degenerate_samples_are_no_trouble(d):
    """Repeated points, a sample without extent on an axis, and points on a face give finite densities."""
    u = np.tile(np.linspace(0, 1, 30)[:, None], d)
    u[:, -1] = 1.0
    audit = fitted(np.concatenate([u, u]))
    drawn = audit.sample(200, np.random.default_rng(0))
    assert np.isfinite(audit.density(drawn)).all()
    assert ((drawn >= 0) & (drawn <= 1)).all()


def test_a_restored_audit_goes_on_the_same():
    """State in, state out: same draws, same density; another dimension is refused."""
    audit = fitted(corner(100, 2))
    other = Audit(2)
    other.load_state_dict(audit.state_dict())
    u = audit.sample(50, np.random.default_rng(1))
    np.testing.assert_array_equal(u, other.sample(50, np.random.default_rng(1)))
    np.testing.assert_array_equal(audit.density(u), other.density(u))
    with pytest.raises(ConfigError, match="expected \\(M, 3\\)"):
        Audit(3).load_state_dict(audit.state_dict())


def test_an_unfitted_state_round_trips():
    """An audit saved before its first fit is still uniform after a restore."""
    other = Audit(2)
    other.load_state_dict(Audit(2).state_dict())
    assert not other.ready


def test_a_fit_is_repeated_only_when_it_pays():
    """A few more points leave the model as it is; many more change it."""
    u = corner(400, 2)
    audit = fitted(u[:200])
    before = audit.state_dict()["centre"]
    audit.fit(u[:220], np.random.default_rng(1))
    assert audit.state_dict()["centre"] is before
    audit.fit(u, np.random.default_rng(1))
    assert audit.state_dict()["centre"] is not before
