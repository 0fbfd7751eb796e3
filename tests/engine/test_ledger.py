"""The ledger: one id a point, one row an id, and failures that come back first teach nothing too early."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rayscan as rs
from rayscan.engine.ledger import Ledger
from rayscan.learn.data import Proposals, Rows
from rayscan.problem.statement import Problem
from rayscan.tools.base import Outcome, Outcomes, Points, Status

FOREVER = 1 << 62


def proposals(n: int, generation: int = 1) -> Proposals:
    u = np.random.default_rng(n).random((n, 2))
    return Proposals(u, np.full(n, 3, np.int8), np.full(n, 2.0), np.full(n, 0.5), generation)


def answer(points: Points, status: Status = Status.OK) -> Outcomes:
    outcomes = [Outcome(status, {"y": float(x.sum())} if status == Status.OK else {}) for x in points.x]
    return Outcomes.of(points, outcomes, ("y",), [(1.0, 2.0)] * len(points), host="h", worker="w")


@pytest.fixture
def new(problem: Problem) -> Callable[..., Ledger]:
    def make(rows: Rows | None = None, told: int = 0, next_id: int = 0, gaps: list[int] | None = None) -> Ledger:
        lost = None if gaps is None else np.array(gaps, dtype=np.int64)
        return Ledger(problem, Rows.empty(2, 1) if rows is None else rows, told=told, next_id=next_id, gaps=lost)

    return make


def test_ids_are_consecutive_and_points_physical(new: Callable[..., Ledger]) -> None:
    """Ids follow one another across batches, and the points carry the space's values."""
    ledger = new()
    first, second = ledger.issue(proposals(3)), ledger.issue(proposals(2))
    assert [*first.point_id, *second.point_id] == [0, 1, 2, 3, 4]
    assert np.allclose(first.x, proposals(3).u)
    assert ledger.under_way == 5
    assert ledger.issued == 5


def test_a_row_holds_where_its_point_came_from(new: Callable[..., Ledger]) -> None:
    """Origin, density, score and generation of the proposal end in the row, and the target judges it."""
    ledger = new()
    places = np.array([[0.5, 0.5], [0.1, 0.1]])
    points = ledger.issue(Proposals(places, np.full(2, 3, np.int8), np.full(2, 2.0), np.full(2, 0.5), 7))
    row = ledger.close(answer(points))
    assert row["valid"].tolist() == [True, False]
    assert row["origin"].tolist() == [3, 3]
    assert row["density"].tolist() == [2.0, 2.0]
    assert row["generation"].tolist() == [7, 7]
    assert row["worker"] == ["w", "w"]
    assert ledger.valid == 1
    assert ledger.evaluations == 2
    assert ledger.under_way == 0


def test_failures_are_rows_that_are_never_valid(new: Callable[..., Ledger]) -> None:
    """A failed point counts as an evaluation, is not valid, and its penalty is unknown."""
    ledger = new()
    row = ledger.close(answer(ledger.issue(proposals(3)), Status.TIMEOUT))
    assert not row["valid"].any()
    assert np.isnan(row["penalty"]).all()
    assert (row["likelihood"] == 0).all()
    assert ledger.statuses == {int(Status.TIMEOUT): 3}


def test_a_second_answer_is_dropped_and_counted(new: Callable[..., Ledger]) -> None:
    """Of an answer to known and unknown points only the known become rows."""
    ledger = new()
    points = ledger.issue(proposals(3))
    ledger.close(answer(points[:1]))
    row = ledger.close(answer(points))
    assert row["point_id"].tolist() == [1, 2]
    assert row["kept"] == [{}, {}]
    assert ledger.duplicates == 1
    assert ledger.evaluations == 3


def test_lost_ids_are_given_out_first(new: Callable[..., Ledger]) -> None:
    """Ids that a machine lost are filled before new ones are made up, and count as not issued until then."""
    ledger = new(next_id=10, gaps=[3, 7])
    assert ledger.issued == 8
    assert ledger.issue(proposals(4)).point_id.tolist() == [3, 7, 10, 11]
    assert ledger.issued == 12
    assert ledger.next_id == 12


def test_given_back_points_keep_their_ids(new: Callable[..., Ledger]) -> None:
    """Points under way that are given back can be issued again with the ids and places they had."""
    ledger = new()
    points = ledger.issue(proposals(3))
    ledger.close(answer(points[1:2]))
    given = ledger.give_back()
    assert ledger.under_way == 0
    again = [ledger.issue(batch, ids, attempt=2) for batch, ids in given]
    assert [int(p.point_id[0]) for p in again] == [0, 2]
    assert all(p.attempt[0] == 2 for p in again)
    assert np.array_equal(np.concatenate([p.x for p in again]), points.x[[0, 2]])
    assert ledger.next_id == 3


def test_rows_newer_than_a_recent_point_under_way_wait(new: Callable[..., Ledger]) -> None:
    """What came back before its elders is told after them, in the order of issue."""
    ledger = new()
    points = ledger.issue(proposals(10))
    for row in (9, 3, 0, 1):
        ledger.close(answer(points[row : row + 1]))
    assert ledger.tellable(FOREVER) == 2
    assert ledger.tell(FOREVER).point_id.tolist() == [0, 1]
    assert ledger.tell(FOREVER).point_id.tolist() == []
    ledger.close(answer(points[2:3]))
    assert ledger.tell(FOREVER).point_id.tolist() == [2, 3]
    assert ledger.untold == 1


def test_a_straggler_beyond_the_horizon_holds_nobody_up(new: Callable[..., Ledger]) -> None:
    """A point that is late by more than the horizon is told whenever it comes."""
    ledger = new()
    points = ledger.issue(proposals(10))
    ledger.close(answer(points[1:]))
    assert ledger.tellable(FOREVER) == 0
    assert ledger.tell(5).point_id.tolist() == list(range(1, 10))
    ledger.close(answer(points[:1]))
    assert ledger.tell(5).point_id.tolist() == [0]


def test_rows_of_an_earlier_session_are_told_from_where_it_was(new: Callable[..., Ledger], problem: Problem) -> None:
    """Of restored rows only those that the learner had not heard of are told, and all count."""
    old = Ledger(problem, Rows.empty(2, 1), told=0, next_id=0)
    old.close(answer(old.issue(proposals(6))))
    rows = old.tell(FOREVER)
    ledger = new(rows=rows, told=4, next_id=6)
    assert ledger.evaluations == 6
    assert ledger.valid == old.valid
    assert ledger.tell(FOREVER).point_id.tolist() == [4, 5]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_row_is_told_exactly_once(data: st.DataObject) -> None:
    """Whatever the order of answers, losses and lessons, each row is told once, and each lesson is in order."""
    problem = Problem(
        rs.Space(a=(0, 1), b=(0, 1)), rs.Function(lambda a, b: a + b, outputs=["y"]), rs.Target(y=(0.9, 1.1))
    )
    ledger = Ledger(problem, Rows.empty(2, 1), told=0, next_id=0)
    horizon = data.draw(st.sampled_from([0, 3, 10, FOREVER]))
    open_points: list[Points] = []
    told: list[int] = []
    for _ in range(data.draw(st.integers(5, 25))):
        action = data.draw(st.sampled_from(["issue", "answer", "answer", "tell", "give back"]))
        if action == "issue":
            points = ledger.issue(proposals(data.draw(st.integers(1, 5))))
            open_points += [points[row : row + 1] for row in range(len(points))]
        elif action == "answer" and open_points:
            ledger.close(answer(open_points.pop(data.draw(st.integers(0, len(open_points) - 1)))))
        elif action == "tell":
            tellable, rows = ledger.tellable(horizon), ledger.tell(horizon)
            assert len(rows) == tellable
            assert (np.diff(rows.point_id) > 0).all()
            told += rows.point_id.tolist()
        elif action == "give back":
            open_points = [ledger.issue(batch, ids) for batch, ids in ledger.give_back()]
    for points in open_points:
        ledger.close(answer(points))
    told += ledger.tell(horizon).point_id.tolist()
    assert sorted(told) == list(range(ledger.next_id))
    assert ledger.evaluations == ledger.next_id
