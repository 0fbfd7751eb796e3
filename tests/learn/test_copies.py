"""Whole islands, moved to where others like them would be."""

from __future__ import annotations

import numpy as np
import pytest

from rayscan.learn.data import Array
from rayscan.learn.islands import Islands
from rayscan.learn.moves.copies import copies
from rayscan.learn.moves.hops import Hops

CENTRES = np.array([[0.15, 0.15], [0.5, 0.15], [0.15, 0.5], [0.5, 0.5], [0.85, 0.15], [0.15, 0.85]])
MISSING = np.array([[0.85, 0.5], [0.5, 0.85], [0.85, 0.85]])
RADIUS, WIDTH = 0.1, 0.004


def rings(n: int, centres: Array, rng: np.random.Generator) -> Array:
    """Return points ``(n, 2)`` on thin rings, more of them on the right of each than on the left."""
    angle = np.pi * rng.normal(scale=0.5, size=n)
    radius = RADIUS + WIDTH * (2 * rng.random(n) - 1)
    return centres[rng.integers(len(centres), size=n)] + radius[:, None] * np.column_stack(
        [np.cos(angle), np.sin(angle)]
    )


def on_a_ring(u: Array, centres: Array) -> Array:
    """Whether points ``(n, 2)`` are on a ring, twice as thick, about one of the centres."""
    gap = np.linalg.norm(u[:, None] - centres, axis=2) - RADIUS
    return np.abs(gap).min(axis=1) < 2 * WIDTH


@pytest.mark.parametrize("n", [600, 20_000])
def test_copies_fall_onto_the_missing_ones_of_a_lattice(n: int) -> None:
    """However unevenly the known ones were sampled; few are led astray by the centres of fragments."""
    rng = np.random.default_rng(0)
    copied = copies(Islands(rings(n, CENTRES, rng)), 4000, rng)
    assert len(copied) > 200
    assert on_a_ring(copied, CENTRES).mean() < 0.2
    assert on_a_ring(copied, MISSING).mean() > 0.5


def test_no_copy_of_few_points_comes_twice() -> None:
    """Four points on each of three islands leave little choice."""
    rng = np.random.default_rng(0)
    few = rng.permutation(rings(4, np.zeros((1, 2)), rng) / 4 + CENTRES[:3, None])
    copied = copies(Islands(few.reshape(-1, 2)), 4000, rng)
    assert 10 < len(copied) < 200
    assert len(np.unique(np.round(copied, 9), axis=0)) == len(copied)


def test_some_copies_go_where_no_known_way_leads() -> None:
    """The only way between two islands leads from either to the other, or out of the cube."""
    rng = np.random.default_rng(0)
    known, others = np.array([[0.2, 0.3], [0.7, 0.8]]), np.array([[0.2, 0.8], [0.7, 0.3]])
    copied = copies(Islands(rings(400, known, rng)), 4000, rng)
    assert len(copied) > 50
    assert on_a_ring(copied, others).mean() > 0.5


def test_hops_are_half_copies_where_islands_repeat() -> None:
    """Three points of different islands hardly ever give a place on a thin ring, and copies do."""
    rng = np.random.default_rng(0)
    known = rings(600, CENTRES, rng)
    hops = Hops()
    hops.survey(Islands(known))
    trial = hops.propose(Islands(known), np.empty((0, 2)), 200, rng)
    assert len(trial) == 200
    assert 0.25 < on_a_ring(trial, MISSING).mean() < 0.75


@pytest.mark.parametrize("known", [np.empty((0, 3)), np.full((2, 3), 0.5), np.random.default_rng(0).random((300, 3))])
def test_one_island_or_none_has_no_copies(known: Array) -> None:
    """There is no way to move by."""
    assert copies(Islands(known), 100, np.random.default_rng(0)).shape == (0, 3)
