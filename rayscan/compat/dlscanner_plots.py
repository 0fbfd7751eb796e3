"""DLScanner's functions that draw its file of points, with the same arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rayscan.errors import ConfigError


def plot_hist(
    file_: str | Path, col: int, width: float = 15, hight: float = 10, bins: int = 100,
    Normalize: bool = True, grid: bool = True,  # noqa: N803 - the predecessor's
) -> Any:  # fmt: skip
    """Draw a histogram of a column of a file of points, and save it as ``plot_hist.pdf``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    plots, names = _plots(file_, col)
    figure = plots.histogram(names[0], bins=bins, density=Normalize, figure=_canvas(width, hight))
    return _saved(figure, "plot_hist.pdf", grid=grid)


def plot_hist_all(
    file_: str | Path, width: float = 15, hight: float = 10, bins: int = 100,
    Normalize: bool = True, grid: bool = True,  # noqa: N803 - the predecessor's
) -> Any:  # fmt: skip
    """Draw a histogram of each column, and save them as ``plot_hist_all.pdf``; heights have no scale in any case."""
    plots, _ = _plots(file_)
    del Normalize
    return _saved(plots.histograms(bins=bins, figure=_canvas(width, hight)), "plot_hist_all.pdf", grid=grid)


def plot_scatter(file_: str | Path, x_col: int, y_col: int, x_label: str, y_label: str) -> Any:
    """Draw two columns against each other, and save the figure as ``contour_<x>_<y>.png``, as the predecessor does."""
    plots, (x, y) = _plots(file_, x_col, y_col, labels=(x_label, y_label))
    return _saved(plots.scatter(x, y), _name(x_label, y_label))


def plot_contour(file_: str | Path, x_col: int, y_col: int, x_label: str, y_label: str) -> Any:
    """Draw the density of points in two columns, and save the figure as ``contour_<x>_<y>.png``."""
    plots, (x, y) = _plots(file_, x_col, y_col, labels=(x_label, y_label))
    return _saved(plots.density(x, y), _name(x_label, y_label))


def _plots(path: str | Path, *columns: int, labels: tuple[str, ...] = ()) -> tuple[Any, list[str]]:
    """Return figures of a file, and the names of some columns, which may be called otherwise in the figure."""
    from rayscan.results.plot import Plots
    from rayscan.results.plot.points import plots_of

    plots = plots_of(path)
    for column in columns:
        if not -len(plots.parameters) <= column < len(plots.parameters):
            msg = f"{path}: no column {column}; it has {len(plots.parameters)}, counted from 0: {plots.parameters}"
            raise ConfigError(msg)
    names = [plots.parameters[column] for column in columns]
    if labels:
        plots = Plots(plots.table, plots.parameters, labels=dict(zip(names, labels, strict=True)))
    return plots, names


def _canvas(width: float, height: float) -> Any:
    from rayscan.results.plot.style import canvas

    return canvas((width, height))


def _saved(figure: Any, name: str, *, grid: bool = True) -> Any:
    if not grid:
        for axes in figure.axes:
            axes.grid(visible=False)
    figure.savefig(name, dpi=150)
    return figure


def _name(x: str, y: str) -> str:
    return f"contour_{x}_{y}.png".replace("/", "_")
