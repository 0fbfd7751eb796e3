"""Figures of a file of points that no run directory belongs to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from rayscan.errors import ConfigError
from rayscan.results.plot.plots import Plots


def plots_of(path: Path | str) -> Plots:
    """Return figures of the points in a text file, all of which count as valid.

    Parameters
    ----------
    path : Path or str
        A line a point, with commas between its numbers, after a line of names with tabs between them, which may begin
        with ``#``. Without names, columns are called ``column 0`` and so on.

    Raises
    ------
    ConfigError
        The file cannot be read, or its lines hold no numbers or not equally many.
    """
    where = Path(path).expanduser()
    try:
        lines = where.read_text(encoding="utf-8").splitlines()
        named = bool(lines) and not _numbers(lines[0])
        rows = [line for line in lines[named:] if line.strip()]
        table = np.loadtxt(rows, delimiter=",", ndmin=2) if rows else np.empty((0, 0))
    except (OSError, ValueError) as error:
        msg = f"{where}: expected lines of numbers with commas between them; got {error}"
        raise ConfigError(msg) from None
    names = [name.strip() for name in lines[0].lstrip("# ").split("\t")] if named else []
    if not len(table) or (named and len(names) != table.shape[1]):
        msg = (
            f"{where}: {len(names)} names and {table.shape[1]} columns of {len(table)} points; expected as many of each"
        )
        raise ConfigError(msg)
    names = names or [f"column {place}" for place in range(table.shape[1])]
    columns = dict(zip(names, table.T, strict=True))
    return Plots(pa.table({**columns, "valid": np.ones(len(table), bool)}), names)


def _numbers(line: str) -> bool:
    try:
        [float(word) for word in line.split(",")]
    except ValueError:
        return False
    return True
