"""The loop, with a pool and a proposer that do as they are told."""

from __future__ import annotations

import errno
import itertools
import threading
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet
import pytest

from rayscan.engine import recorder as recorder_module
from rayscan.engine.loop import Loop
from rayscan.errors import FailureRateError, StoreError
from rayscan.progress import Goal
from rayscan.testing.disk import sick_disk
from rayscan.tools.base import Status


def ids(table: Any) -> list[int]:
    return table["point_id"].to_pylist()


# Issuing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("goal", [1, 7, 8, 9, 18, 25, 60])
@pytest.mark.parametrize("deterministic", [False, True])
def test_exactly_as_many_points_as_asked_for(bench: Any, goal: int, deterministic: bool) -> None:
    """The number of evaluations is the goal, each id has one row, whether or not it falls on a round's end."""
    loop = bench.open(deterministic=deterministic)
    progress = loop.run(Goal(evaluations=goal))
    assert progress.state == f"done: {goal} evaluations"
    assert progress.evaluations == goal
    assert ids(bench.close()) == list(range(goal))


def test_uneven_evaluators_make_one_row_a_point(bench: Any, make_pool: Any) -> None:
    """Points that take between one and many turns all end as rows, in whatever order they come."""
    pool = make_pool(size=4, delay=lambda point_id: 1 + (point_id * 7919) % 13)
    bench.open(pool).run(Goal(evaluations=120))
    table = bench.close()
    assert ids(table) == list(range(120))
    assert np.allclose(table["y"].to_numpy(), table["a"].to_numpy() + table["b"].to_numpy())


def test_rounds_are_learnt_from_whole_and_in_order(bench: Any, make_pool: Any) -> None:
    """In deterministic mode every refit knows all rows issued before, in the order of issue."""
    pool = make_pool(size=4, delay=lambda point_id: 1 + (point_id * 7919) % 13)
    bench.open(pool, deterministic=True).run(Goal(evaluations=48))
    assert bench.proposer.refits == [8, 18, 28, 38]
    assert bench.proposer.ids == list(range(38))


def test_the_order_of_answers_changes_nothing_in_deterministic_mode(bench: Any, make_pool: Any, tmp_path: Any) -> None:
    """Same seed, same points, whatever the speed of the evaluators."""
    tables = []
    for delay in (lambda i: 1, lambda i: 1 + (i * 31) % 17):
        bench.path = tmp_path / f"run{len(tables)}"
        bench.open(make_pool(size=3, delay=delay), deterministic=True).run(Goal(evaluations=45))
        tables.append(bench.close())
    assert tables[0]["u"].to_pylist() == tables[1]["u"].to_pylist()


def test_the_learner_hears_of_no_row_before_its_elders(bench: Any, make_pool: Any) -> None:
    """Failures that come back ten times faster are not learnt from before the points issued with them."""
    slow = {i for i in range(200) if i % 2}
    pool = make_pool(size=4, delay=lambda i: 10 if i in slow else 1)
    pool.status = lambda i: Status.OK if i in slow else Status.UNPHYSICAL
    bench.open(pool, K=20, initial=20).run(Goal(evaluations=160))
    for rows in bench.proposer.told:
        share = (rows.status == Status.OK).mean()
        assert abs(share - 0.5) < 0.15, "half of the points are ok, so about half of each lesson must be"


def test_one_straggler_does_not_stop_the_others(bench: Any, make_pool: Any) -> None:
    """A point that takes for ever blocks neither learning nor the evaluation of later points."""
    pool = make_pool(size=4, delay=lambda i: 100_000 if i == 5 else 1)
    loop = bench.open(pool, drain=0.0)
    finished = threading.Event()

    def watch(progress: Any) -> None:
        if progress.evaluations >= 200:
            finished.set()
            loop.stop()

    loop.watcher = watch
    started = time.monotonic()
    loop.run(Goal(evaluations=1000, seconds=20.0))
    assert finished.is_set()
    assert time.monotonic() - started < 15
    assert len(bench.proposer.refits) > 5
    assert 5 not in ids(bench.close())


def test_valid_points_end_a_scan(bench: Any) -> None:
    """A scan for valid points ends when it has them, and keeps what was under way."""
    progress = bench.open().run(Goal(valid=20))
    table = bench.close()
    assert progress.valid >= 20
    assert table["valid"].to_numpy().sum() == progress.valid
    assert ids(table) == list(range(len(table)))


def test_no_more_points_go_out_than_the_goal_needs(bench: Any, make_pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool with room for hundreds gets few when few valid points are missing; who idles gets one even so."""
    pool = make_pool(size=4, delay=lambda point_id: 900 if point_id == 37 else 1)
    monkeypatch.setattr(pool, "room", lambda: 400 - len(pool.seats) - len(pool.waiting))
    progress = bench.open(pool, K=400, initial=400).run(Goal(valid=250))
    assert 250 <= progress.valid < 265


def test_deterministic_scans_end_with_whole_rounds(bench: Any) -> None:
    """Where the goal is what was found, the scan ends with a round, so that its end does not depend on speed."""
    bench.open(deterministic=True).run(Goal(valid=20))
    assert (len(bench.close()) - 8) % 10 == 0


def test_a_time_limit_ends_a_scan_and_its_drain(bench: Any, make_pool: Any) -> None:
    """When time is up, points that do not finish within the drain are left to the next session."""
    pool = make_pool(size=2, delay=lambda i: None if i >= 30 else 1)
    started = time.monotonic()
    progress = bench.open(pool, drain=0.2).run(Goal(seconds=0.5))
    assert time.monotonic() - started < 5
    assert progress.state == "done: the time limit of 0.5 s"
    assert sorted(pool.abandoned) == [30, 31, 32, 33]
    assert ids(bench.close()) == list(range(30))


# Stopping -----------------------------------------------------------------------------------------------------------


def test_a_stop_finishes_what_is_under_way(bench: Any, make_pool: Any) -> None:
    """After a request to stop nothing is issued any more, and every issued point ends as a row."""
    loop = bench.open(make_pool(size=3, delay=lambda i: 5), drain=30.0)
    loop.watcher = lambda progress: loop.stop() if progress.evaluations >= 12 else None
    progress = loop.run(Goal(evaluations=1000))
    assert progress.state == "stopped before the goal"
    assert progress.evaluations == bench.ledger.next_id < 30
    assert ids(bench.close()) == list(range(progress.evaluations))


def test_a_stop_now_leaves_what_is_under_way_to_the_next_run(bench: Any, make_pool: Any) -> None:
    """Abandoned points keep their ids and are the first of the next run of the same session."""
    pool = make_pool(size=3, delay=lambda i: 5)
    loop = bench.open(pool)
    loop.watcher = lambda progress: loop.stop(now=True) if progress.evaluations >= 12 else None
    loop.run(Goal(evaluations=1000))
    left = sorted(pool.abandoned)
    assert left
    assert pool.submitted[-len(left) :] == left
    seen = len(pool.submitted)
    loop.watcher = None
    loop.run(Goal(evaluations=40))
    assert pool.submitted[seen : seen + len(left)] == left
    assert pool.attempts[left[0]] == 2
    assert ids(bench.close()) == list(range(40))


def test_a_stop_from_another_terminal_is_heard_once(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop file ends the scan and is removed; one from before the scan began means nothing."""
    monkeypatch.setattr(recorder_module, "PUBLISH_PERIOD", 0.0)
    bench.open().run(Goal(evaluations=5))
    bench.close()
    (bench.path / "stop").touch()
    loop = bench.open()
    assert loop.run(Goal(evaluations=20)).state == "done: 20 evaluations"
    loop.watcher = lambda progress: (bench.path / "stop").touch() if progress.evaluations == 30 else None
    assert loop.run(Goal(evaluations=1000)).state == "stopped before the goal"
    assert not (bench.path / "stop").exists()


def test_too_many_failures_end_a_scan_with_the_last_message(bench: Any, make_pool: Any) -> None:
    """Technical failures of every point end the scan soon, say why, and lose no row; it can go on afterwards."""
    pool = make_pool(size=4, delay=lambda i: 1 + i % 3)
    pool.status = lambda i: Status.TOOL_ERROR if i < 60 else Status.OK
    loop = bench.open(pool)
    with pytest.raises(FailureRateError, match=r"100% of the last 2\d points .*\n.*said no to \d+"):
        loop.run(Goal(evaluations=100))
    assert 20 <= bench.ledger.evaluations < 30
    with pytest.raises(FailureRateError):
        loop.run(Goal(evaluations=100))
    pool.status = lambda i: Status.OK
    loop.run(Goal(evaluations=100))
    assert ids(bench.close()) == list(range(100))


def test_unphysical_points_are_no_failures(bench: Any, make_pool: Any) -> None:
    """A region where the program refuses every point is scanned like any other."""
    pool = make_pool()
    pool.status = lambda i: Status.UNPHYSICAL
    assert bench.open(pool).run(Goal(evaluations=300)).statuses == {"unphysical": 300}


# Disk trouble -------------------------------------------------------------------------------------------------------


def test_a_full_disk_pauses_a_scan_until_there_is_room(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk is full nothing is issued and the state says why; afterwards the scan goes on, no row lost."""
    monkeypatch.setattr(recorder_module, "RETRY_PERIOD", 0.05)
    monkeypatch.setattr("rayscan.store.writer.FLUSH_SECONDS", 0.02)
    loop = bench.open()
    paused: list[int] = []
    with sick_disk(bench.path) as sick:
        sick.clear()

        def watch(progress: Any) -> None:
            if progress.evaluations >= 20 and not paused:
                sick.set()
            if progress.state.startswith("paused"):
                assert "No space left" in progress.state
                paused.append(progress.issued)
                if len(paused) > 30:
                    sick.clear()

        loop.watcher = watch
        progress = loop.run(Goal(evaluations=60))
    assert progress.state == "done: 60 evaluations"
    assert max(paused) - min(paused) <= 2 * bench.pool.size
    assert ids(bench.close()) == list(range(60))


def test_a_disk_full_at_the_end_is_waited_for(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan that has reached its goal does not end before its rows are written."""
    monkeypatch.setattr(recorder_module, "RETRY_PERIOD", 0.05)
    loop = bench.open()
    with sick_disk(bench.path, errno.EIO) as sick:
        sick.clear()
        turns = itertools.count()

        def watch(progress: Any) -> None:
            if progress.evaluations >= 10 and next(turns) == 0:
                sick.set()
            if progress.state.startswith("paused") and next(turns) > 30:
                sick.clear()

        loop.watcher = watch
        monkeypatch.setattr("rayscan.store.writer.FLUSH_ROWS", 11)
        loop.run(Goal(evaluations=12))
    assert next(turns) > 30
    assert ids(bench.close()) == list(range(12))


def test_a_stop_now_on_a_full_disk_says_what_is_lost(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who will not wait for room on the disk is told, and the next session evaluates the lost points again."""
    monkeypatch.setattr(recorder_module, "RETRY_PERIOD", 0.05)
    monkeypatch.setattr("rayscan.store.writer.FLUSH_SECONDS", 0.02)
    loop = bench.open()
    with sick_disk(bench.path) as sick:
        sick.clear()
        loop.watcher = lambda progress: (
            loop.stop(now=True)
            if progress.state.startswith("paused")
            else sick.set()
            if progress.evaluations > 9
            else None
        )
        with pytest.raises(StoreError, match="No space left"):
            loop.run(Goal(evaluations=60))
        bench.crash()
    bench.open().run(Goal(evaluations=60))
    assert ids(bench.close()) == list(range(60))


# Resuming -----------------------------------------------------------------------------------------------------------


class Crash(Exception):
    pass


@pytest.fixture
def few_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows reach the disk a few at a time, so that a crash finds some there and some not."""
    monkeypatch.setattr("rayscan.store.writer.FLUSH_ROWS", 4)


def run_and_crash(bench: Any, loop: Loop, at: int, goal: Goal) -> None:
    def watch(progress: Any) -> None:
        if progress.evaluations >= at:
            # A killed process saves nothing more.
            bench.recorder.save = lambda lesson: None
            raise Crash

    loop.watcher = watch
    with pytest.raises(Crash):
        loop.run(goal)
    bench.crash()


@pytest.mark.usefixtures("few_a_batch")
@pytest.mark.parametrize("at", [1, 5, 8, 9, 17, 18, 19, 31])
def test_a_killed_scan_goes_on_with_one_row_a_point(bench: Any, make_pool: Any, at: int) -> None:
    """Points that were issued and have no row are issued again with their ids, and no place is evaluated twice."""
    delay = lambda i: 1 + (i * 31) % 5  # noqa: E731
    run_and_crash(bench, bench.open(make_pool(size=3, delay=delay)), at, Goal(evaluations=60))
    bench.open(make_pool(size=3, delay=delay)).run(Goal(evaluations=60))
    table = bench.close()
    assert ids(table) == list(range(60))
    assert len(np.unique(table["u"].to_pylist(), axis=0)) == 60


@pytest.mark.usefixtures("few_a_batch")
def test_ready_points_survive_a_crash(bench: Any) -> None:
    """The initial points that were not issued yet when the driver died are issued after the resume, in their order."""
    run_and_crash(bench, bench.open(initial=40), 10, Goal(evaluations=60))
    bench.open(initial=40).run(Goal(evaluations=60))
    table = bench.close()
    assert table["origin"].to_pylist()[:40] == ["initial"] * 40
    bench.path = bench.path.with_name("straight")
    bench.open(initial=40).run(Goal(evaluations=60))
    assert bench.close()["u"].to_pylist()[:40] == table["u"].to_pylist()[:40]


def test_points_of_another_method_are_not_evaluated_again(bench: Any, make_script: Any) -> None:
    """A learner that starts anew, because the method was changed, proposes its first points again: they are skipped."""
    bench.open().run(Goal(evaluations=30))
    bench.close()
    loop = bench.open(proposer=make_script(), K=12)
    bench.recorder.state = None
    loop.run(Goal(evaluations=60))
    table = bench.close()
    assert len(np.unique(table["u"].to_pylist(), axis=0)) == 60


@pytest.mark.usefixtures("few_a_batch")
@pytest.mark.parametrize("at", [3, 8, 12, 18, 23, 44])
def test_a_killed_deterministic_scan_equals_an_uninterrupted_one(bench: Any, make_pool: Any, at: int) -> None:
    """The same points, values and generations, whatever had come back when it was killed."""
    delay = lambda i: 1 + (i * 31) % 5  # noqa: E731
    for name, crash in (("straight", None), ("killed", at)):
        bench.path = bench.path.with_name(name)
        loop = bench.open(make_pool(size=3, delay=delay), deterministic=True)
        if crash is not None:
            run_and_crash(bench, loop, crash, Goal(valid=30))
            loop = bench.open(make_pool(size=3, delay=delay), deterministic=True)
        loop.run(Goal(valid=30))
        table = bench.close()
        columns = ["point_id", "u", "y", "generation", "valid", "origin"]
        if name == "straight":
            straight = table.select(columns)
    assert table.select(columns).equals(straight)


@pytest.mark.usefixtures("few_a_batch")
def test_a_deterministic_run_of_another_place_is_refused(bench: Any, make_script: Any) -> None:
    """When the replay comes out elsewhere, the scan stops rather than mixing two runs."""

    class Other(make_script):  # type: ignore[misc]
        def ask(self, n: int, pending: Any) -> Any:
            return super().ask(n + 1, pending)[1:]

    run_and_crash(bench, bench.open(deterministic=True), 12, Goal(evaluations=40))
    (bench.path / "checkpoint" / "state").unlink()
    (bench.path / "checkpoint" / "state.previous").unlink(missing_ok=True)
    with pytest.raises(StoreError, match="comes out at another place"):
        bench.open(proposer=Other(), deterministic=True).run(Goal(evaluations=40))


def test_ids_that_a_dead_machine_lost_are_filled(bench: Any) -> None:
    """Where neither row nor journal entry of an id reached the disk, a new point gets it."""
    bench.open().run(Goal(evaluations=30))
    bench.close()
    (segment,) = bench.path.glob("points-*.parquet")
    rows = parquet.read_table(segment)
    lost = pc.is_in(rows["point_id"], pa.array([3, 7]))
    parquet.write_table(rows.filter(pc.invert(lost)), segment)
    for journal in bench.path.glob("issued-*"):
        journal.unlink()
    loop = bench.open()
    loop.run(Goal(evaluations=40))
    assert bench.pool.submitted[:2] == [3, 7]
    assert ids(bench.close()) == list(range(40))


def test_a_higher_goal_goes_on_where_the_scan_was(bench: Any) -> None:
    """Twice thirty points in one session or in two are the same thirty and thirty, in deterministic mode."""
    loop = bench.open(deterministic=True)
    loop.run(Goal(evaluations=25))
    loop.run(Goal(evaluations=60))
    one = bench.close()
    bench.path = bench.path.with_name("two")
    bench.open(deterministic=True).run(Goal(evaluations=25))
    bench.close()
    bench.open(deterministic=True).run(Goal(evaluations=60))
    assert bench.close()["u"].to_pylist() == one["u"].to_pylist()
