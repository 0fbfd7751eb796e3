"""Exploring while there is evidence of missed volume."""

from __future__ import annotations

import numpy as np
import pytest

from rayscan.learn.coverage.exploration import RECENT, Exploration
from rayscan.learn.data import Array
from rayscan.learn.islands import Islands

FAR, NEAR = np.array([True]), np.array([False])
NONE = np.empty((0, 2)), np.empty(0), np.empty(0, dtype=np.bool_)
CENTRES = np.array([[0.2, 0.2], [0.2, 0.8], [0.8, 0.2], [0.8, 0.8]])


def hit(exploration: Exploration, k: int, score: float, outside: Array) -> None:
    """Let the last of thirty blind points hit the island `k`."""
    exploration.learn(30, CENTRES[[k]] + 0.01, np.full(1, score), outside)


def known(*islands: int) -> Islands:
    """Return fifty valid points on each of some islands, with one where a blind point hits it."""
    rng = np.random.default_rng(0)
    around = CENTRES[list(islands)] + 0.05 * (rng.random((50, len(islands), 2)) - 0.5)
    around[0] = CENTRES[list(islands)] + 0.01
    return Islands(around.reshape(-1, 2))


def test_surprising_hits_ask_for_exploration_and_expected_ones_end_it() -> None:
    """Blind points that turn out valid against the odds raise the share; hits that were foreseen lower it."""
    exploration = Exploration(2, belief=0.0)
    assert exploration.share == 0
    for k in range(4):
        hit(exploration, k, 0.01, FAR)
    high = exploration.share
    for _ in range(20):
        hit(exploration, 0, 0.9, FAR)
    assert 0.1 < high < 0.5
    assert exploration.share == 0


def test_a_surprise_is_explained_by_a_second_hit_on_its_island() -> None:
    """Of four islands found by chance, each further hit says of one that it is known by now."""
    exploration = Exploration(2, belief=0.0)
    for k in range(4):
        hit(exploration, k, 0.01, FAR)
    exploration.survey(known(0, 1, 2, 3))
    assert exploration.surprises == 4
    for k, left in ((2, 3), (2, 3), (0, 2)):
        hit(exploration, k, 0.9, NEAR)
        exploration.survey(known(0, 1, 2, 3))
        assert exploration.surprises == left


def test_two_surprises_of_a_batch_on_the_same_island_explain_each_other() -> None:
    """What each of them told of is known from the other."""
    exploration = Exploration(2, belief=0.0)
    for k in (1, 1, 0):
        hit(exploration, k, 0.01, FAR)
    assert exploration.surprises == 3
    exploration.survey(known(0, 1))
    assert exploration.surprises == 1


def test_a_lone_point_explains_nothing() -> None:
    """Points on no island have nothing to do with each other."""
    exploration = Exploration(2, belief=0.0)
    hit(exploration, 1, 0.01, FAR)
    exploration.learn(30, np.array([[0.5, 0.1]]), np.full(1, 0.9), NEAR)
    lone = Islands(np.concatenate([known(0, 3).u, CENTRES[[1]] + 0.01, [[0.5, 0.1]]]))
    assert (lone.label[-2:] == -1).all()
    exploration.survey(lone)
    assert exploration.surprises == 1


def test_doubt_ends_with_foreseen_hits_and_not_with_time() -> None:
    """Ten hits as expected end what was believed to be missed, however many points they took."""
    rare, frequent = Exploration(2, belief=1.0), Exploration(2, belief=1.0)
    for k in range(7):
        hit(frequent, k % 4, 0.9, FAR)
        rare.learn(270, *NONE)
        hit(rare, k % 4, 0.9, FAR)
    assert rare.share == frequent.share == 0


def test_a_surprise_at_the_rim_is_no_missed_volume() -> None:
    """Hits beside known valid points ask for nothing, however improbable they seemed."""
    exploration = Exploration(2, belief=0.0)
    for _ in range(10):
        hit(exploration, 0, 0.01, NEAR)
    assert exploration.share == 0


def test_a_rare_target_is_not_left_to_chance() -> None:
    """Where blind points never hit, the belief in missed volume counts less and less."""
    exploration = Exploration(2, belief=1.0)
    first = exploration.share
    for _ in range(200):
        exploration.learn(300, *NONE)
    assert first > 0.4
    assert exploration.share < 0.1 * first


@pytest.mark.parametrize("islands", [Islands(np.empty((0, 2))), known(0)])
def test_where_nothing_is_known_every_surprise_remains_one(islands: Islands) -> None:
    """A survey of nothing, or of one island that no hit fell on as foreseen."""
    exploration = Exploration(2, belief=0.0)
    hit(exploration, 0, 0.01, FAR)
    exploration.survey(islands)
    assert exploration.surprises == 1


def test_of_many_hits_the_latest_are_remembered() -> None:
    """What was a surprise thousands of hits ago is forgotten."""
    exploration = Exploration(2, belief=0.0)
    hit(exploration, 1, 0.01, FAR)
    exploration.learn(RECENT, np.tile(CENTRES[[0]], (RECENT, 1)), np.ones(RECENT), np.zeros(RECENT, dtype=np.bool_))
    exploration.survey(known(0, 1))
    assert exploration.surprises == 0


def test_a_restored_state_continues() -> None:
    """State out and in."""
    exploration, copy = Exploration(2, belief=1.0), Exploration(2, belief=1.0)
    for k in (0, 1, 1):
        hit(exploration, k, 0.01, FAR)
    exploration.survey(known(0, 1))
    copy.load_state_dict(exploration.state_dict())
    for one in (exploration, copy):
        assert one.surprises == 1
        hit(one, 0, 0.9, NEAR)
        one.survey(known(0, 1))
    assert copy.surprises == exploration.surprises == 0
    assert copy.share == exploration.share
