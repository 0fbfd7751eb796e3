"""No room for programs: points wait, and none of them fails for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rayscan as rs
from rayscan.engine import evaluator as module
from rayscan.engine.evaluator import SCANT, Evaluator
from rayscan.progress import Goal
from rayscan.tools.base import Points, Status


def points(n: int, attempt: int = 1) -> Points:
    return Points(np.arange(n), np.linspace(0, 1, n)[:, None], np.full(n, attempt, dtype=np.int32))


class Room:
    """Free bytes of a scratch disk, of which a failing point takes some while it is there."""

    def __init__(self, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = free
        self.asked = 0
        monkeypatch.setattr("rayscan.sandbox.workshop.Workshop.free", self)
        monkeypatch.setattr(module, "ROOM_PATIENCE", 0.0)

    def __call__(self) -> int:
        self.asked += 1
        return self.free


def evaluate(tool: rs.Function, tmp_path: Path, given: Points) -> list[tuple[Status, str]]:
    evaluator = Evaluator(tool, ["x"], "run", scratch=tmp_path)
    try:
        outcomes = [piece for block in evaluator.evaluate(given) for piece in block.split()]
    finally:
        evaluator.close()
    return [(Status(int(one.status[0])), one.message[0]) for one in outcomes]


def test_points_are_sent_back_where_there_is_no_room(tmp_path, monkeypatch):
    """Nothing is evaluated on a full disk, and the message says where and what to do."""
    called = []
    room = Room(SCANT - 1, monkeypatch)
    done = evaluate(rs.Function(lambda x: called.append(x) or x, outputs=["y"]), tmp_path, points(3))
    assert [status for status, _ in done] == [Status.LOST] * 3
    assert "no room for programs in" in done[0][1]
    assert "4.0 MiB free; free some space" in done[0][1]
    room.free = SCANT
    done = evaluate(rs.Function(lambda x: called.append(x) or x, outputs=["y"]), tmp_path, points(3))
    assert [status for status, _ in done] == [Status.OK] * 3
    assert len(called) == 3


def test_a_point_that_fails_while_the_disk_fills_goes_once_more(tmp_path, monkeypatch):
    """The first failure in want of room is no verdict; the second is, if the point alone fills the disk."""
    room = Room(10 * SCANT, monkeypatch)

    def greedy(x: float) -> float:
        room.free = 0
        msg = "No space left on device"
        raise OSError(msg)

    def look() -> int:
        # The point fills the disk while its sandbox is there.
        free, room.free = room.free, 10 * SCANT
        return free

    monkeypatch.setattr(Room, "__call__", lambda self: look())
    tool = rs.Function(greedy, outputs=["y"])
    assert evaluate(tool, tmp_path, points(1))[0][0] is Status.LOST
    status, message = evaluate(tool, tmp_path, points(1, attempt=2))[0]
    assert status is Status.TOOL_ERROR
    assert "No space left" in message


def test_a_failure_with_room_is_a_failure(tmp_path, monkeypatch):
    """A tool that raises is that point's row, as ever."""
    Room(10 * SCANT, monkeypatch)

    def wrong(x: float) -> float:
        msg = "tachyon"
        raise ValueError(msg)

    assert evaluate(rs.Function(wrong, outputs=["y"]), tmp_path, points(2))[0][0] is Status.TOOL_ERROR


def test_points_sent_back_are_issued_again_under_their_ids(bench, make_pool):
    """The scan pauses and says so, goes on when there is room, and every id is one row."""
    full = [True]
    pool = make_pool(size=3)
    pool.status = lambda point_id: Status.LOST if full[0] and point_id >= 5 else Status.OK
    loop = bench.open(pool=pool)
    states = []

    def watch(progress):
        states.append(progress.state)
        if states.count("paused: said no to 5") == 20:
            full[0] = False

    loop.watcher = watch
    loop.run(Goal(evaluations=40))
    table = bench.close()
    assert table["point_id"].to_pylist() == list(range(40))
    assert set(table["status"].to_pylist()) == {"ok"}
    assert any(state.startswith("paused: said no to") for state in states)
    assert states[-1] in {"scanning", "draining"}
    log = (bench.path / "log").read_text()
    assert log.count("paused: said no to") == 1
    assert "there is room for programs again" in log
    assert len(set(pool.submitted[:12])) <= 5 + 2 * 3, "nothing new is issued while there is no room"


def test_a_scan_that_waits_for_room_can_be_stopped(bench, make_pool):
    """What was sent back is left, issued, to the next session."""
    pool = make_pool(size=2)
    pool.status = lambda point_id: Status.LOST if point_id >= 3 else Status.OK
    loop = bench.open(pool=pool)
    turns = [0]

    def watch(progress):
        turns[0] += 1
        if turns[0] == 40:
            loop.stop()

    loop.watcher = watch
    loop.run(Goal(evaluations=30))
    assert bench.close()["point_id"].to_pylist() == [0, 1, 2]
    bench.open()
    assert sorted(int(i) for _, ids in bench.recorder.again for i in ids)[:1] == [3]
    bench.close()
