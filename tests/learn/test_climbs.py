"""Short climbs to where a place is believed."""

from __future__ import annotations

import numpy as np
import pytest

from rayscan.learn.data import Array
from rayscan.learn.moves.climbs import climbed

BLUR, THIN, REACH = 0.05, 0.01, 0.06


def off(u: Array) -> Array:
    """Return the distance ``(n,)`` of places ``(n, 2)`` from a bent sheet."""
    return np.asarray(u[:, 1] - 0.5 - 0.1 * np.sin(6 * u[:, 0]))


def blurred(u: Array) -> Array:
    """Return a log-probability that knows where the sheet is, and not how thin; at one end it doubts all of it."""
    return np.asarray(-0.5 * (off(u) / BLUR) ** 2 - 5 * u[:, 0])


def test_a_thin_sheet_that_is_blurred_is_hit_along_its_middle() -> None:
    """Where nothing is believed as well as where all is; and no place goes farther than it may."""
    places = np.random.default_rng(0).random((4000, 2))
    places = places[np.abs(off(places)) < 2 * BLUR]
    moved = climbed(places, blurred, 0.0, REACH, np.random.default_rng(1))
    assert moved.shape == places.shape
    assert (np.linalg.norm(moved - places, axis=1) <= REACH).all()
    assert ((moved >= 0) & (moved <= 1)).all()
    for end in (places[:, 0] < 0.5, places[:, 0] > 0.5):
        hits = [(np.abs(off(u[end])) < THIN).mean() for u in (places, moved)]
        assert hits[0] < 0.15
        assert hits[1] > 3 * hits[0]


def test_a_place_that_is_sure_enough_stays() -> None:
    """And no other becomes less sure."""
    places = np.random.default_rng(0).random((500, 2))
    moved = climbed(places, blurred, -2.0, REACH, np.random.default_rng(1))
    sure = blurred(places) >= -2.0
    assert 0 < sure.sum() < 500
    assert (moved[sure] == places[sure]).all()
    assert (blurred(moved) >= blurred(places)).all()
    assert (moved[~sure] != places[~sure]).any(axis=1).mean() > 0.9


@pytest.mark.parametrize("places", [np.empty((0, 3)), np.zeros((1, 3)), np.ones((2, 3))])
def test_few_places_and_corners(places: Array) -> None:
    """There may be nothing to move, or no way to go: everything around is outside or doubted more."""
    moved = climbed(places, lambda u: -np.abs(u - 0.5).sum(axis=1), 0.0, 1e-9, np.random.default_rng(0))
    assert moved.shape == places.shape
    assert ((moved >= 0) & (moved <= 1)).all()
