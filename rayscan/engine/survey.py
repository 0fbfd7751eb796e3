"""What the rows of a scan say about the valid region, for goals that depend on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.data import Rows
from rayscan.progress import Goal
from rayscan.results.saturation import UNKNOWN, Coverage, coverage_of
from rayscan.results.volume import Volume, estimate_volume, importance

Columns = tuple[NDArray[Any], ...]
"""Of rows: id, origin, density, validity; and of the valid ones among them the place."""

MOST_LOOSE = 1000
GROWTH = 0.05
"""A scan is looked at again when it has grown by this much, so that the cost of looking stays a share of the rest."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found at a look.

    Attributes
    ----------
    coverage : Coverage
    volume : Volume
    """

    coverage: Coverage
    volume: Volume

    def reached(self, goal: Goal) -> str:
        """Say which goal is reached, with numbers; empty if none is."""
        if goal.coverage is not None and self.coverage.lower >= goal.coverage:
            return (
                f"{self.coverage} of the valid region covered, by {self.coverage.probes:.0f} probes{self._caveat(goal)}"
            )
        if goal.volume_error is not None and self.volume.relative <= goal.volume_error:
            return f"valid volume known to {self.volume.relative:.1%}"
        return ""

    def _caveat(self, goal: Goal) -> str:
        """Say what blind points cannot exclude, where that is more than what is asked for."""
        assert goal.coverage is not None
        rest = self.volume.unseen / self.volume.value if self.volume.value > 0 else math.inf
        if rest < 1 - goal.coverage:
            return ""
        return f"; a region that all blind points missed may be {rest:.2g} times as large (95 %)"

    def numbers(self) -> dict[str, float | None]:
        """Return what a `Progress` shows; None for what is not known."""
        known = self.coverage.probes > 0
        return {
            "coverage": self.coverage.share if known else None,
            "coverage_error": self.coverage.error if known else None,
            "volume_error": self.volume.relative if self.volume.value > 0 else None,
        }


NOTHING = Findings(UNKNOWN, estimate_volume([], [], []))


class Survey:
    """Remembers of each row what coverage and volume follow from, and looks at them now and then.

    Parameters
    ----------
    rows : Rows
        Of earlier sessions.

    Attributes
    ----------
    findings : Findings
        Of the last look.
    """

    def __init__(self, rows: Rows) -> None:
        self.findings = NOTHING
        self._seen = 0
        self._packed: list[Columns] = []
        self._loose: list[Columns] = []
        self.add(rows)

    def add(self, rows: Rows) -> None:
        """Remember rows, in any order."""
        if len(rows):
            self._loose.append(
                (rows.point_id, rows.origin, rows.density, rows.valid, rows.generation, rows.u[rows.valid])
            )
        if len(self._loose) == MOST_LOOSE:
            # An array for each of a million rows would take more memory than what is in it.
            self._packed.append(_joined(self._loose))
            self._loose = []

    def look(self, *, always: bool, least: int) -> None:
        """Look again if there are enough new rows.

        Parameters
        ----------
        always : bool
            Whether one new row is enough.
        least : int
            How many rows must be new if not, whatever there was before.
        """
        rows = sum(len(columns[0]) for columns in (*self._packed, *self._loose))
        wanted = 1 if always or not self._seen else max(least, GROWTH * self._seen)
        if rows - self._seen >= wanted:
            self._seen = rows
            self.findings = self._look()

    def _look(self) -> Findings:
        self._packed, self._loose = [_joined([*self._packed, *self._loose])], []
        point_id, origin, density, valid, generation, u = self._packed[0]
        # Rows come in the order in which points were finished; what was known when a probe was drawn is asked here.
        order = np.argsort(point_id, kind="stable")
        found = u[np.argsort(point_id[valid], kind="stable")]
        origin, density, valid, generation = origin[order], density[order], valid[order], generation[order]
        weight = importance(origin, density, valid)[valid]
        coverage = coverage_of(found, np.flatnonzero(valid), weight, len(valid))
        return Findings(coverage, estimate_volume(origin, density, valid, generation))


def _joined(parts: list[Columns]) -> Columns:
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
