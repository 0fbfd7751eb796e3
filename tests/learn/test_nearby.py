"""Interpolation from the nearest known points."""

from __future__ import annotations

import numpy as np
import torch

from rayscan.learn.data import Array
from rayscan.learn.surrogates.features import Features
from rayscan.learn.surrogates.gaussian_process import GaussianProcess
from rayscan.learn.surrogates.nearby import NEIGHBOURS, Nearby


def half_rough(u: Array) -> Array:
    """Return two functions ``(n, 2)`` that are smooth where the first coordinate is small, and oscillate elsewhere."""
    ripple = np.sin(30 * u[:, 1]) / (1 + np.exp(40 * (0.5 - u[:, 0])))
    return np.column_stack([0.3 * (u[:, 0] + u[:, 1] ** 2) + ripple, 5 * (u[:, 0] - u[:, 1]) + 20 * ripple])


def made(n: int) -> tuple[Nearby, GaussianProcess]:
    """Return an interpolation of `n` points, and the process that its lengths are from."""
    rng = np.random.default_rng(0)
    u = rng.random((n, 2))
    process = GaussianProcess(4)
    process.fit(seen(u[:300]), half_rough(u[:300]), 20, rng)
    weights = np.zeros((len(process.weights), 4))
    weights[:, process.inputs] = process.weights
    return Nearby(Features(u.shape[1]), u, half_rough(u), weights, process.noise), process


def seen(u: Array) -> Array:
    """Return what surrogates see of points ``(n, d)``."""
    return Features(u.shape[1])(torch.from_numpy(u)).numpy()


def test_all_points_are_worth_more_than_a_sample() -> None:
    """With ten times as many points as the process has, errors are a fraction of its own."""
    nearby, process = made(3000)
    new = np.random.default_rng(1).random((2000, 2))
    error = np.abs(nearby.predict(new)[0] - half_rough(new)).mean(axis=0)
    sampled = process.predict(lambda inputs: torch.from_numpy(seen(new))[:, inputs], torch.device("cpu")).numpy()
    assert (error < 0.5 * np.abs(sampled - half_rough(new)).mean(axis=0)).all()


def test_widths_follow_how_rough_the_functions_are() -> None:
    """They are several times larger where there are ripples, and what they promise holds on either side."""
    nearby, _ = made(1500)
    new = np.random.default_rng(1).random((4000, 2))
    new = new[np.abs(new[:, 0] - 0.5) > 0.1]
    mean, width = nearby.predict(new)
    rough = new[:, 0] > 0.5
    assert (np.median(width[rough], axis=0) > 3 * np.median(width[~rough], axis=0)).all()
    off = np.abs(mean - half_rough(new)) / width
    for side in (rough, ~rough):
        assert (off[side] < 3).mean() > 0.95


def test_known_points_are_hit_and_nothing_is_asked_of_no_place() -> None:
    """At a point that is known the value is known; no places, no answers."""
    nearby, _ = made(500)
    mean, width = nearby.predict(nearby.u[:50])
    assert (np.abs(mean - nearby.values[:50]) <= 0.02 * nearby.values.std(axis=0)).all()
    assert nearby.predict(np.empty((0, 2)))[0].shape == (0, 2)
    assert np.isfinite(width).all()


def test_few_neighbours_are_enough() -> None:
    """One more point than a place has neighbours will do, and functions that are constant have no width."""
    u = np.random.default_rng(0).random((NEIGHBOURS + 1, 2))
    nearby = Nearby(Features(4), u, np.ones((len(u), 1)), np.eye(4) / 0.3, 1e-4)
    mean, width = nearby.predict(np.random.default_rng(1).random((20, 2)))
    assert np.allclose(mean, 1.0)
    assert np.allclose(width, 0.0)
