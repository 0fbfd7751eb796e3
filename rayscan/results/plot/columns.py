"""The columns of a table as figures show them: numbers, labels, scales and ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError, did_you_mean
from rayscan.results.plot.style import logarithmic
from rayscan.store.arrays import column, label_of, names_of, scanned_in_log, unit_of

Array = NDArray[np.float64]


class Columns:
    """A table of evaluated points and what is known of its columns; arguments as of `rayscan.results.plot.Plots`."""

    def __init__(
        self,
        table: Any,
        parameters: Sequence[str] | None = None,
        constrained: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.table, self._labels = table, dict(labels or {})
        self.valid: NDArray[np.bool_] = column(table, "valid").astype(bool)
        for name in (*(parameters or ()), *constrained):
            self._require(name)
        self.parameters = list(parameters) if parameters is not None else self._varying(names_of(table, "parameter"))
        self.constrained = [name for name in constrained if name not in self.parameters]

    def scaled(self, name: str) -> tuple[Array, str]:
        """Return the numbers of a column and their label, as logarithms where it was scanned so."""
        values = self.numbers(name)
        if not self.is_log(name):
            return values, self.label(name)
        unit = unit_of(self.table, name)
        with np.errstate(all="ignore"):
            return np.log10(values), f"log$_{{10}}$ {self.name(name)}{f' / {unit}' if unit else ''}"

    def is_log(self, name: str) -> bool:
        """Return whether a parameter was scanned in its logarithm."""
        return name in self.parameters and scanned_in_log(self.table, name)

    def range(self, name: str, values: Array) -> tuple[float, float]:
        """Return the scanned range of a parameter, or the range of the valid points of an observable."""
        of_interest = values if name in self.parameters else values[self.valid]
        of_interest = of_interest[np.isfinite(of_interest)]
        low, high = float(of_interest.min()), float(of_interest.max())
        margin = 0.04 * (high - low) if high > low else max(abs(low), 1.0) * 0.05
        return low - margin, high + margin

    def numbers(self, name: str) -> Array:
        """Return a column of numbers; any other is refused."""
        self._require(name)
        values = column(self.table, name) if name != "u" else np.empty(0, dtype=object)
        if values.dtype.kind not in "bif":
            msg = f"plot: column {name!r} holds no numbers; choose a parameter, an observable or another number"
            raise ConfigError(msg)
        return values.astype(np.float64)

    def label(self, name: str) -> str:
        """Return the name of a column with its unit."""
        unit = unit_of(self.table, name)
        return f"{self.name(name)} [{unit}]" if unit else self.name(name)

    def name(self, name: str) -> str:
        """Return what a column is called in figures: its label, or its name with nothing in it that TeX would read."""
        return self._labels.get(name) or label_of(self.table, name) or name

    def scale(self, axes: Any, x: str, y: str | None = None) -> None:
        """Give axes logarithmic scales where the columns were scanned so."""
        for name, scale, axis in ((x, axes.set_xscale, axes.xaxis), (y, axes.set_yscale, axes.yaxis)):
            if name is not None and self.is_log(name):
                scale("log")
                logarithmic(axis)

    def _varying(self, names: Sequence[str]) -> list[str]:
        varying = []
        for name in names:
            values = column(self.table, name)
            if len(values) < 2 or np.ptp(values) > 0:
                varying.append(name)
        return varying

    def _require(self, name: str) -> None:
        if name not in self.table.column_names:
            msg = f"plot: no column {name!r} in the table{did_you_mean(name, self.table.column_names)}"
            raise ConfigError(msg)
