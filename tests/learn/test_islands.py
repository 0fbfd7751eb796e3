"""Known valid points, told apart by island."""

from __future__ import annotations

import numpy as np

from rayscan.learn.islands import Islands
from rayscan.learn.surrogates.ladder import Ladder
from rayscan.learn.surrogates.replay import Replay
from rayscan.problem.target import Target

from .conftest import make_rows

CENTRES = np.array([[0.2, 0.2], [0.8, 0.3], [0.4, 0.8]])


def squares(n: int) -> np.ndarray:
    """Return points ``(3 n, 2)`` in small squares, one after the other."""
    away = 0.1 * (np.random.default_rng(0).random((3, n, 2)) - 0.5)
    return np.asarray((CENTRES[:, None] + away).reshape(-1, 2))


def test_a_place_is_on_the_island_of_the_nearest_point() -> None:
    """Of a lone point, on none; and on none where nothing is known."""
    islands = Islands(np.concatenate([squares(100), [[0.95, 0.95]]]))
    on = islands.of(np.concatenate([CENTRES + 0.06, [[0.9, 0.9]]]))
    assert on.tolist() == [islands.label[0], islands.label[100], islands.label[200], -1]
    assert len(set(on)) == 4
    assert Islands(np.empty((0, 2))).of(CENTRES).tolist() == [-1, -1, -1]


def test_boxes_are_in_the_order_of_the_labels() -> None:
    """Small islands can be left out."""
    islands = Islands(np.concatenate([squares(100), np.full((4, 2), 0.95) + 0.001 * np.arange(4)[:, None]]))
    middle, radius = islands.boxes()
    for k in range(3):
        label = islands.label[100 * k]
        assert np.abs(middle[label] - CENTRES[k]).max() < 0.01
        assert 0.06 < radius[label] < 0.08
    assert len(middle) == 4
    assert len(islands.boxes(5)[0]) == 3


def test_a_replay_tells_islands_apart_once_for_the_same_points() -> None:
    """And anew for more of them."""
    target = Target(labels="y")
    replay = Replay(2, target, Ladder(target, ["y"]))
    replay.add(make_rows(squares(50), np.ones(150), target))
    first = replay.islands
    assert replay.islands is first
    assert len(first.u) == 150
    replay.add(make_rows(np.full((10, 2), 0.5), np.arange(10) % 2, target))
    assert len(replay.islands.u) == 155
