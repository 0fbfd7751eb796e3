"""What moves have been worth lately."""

from __future__ import annotations

import numpy as np
import pytest

from rayscan.learn.moves.record import FORGET, Record


def test_old_trials_fade_and_the_prior_stays() -> None:
    """After many batches the rate is that of the latest ones, together with the prior."""
    record = Record(900.0, 450.0, prior=(2.0, 1.0))
    for _ in range(100):
        record.learn(np.arange(30) < 3)
    assert record.tried == pytest.approx(2 + 30 / (1 - FORGET))
    assert record.found == pytest.approx(1 + 3 / (1 - FORGET))
    assert record.rate == pytest.approx(0.1, abs=0.01)


def test_a_batch_without_trials_says_nothing() -> None:
    """Nothing fades where nothing was tried."""
    record = Record(10.0, 5.0)
    record.learn(np.empty(0, dtype=np.bool_))
    assert record.state_dict() == [10.0, 5.0]


def test_what_is_found_need_not_be_a_number_of_points() -> None:
    """A volume counts as well."""
    record = Record(1.0, 0.0)
    record.fade()
    record.add(9.0, 4.5)
    assert record.rate == pytest.approx(4.5 / 9.7)


def test_a_restored_state_continues() -> None:
    """State out and in."""
    one, copy = Record(4.0, 1.0, prior=(2.0, 0.5)), Record(4.0, 1.0, prior=(2.0, 0.5))
    one.learn(np.arange(20) < 4)
    copy.load_state_dict(one.state_dict())
    for record in (one, copy):
        record.learn(np.arange(20) < 2)
    assert copy.state_dict() == one.state_dict()
