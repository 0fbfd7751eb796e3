"""Jumps to other islands, as often as they pay."""

from __future__ import annotations

import numpy as np

from rayscan.learn.data import Array
from rayscan.learn.islands import Islands
from rayscan.learn.moves.hops import LEAST, Hops
from rayscan.learn.moves.spread import nearest_distance


def islands(n: int, centres: list[float], rng: np.random.Generator) -> Array:
    """Return points ``(n, 2)`` in small squares about the centres, on the diagonal."""
    return rng.choice(centres, n)[:, None] + 0.02 * (rng.random((n, 2)) - 0.5)


def test_hops_carry_a_pattern_on_to_the_next_island() -> None:
    """From three islands in a row, some land where the fourth and fifth would be, none where points are known."""
    rng = np.random.default_rng(0)
    known = islands(200, [0.2, 0.4, 0.6], rng)
    hops = Hops()
    hops.survey(Islands(known))
    trial = hops.propose(Islands(known), np.empty((0, 2)), 400, rng)
    beyond = (np.abs(trial - 0.8) < 0.03).all(axis=1)
    assert beyond.sum() > 20
    assert (nearest_distance(trial, known) > hops.reach).all()


def test_hops_get_more_points_while_they_find_islands() -> None:
    """The share follows the rate of new territory, within its bounds."""
    rng = np.random.default_rng(0)
    known = islands(200, [0.2, 0.4], rng)
    paying, idle = Hops(), Hops()
    for _ in range(12):
        for hops, found in ((paying, 12), (idle, 0)):
            hops.survey(Islands(known))
            hops.compare(islands(250, [0.2, 0.4], rng), np.ones(250, bool), Islands(known))
            hops.learn(islands(30, [0.8], rng), np.arange(30) < found, Islands(known))
    assert paying.share > 0.25
    assert idle.share < 0.03
    assert idle.share >= LEAST


def test_hops_that_find_what_walkers_find_anyway_are_left() -> None:
    """In one large region a few hops end in a gap of it; walkers fill more of those, point by point."""
    rng = np.random.default_rng(0)
    known = rng.random((200, 2))
    hops = Hops()
    for _ in range(12):
        hops.survey(Islands(known))
        hops.compare(rng.random((250, 2)), np.ones(250, bool), Islands(known))
        trial = rng.random((30, 2))
        hops.learn(trial, nearest_distance(trial, known) > hops.reach, Islands(known))
    assert hops.record.rate > 0.05
    assert hops.share < 0.6 * hops.record.rate


def test_a_restored_state_continues() -> None:
    """State out and in."""
    rng = np.random.default_rng(0)
    known = islands(50, [0.2, 0.4], rng)
    hops, copy = Hops(), Hops()
    hops.survey(Islands(known))
    hops.compare(islands(20, [0.2], rng), np.ones(20, bool), Islands(known))
    hops.learn(islands(20, [0.8], rng), np.ones(20, bool), Islands(known))
    copy.load_state_dict(hops.state_dict())
    assert copy.share == hops.share
    for one in (hops, copy):
        one.learn(islands(20, [0.8], np.random.default_rng(1)), np.ones(20, bool), Islands(known))
    assert copy.share == hops.share
