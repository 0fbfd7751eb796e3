"""Opinions, heard by their record."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from rayscan.learn.surrogates.stack import RECENT, SUREST, Stack, bounded


def test_without_a_record_all_are_heard_alike() -> None:
    """The joint logit is the mean."""
    assert Stack(3).logit(np.array([[0.0, 3.0, 6.0]])) == pytest.approx([3.0])


def test_an_opinion_that_says_nothing_is_not_heard_and_one_too_modest_is_raised() -> None:
    """Chance gets no weight; the logit of one that is right but half as sure as it could be is taken for more."""
    rng = np.random.default_rng(0)
    true = rng.normal(scale=3, size=RECENT)
    valid = rng.random(RECENT) < expit(true)
    stack = Stack(2)
    stack.learn(np.column_stack([0.5 * true, rng.normal(scale=3, size=RECENT)]), valid)
    stack.weigh()
    assert stack.weight[0] == pytest.approx(1.9, abs=0.3)
    assert stack.weight[1] < 0.1


def test_only_recent_words_count() -> None:
    """After as many new points as are remembered, an old record is forgotten."""
    stack = Stack(1)
    stack.learn(np.full((RECENT, 1), 4.0), np.zeros(RECENT, dtype=bool))
    stack.weigh()
    assert stack.logit(np.array([[4.0]]))[0] < -2
    stack.learn(np.full((RECENT, 1), 4.0), np.ones(RECENT, dtype=bool))
    stack.weigh()
    assert stack.logit(np.array([[4.0]]))[0] > 4


def test_certainty_has_a_bound() -> None:
    """Whoever is sure beyond it says the same as one who is just that sure."""
    assert bounded(np.array([-np.inf, -9.0, 0.5, np.inf])) == pytest.approx([-SUREST, -SUREST, 0.5, SUREST])


def test_a_restored_stack_goes_on_as_before() -> None:
    """State out and in; the record is part of it."""
    rng = np.random.default_rng(0)
    stack, copy = Stack(2), Stack(2)
    stack.learn(rng.normal(size=(100, 2)), rng.random(100) < 0.3)
    stack.weigh()
    copy.load_state_dict(stack.state_dict())
    said = rng.normal(size=(10, 2))
    assert np.array_equal(copy.logit(said), stack.logit(said))
    copy.weigh()
    assert np.array_equal(copy.weight, stack.weight)
