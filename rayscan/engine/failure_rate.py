"""Whether so many points fail for technical reasons that a scan makes no sense."""

from __future__ import annotations

import collections

import numpy as np

from rayscan.errors import FailureRateError
from rayscan.tools.base import Outcomes, Status

WINDOW = 200
FIRST = 20


class FailureRate:
    """The technical failures among the recent points.

    Parameters
    ----------
    limit : float
        The share of them that is too much.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._recent: collections.deque[bool] = collections.deque(maxlen=WINDOW)
        self._last = ""

    def clear(self) -> None:
        """Forget everything: somebody may have mended the tool."""
        self._recent.clear()

    def add(self, outcomes: Outcomes) -> None:
        """Note outcomes."""
        failed = np.isin(outcomes.status, (Status.TOOL_ERROR, Status.POISON))
        self._recent.extend(failed.tolist())
        if failed.any():
            self._last = outcomes.message[int(np.flatnonzero(failed)[-1])]

    def judge(self) -> None:
        """Stop a scan when too many recent points failed.

        Raises
        ------
        FailureRateError
        """
        seen = len(self._recent)
        share = sum(self._recent) / max(seen, 1)
        hopeless = seen >= FIRST and share == 1.0 and self._limit < 1
        if hopeless or (seen == WINDOW and share > self._limit):
            msg = (
                f"{share:.0%} of the last {seen} points failed for technical reasons; the last one said:\n"
                f"{self._last}\n"
                "Run `rayscan check` on one point, mend the tool, and start again: the scan resumes. Where mending\n"
                "made it another tool (a Python function, a card), resuming is refused: go on in a new directory\n"
                "with --fork, and with --same-tool if the old values stay right."
            )
            raise FailureRateError(msg)
