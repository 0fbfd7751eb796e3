"""How a scan ends: one decision, from which its state, the last line of the command and the exit code are taken."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class End(enum.Enum):
    """The ways in which a scan ends: words of the state, what the user is told last, exit code."""

    REACHED = ("done", "", 0)
    STOPPED = ("stopped before the goal", "stopped before the goal; the same command goes on", 3)
    JOB_OVER = (
        "stopped before the goal, the batch job ends",
        "stopped before the goal, the batch job ends; the same command goes on in the next one",
        3,
    )
    FAILED = ("failed", "", 1)

    def __init__(self, words: str, advice: str, code: int) -> None:
        self.words, self.advice, self.code = words, advice, code


@dataclass(frozen=True)
class Ending:
    """How a scan ended, and by what.

    Attributes
    ----------
    end : End
    reason : str
        The goal that was reached, or what failed.
    """

    end: End
    reason: str = ""

    @property
    def state(self) -> str:
        """What the run directory, `rayscan status` and the progress line say."""
        return f"{self.end.words}: {self.reason}" if self.reason else self.end.words


def by_count(valid: int | None, evaluations: int | None, found: int, answered: int) -> Ending | None:
    """Return the ending of a scan that has the points it was asked for, whoever stopped it meanwhile.

    Parameters
    ----------
    valid, evaluations : int or None
        The goals.
    found, answered : int
        Valid points and answered points so far.
    """
    if valid is not None and found >= valid:
        return Ending(End.REACHED, f"{found:,} valid points")
    if evaluations is not None and answered >= evaluations:
        return Ending(End.REACHED, f"{answered:,} evaluations")
    return None
