"""Every pair of columns of the valid points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import corner as corner_package
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

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
    if n > k:
        corner_package.corner(
            points, fig=figure, labels=axis_labels, range=ranges, bins=bins, color=VALID,
            plot_contours=contours and n > 50, plot_density=False, plot_datapoints=True, levels=SIGMAS,
            smooth=1.0 if contours else None, no_fill_contours=True,
            contour_kwargs={"colors": DARK, "linewidths": 1.0},
            labelpad=-0.04, max_n_ticks=3 if k > MANY else 4, label_kwargs={"fontsize": 13},
            hist_kwargs={"histtype": "stepfilled", "alpha": 0.75, "lw": 0},
            data_kwargs={"alpha": float(np.clip(1500 / n, 0.06, 0.8)), "ms": 2.4 if dense else 4.5, "mew": 0},
        )  # fmt: skip
        grid = np.array(figure.axes).reshape(k, k)
    else:
        # corner refuses fewer points than columns; a scan that has just begun has them.
        grid = figure.subplots(k, k, squeeze=False)
        figure.subplots_adjust(left=0.13, right=0.97, bottom=0.12, top=0.94, wspace=0.06, hspace=0.06)
        _draw_few(grid, points, axis_labels, ranges)
    if k > MANY:
        _label_many(figure, grid)
    for axes in grid.ravel():
        for line in axes.lines:
            line.set_rasterized(True)
        axes.tick_params(labelsize=9, length=3, direction="in")


def _label_many(figure: Any, grid: NDArray[Any]) -> None:
    """Give room to the labels of many small panels, beside which those of a few would run into each other."""
    k, (width, height) = len(grid), figure.get_size_inches()
    figure.subplots_adjust(
        left=MARGIN / width,
        right=1 - 0.2 / width,
        bottom=MARGIN / height,
        top=1 - 0.2 / height,
        wspace=0.06,
        hspace=0.06,
    )
    panel = (width - MARGIN - 0.2) / (k + 0.06 * (k - 1))
    # In inches, the labels of 20 characters' width at this size are as long as a panel.
    size = float(np.clip(panel * 7.5, 8, 13))
    away = -0.72 * MARGIN / panel
    for axes in grid[-1]:
        axes.xaxis.label.set_fontsize(size)
        axes.xaxis.set_label_coords(0.5, away)
    for axes in grid[1:, 0]:
        axes.yaxis.label.set_fontsize(size)
        axes.yaxis.set_label_coords(away, 0.5)


def _draw_few(grid: NDArray[Any], points: Array, axis_labels: list[str], ranges: list[tuple[float, float]]) -> None:
    k = len(axis_labels)
    for row in range(k):
        for col in range(k):
            axes: Axes = grid[row, col]
            if col > row:
                axes.set_axis_off()
                continue
            if row == col:
                axes.plot(points[:, col], np.zeros(len(points)), "|", color=VALID, ms=18, mew=2)
                axes.set_ylim(-1, 1)
            else:
                axes.plot(points[:, col], points[:, row], "o", color=VALID, ms=5)
                axes.set_ylim(ranges[row])
            axes.set_xlim(ranges[col])
            axes.xaxis.set_major_locator(MaxNLocator(4, prune="both"))
            axes.yaxis.set_major_locator(MaxNLocator(4, prune="both"))
            axes.tick_params(rotation=45)
            if row == k - 1:
                axes.set_xlabel(axis_labels[col], fontsize=12)
            else:
                axes.set_xticklabels([])
            if col == 0 and row > 0:
                axes.set_ylabel(axis_labels[row], fontsize=12)
            else:
                axes.set_yticklabels([])
            if row == col:
                axes.set_yticks([])
