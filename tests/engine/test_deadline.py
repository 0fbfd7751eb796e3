"""The end of a batch job: nothing is begun that it would cut off, and all is saved before."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from rayscan.ending import End, Ending
from rayscan.engine import loop as loop_module
from rayscan.engine.loop import SAVE_SECONDS
from rayscan.progress import Goal


@pytest.fixture
def timed(make_pool: Any, monkeypatch: Any) -> Any:
    """Make pools whose turns take 0.4 s each, by the loop's clock; each of their points says that it took a second."""

    def make(**options: Any) -> Any:
        pool = make_pool(**options)
        clock = SimpleNamespace(time=lambda: 0.4 * pool.turns, monotonic=time.monotonic, sleep=time.sleep)
        monkeypatch.setattr(loop_module, "time", clock)
        return pool

    return make


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_scan_ends_before_its_job_with_nothing_under_way(bench: Any, timed: Any, deterministic: bool) -> None:
    """The loop stops issuing, in the midst of a round, too, lets the points under way end, and says why it ended."""
    pool = timed(size=3)
    loop = bench.open(pool, deterministic=deterministic)
    progress = loop.run(Goal(evaluations=1_000_000, ends=SAVE_SECONDS + 15.0))
    assert progress.state == Ending(End.JOB_OVER).state
    assert 13.0 < 0.4 * pool.turns <= 15.4
    assert progress.evaluations == progress.issued == len(pool.submitted) > 0
    assert not pool.abandoned
    assert bench.close()["point_id"].to_pylist() == list(range(progress.evaluations))


def test_what_cannot_end_is_given_up_in_time_to_save(bench: Any, timed: Any) -> None:
    """A point that never ends does not keep the scan beyond its job; the next session issues it again."""
    pool = timed(size=2, delay=lambda point_id: None if point_id == 3 else 1)
    loop = bench.open(pool, drain=1000.0)
    progress = loop.run(Goal(evaluations=1_000_000, ends=SAVE_SECONDS + 15.0))
    assert progress.state == Ending(End.JOB_OVER).state
    assert 0.4 * pool.turns < 16.0
    assert pool.abandoned == [3]
    done = progress.evaluations
    bench.close()
    again = timed(size=2)
    bench.open(again).run(Goal(evaluations=done + 20))
    assert again.attempts[3] == 2
    assert bench.close()["point_id"].to_pylist() == list(range(done + 20))


def test_a_job_that_has_no_time_left_begins_nothing(bench: Any, timed: Any) -> None:
    """Who is woken seconds before the end issues no point, and goes on in the next job."""
    pool = timed()
    progress = bench.open(pool).run(Goal(evaluations=60, ends=SAVE_SECONDS - 1.0))
    assert progress.state == Ending(End.JOB_OVER).state
    assert not pool.submitted
