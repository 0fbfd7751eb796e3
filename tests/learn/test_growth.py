"""Growing along a region that no surrogate follows."""

from __future__ import annotations

import numpy as np

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
        steps = Growth(0.35).propose(known, out, 200, rng)
        valid = arm(steps)
        tried += len(steps)
        known, out = np.concatenate([known, steps[valid]]), np.concatenate([out, steps[~valid]])
    assert ((out >= 0) & (out <= 1)).all()
    assert len(known) > tried / 4
    assert np.ptp(known[:, 0]) > 0.02


def test_growth_gets_its_share_only_where_chains_fail() -> None:
    """Good chains leave none, and one bad batch is forgiven; after several the share follows what either finds."""
    good, bad = Growth(0.35), Growth(0.35)
    bad.learn(np.empty(0, bool), np.arange(250) < 25)
    assert bad.share == 0
    for _ in range(10):
        good.learn(np.ones(10, bool), np.arange(250) < 200)
        bad.learn(np.arange(100) < 40, np.arange(150) < 5)
    assert good.share == 0
    assert 0.5 < bad.share < 0.95


def test_growth_goes_on_for_longer_where_more_is_asked_of_chains() -> None:
    """Chains that are good enough for one leave something to do for another."""
    shares = []
    for enough in (0.35, 0.7, 0.9):
        growth = Growth(enough)
        for _ in range(10):
            growth.learn(np.arange(100) < 40, np.arange(200) < 100)
        shares.append(growth.share)
    assert shares[0] == 0
    assert 0.05 < shares[1] < shares[2] < 0.5
