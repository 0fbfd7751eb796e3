"""Which of the places that moves come up with are worth an evaluation."""

from __future__ import annotations

import numpy as np

from rayscan.learn.islands import Islands
from rayscan.learn.moves.trials import distinct, in_cube, in_new_territory


def test_the_cube_has_its_faces_and_nothing_beyond() -> None:
    """One coordinate outside is enough."""
    places = np.array([[0.0, 1.0], [0.5, 0.5], [1.0 + 1e-12, 0.5], [0.5, -1e-12]])
    assert in_cube(places).tolist() == [True, True, False, False]
    assert in_cube(np.empty((0, 2))).shape == (0,)


def test_places_that_differ_in_the_last_digit_are_one() -> None:
    """The first of them stays, and all are in their order."""
    a, b, c = np.random.default_rng(0).random((3, 200, 3))
    places = np.concatenate([a + b - c, b + a - c, b])[::-1]
    assert (distinct(places) == places[:400]).all()
    assert distinct(np.empty((0, 3))).shape == (0, 3)


def test_new_territory_is_away_from_what_is_known_and_from_what_failed_beside_it() -> None:
    """A failed trial closes what is within reach of it."""
    known, dead = Islands(np.array([[0.5]])), np.array([[0.8], [0.56]])
    places = np.array([[0.55], [0.57], [0.67], [0.72], [0.85], [0.2]])
    found = in_new_territory(places, known, dead, 0.1)
    assert found[:, 0].tolist() == [0.67, 0.2]
    assert in_new_territory(places, Islands(np.empty((0, 1))), np.empty((0, 1)), 0.1).shape == places.shape
