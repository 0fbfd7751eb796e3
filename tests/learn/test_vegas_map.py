"""The VEGAS map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayscan.errors import ConfigError
from rayscan.learn.paper.vegas_map import VegasMap, vegas_map_samples


def corner(d, n=4000, seed=0):
    u = np.random.default_rng(seed).random((n, d))
    return u, (u[:, 0] > 0.9).astype(float)


def test_the_map_moves_samples_to_where_the_weight_is_and_nowhere_else():
    """A slab of a tenth of one axis gets most samples; the other axis stays uniform."""
    vegas_map = VegasMap(2)
    vegas_map.fit(*corner(2))
    u, _ = vegas_map.sample(20_000, np.random.default_rng(1))
    assert (u[:, 0] > 0.9).mean() > 0.8
    assert abs((u[:, 1] > 0.5).mean() - 0.5) < 0.1


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_the_jacobian_is_one_over_the_density_and_integrates_to_one(d, seed):
    """Weighted by the Jacobian, samples of any map are uniform again, and `density` agrees at the same points."""
    rng = np.random.default_rng(seed)
    u = rng.random((2000, d))
    vegas_map = VegasMap(d, nitn=2)
    vegas_map.fit(u, np.exp(-3 * ((u - rng.random(d)) ** 2).sum(axis=1)))
    sample, jacobian = vegas_map.sample(20_000, rng)
    assert vegas_map.density(sample) == pytest.approx(1 / jacobian)
    error = jacobian.std() / np.sqrt(len(jacobian))
    assert abs(jacobian.mean() - 1) < 6 * error + 1e-9
    half = jacobian * (sample[:, 0] < 0.5)
    assert abs(half.mean() - 0.5) < 6 * half.std() / np.sqrt(len(half))


def test_failing_points_thin_the_map_out():
    """Points of weight 0 in one half leave it emptier than having no points there at all would suggest uniform."""
    rng = np.random.default_rng(0)
    u = rng.random((2000, 1))
    vegas_map = VegasMap(1)
    vegas_map.fit(u, (u[:, 0] > 0.5).astype(float))
    assert vegas_map.density(np.array([[0.25]]))[0] < 0.3 < 1.2 < vegas_map.density(np.array([[0.75]]))[0]


@pytest.mark.parametrize(
    ("u", "f"),
    [
        (np.empty((0, 2)), np.empty(0)),
        (np.full((1, 2), 0.3), np.ones(1)),
        (np.random.default_rng(0).random((500, 2)), np.zeros(500)),
        (np.random.default_rng(0).random((500, 2)), np.ones(500)),
        (np.random.default_rng(0).random((500, 2)), np.full(500, np.nan)),
    ],
    ids=["nothing", "one row", "all bad", "all good", "all NaN"],
)
def test_nothing_to_learn_means_uniform(u, f):
    """Without a difference to learn from, also after an earlier fit, the map is the identity."""
    vegas_map = VegasMap(2)
    vegas_map.fit(*corner(2))
    vegas_map.fit(u, f)
    sample, jacobian = vegas_map.sample(100, np.random.default_rng(0))
    assert not vegas_map.trained
    assert jacobian == pytest.approx(1.0)
    assert sample == pytest.approx(np.random.default_rng(0).random((100, 2)))


def test_nan_weights_and_repeated_points_are_harmless():
    """NaN counts as bad, and many copies of one point leave a finite map."""
    u, f = corner(2)
    u[:500], f[500:600] = 0.95, np.nan
    vegas_map = VegasMap(2)
    vegas_map.fit(u, f)
    sample, jacobian = vegas_map.sample(1000, np.random.default_rng(0))
    assert np.isfinite(jacobian).all()
    assert (jacobian > 0).all()
    assert ((sample >= 0) & (sample <= 1)).all()


def test_a_restored_map_draws_the_same_points_and_ignores_the_global_random_state():
    """The grid is the whole state, and only the caller's generator decides."""
    vegas_map, other = VegasMap(2), VegasMap(2)
    vegas_map.fit(*corner(2))
    other.load_state_dict(vegas_map.state_dict())
    np.random.seed(1)  # noqa: NPY002 - the point is that it does not matter
    first = vegas_map.sample(50, np.random.default_rng(3))
    np.random.seed(2)  # noqa: NPY002
    second = other.sample(50, np.random.default_rng(3))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    with pytest.raises(ConfigError, match="2 axes"):
        VegasMap(3).load_state_dict(vegas_map.state_dict())


def test_the_function_works_in_physical_units():
    """The Jacobian integrates in the units of the limits: a slab of [0, 10] x [-1, 1] has its volume."""
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.uniform(0, 10, 5000), rng.uniform(-1, 1, 5000)])
    draw = vegas_map_samples(x, x[:, 0] > 9, [(0, 10), (-1, 1)], seed=1)
    sample, jacobian = draw(20_000)
    assert sample.shape == (20_000, 2)
    assert (sample[:, 0] > 9).mean() > 0.8
    assert (jacobian * (sample[:, 0] > 9)).mean() == pytest.approx(2.0, rel=0.05)


def test_several_processes_train_the_same_map():
    """Spreading the training over processes changes nothing in the result."""
    u, f = corner(2, 400)
    alone, together = VegasMap(2, nitn=2), VegasMap(2, nitn=2, nproc=2)
    alone.fit(u, f)
    together.fit(u, f)
    assert np.allclose(alone.state_dict()["grid"], together.state_dict()["grid"])


@pytest.mark.parametrize("limits", [[(1, 0), (0, 1)], [(0, np.inf), (0, 1)], [0, 1], [(0, 1)]])
def test_limits_that_cannot_be_are_refused(limits):
    """Min above max, an infinite end, a wrong shape and a missing pair are named."""
    with pytest.raises(ConfigError, match="limits"):
        vegas_map_samples(np.random.default_rng(0).random((50, 2)), np.ones(50), limits)
