"""Quadratic response surfaces: exact for polynomials of second degree, silent with too few points."""

from __future__ import annotations

import numpy as np
import torch

from rayscan.learn.surrogates.response_surface import ResponseSurface

D = 12
COEFFICIENTS = 1 + D + D * (D + 1) // 2


def quadratics(u: np.ndarray) -> np.ndarray:
    """Return a rotated quadratic form and a linear function ``(n, 2)``."""
    turn = np.random.default_rng(5).normal(size=(D, D))
    return np.column_stack([((u @ turn) ** 2).sum(axis=1) - 30.0, u @ turn[0]])


def trained(n: int, which: tuple[int, ...] = (0, 1)) -> ResponseSurface:
    """Return surfaces that have learned from `n` points, one value of the first observable missing."""
    rng = np.random.default_rng(0)
    u = rng.random((n, D))
    t = np.arcsinh(quadratics(u))
    t[0, 0] = np.nan
    surface = ResponseSurface(D, 2)
    surface.train(u, t, np.arange(n // 4), np.array(which), rng)
    return surface


def test_polynomials_of_second_degree_are_known_from_little_more_points_than_coefficients() -> None:
    """In 12 dimensions 120 points tell a quadratic form to many digits, where a kernel has seen nothing yet."""
    surface = trained(120)
    new = np.random.default_rng(1).random((50, D))
    assert surface.trained_on.tolist() == [120, 120]
    said = np.sinh(surface.predict(torch.from_numpy(new), [0, 1]).numpy())
    assert np.abs(said - quadratics(new)).max() < 1e-5


def test_fewer_points_than_coefficients_teach_nothing() -> None:
    """And an observable that is not asked for stays as it was."""
    assert trained(COEFFICIENTS).trained_on.tolist() == [0, 0]
    assert trained(200, which=(1,)).trained_on.tolist() == [0, 200]


def test_a_new_scale_and_a_saved_state_keep_what_was_learned() -> None:
    """Predictions are in the scale that was last told."""
    surface = trained(200)
    new = torch.from_numpy(np.random.default_rng(2).random((20, D)))
    surface.rescale(np.array([2.0, 0.5]))
    copy = ResponseSurface(D, 2)
    copy.load_state_dict(surface.state_dict())
    assert np.allclose(np.sinh(copy.predict(new, [0]).numpy()[:, 0]), 2 * quadratics(new.numpy())[:, 0], rtol=1e-4)
    assert torch.equal(copy.predict(new, [1]), surface.predict(new, [1]))
