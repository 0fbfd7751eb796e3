"""Small problems for the learning side."""

from __future__ import annotations

import numpy as np
import pytest

from rayscan.learn.data import Origin, Rows
from rayscan.learn.threads import use_threads
from rayscan.problem.target import Target

# As many threads as a driver has beside busy evaluators.
use_threads(1)

WINDOW = Target(y=(0.8, 1.0))


def observable(u):
    """A bump: 1 in the middle of the cube, in the window within a ball."""
    return np.exp(-4 * ((u - 0.5) ** 2).sum(axis=1))


def make_rows(u, values, target=WINDOW, first=0, origin=Origin.UNIFORM):
    """Rows as the engine would tell them; NaN values are failures."""
    values = np.asarray(values, dtype=float)
    judged = target.judge({"y": values})
    n = len(u)
    return Rows(
        np.arange(first, first + n),
        np.asarray(u, dtype=float),
        np.where(np.isfinite(values), 0, 1).astype(np.int8),
        values[:, None],
        judged.valid,
        judged.likelihood,
        judged.penalty,
        np.full(n, origin, dtype=np.int8),
        np.ones(n),
        np.full(n, np.nan),
        np.zeros(n, dtype=np.int32),
    )


@pytest.fixture
def bump():
    """A thousand points of the bump in two dimensions."""
    u = np.random.default_rng(0).random((1000, 2))
    return make_rows(u, observable(u))
