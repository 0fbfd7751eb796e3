"""Interpolation: exact leave-one-out errors, a right gradient, missing values, and inputs that do not matter."""

from __future__ import annotations

import numpy as np

from rayscan.learn.surrogates.edges import edges
from rayscan.learn.surrogates.gaussian_process import GaussianProcess
from rayscan.learn.surrogates.interpolator import Interpolator


def wavy(u: np.ndarray) -> np.ndarray:
    """Return two smooth functions of three parameters."""
    return np.column_stack([np.sin(5 * u[:, 0]) + u[:, 1], u[:, 2] ** 2 * u[:, 0]])


def test_the_gradient_is_the_slope_of_the_loss() -> None:
    """Differences of the loss agree with its gradient in every parameter."""
    rng = np.random.default_rng(0)
    x = rng.random((60, 3))
    z = (wavy(x) - wavy(x).mean(axis=0)) / wavy(x).std(axis=0)
    process, theta = GaussianProcess(3), np.log([0.3, 0.5, 0.9, 1e-3])
    slopes = [
        (process._loss(theta + step, x, z)[0] - process._loss(theta - step, x, z)[0]) / 2e-5
        for step in 1e-5 * np.eye(4)
    ]
    np.testing.assert_allclose(process._loss(theta, x, z)[1], slopes, rtol=1e-5)


def test_leave_one_out_errors_are_those_of_leaving_one_out() -> None:
    """What is returned for a point is the error of a prediction from all the others."""
    rng = np.random.default_rng(1)
    x = rng.random((50, 3))
    y = wavy(x)
    process = GaussianProcess(3)
    errors = process.fit(x, y, 10, rng)
    covariance, mean, others = process._covariance(x), y.mean(axis=0), np.arange(50) != 7
    guess = mean + covariance[7, others] @ np.linalg.solve(covariance[np.ix_(others, others)], y[others] - mean)
    np.testing.assert_allclose(y[7] - guess, errors[7], rtol=1e-6)


def test_new_points_are_predicted_a_hundred_times_better_than_by_the_mean() -> None:
    """Two smooth functions of three parameters are learned from 150 points; a fourth, idle input does no harm."""
    rng = np.random.default_rng(2)
    x, new = rng.random((150, 4)), rng.random((400, 4))
    process = GaussianProcess(4)
    process.fit(x, wavy(x), 30, rng)
    spread = wavy(new).std(axis=0)
    assert (np.abs(process.predict(new) - wavy(new)).mean(axis=0) < 0.01 * spread).all()


def test_edges_keep_the_cube_and_stretch_its_ends() -> None:
    """Coordinates stay in [-1, 1], in order; near a face the second one moves faster."""
    u = np.linspace(0, 1, 101)[:, None]
    plain, stretched = edges(u).T
    np.testing.assert_allclose(plain, 2 * u[:, 0] - 1)
    np.testing.assert_allclose(stretched[[0, 50, 100]], [-1, 0, 1], atol=1e-12)
    assert (np.diff(stretched) > 0).all()
    assert stretched[1] - stretched[0] > 10 * (stretched[50] - stretched[49])


def test_an_observable_of_a_skipped_program_does_not_hide_the_others() -> None:
    """Where the second value is missing the first is learned all the same, and predictions there stay right."""
    rng = np.random.default_rng(3)
    u = rng.random((200, 3))
    t = np.arcsinh(wavy(u))
    t[u[:, 0] > 0.5, 1] = np.nan
    points = Interpolator(3, 2)
    errors = points.train(u, t, np.arange(100), rng)
    new = rng.random((300, 3))
    off = np.abs(points.predict(new) - np.arcsinh(wavy(new)))
    assert np.isfinite(errors[:, 0]).all()
    np.testing.assert_array_equal(np.isnan(errors[:, 1]), u[:, 0] > 0.5)
    assert np.median(off[:, 0]) < 0.01
    assert np.median(off[new[:, 0] < 0.5, 1]) < 0.01


def test_a_saved_interpolation_predicts_the_same_and_learns_on_the_same() -> None:
    """State out and in: equal predictions, now and after another training."""
    rng = np.random.default_rng(4)
    u = rng.random((80, 3))
    t = np.arcsinh(wavy(u))
    first, second = Interpolator(3, 2), Interpolator(3, 2)
    first.train(u, t, np.arange(40), rng)
    second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(first.predict(u), second.predict(u))
    for points in (first, second):
        points.train(u, t, np.arange(40), np.random.default_rng(5))
    np.testing.assert_array_equal(first.predict(u), second.predict(u))


def test_a_new_scale_is_taken_over_without_training() -> None:
    """Half the scale doubles what stands inside the arcsinh."""
    rng = np.random.default_rng(6)
    u = rng.random((80, 3))
    points = Interpolator(3, 2)
    points.train(u, np.arcsinh(wavy(u)), np.arange(40), rng)
    before = points.predict(u)
    points.rescale(np.array([2.0, 1.0]))
    np.testing.assert_allclose(points.predict(u), np.arcsinh(np.sinh(before) * [2, 1]))
