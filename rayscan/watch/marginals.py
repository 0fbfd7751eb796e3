"""Running histograms of the valid points: each scanned parameter, and each observable that the target constrains."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from rayscan.store import RunDirectory
from rayscan.store.arrays import column, unit_points
from rayscan.watch.view import Marginal

BINS = 32
SCALES = {"uniform": "linear"}


class Marginals:
    """Histograms to which rows are added.

    Parameters of a scan are counted on the axes of the unit cube, in which the prior is flat, and observables between
    the smallest and the largest valid value.

    Attributes
    ----------
    columns : tuple of str
        Of the table, besides ``u``, that are needed.
    """

    def __init__(self, run: RunDirectory) -> None:
        space, target = run.description.get("space", {}), run.description.get("target", {})
        priors = {name: _prior(space.get(name)) for name in run.schema.parameters}
        free = [
            name
            for name, prior in priors.items()
            if prior.get("prior") not in {"fixed", "derived"} and prior.get("scanned", True)
        ]
        self._d, self._units = run.schema.d, run.schema.units
        # A description of elsewhere may not say which ones are scanned.
        self._priors = {name: priors[name] for name in free} if len(free) == self._d else {}
        self._counts = np.zeros((self._d, BINS), dtype=np.int64)
        self._ends = dict.fromkeys(self._priors, (math.inf, -math.inf))
        self._values: dict[str, list[np.ndarray[Any, np.dtype[np.float64]]]] = {
            name: [] for name in run.schema.observables if name in target
        }
        self.columns = (*self._priors, *self._values)

    def add(self, rows: Any, valid: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
        """Count the valid ones of some rows."""
        if not valid.any():
            return
        places = unit_points(rows, self._d)[valid]
        for axis, name in enumerate(self._priors):
            bins = np.clip((places[:, axis] * BINS).astype(np.int64), 0, BINS - 1)
            self._counts[axis] += np.bincount(bins, minlength=BINS)
            values, (low, high) = column(rows, name)[valid], self._ends[name]
            self._ends[name] = (min(low, float(values.min())), max(high, float(values.max())))
        for name, parts in self._values.items():
            values = column(rows, name)[valid]
            parts.append(values[np.isfinite(values)])

    def now(self) -> tuple[Marginal, ...]:
        """Return the histograms as they are."""
        found = []
        for axis, (name, prior) in enumerate(self._priors.items()):
            low, high = (prior.get(end) for end in ("lo", "hi"))
            seen = self._ends[name]
            ends = (
                float(low) if isinstance(low, int | float) and math.isfinite(low) else seen[0],
                float(high) if isinstance(high, int | float) and math.isfinite(high) else seen[1],
            )
            scale = SCALES.get(str(prior.get("prior")), str(prior.get("prior")))
            found.append(self._marginal(name, ends, scale, self._counts[axis]))
        for name, parts in self._values.items():
            values = np.concatenate(parts) if parts else np.empty(0)
            # Parts in one: there would be as many as looks.
            parts[:] = [values]
            ends = (float(values.min()), float(values.max())) if len(values) else (math.nan, math.nan)
            counts = np.histogram(values, BINS, ends)[0] if len(values) and ends[0] < ends[1] else np.zeros(BINS, int)
            found.append(self._marginal(name, ends, "linear", counts))
        return tuple(mine for mine in found if sum(mine.counts))

    def _marginal(self, name: str, ends: tuple[float, float], scale: str, counts: Any) -> Marginal:
        return Marginal(name, self._units.get(name, ""), *ends, scale, tuple(int(count) for count in counts))


def _prior(described: object) -> Mapping[str, Any]:
    return described if isinstance(described, Mapping) else {"prior": "unknown"}
