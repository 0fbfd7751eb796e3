"""What failed, in words, with a point that failed so."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

import numpy as np

from rayscan.results.described import scanned
from rayscan.results.failures import Failures
from rayscan.results.report.section import Case
from rayscan.store.arrays import column, labels, names_of
from rayscan.tools.base import Status

MEANING = {
    Status.UNPHYSICAL: "The program itself refused the point: a tachyon, no convergence. The scan learns where.",
    Status.TOOL_ERROR: "The program crashed, or left output that cannot be used.",
    Status.TIMEOUT: "The program ran past its limit; its whole process tree was ended.",
    Status.LOST: "The evaluator or its node was lost, and the scan ended before the point was tried again.",
    Status.POISON: "The point ended its evaluator three times while alone with it.",
}
LINES = 12
"""Of a message that are shown."""


def failure_cases(table: Any, most: int, description: Mapping[str, Any], check: str = "") -> list[Case]:
    """Return the most frequent kinds of failure.

    Parameters
    ----------
    table : pyarrow.Table
    most : int
    description : mapping
        Of the run: it says which parameters were scanned.
    check : str
        The command that evaluates a point, without the point.
    """
    status, message = labels(table, "status"), labels(table, "message")
    failed = np.flatnonzero(status != Status.OK.label)
    kinds, ids = Failures(), column(table, "point_id")
    kinds.add(status[failed], message[failed], ids[failed].tolist())
    names = names_of(table, "parameter")
    free = [name for name in scanned(description) if name in names] or names
    cases = []
    for kind in kinds.most_common(most):
        row = int(np.searchsorted(ids, kind.point_id))
        point = {name: float(column(table, name)[row]) for name in names}
        again = " ".join(f"--point {name}={point[name]:.17g}" for name in free)
        said = "\n".join(message[row].splitlines()[:LINES]) or "(no message)"
        cases.append(
            Case(
                kind.count, kind.status, _meaning(kind.status), said + _ending(table, row), kind.point_id,
                {name: f"{value:.6g}" for name, value in point.items()}, f"{check} {again}" if check else "",
            )
        )  # fmt: skip
    return cases


def _meaning(label: str) -> str:
    return next((words for status, words in MEANING.items() if status.label == label), "")


def _ending(table: Any, row: int) -> str:
    """Return how the program ended, where that is known and said nowhere else."""
    code, number = (table.column(name)[row].as_py() for name in ("exit_code", "signal"))
    if number is not None:
        known = {one.value: one.name for one in signal.Signals}
        return f"\n(ended by {known.get(number, f'signal {number}')})"
    return f"\n(exit code {code})" if code else ""
