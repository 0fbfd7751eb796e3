"""Weights undo what an uneven collection did."""

from __future__ import annotations

import numpy as np
import pytest

from rayscan.learn.data import Origin
from rayscan.results import weights
from rayscan.results.weights import effective_size, population, prior_weights

LOW, HIGH = 0.3, 0.7


def inside(u):
    return ((u > LOW) & (u < HIGH)).all(axis=1)


def collection(probes, seed=0, d=3, n=2000):
    """Return columns of a scan of a box: chain points with a density rising tenfold along x0, and probes."""
    rng = np.random.default_rng(seed)
    chain = LOW + (HIGH - LOW) * rng.random((8 * n, d))
    rising = (chain[:, 0] - LOW) / (HIGH - LOW)
    chain = chain[rng.random(len(chain)) < 0.1 + 0.9 * rising][:n]
    u, probe = rng.random((2 * probes, d)), np.arange(2 * probes) % 2 == 0
    u[probe] = 0.2 + 0.6 * u[probe]
    origin = np.where(probe, Origin.PROBE, Origin.UNIFORM)
    density = 0.5 + 0.5 * (np.abs(u - 0.5) < 0.3).all(axis=1) / 0.6**d
    return (
        np.concatenate([chain, u]),
        np.concatenate([np.full(n, Origin.POPULATION), origin]),
        np.concatenate([np.full(n, np.nan), density]),
        np.concatenate([np.ones(n, bool), inside(u)]),
    )


@pytest.mark.parametrize(("probes", "best"), [(0, 0.25), (500, 0.1)])
def test_weighted_mean_is_the_uniform_one(probes, best):
    """The shift of the mean along the uneven axis shrinks, with exact points to a small part of the width."""
    u, origin, density, valid = collection(probes)
    weight = prior_weights(u, origin, density, valid)
    x = (u[valid][:, 0] - 0.5) / ((HIGH - LOW) / np.sqrt(12))
    assert x.mean() > 0.45
    assert abs(np.average(x, weights=weight)) < best


def test_weighted_distribution_is_the_uniform_one():
    """Every one-dimensional cumulative distribution comes close to the uniform one, the even axes stay so."""
    u, origin, density, valid = collection(500, seed=1)
    weight = prior_weights(u, origin, density, valid)
    for j in range(3):
        order = np.argsort(u[valid][:, j])
        cumulative = np.cumsum(weight[order]) / weight.sum()
        expected = (u[valid][order, j] - LOW) / (HIGH - LOW)
        assert np.abs(cumulative - expected).max() < 0.09


def test_weights_are_positive_with_mean_one():
    """One weight for each valid point."""
    u, origin, density, valid = collection(300)
    weight = prior_weights(u, origin, density, valid)
    assert weight.shape == (valid.sum(),)
    assert weight.min() > 0
    assert weight.mean() == pytest.approx(1)


@pytest.mark.parametrize("n", [0, 1, 10])
def test_few_points_weigh_the_same(n):
    """With fewer points than a density needs all weights are one."""
    weight = prior_weights(np.random.default_rng(0).random((n, 2)), np.full(n, 5), np.full(n, np.nan), np.ones(n, bool))
    np.testing.assert_array_equal(weight, np.ones(n))


def test_coinciding_points_have_finite_weights():
    """A scan of discrete values, where points repeat, gets weights, too."""
    u = np.repeat(np.random.default_rng(0).random((5, 2)), 20, axis=0)
    weight = prior_weights(u, np.full(100, Origin.UNIFORM), np.ones(100), np.ones(100, bool))
    assert np.isfinite(weight).all()
    assert weight.min() > 0


def test_effective_size():
    """Equal weights are worth their number, one large one is worth one."""
    assert effective_size(np.full(50, 3.0)) == pytest.approx(50)
    assert effective_size(np.array([1.0, 1e-9, 1e-9])) == pytest.approx(1)
    assert effective_size(np.empty(0)) == 0


def test_long_scans_are_weighed_by_a_part_of_their_points(monkeypatch):
    """What stands for all collected points around a place gives each of them nearly the weight that all would."""
    u, origin, density, valid = collection(500)
    whole = prior_weights(u, origin, density, valid)
    monkeypatch.setattr(weights, "COUNTED", 600)
    part = prior_weights(u, origin, density, valid)
    assert np.corrcoef(np.log(whole), np.log(part))[0, 1] > 0.9
    assert not np.array_equal(whole, part)
    x = (u[valid][:, 0] - 0.5) / ((HIGH - LOW) / np.sqrt(12))
    assert abs(np.average(x, weights=part)) < 0.12


def test_figures_and_verdicts_of_many_points_rest_on_some_of_them(monkeypatch):
    """Some valid points, evenly spread, show the same population, and all exact ones are counted on."""
    u, origin, density, valid = collection(400)
    whole = population(u, origin, density, valid)
    assert np.array_equal(whole.rows, np.arange(valid.sum()))
    monkeypatch.setattr(weights, "MOST", 700)
    part = population(u, origin, density, valid)
    assert len(part.rows) == len(part.weight) == 700
    assert part.valid == whole.valid == valid.sum()
    chosen = u[valid][part.rows]
    for j in range(3):
        assert np.average(chosen[:, j], weights=part.weight) == pytest.approx(
            np.average(u[valid][:, j], weights=whole.weight), abs=0.02
        )
    assert part.effective_size == pytest.approx(whole.effective_size, rel=0.15)
