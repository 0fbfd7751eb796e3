"""Which candidates are taken."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from rayscan.learn.moves.spread import apart_points, nearest_distance


def test_points_keep_their_distance_while_there_is_room() -> None:
    """From known points and from each other; none is taken for its place alone."""
    rng = np.random.default_rng(0)
    candidates, known = rng.random((2000, 2)), rng.random((20, 2))
    chosen = apart_points(candidates, nearest_distance(candidates, known), 0.05, 60, rng)
    assert len(chosen) == 60
    assert pdist(np.concatenate([known[:0], candidates[chosen]])).min() >= 0.05
    assert nearest_distance(candidates[chosen], known).min() >= 0.05
    again = apart_points(candidates, nearest_distance(candidates, known), 0.05, 60, np.random.default_rng(1))
    assert len(np.intersect1d(chosen, again)) < 30


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 30), known=st.integers(0, 3), count=st.integers(0, 40), apart=st.floats(0, 3),
    twins=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_as_many_as_wanted_are_taken_once_each(
    n: int, known: int, count: int, apart: float, twins: bool, seed: int
) -> None:
    """Where room is short the distance shrinks, down to points that are equal."""
    rng = np.random.default_rng(seed)
    candidates = np.zeros((n, 3)) if twins else rng.random((n, 3))
    chosen = apart_points(candidates, nearest_distance(candidates, rng.random((known, 3))), apart, count, rng)
    assert len(chosen) == len(set(chosen.tolist())) == min(n, count)
