"""The pace: what measured times say about reserve and bottleneck."""

from __future__ import annotations

import numpy as np
import pytest

from rayscan.engine import pace as module
from rayscan.engine.pace import FIRST_GUESS, Pace
from rayscan.tools.base import Outcome, Outcomes, Points, Status


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def outcomes(n: int, seconds: float, host: str = "h") -> Outcomes:
    points = Points(np.arange(n), np.zeros((n, 1)), np.ones(n, np.int32))
    return Outcomes.of(points, [Outcome(Status.OK)] * n, (), [(0.0, seconds)] * n, host=host)


def test_nothing_is_known_at_first() -> None:
    """Before the first result nobody is the bottleneck, and the reserve is a generation."""
    pace = Pace(8)
    assert not pace.tool_bound(300)
    assert pace.reserve(300) == 300
    assert pace.rate == 0.0
    assert pace.busy == 0.0


def test_slow_tools_are_the_bottleneck_and_get_a_reserve(clock: Clock) -> None:
    """A reserve covers half as much again as a refit is expected to take, and two points an evaluator."""
    pace = Pace(8)
    pace.came_back(outcomes(10, 1.0))
    pace.learned(5.0)
    assert pace.tool_bound(300)
    assert pace.reserve(300) == int(1.5 * 5 * 8) + 16


def test_fast_tools_wait_for_the_learner(clock: Clock) -> None:
    """Where a generation is evaluated faster than the next is learnt, nothing is issued beyond it."""
    pace = Pace(8)
    pace.came_back(outcomes(10, 0.001))
    assert not pace.tool_bound(300), "a first refit is expected to take some time"
    pace.learned(5.0)
    assert not pace.tool_bound(300)
    assert pace.reserve(300) == 0


def test_the_reserve_is_limited(clock: Clock) -> None:
    """However long the refits, at most two generations are held ready beyond the present one."""
    pace = Pace(1000)
    pace.came_back(outcomes(10, 1000.0))
    pace.learned(100.0)
    assert pace.reserve(300) == 600


def test_one_quick_refit_does_not_fool_the_reserve(clock: Clock) -> None:
    """The expected time falls slowly and rises at once."""
    pace = Pace(8)
    assert pace.expected == FIRST_GUESS
    pace.learned(10.0)
    pace.learned(1.0)
    assert pace.expected == pytest.approx(8.0)
    pace.learned(20.0)
    assert pace.expected == 20.0
    assert pace.lesson_seconds == 20.0


def test_points_that_the_pool_gave_up_do_not_count_as_work(clock: Clock) -> None:
    """A point without a host was never finished: it must not make the tool look instant."""
    pace = Pace(2)
    pace.began()
    pace.came_back(outcomes(4, 2.0))
    before = pace.reserve(300)
    pace.came_back(outcomes(50, 0.0, host=""))
    assert pace.reserve(300) == before


def test_rate_and_busy_share(clock: Clock) -> None:
    """Rate is over the last minute, the busy share over the session."""
    pace = Pace(2)
    pace.began()
    for _ in range(10):
        clock.now += 1.0
        pace.came_back(outcomes(1, 1.0))
    assert pace.busy == pytest.approx(0.5)
    assert pace.rate == pytest.approx(10 / 9)
    clock.now += 120.0
    pace.came_back(outcomes(1, 1.0))
    assert pace.rate == pytest.approx(1 / 0.5)


def test_the_learner_rests_four_times_as_long_as_it_worked(clock: Clock) -> None:
    """Extra refits take at most a fifth of the learner's time."""
    pace = Pace(2)
    pace.learned(2.0)
    clock.now += 7.9
    assert not pace.rested
    clock.now += 0.2
    assert pace.rested


def test_refits_pay(clock: Clock) -> None:
    """Points that take longer than a refit are learnt from as asked for; fast ones once the sample has grown."""
    fast, slow = Pace(2), Pace(2)
    fast.came_back(outcomes(10, 1e-3))
    slow.came_back(outcomes(10, 100.0))
    for pace in (fast, slow):
        pace.learned(2.0)
    assert [slow.round(1, known) for known in (5, 400, 100_000)] == [1, 1, 1]
    assert [fast.round(1, known) for known in (5, 400, 100_000)] == [1, 40, 100]
    assert fast.round(300, 100_000) == 300
