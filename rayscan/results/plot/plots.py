"""Figures of a scan, from its table alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rayscan.errors import ConfigError
from rayscan.results.described import scanned
from rayscan.results.plot import distribution, parallel, progress, regions, surrogate, timeline
from rayscan.results.plot.columns import Columns
from rayscan.results.plot.corner import corner
from rayscan.results.plot.profile import profile
from rayscan.results.plot.scatter import scatter
from rayscan.results.profile import FAR

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rayscan.results.weights import Population
    from rayscan.store.run_directory import RunDirectory

Path_ = str | Path | None


class Plots:
    """Draws figures of a table of evaluated points.

    Every method returns the `matplotlib.figure.Figure` that it drew on, and saves it if a path is given; the ending of
    the path chooses the format. Figures are drawn without pyplot: nothing has to be closed, no display is needed, and a
    notebook shows them all the same. All take ``figure=`` to draw in one of the caller's (also a subfigure), those with
    one pair of axes ``ax=`` as well.

    Parameters
    ----------
    table : pyarrow.Table
        From `rayscan.store.read_table`.
    parameters : sequence of str, optional
        The scanned parameters; by default all that vary.
    constrained : sequence of str, optional
        Observables that belong into the corner plot; by default none.
    labels : mapping of str to str, optional
        Column to what it is called in figures, such as ``{"mh": "$m_h$"}``, in place of what the table says.
    run : RunDirectory, optional
        Where `vegas` finds its grid.
    """

    def __init__(
        self,
        table: Any,
        parameters: Sequence[str] | None = None,
        constrained: Sequence[str] = (),
        *,
        labels: Mapping[str, str] | None = None,
        run: RunDirectory | None = None,
    ) -> None:
        self._columns = Columns(table, parameters, constrained, labels)
        self._run = run
        self.table, self.valid = table, self._columns.valid
        self.parameters, self.constrained = self._columns.parameters, self._columns.constrained

    @classmethod
    def of_run(cls, table: Any, run: RunDirectory, labels: Mapping[str, str] | None = None) -> Plots:
        """Make figures of a run: its scanned parameters, and the observables that its target constrains."""
        space, target = run.description.get("space", {}), run.description.get("target", {})
        varied = [
            name
            for name in run.schema.parameters
            if name in space and space[name].get("prior") not in {"fixed", "derived"}
        ]
        constrained = [name for name in run.schema.observables if name in target]
        return cls(table, varied or None, constrained, labels=labels, run=run)

    def corner(
        self,
        path: Path_ = None,
        *,
        columns: Sequence[str] | None = None,
        contours: bool = False,
        figure: Any = None,
    ) -> Any:
        """Draw every pair of columns of the valid points, over the range that was scanned.

        Parameters
        ----------
        path : str or Path, optional
        columns : sequence of str, optional
            By default the scanned parameters and the constrained observables.
        contours : bool
            Add lines around 39 and 86 % of the points, which is 1 and 2 sigma of a normal distribution of two columns.
        figure : Figure, optional

        Raises
        ------
        ConfigError
            A column that is not in the table.
        """
        return _saved(corner(self._columns, columns, contours=contours, figure=figure), path)

    def progress(self, path: Path_ = None, *, figure: Any = None) -> Any:
        """Draw the number of valid points and the acceptance against the number of evaluations."""
        return _saved(progress.progress(self._columns, figure), path)

    def acceptance(self, path: Path_ = None, *, figure: Any = None) -> Any:
        """Draw the acceptance of each proposal, in all and generation by generation."""
        return _saved(progress.acceptance(self._columns, figure), path)

    def scatter(
        self,
        x: str,
        y: str,
        *,
        colour: str | None = None,
        path: Path_ = None,
        only_valid: bool = False,
        ax: Axes | None = None,
        figure: Any = None,
    ) -> Any:
        """Draw two columns against each other, the valid points coloured by a third.

        Parameters
        ----------
        x, y : str
        colour : str, optional
            A column of numbers.
        path : str or Path, optional
        only_valid : bool
            Leave the other points out.
        ax, figure : Axes, Figure, optional

        Raises
        ------
        ConfigError
            A column that is not in the table, or not of numbers.
        """
        drawn = scatter(self._columns, x, y, colour=colour, only_valid=only_valid, ax=ax, figure=figure)
        return _saved(drawn, path)

    def histogram(
        self,
        x: str,
        path: Path_ = None,
        *,
        bins: int | None = None,
        everything: bool = False,
        density: bool = False,
        ax: Axes | None = None,
        figure: Any = None,
    ) -> Any:
        """Draw how the valid points spread in one column; with `everything`, before all points.

        By default more points make more bins, from 6 to 40. With `density` the area is 1, else heights are numbers of
        points.
        """
        drawn = distribution.histogram(
            self._columns, x, bins=bins, everything=everything, density=density, ax=ax, figure=figure
        )
        return _saved(drawn, path)

    def histograms(
        self, path: Path_ = None, *, columns: Sequence[str] | None = None, bins: int | None = None, figure: Any = None
    ) -> Any:
        """Draw a histogram of each parameter and constrained observable, or of `columns`."""
        return _saved(distribution.histograms(self._columns, columns, bins=bins, figure=figure), path)

    def density(self, x: str, y: str, path: Path_ = None, *, ax: Axes | None = None, figure: Any = None) -> Any:
        """Draw a Gaussian kernel estimate of the density of valid points, with lines around 68 and 95 % of them.

        It is the density of what was collected, which the search shaped; `evenness` compares it with the prior's.

        Raises
        ------
        ConfigError
            Fewer than five valid points, or none that spread in both columns.
        """
        return _saved(distribution.density(self._columns, x, y, ax=ax, figure=figure), path)

    def parallel(
        self,
        path: Path_ = None,
        *,
        columns: Sequence[str] | None = None,
        colour: str | None = None,
        ax: Axes | None = None,
        figure: Any = None,
    ) -> Any:
        """Draw a line for each valid point across all columns, coloured by one of them if asked to."""
        return _saved(parallel.parallel(self._columns, columns, colour=colour, ax=ax, figure=figure), path)

    def profile(
        self,
        x: str,
        y: str | None = None,
        path: Path_ = None,
        *,
        bins: Any = None,
        most: float = FAR,
        ax: Axes | None = None,
        figure: Any = None,
    ) -> Any:
        """Draw the profile likelihood of one or two columns, with the regions of 68 and 95 % confidence.

        Where all valid points are equally likely, as under windows alone, the region that they fill is drawn.

        Parameters
        ----------
        x, y : str
        path : str or Path, optional
        bins : int or sequence of float, or a pair of these, optional
            As in `rayscan.results.profile.profile_likelihood`.
        most : float
            The largest difference of chi-squared that is shown.
        ax, figure : Axes, Figure, optional

        Raises
        ------
        ConfigError
            A column that is not in the table, or not of numbers.
        """
        return _saved(profile(self._columns, x, y, bins=bins, most=most, ax=ax, figure=figure), path)

    def evenness(
        self,
        path: Path_ = None,
        *,
        columns: Sequence[str] | None = None,
        weighted: Population | None = None,
        figure: Any = None,
    ) -> Any:
        """Draw, parameter by parameter, the collected valid points against the population, the prior in target.

        The population is the collected points with the weights of `rayscan.results.weights.prior_weights`; of very many
        points, some that are spread evenly over the scan.

        Parameters
        ----------
        path : str or Path, optional
        columns : sequence of str, optional
        weighted : Population, optional
            From `rayscan.results.weights.population`, where it has been worked out already.
        figure : Figure, optional

        Raises
        ------
        ConfigError
            Fewer than 20 valid points with a weight.
        """
        from rayscan.results.weights import population_of

        if self.valid.sum() < regions.FEWEST:
            msg = f"plot evenness: {int(self.valid.sum())} valid points; expected at least {regions.FEWEST}"
            raise ConfigError(msg)
        weighted = weighted or population_of(self.table)
        return _saved(regions.evenness(self._columns, weighted, columns, figure=figure), path)

    def failures(self, path: Path_ = None, *, columns: Sequence[str] | None = None, figure: Any = None) -> Any:
        """Draw, parameter by parameter, the share of points that failed, by kind of failure."""
        return _saved(regions.failures(self._columns, columns, figure=figure), path)

    def calibration(self, path: Path_ = None, *, ax: Axes | None = None, figure: Any = None) -> Any:
        """Draw the share of valid points against the probability that the surrogate had given them beforehand.

        Raises
        ------
        ConfigError
            Fewer than 20 points were scored.
        """
        return _saved(surrogate.calibration(self._columns, ax=ax, figure=figure), path)

    def training(self, path: Path_ = None, *, figure: Any = None) -> Any:
        """Draw the surrogate's loss, refit by refit, on the points that it was asked about before they were evaluated.

        Raises
        ------
        ConfigError
            Fewer than 20 points were scored.
        """
        return _saved(surrogate.training(self._columns, figure=figure), path)

    def vegas(self, path: Path_ = None, *, figure: Any = None) -> Any:
        """Draw the density of the VEGAS map along each axis, as the last checkpoint has it.

        Raises
        ------
        ConfigError
            There is no checkpoint, or the scan's method has no map.
        """
        from rayscan.learn.snapshot import from_bytes

        saved = self._run.load_checkpoint() if self._run is not None else None
        grid = (from_bytes(saved[0]).get("state") or {}).get("map") if saved is not None else None
        if grid is None or not grid.get("trained"):
            why = "there is no checkpoint" if saved is None else "the checkpoint holds no trained map"
            msg = (
                f"plot vegas: {why}; only scans with proposal = 'vegas' and one of the paper's networks as surrogate "
                "(such as 'classifier') adapt a map"
            )
            raise ConfigError(msg)
        assert self._run is not None
        names = [self._columns.name(name) for name in scanned(self._run.description)]
        return _saved(surrogate.vegas(grid["grid"], names, figure=figure), path)

    def timeline(self, path: Path_ = None, *, ax: Axes | None = None, figure: Any = None) -> Any:
        """Draw when each evaluator was at work, coloured by what became of the points.

        Raises
        ------
        ConfigError
            No row says when it was evaluated.
        """
        return _saved(timeline.timeline(self._columns, ax=ax, figure=figure), path)


NEEDS = {"scatter": 2, "density": 2, "histogram": 1, "profile": 1}
"""Columns that a figure has to be told."""
KINDS = (
    "corner", "scatter", "histogram", "histograms", "density", "profile", "parallel", "progress", "acceptance",
    "evenness", "failures", "calibration", "training", "vegas", "timeline",
)  # fmt: skip
CHOOSING = ("corner", "histograms", "parallel", "evenness", "failures")
"""Figures of as many columns as are named, by default those of interest."""


def draw(plots: Plots, kind: str, columns: Sequence[str], path: Path, **options: Any) -> Any:
    """Draw a figure by name, as the command line does.

    Raises
    ------
    ConfigError
        An unknown kind, the wrong number of columns, or an option that the figure does not have.
    """
    import inspect

    from rayscan.errors import did_you_mean

    if kind not in KINDS:
        msg = f"plot: no kind of figure {kind!r}{did_you_mean(kind, KINDS, listed=True)}"
        raise ConfigError(msg)
    method = getattr(plots, kind)
    known = inspect.signature(method).parameters
    for name in options:
        if name not in known:
            msg = f"plot {kind}: this figure has no option --{name.replace('_', '-')}; leave it out"
            raise ConfigError(msg)
    if kind in CHOOSING:
        return method(path=path, columns=list(columns) or None, **options)
    least, most = NEEDS.get(kind, 0), 2 if kind == "profile" else NEEDS.get(kind, 0)
    if not least <= len(columns) <= most:
        wanted = f"{least} or {most}" if least != most else str(least)
        given = ", ".join(columns) or "none"
        msg = f"plot {kind}: expected {wanted} columns after the kind, got {len(columns)} ({given})"
        raise ConfigError(msg)
    return method(*columns, path=path, **options)


def _saved(figure: Any, path: str | Path | None) -> Any:
    if path is not None:
        where = Path(path).expanduser()
        where.parent.mkdir(parents=True, exist_ok=True)
        # A subfigure is saved with the figure that it is a part of.
        whole = figure.get_figure(root=True) if hasattr(figure, "get_figure") else figure
        whole.savefig(where, dpi=150)
    return figure
