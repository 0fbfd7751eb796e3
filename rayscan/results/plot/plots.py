"""Figures of a scan, from its table alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rayscan.results.plot.columns import Columns
from rayscan.results.plot.corner import corner
from rayscan.results.plot.profile import profile
from rayscan.results.plot.progress import acceptance, progress
from rayscan.results.plot.scatter import scatter
from rayscan.results.profile import FAR
from rayscan.store.run_directory import RunDirectory


class Plots:
    """Draws figures of a table of evaluated points.

    Every method returns the `matplotlib.figure.Figure`, and saves it if a path is given; the ending of the path chooses
    the format. Figures are drawn without pyplot: nothing has to be closed, no display is needed.

    Parameters
    ----------
    table : pyarrow.Table
        From `rayscan.store.read_table`.
    parameters : sequence of str, optional
        The scanned parameters; by default all that vary.
    constrained : sequence of str, optional
        Observables that belong into the corner plot; by default none.
    """

    def __init__(self, table: Any, parameters: Sequence[str] | None = None, constrained: Sequence[str] = ()) -> None:
        self._columns = Columns(table, parameters, constrained)
        self.table, self.valid = table, self._columns.valid
        self.parameters, self.constrained = self._columns.parameters, self._columns.constrained

    @classmethod
    def of_run(cls, table: Any, run: RunDirectory) -> Plots:
        """Make figures of a run: its scanned parameters, and the observables that its target constrains."""
        space, target = run.description.get("space", {}), run.description.get("target", {})
        scanned = [
            name
            for name in run.schema.parameters
            if name in space and space[name].get("prior") not in {"fixed", "derived"}
        ]
        return cls(table, scanned or None, [name for name in run.schema.observables if name in target])

    def corner(self, path: str | Path | None = None, *, columns: Sequence[str] | None = None) -> Figure:
        """Draw every pair of columns of the valid points, over the range that was scanned.

        Parameters
        ----------
        path : str or Path, optional
        columns : sequence of str, optional
            By default the scanned parameters and the constrained observables.

        Raises
        ------
        ConfigError
            A column that is not in the table.
        """
        return _saved(corner(self._columns, columns), path)

    def progress(self, path: str | Path | None = None) -> Figure:
        """Draw the number of valid points and the acceptance against the number of evaluations."""
        return _saved(progress(self._columns), path)

    def acceptance(self, path: str | Path | None = None) -> Figure:
        """Draw the acceptance of each proposal, in all and generation by generation."""
        return _saved(acceptance(self._columns), path)

    def scatter(
        self, x: str, y: str, *, colour: str | None = None, path: str | Path | None = None, only_valid: bool = False
    ) -> Figure:
        """Draw two columns against each other, the valid points coloured by a third.

        Parameters
        ----------
        x, y : str
        colour : str, optional
            A column of numbers.
        path : str or Path, optional
        only_valid : bool
            Leave the other points out.

        Raises
        ------
        ConfigError
            A column that is not in the table, or not of numbers.
        """
        return _saved(scatter(self._columns, x, y, colour=colour, only_valid=only_valid), path)

    def profile(
        self, x: str, y: str | None = None, path: str | Path | None = None, *, bins: Any = None, most: float = FAR
    ) -> Figure:
        """Draw the profile likelihood of one or two columns, with the regions of 68 and 95 % confidence.

        Parameters
        ----------
        x, y : str
        path : str or Path, optional
        bins : int or sequence of float, or a pair of these, optional
            As in `rayscan.results.profile.profile_likelihood`.
        most : float
            The largest difference of chi-squared that is shown.

        Raises
        ------
        ConfigError
            A column that is not in the table, or not of numbers.
        """
        return _saved(profile(self._columns, x, y, bins=bins, most=most), path)


def _saved(figure: Figure, path: str | Path | None) -> Figure:
    if path is not None:
        where = Path(path).expanduser()
        where.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(where, dpi=150)
    return figure
