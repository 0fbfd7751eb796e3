"""One evaluator, without Ray: what it sends back of a point."""

from __future__ import annotations

import contextlib
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rayscan as rs
from rayscan.engine.evaluator import Evaluator
from rayscan.options import ScanOptions
from rayscan.tools.base import Outcome, Points, Status

SPECTRUM = b"BLOCK MASS\n" * 2000


class Writer(rs.Tool):  # type: ignore[misc]
    """Offers a spectrum of every point; x > 0.5 is unphysical."""

    outputs = ("y",)

    def evaluate(self, point: Any, sandbox: Any) -> Outcome:
        status = Status.UNPHYSICAL if point["x"] > 0.5 else Status.OK
        values = {"y": 1.0} if status is Status.OK else {}
        return Outcome(status, values, message="said so", kept={"spectrum": SPECTRUM})


@pytest.mark.parametrize(("keep", "sent"), [("never", [0, 0]), ("valid", [1, 0]), ("all", [1, 1])])
def test_only_files_that_may_be_kept_travel(tmp_path: Path, keep: str, sent: list[int]) -> None:
    """A spectrum that the scan would throw away stays with the evaluator; the rest of the outcome does not change."""
    points = Points(np.arange(2), np.array([[0.2], [0.8]]), np.ones(2, np.int32))
    evaluator = Evaluator(Writer(), ("x",), "test", scratch=tmp_path, keep=keep)
    try:
        found = [one for outcomes in evaluator.evaluate(points) for one in outcomes.split()]
    finally:
        evaluator.close()
    assert [len(one.kept[0]) for one in found] == sent
    assert all(files == {"spectrum": SPECTRUM} for one in found for files in one.kept if files)
    assert [(one.status[0], one.message[0]) for one in found] == [
        (Status.OK, "said so"),
        (Status.UNPHYSICAL, "said so"),
    ]


@pytest.mark.parametrize("raised", ["SystemExit(3)", "KeyboardInterrupt()", "ValueError('no')"])
@pytest.mark.parametrize("chained", [False, True])
def test_what_a_python_tool_raises_ends_its_point_and_not_the_evaluator(raised: str, chained: bool) -> None:
    """Also sys.exit() and, in an evaluator of its own, KeyboardInterrupt: a row at once, and on with the next point."""

    def f(x: float) -> dict[str, float]:
        if x == 1:
            raise eval(raised)
        return {"y": x}

    tool: rs.Tool = rs.Function(f, outputs=["y"])
    evaluator = Evaluator(rs.Chain([tool]) if chained else tool, ["x"], "test", remote=True)
    with contextlib.closing(evaluator):
        points = Points(np.arange(3), np.array([[0.0], [1.0], [2.0]]), np.ones(3, dtype=np.int32))
        found = list(itertools.chain.from_iterable(outcomes.split() for outcomes in evaluator.evaluate(points)))
    assert [one.status[0] for one in found] == [Status.OK, Status.TOOL_ERROR, Status.OK]
    assert raised.split("(")[0] in found[1].message[0]


def test_scratch_may_be_given_relative_to_where_the_user_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs run in a relative scratch place, and evaluators that start elsewhere get the same one."""
    monkeypatch.chdir(tmp_path)
    tool = rs.Command([sys.executable, "-S", "-c", "print('y =', {x})"], read={"y": {"key": "y", "file": "stdout"}})
    evaluator = Evaluator(tool, ("x",), "test", scratch=Path("here"))
    try:
        outcomes = next(iter(evaluator.evaluate(Points(np.arange(1), np.array([[0.5]]), np.ones(1, np.int32)))))
    finally:
        evaluator.close()
    assert (outcomes.status[0], outcomes.observables[0, 0]) == (Status.OK, 0.5), outcomes.message
    assert ScanOptions(scratch="here").scratch == str(tmp_path / "here")
    assert ScanOptions(scratch="~/here").scratch == "~/here"
