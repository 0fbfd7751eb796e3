"""Looking at a run from outside: what is seen is what lies in it, and nothing is left behind."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from rayscan.store import Store
from rayscan.store.follow import Follower
from rayscan.store.run_directory import RunDirectory
from rayscan.watch.watcher import Watcher
from tests.watch.conftest import journal, publish


def test_every_row_is_handed_out_once_while_segments_grow_and_close(store, answer):
    """A row that was seen in the open segment is not seen again in the closed one."""
    run = RunDirectory(store.path)
    follower, seen = Follower(run, "points", ("point_id", "tanb")), []
    for start in range(0, 300, 20):
        answer(range(start, start + 20))
        seen += follower.news()["point_id"].to_pylist()
        assert not follower.news().num_rows
    assert len(list(store.path.glob("points-*"))) > 2
    store.close()
    assert not follower.news().num_rows
    assert seen == list(range(300))


def test_a_torn_last_batch_waits_until_it_is_whole(store, answer):
    """What a scan has written by half is seen once it is whole."""
    follower = Follower(RunDirectory(store.path), "points", ("point_id",))
    answer(range(10))
    (segment,) = store.path.glob("points-*.arrows")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-20])
    torn = follower.news()["point_id"].to_pylist()
    segment.write_bytes(whole)
    assert torn + follower.news()["point_id"].to_pylist() == list(range(10))
    store.abandon()


def test_the_view_counts_what_lies_in_the_run(store, answer):
    """Points, acceptance, failures by kind, evaluators, histograms, points under way and messages."""
    answer(range(100))
    journal(store, range(100, 103))
    publish(store.path, goal={"valid": 60, "evaluations": 200}, crew={"working": 2}, evaluations=90, valid=20)
    store.log("evaluator w1 started")
    view = Watcher(store.path).look()

    assert view.live
    assert (view.evaluations, view.valid, view.acceptance) == (100, 30, 0.30)
    assert [(goal.name, goal.share) for goal in view.goals] == [("valid points", 0.5), ("evaluations", 0.5)]
    (kind,) = view.failures
    assert (kind.count, kind.example, kind.point_id) == (10, "tachyon of 9 GeV", 9)
    assert {worker.name: worker.points for worker in view.workers} == {"node1/w0": 50, "node1/w1": 50}
    assert (view.under_way, [point.point_id for point in view.slowest]) == (3, [100, 101, 102])
    assert view.messages[-1].endswith("evaluator w1 started")
    tanb, mass, mh = view.marginals
    assert (tanb.low, tanb.high, tanb.scale, sum(tanb.counts)) == (2.0, 50.0, "linear", 30)
    assert (mass.scale, mass.unit, mass.counts[-1]) == ("log", "GeV", 30)
    assert (mh.name, mh.low, mh.high, sum(mh.counts)) == ("mh", 124.5, 125.5, 30)
    store.abandon()


def test_looking_again_and_again_sees_what_one_look_sees(store, answer):
    """What is summed up step by step is what the finished run holds."""
    watcher = Watcher(store.path)
    for start in range(0, 200, 40):
        answer(range(start, start + 40))
        watcher.look()
    store.close()
    assert watcher.look() == Watcher(store.path).look()


def test_looking_leaves_nothing_behind(store, answer):
    """No file of a run is touched, nor is one added."""
    answer(range(50))
    publish(store.path)

    def files() -> dict[str, tuple[int, int]]:
        return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in (store.path, *store.path.rglob("*"))}

    before = files()
    watcher = Watcher(store.path)
    for _ in range(3):
        watcher.look()
    assert files() == before
    store.abandon()


def test_a_run_of_another_machine_is_asked_for_its_clock_once(store, answer):
    """Where the kernel's lock does not reach, the clock of the file system is read at the first look alone."""
    answer(range(5))
    store.abandon()
    lock = store.path / "lock"
    lock.write_text(json.dumps({"rayscan": "lock", "host": "node77", "pid": 4, "since": 1.7e9, "token": "x"}))
    watcher = Watcher(store.path)
    assert watcher.look().live
    before = store.path.stat().st_mtime_ns
    assert watcher.look().live
    assert store.path.stat().st_mtime_ns == before


def test_a_scan_that_was_killed_is_told_from_one_that_ended(store, answer):
    """Whoever holds the lock is at work; a scan that left in the middle is said to have."""
    answer(range(5))
    watcher = Watcher(store.path)
    assert watcher.look().state == "starting, no news yet"
    publish(store.path, time=time.time())
    assert watcher.look().state == "scanning"
    store.abandon()
    assert watcher.look().state.startswith("not running: ended while scanning, ")
    publish(store.path, state="done: 500 valid points", time=time.time() - 7200.5)
    assert watcher.look().state == "not running: done: 500 valid points, 2 hours ago"


@pytest.mark.parametrize("news", ["", "[]", "{}", '{"state": 3}', '{"state": "scanning", "goal": 3}'])
def test_news_that_are_no_news_are_passed_over(store, answer, news):
    """A progress file that is damaged hides no row."""
    answer(range(5))
    (store.path / "progress.json").write_text(news)
    assert Watcher(store.path).look().evaluations == 5
    store.abandon()


def test_news_of_another_version_are_read(store):
    """Fields that this version does not know, also of the goal, are left out."""
    publish(store.path, goal={"valid": 10, "elegance": 1}, mood="good", valid=5)
    (goal,) = Watcher(store.path).look().goals
    assert (goal.name, goal.text) == ("valid points", "5 / 10")
    store.abandon()


def test_a_run_without_times_or_rows_is_shown(store: Store, tmp_path: Path):
    """A scan that has only begun has a view too."""
    view = Watcher(store.path).look()
    assert (view.evaluations, view.acceptance, view.workers, view.marginals) == (0, 0.0, (), ())
    assert np.isfinite(view.acceptance)
    store.abandon()
