"""Growing along a region that no surrogate follows, and exploring while there is evidence of missed volume."""

from __future__ import annotations

import numpy as np
import pytest

from rayscan.learn.coverage.exploration import Exploration
from rayscan.learn.moves.growth import Growth


def arm(u: np.ndarray) -> np.ndarray:
    """Return which points ``(n, 2)`` lie in a thin sine-shaped band of 1 % of the square."""
    return np.asarray(np.abs(u[:, 1] - 0.5 - 0.3 * np.sin(40 * u[:, 0])) < 0.005)


def test_steps_follow_a_thin_band_from_a_single_point() -> None:
    """Ten rounds from one valid point find hundreds, a third of the steps valid, over a range of the band."""
    rng = np.random.default_rng(0)
    known, out = np.array([[0.5, 0.5 + 0.3 * np.sin(20.0)]]), rng.random((300, 2))
    out = out[~arm(out)]
    tried = 0
    for _ in range(10):
        steps = Growth().propose(known, out, 200, rng)
        valid = arm(steps)
        tried += len(steps)
        known, out = np.concatenate([known, steps[valid]]), np.concatenate([out, steps[~valid]])
    assert ((out >= 0) & (out <= 1)).all()
    assert len(known) > tried / 4
    assert np.ptp(known[:, 0]) > 0.02


def test_growth_gets_its_share_only_where_chains_fail() -> None:
    """Good chains leave none, and one bad batch is forgiven; after several the share follows what either finds."""
    good, bad = Growth(), Growth()
    bad.learn(np.empty(0, bool), np.arange(250) < 25)
    assert bad.share == 0
    for _ in range(10):
        good.learn(np.ones(10, bool), np.arange(250) < 200)
        bad.learn(np.arange(100) < 40, np.arange(150) < 5)
    assert good.share == 0
    assert 0.5 < bad.share < 0.95


FAR, NEAR = np.array([True]), np.array([False])


def test_surprising_hits_ask_for_exploration_and_expected_ones_end_it() -> None:
    """Blind points that turn out valid against the odds raise the share; hits that were foreseen lower it."""
    exploration = Exploration(belief=0.0)
    assert exploration.share == 0
    for _ in range(10):
        exploration.learn(30, np.full(1, 0.01), FAR)
    high = exploration.share
    for _ in range(30):
        exploration.learn(30, np.full(1, 0.9), FAR)
    assert 0.2 < high < 0.5
    assert exploration.share < 0.2 * high


def test_doubt_fades_with_foreseen_hits_and_not_with_time() -> None:
    """Some twenty hits as expected end what was believed to be missed, however many points they took."""
    rare, frequent = Exploration(belief=1.0), Exploration(belief=1.0)
    for _ in range(25):
        frequent.learn(300, np.full(1, 0.9), FAR)
        for _ in range(9):
            rare.learn(30, np.empty(0), np.empty(0, bool))
        rare.learn(30, np.full(1, 0.9), FAR)
    assert rare.share == pytest.approx(frequent.share)
    assert rare.share < 0.02


def test_a_surprise_at_the_rim_is_no_missed_volume() -> None:
    """Hits beside known valid points ask for nothing, however improbable they seemed."""
    exploration = Exploration(belief=0.0)
    for _ in range(10):
        exploration.learn(30, np.full(1, 0.01), NEAR)
    assert exploration.share == 0


def test_a_rare_target_is_not_left_to_chance() -> None:
    """Where blind points never hit, the belief in missed volume counts less and less."""
    exploration = Exploration(belief=1.0)
    first = exploration.share
    for _ in range(200):
        exploration.learn(300, np.empty(0), np.empty(0, bool))
    assert first > 0.4
    assert exploration.share < 0.1 * first
