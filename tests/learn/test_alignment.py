"""Finding the middles of islands by what was learned from all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rayscan.learn.data import Array
from rayscan.learn.surrogates.labels.alignment import Surroundings, align

CENTRES = np.array([[0.25, 0.25], [0.75, 0.25], [0.5, 0.75]])
RADIUS, WIDTH = 0.15, 0.01


class Ring:
    """What a network that has learned thin rings says; it sees the square as [-1, 1]."""

    def were(self, middle: Array, at: Array) -> Array:
        gap = np.abs(np.linalg.norm(at - middle[:, None], axis=2) / 2 - RADIUS)
        return np.clip(8 * (1 - gap / WIDTH), -8, 8)


def surroundings(centre: Array, arc: float, rng: np.random.Generator, n: int = 200) -> Surroundings:
    """Return points beside an arc of a ring, and on it."""
    angle, away = arc * rng.random((2, n)), RADIUS + 0.4 * WIDTH * rng.normal(size=n)
    inside = centre + away[:, None] * np.column_stack([np.cos(angle[0]), np.sin(angle[0])])
    outside = centre + 0.2 * (2 * rng.random((n, 2)) - 1)
    outside = outside[np.abs(np.linalg.norm(outside - centre, axis=1) - RADIUS) > WIDTH]
    net: Any = Ring()
    return Surroundings(net, inside, outside)


def aligned(start: Array, arcs: tuple[float, ...], rounds: int) -> Array:
    """Return the middles of three islands after some rounds."""
    rng = np.random.default_rng(0)
    about = [surroundings(centre, arc, rng) for centre, arc in zip(CENTRES, arcs, strict=True)]
    boxes = np.array([(one.inside.min(axis=0) + one.inside.max(axis=0)) / 2 for one in about])
    offset = np.concatenate([about[k].inside - CENTRES[k] for k in range(2)])
    for _ in range(rounds):
        start = align(start, boxes, about.__getitem__, offset, RADIUS, rng)
    return start


def test_middles_that_are_nearly_right_come_right() -> None:
    """Islands known whole, whose middles are off by a little."""
    found = aligned(CENTRES + 0.02, (2 * np.pi,) * 3, 6)
    assert np.linalg.norm(found - CENTRES, axis=1).max() < WIDTH / 2


def test_the_middle_of_a_fragment_is_found_from_far_off() -> None:
    """A fifth of a ring, whose box has its middle on the rim."""
    start = CENTRES + np.array([[0, 0], [0, 0], [0.16, 0.1]])
    found = aligned(start, (2 * np.pi, 2 * np.pi, 0.4 * np.pi), 8)
    assert np.linalg.norm(found[2] - CENTRES[2]) < WIDTH


def test_a_middle_moves_to_nowhere_worse() -> None:
    """Where it is right it stays, give or take the width of the rim."""
    found = aligned(CENTRES.copy(), (2 * np.pi,) * 3, 3)
    assert np.linalg.norm(found - CENTRES, axis=1).max() < WIDTH / 2


@pytest.mark.parametrize("points", [np.empty((0, 2)), np.full((3, 2), 0.9)])
def test_an_island_without_points_keeps_its_middle(points: Array) -> None:
    """There is nothing to judge by, or nothing valid to search from."""
    net: Any = Ring()
    about = [Surroundings(net, np.empty((0, 2)), points)] * 2
    middle = CENTRES[:2]
    found = align(middle, middle, about.__getitem__, np.empty((0, 2)), RADIUS, np.random.default_rng(0))
    if not len(points):
        assert np.array_equal(found, middle)
    assert np.linalg.norm(found - middle, axis=1).max() < 4 * RADIUS
