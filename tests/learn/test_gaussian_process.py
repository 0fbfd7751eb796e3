"""Interpolation: exact leave-one-out errors, a right gradient, missing values, and inputs that do not matter."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rayscan.learn.surrogates.features import Features
from rayscan.learn.surrogates.gaussian_process import JITTER, GaussianProcess, distance, matern
from rayscan.learn.surrogates.interpolator import Interpolator

MANY = np.full(2, 1600)


def wavy(u: np.ndarray) -> np.ndarray:
    """Return two smooth functions of three parameters."""
    return np.column_stack([np.sin(5 * u[:, 0]) + u[:, 1], u[:, 2] ** 2 * u[:, 0]])


def predicted(process: GaussianProcess, x: np.ndarray) -> np.ndarray:
    """Return the means ``(n, m)`` at inputs ``(n, k)``."""
    return process.predict(lambda inputs: torch.from_numpy(x)[:, inputs], torch.device("cpu")).numpy()


def interpolated(points: Interpolator, u: np.ndarray) -> np.ndarray:
    """Return both observables ``(n, 2)`` at points ``(n, d)``."""
    return points.predict(torch.from_numpy(u), [0, 1]).numpy()


@pytest.mark.parametrize("mixing", [False, True])
def test_the_gradient_is_the_slope_of_the_loss(mixing: bool) -> None:
    """Differences of the loss agree with its gradient in every parameter, of lengths and of a linear map."""
    rng = np.random.default_rng(0)
    x = rng.random((60, 3))
    z = (wavy(x) - wavy(x).mean(axis=0)) / wavy(x).std(axis=0)
    process = GaussianProcess(3)
    loss, at = process._loss_of_lengths, np.log([0.3, 0.5, 0.9, 1e-3])
    if mixing:
        loss, at = process._loss_of_map, np.append(rng.normal(size=9), math.log(1e-3))
    steps = 1e-5 * np.eye(len(at))
    slopes = [(loss(at + step, x, z)[0] - loss(at - step, x, z)[0]) / 2e-5 for step in steps]
    np.testing.assert_allclose(loss(at, x, z)[1], slopes, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mixing", [False, True])
def test_leave_one_out_errors_are_those_of_leaving_one_out(mixing: bool) -> None:
    """What is returned for a point is the error of a prediction from all the others."""
    rng = np.random.default_rng(1)
    x = rng.random((50, 3))
    y = wavy(x)
    process = GaussianProcess(3)
    errors = process.fit(x, y, 10, rng, mixing=mixing)
    scaled = x[:, process.inputs] @ process.weights.T
    covariance = matern(distance(scaled, scaled)) + (process.noise + JITTER) * np.eye(50)
    mean, others = y.mean(axis=0), np.arange(50) != 7
    guess = mean + covariance[7, others] @ np.linalg.solve(covariance[np.ix_(others, others)], y[others] - mean)
    np.testing.assert_allclose(y[7] - guess, errors[7], rtol=1e-5)


def test_a_function_of_few_parameters_of_many_is_learned_from_few_points() -> None:
    """Of thirty parameters two matter; lengths say so, the others are left out, and predictions are good."""
    rng = np.random.default_rng(7)
    x, new = rng.uniform(-1, 1, (150, 30)), rng.uniform(-1, 1, (400, 30))
    process = GaussianProcess(30)
    process.fit(x, (x[:, 3] ** 2 + x[:, 8])[:, None], 30, rng)
    assert {3, 8} <= set(process.inputs.tolist())
    assert len(process.inputs) < 10
    assert np.abs(predicted(process, new)[:, 0] - new[:, 3] ** 2 - new[:, 8]).mean() < 0.02


def test_a_function_of_few_directions_is_learned_by_a_linear_map() -> None:
    """Where the two directions that matter are no axes, a map finds them, and lengths do not."""
    rng = np.random.default_rng(8)
    turned = np.linalg.qr(rng.normal(size=(12, 12)))[0]

    def bent(x: np.ndarray) -> np.ndarray:
        y = x @ turned
        return (y[:, :1] ** 2 + np.sin(2 * y[:, 1:2])).copy()

    x, new = rng.uniform(-1, 1, (200, 12)), rng.uniform(-1, 1, (400, 12))
    errors = []
    for mixing in (False, True):
        process = GaussianProcess(12)
        process.fit(x, bent(x), 60, rng, mixing=mixing)
        errors.append(np.abs(predicted(process, new) - bent(new)).mean())
    assert errors[1] < 0.1 * errors[0]


def test_new_points_are_predicted_a_hundred_times_better_than_by_the_mean() -> None:
    """Two smooth functions of three parameters are learned from 150 points; a fourth, idle input does no harm."""
    rng = np.random.default_rng(2)
    x, new = rng.random((150, 4)), rng.random((400, 4))
    process = GaussianProcess(4)
    process.fit(x, wavy(x), 30, rng)
    spread = wavy(new).std(axis=0)
    assert (np.abs(predicted(process, new) - wavy(new)).mean(axis=0) < 0.01 * spread).all()


def test_features_keep_the_cube_and_stretch_its_ends() -> None:
    """Coordinates stay in [-1, 1], in order; near a face the second one moves faster."""
    u = np.linspace(0, 1, 101)[:, None]
    plain, stretched = Features(1)(torch.from_numpy(u)).numpy().T
    np.testing.assert_allclose(plain, 2 * u[:, 0] - 1)
    np.testing.assert_allclose(stretched[[0, 50, 100]], [-1, 0, 1], atol=1e-12)
    assert (np.diff(stretched) > 0).all()
    assert stretched[1] - stretched[0] > 10 * (stretched[50] - stretched[49])
    some = Features(1)(torch.from_numpy(u), torch.tensor([1, 0]))
    np.testing.assert_array_equal(some.numpy(), np.column_stack([stretched, plain]))


def test_a_parameter_of_either_sign_is_stretched_around_its_zero() -> None:
    """It moves fastest there, keeps its order and stays in [-1, 1]; the other parameters are as without it."""
    u = np.random.default_rng(0).random((200, 2))
    seen = Features(2, np.array([np.nan, 0.25]))(torch.from_numpy(u)).numpy()
    np.testing.assert_array_equal(seen[:, :4], Features(2)(torch.from_numpy(u)).numpy())
    order = np.argsort(u[:, 1])
    assert (np.diff(seen[order, 4]) > 0).all()
    assert np.abs(seen).max() <= 1
    at = np.array([[0.5, 0.25], [0.5, 0.26], [0.5, 0.99], [0.5, 1.0]])
    zero, near, far, end = Features(2, np.array([np.nan, 0.25]))(torch.from_numpy(at), torch.tensor([4])).numpy()[:, 0]
    assert (zero, end) == (0, 1)
    assert near - zero > 20 * (end - far)


def test_a_parameter_that_hardly_changes_sign_is_stretched_at_its_faces() -> None:
    """Where zero lies at an end of the range, the end is what counts."""
    u = torch.from_numpy(np.random.default_rng(0).random((20, 1)))
    np.testing.assert_array_equal(Features(1, np.array([0.01]))(u).numpy(), Features(1)(u).numpy())


def test_an_observable_of_a_skipped_program_does_not_hide_the_others() -> None:
    """Where the second value is missing the first is learned all the same, and predictions there stay right."""
    rng = np.random.default_rng(3)
    u = rng.random((200, 3))
    t = np.arcsinh(wavy(u))
    t[u[:, 0] > 0.5, 1] = np.nan
    points = Interpolator(Features(3), 2)
    errors = points.train(u, t, np.arange(100), np.arange(2), MANY, rng)
    new = rng.random((300, 3))
    off = np.abs(interpolated(points, new) - np.arcsinh(wavy(new)))
    assert np.isfinite(errors[:, 0]).all()
    np.testing.assert_array_equal(np.isnan(errors[:, 1]), u[:, 0] > 0.5)
    assert np.median(off[:, 0]) < 0.01
    assert np.median(off[new[:, 0] < 0.5, 1]) < 0.01


def test_a_saved_interpolation_predicts_the_same_and_learns_on_the_same() -> None:
    """State out and in: equal predictions, now and after another training."""
    rng = np.random.default_rng(4)
    u = rng.random((80, 3))
    t = np.arcsinh(wavy(u))
    first, second = Interpolator(Features(3), 2), Interpolator(Features(3), 2)
    first.train(u, t, np.arange(40), np.arange(2), MANY, rng)
    second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(interpolated(first, u), interpolated(second, u))
    for points in (first, second):
        points.train(u, t, np.arange(40), np.arange(2), MANY, np.random.default_rng(5))
    np.testing.assert_array_equal(interpolated(first, u), interpolated(second, u))


def test_points_go_to_the_observable_that_is_predicted_worst() -> None:
    """Of alike ones each has as many; the worst has more at the others' cost, and one alone what it always has."""
    alike, one_bad, alone = (Interpolator.shared(np.array(need)) for need in ([2.0] * 8, [1.0] * 7 + [21.0], [3.0]))
    assert (alike == alike[0]).all()
    assert one_bad.tolist() == [300] * 7 + [3000]
    assert alone == 1600


def test_a_new_scale_is_taken_over_without_training() -> None:
    """Half the scale doubles what stands inside the arcsinh."""
    rng = np.random.default_rng(6)
    u = rng.random((80, 3))
    points = Interpolator(Features(3), 2)
    points.train(u, np.arcsinh(wavy(u)), np.arange(40), np.arange(2), MANY, rng)
    before = interpolated(points, u)
    points.rescale(np.array([2.0, 1.0]))
    np.testing.assert_allclose(interpolated(points, u), np.arcsinh(np.sinh(before) * [2, 1]))
