"""Every pair of columns of the valid points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import corner as corner_package
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rayscan.results.plot.columns import Array, Columns
from rayscan.results.plot.style import DARK, DENSE, MAX_DRAWN, VALID, canvas, count, empty, some_of, thinned

MANY, MARGIN = 8, 0.8
"""Columns beyond which panels are small, and the inches that their ticks and labels get."""
SIGMAS = (1 - np.exp(-0.5), 1 - np.exp(-2.0))
"""The shares of points within 1 and 2 sigma of a normal distribution of two columns."""


def corner(of: Columns, columns: Sequence[str] | None = None, *, contours: bool = False, figure: Any = None) -> Any:
    """Draw the figure of `rayscan.results.plot.Plots.corner`."""
    names = list(columns) if columns is not None else [*of.parameters, *of.constrained]
    values = [of.scaled(name) for name in names]
    points = np.column_stack([value[of.valid] for value, _ in values]) if names else np.empty((0, 0))
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return empty(f"no valid point among {len(of.valid):,} evaluations yet", figure)
    size = float(np.clip(1.9 * len(names) + 0.8, 4.0, 30.0))
    figure = canvas((size, size), figure, None)
    axis_labels = [label for _, label in values]
    ranges = [of.range(name, value) for name, (value, _) in zip(names, values, strict=True)]
    few_in_each = thinned(points)[: MAX_DRAWN if len(names) <= MANY else MAX_DRAWN // 5]
    _draw(figure, few_in_each, axis_labels, ranges, contours=contours)
    few = "" if len(points) > len(names) else "\ntoo few for densities: each one is drawn"
    few += some_of(len(few_in_each), len(points))
    figure.suptitle(
        f"{count(len(points), 'valid point')} of {count(len(of.valid), 'evaluation')}{few}",
        x=0.98, ha="right", fontsize=13,
    )  # fmt: skip
    return figure


def _draw(
    figure: Any, points: Array, axis_labels: list[str], ranges: list[tuple[float, float]], *, contours: bool
) -> None:
    n, k = points.shape
    dense = n >= DENSE
    # Contours of bins with two points in each would follow the dice, not the density.
    bins = int(np.clip(np.sqrt(n / 8), 6, 40)) if contours else 40 if dense else 15
    lines = {
        "bins": bins, "color": VALID, "plot_contours": contours and n > 50, "plot_density": False, "levels": SIGMAS,
        "smooth": 1.0 if contours else None, "no_fill_contours": True,
        "contour_kwargs": {"colors": DARK, "linewidths": 1.0},
        "data_kwargs": {"alpha": float(np.clip(1500 / n, 0.06, 0.8)), "ms": 2.4 if dense else 4.5, "mew": 0},
    }  # fmt: skip
    if k < n and k <= MANY:
        corner_package.corner(
            points, fig=figure, labels=axis_labels, range=ranges, labelpad=-0.04, max_n_ticks=4,
            label_kwargs={"fontsize": 13}, hist_kwargs={"histtype": "stepfilled", "alpha": 0.75, "lw": 0}, **lines,
        )  # fmt: skip
    else:
        _triangle(figure, points, axis_labels, ranges, lines)
    for axes in figure.axes:
        for line in axes.lines:
            line.set_rasterized(True)
        axes.tick_params(labelsize=9, length=3, direction="in")


def _triangle(
    figure: Any, points: Array, axis_labels: list[str], ranges: list[tuple[float, float]], lines: dict[str, Any]
) -> None:
    """Draw what `corner.corner` would, but also fewer points than columns, and many columns in half the time.

    It makes panels above the diagonal, too, only to hide them.
    """
    n, k = points.shape
    few, (width, height) = n <= k, figure.get_size_inches()
    places = figure.add_gridspec(
        k, k, left=MARGIN / width, right=1 - 0.2 / width, bottom=MARGIN / height,
        top=1 - (0.2 if k > MANY else 0.6) / height, wspace=0.06, hspace=0.06,
    )  # fmt: skip
    panel = (width - MARGIN - 0.2) / (k + 0.06 * (k - 1))
    # In points, labels of 15 characters are then as long as a panel is wide.
    size, away = float(np.clip(panel * 7.5, 8, 13)), -0.72 * MARGIN / panel
    for row, col in zip(*np.tril_indices(k), strict=True):
        axes: Axes = figure.add_subplot(places[row, col])
        bottom, left = row == k - 1, col == 0 and row > 0
        axes.set_xlim(ranges[col])
        axes.xaxis.set_major_locator(MaxNLocator(3, prune="both"))
        axes.yaxis.set_major_locator(MaxNLocator(3, prune="both"))
        axes.tick_params(rotation=45, labelbottom=bottom, labelleft=left)
        if row == col:
            axes.set_yticks([])
            if few:
                axes.plot(points[:, col], np.zeros(n), "|", color=VALID, ms=18, mew=2)
                axes.set_ylim(-1, 1)
            else:
                edges = np.linspace(*ranges[col], lines["bins"] + 1)
                axes.hist(points[:, col], edges.tolist(), histtype="stepfilled", color=VALID, alpha=0.75, lw=0)
        else:
            if lines["plot_contours"] and not few:
                spans = [ranges[col], ranges[row]]
                corner_package.hist2d(points[:, col], points[:, row], ax=axes, range=spans, **lines)
            else:
                look = {"ms": 5} if few else lines["data_kwargs"]
                axes.plot(points[:, col], points[:, row], "o", color=VALID, **look)
            axes.set_ylim(ranges[row])
        if bottom:
            axes.set_xlabel(axis_labels[col], fontsize=size)
            axes.xaxis.set_label_coords(0.5, away)
        if left:
            axes.set_ylabel(axis_labels[row], fontsize=size)
            axes.yaxis.set_label_coords(away, 0.5)
