"""Testing what is said of an island by its likeness to others."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rayscan.learn.data import Array
from rayscan.learn.islands import Islands
from rayscan.learn.moves.spread import nearest_distance
from rayscan.learn.moves.transplants import LEAST, Transplants

CENTRES = np.array([[0.25, 0.25], [0.75, 0.25], [0.5, 0.75]])
RADIUS, WIDTH, REACH = 0.15, 0.01, 0.03


def on_a_ring(u: Array) -> NDArray[np.bool_]:
    """Return which places ``(n, 2)`` are on a thin ring about one of the centres."""
    gap = np.abs(np.linalg.norm(u[:, None] - CENTRES, axis=2) - RADIUS).min(axis=1)
    return np.asarray(gap < WIDTH)


def known() -> Islands:
    """Return two whole rings, and of the third the upper quarter."""
    rng = np.random.default_rng(0)
    angle = 2 * np.pi * rng.random(900)
    centre = np.repeat(CENTRES, 300, axis=0)
    u = centre + RADIUS * np.column_stack([np.cos(angle), np.sin(angle)])
    quarter = np.abs(angle - np.pi / 2) < np.pi / 4
    return Islands(u[(np.arange(900) < 600) | quarter])


def propose(middle: Array, dead: Array, islands: Islands, count: int = 60) -> Array:
    """Return places to test."""
    return Transplants().propose(islands, middle, dead, REACH, lambda u: u[:, 0] < 0.6, count, np.random.default_rng(1))


def test_what_is_known_of_whole_islands_is_tested_on_the_unknown_part_of_another() -> None:
    """All places are on the third ring, away from its known quarter, and such as were asked for."""
    islands = known()
    trial = propose(CENTRES, np.empty((0, 2)), islands)
    assert len(trial) == 60
    assert on_a_ring(trial).all()
    assert (nearest_distance(trial, islands.u) > REACH).all()
    assert (trial[:, 0] < 0.6).all()
    assert (np.linalg.norm(trial - CENTRES[2], axis=1) < RADIUS + WIDTH).all()


def test_no_place_is_tested_twice() -> None:
    """Few points leave little choice."""
    islands = known()
    few = Islands(islands.u[:: len(islands.u) // 12])
    trial = propose(CENTRES, np.empty((0, 2)), few, 4000)
    assert 5 < len(trial) < 100
    assert len(np.unique(np.round(trial, 9), axis=0)) == len(trial)


def test_what_failed_is_not_tried_again() -> None:
    """Around a place that turned out invalid there is no other test."""
    dead = CENTRES[[2]] + [[-RADIUS, 0.0]]
    trial = propose(CENTRES, dead, known(), 4000)
    assert len(trial) > 10
    assert nearest_distance(trial, dead).min() > REACH


@pytest.mark.parametrize("middle", [np.empty((0, 2)), CENTRES[:1]])
def test_one_island_has_nothing_to_be_like(middle: Array) -> None:
    """There is nothing to test; nor where nothing is known."""
    assert propose(middle, np.empty((0, 2)), known()).shape == (0, 2)
    assert propose(CENTRES, np.empty((0, 2)), Islands(np.empty((0, 2)))).shape == (0, 2)


def test_tests_are_made_as_often_as_they_come_out_well() -> None:
    """The share follows what was found, and never ends."""
    right, wrong = Transplants(), Transplants()
    for _ in range(12):
        right.learn(np.arange(40) < 36)
        wrong.learn(np.zeros(40, dtype=np.bool_))
    assert right.share == pytest.approx(0.4)
    assert LEAST <= wrong.share < 0.02


def test_a_restored_state_continues() -> None:
    """State out and in."""
    one, copy = Transplants(), Transplants()
    one.learn(np.arange(20) < 4)
    copy.load_state_dict(one.state_dict())
    for each in (one, copy):
        each.learn(np.arange(20) < 2)
    assert copy.share == one.share
