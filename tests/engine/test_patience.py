"""Programs that hang: limits learned from finished points, second tries, and nothing lost or mislabelled."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest

import rayscan as rs
from rayscan.engine import patience
from rayscan.engine.patience import Patience
from rayscan.tools.base import Outcome, Outcomes, Points, Stage, Status


def back(ids: list[int], seconds: float, status: Status = Status.OK, name: str = "prog") -> Outcomes:
    """Return outcomes of points that one program worked on for so long."""
    points = Points(np.array(ids), np.zeros((len(ids), 1)), np.ones(len(ids), dtype=np.int32))
    outcomes = [Outcome(status, stages=(Stage(name, status, seconds),)) for _ in ids]
    return Outcomes.of(points, outcomes, (), [(0.0, seconds)] * len(ids))


def test_limits_are_many_times_what_finished_points_took() -> None:
    """Nothing is known of a program until some points came of it; then the slowest counts, less the more there are."""
    known = Patience()
    known.hung(back(list(range(4)), 2.0))
    assert known.limits() == {}
    known.hung(back([4], 1.0))
    assert known.limits() == {"prog": 64.0}
    known.hung(back(list(range(5, 20)), 1.0))
    assert known.limits() == {"prog": 16.0}
    known.hung(back(list(range(20, 40)), 0.01, name="quick"))
    assert known.limits() == {"prog": 16.0, "quick": 2.0}
    assert known.longest == 18.0


def test_refused_points_alone_teach_no_limit() -> None:
    """Where programs refuse points at once, nothing is known yet of how long a spectrum takes."""
    known = Patience()
    known.hung(back(list(range(50)), 0.01, Status.UNPHYSICAL))
    assert known.limits() == {}


def test_a_point_beyond_the_learned_limit_is_put_off_and_one_beyond_the_programs_own_is_not() -> None:
    """What ended a point is told by how long it took."""
    known = Patience()
    known.hung(back(list(range(20)), 0.1))
    known.sent(np.array([50, 51]), known.limits())
    assert known.hung(back([50], 3.0, Status.TIMEOUT)).tolist() == [True]
    assert known.hung(back([51], 1.0, Status.TIMEOUT)).tolist() == [False]
    assert known.hung(back([52], 300.0, Status.TIMEOUT)).tolist() == [False]
    assert known.lost == 3.0


def test_a_second_try_keeps_what_the_first_one_was() -> None:
    """Both are among the stages of the row, and a success that took longer raises the limit."""
    known = Patience()
    known.hung(back(list(range(20)), 0.1))
    known.sent(np.array([50]), known.limits())
    known.hung(back([50], 3.0, Status.TIMEOUT))
    again = back([50], 7.0)
    assert not known.hung(again).any()
    assert [stage.seconds for stage in again.stages[0]] == [3.0, 7.0]
    assert known.limits() == {"prog": 56.0}


def test_where_many_points_exceed_the_limit_the_limit_is_wrong() -> None:
    """Slow points of two kinds: then all have more time, but never all the time there is."""
    known = Patience()
    known.hung(back(list(range(20)), 0.1))
    for one in range(50, 60):
        known.sent(np.array([one]), known.limits())
        known.hung(back([one], 3.0, Status.TIMEOUT))
    few = known.limits()["prog"]
    assert few > 3.0
    for one in range(60, 100):
        known.sent(np.array([one]), known.limits())
        known.hung(back([one], known.limits()["prog"], Status.TIMEOUT))
    assert few < 30 < known.limits()["prog"] < 20**3 * 2.0


def test_second_tries_cost_little_while_there_is_other_work() -> None:
    """One at a time, and only once the scan has been at work for long beside it."""
    known = Patience()
    known.hung(back(list(range(20)), 0.1))
    known.sent(np.array([50]), known.limits())
    known.hung(back([50], 3.0, Status.TIMEOUT))
    known.waiting.append((None, np.array([50])))  # type: ignore[arg-type]
    assert known.second_tries(elapsed=100.0, evaluators=2) == 0
    assert known.second_tries(elapsed=1000.0, evaluators=2) == 1
    known.waiting.clear()
    assert known.second_tries(elapsed=1000.0, evaluators=2) == 0


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., rs.Scan]:
    """A program that is slow on one point in ten once it is well known, and a scan of it in this process."""
    monkeypatch.setattr(patience, "LEAST", 0.5)
    monkeypatch.setattr(patience, "TIMES", 1.0)
    monkeypatch.setattr(patience, "RARE", 1.0)
    program = tmp_path / "prog"
    calls = tmp_path / "calls"
    program.write_text(
        f"#!/bin/sh\necho >> {calls}\n"
        f'[ $(wc -l < {calls}) -le 30 ] || case "$1" in *7) sleep "$2";; esac\necho "y = $1"\n'
    )
    program.chmod(0o755)

    def make(seconds: float, **options: Any) -> rs.Scan:
        tool = rs.Command([str(program), "{x}", str(seconds)], read={"y": r"regex:y = (\S+)"}, name="prog", **options)
        space = rs.Space(x=rs.Choice(*(round(0.1 + 0.01 * k, 2) for k in range(80))))
        return rs.Scan(
            space, tool, rs.Target(y=(0.2, 0.9)), tmp_path / "run", evaluators=0, initial=64, K=16, selection="paper",
            surrogate="classifier",
        )  # fmt: skip

    return make


def test_a_slow_point_is_neither_waited_for_nor_lost_nor_mislabelled(hanging: Callable[..., rs.Scan]) -> None:
    """A scan's end leaves those that go on and on to the next run, where they end as they would have."""
    with hanging(1.0) as scan:
        first = scan.run(evaluations=64, progress=False).table
        assert "that hang left to the next session" in scan.progress().state
        said = " ".join(scan.result().report().split())
        table = scan.run(evaluations=64, progress=False).table
    assert 32 < len(first) < len(table) == 64
    assert re.search(r"lost to points that hang +[\d.]+ m?s of \d+, \d+% of all evaluation", said)
    assert re.search(r"by hand: rayscan check scan.toml --point x=0.\d?7", said)
    assert set(table["status"].to_pylist()) == {"ok"}
    slow, x = table["attempt"].to_numpy() == 2, table["x"].to_numpy()
    assert slow.sum() >= 64 - len(first)
    assert all(str(one).endswith("7") for one in x[slow])
    np.testing.assert_array_equal(table["valid"].to_numpy(), (x >= 0.2) & (x <= 0.9))


def test_a_limit_of_the_users_is_final(hanging: Callable[..., rs.Scan]) -> None:
    """Who gives a timeout gets that one."""
    with hanging(1.0, timeout=0.3) as scan:
        table = scan.run(evaluations=64, progress=False).table
    ended = table.filter(pc.equal(table["status"], "timeout"))
    assert len(ended)
    assert all(str(x).endswith("7") for x in ended["x"].to_pylist())
    assert all(len(stages) == 1 for stages in table["stages"].to_pylist())


def test_a_program_with_a_long_tail_of_times_loses_no_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where times follow a power law, learned limits give every point and answer that the full limit would."""
    monkeypatch.setattr(patience, "LEAST", 0.05)
    monkeypatch.setattr(patience, "TIMES", 1.0)
    monkeypatch.setattr(patience, "ENOUGH", 5)
    monkeypatch.setattr(patience, "RARE", 1.0)
    program = tmp_path / "prog"
    program.write_text('#!/bin/sh\nsleep "$2"\necho "y = $1"\n')
    program.chmod(0o755)
    tool = rs.Command([str(program), "{x}", "{t}"], read={"y": r"regex:y = (\S+)"}, name="prog")
    # A Pareto distribution of index 1: from 10 ms to about a second.
    space = rs.Space(x=(0.0, 1.0), v=(0.01, 1.0), t=rs.Derived("0.01 / v"))
    with rs.Scan(
        space, tool, rs.Target(y=(0.2, 0.9)), tmp_path / "run", evaluators=0, initial=64, K=16, selection="paper",
        surrogate="classifier",
    ) as scan:  # fmt: skip
        scan.run(evaluations=64, progress=False)
        table = scan.run(evaluations=64, progress=False).table
    x = table["x"].to_numpy()
    assert table.num_rows == 64
    assert set(table["status"].to_pylist()) == {"ok"}
    np.testing.assert_array_equal(table["valid"].to_numpy(), (x >= 0.2) & (x <= 0.9))
