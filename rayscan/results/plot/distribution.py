"""How valid points are distributed: histograms of one column or of all, and densities of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from rayscan.errors import ConfigError
from rayscan.results.plot.columns import Array, Columns
from rayscan.results.plot.style import DARK, FEW, INVALID, VALID, count, empty, few_ticks, panels, single, thinned, tidy

SHARES = (0.95, 0.68)
FEWEST = 5
GRID = 80
KERNELS = 2000
"""Points that a density is estimated from at most: more make it slower and no better to look at."""


def histogram(
    of: Columns,
    x: str,
    *,
    bins: int | None = None,
    everything: bool = False,
    density: bool = False,
    ax: Axes | None = None,
    figure: Any = None,
) -> Any:
    """Draw the figure of `rayscan.results.plot.Plots.histogram`."""
    of.numbers(x)
    if not of.valid.any() and not everything:
        return empty(f"no valid point among {len(of.valid):,} evaluations yet", figure)
    figure, axes = single((6.0, 4.2), ax, figure)
    _bars(axes, of, x, bins, everything=everything, density=density)
    axes.set_ylabel("density" if density else "points")
    axes.set_title(f"{count(int(of.valid.sum()), 'valid point')} of {len(of.valid):,}", fontsize=11, loc="right")
    if everything:
        axes.set_ylim(top=1.25 * axes.get_ylim()[1])
        axes.legend(frameon=False, fontsize=10, ncols=2, loc="upper left")
    tidy(axes)
    return figure


def histograms(
    of: Columns, columns: Sequence[str] | None = None, *, bins: int | None = None, figure: Any = None
) -> Any:
    """Draw the figure of `rayscan.results.plot.Plots.histograms`."""
    names = list(columns) if columns is not None else [*of.parameters, *of.constrained]
    for name in names:
        of.numbers(name)
    if not of.valid.any():
        return empty(f"no valid point among {len(of.valid):,} evaluations yet", figure)
    figure, grid = panels(len(names), figure)
    for axes, name in zip(grid, names, strict=True):
        _bars(axes, of, name, bins)
        tidy(axes)
        axes.set_yticks([])
        few_ticks(axes)
    return figure


def _bars(
    axes: Axes, of: Columns, name: str, bins: int | None, *, everything: bool = False, density: bool = False
) -> None:
    values = of.numbers(name)
    shown = values if everything else values[of.valid]
    shown = shown[np.isfinite(shown)]
    # Of few points thin bars would stand alone.
    bins = bins or int(np.clip(1.5 * np.sqrt(len(shown)), 6, 40))
    if len(shown):
        low, high = float(shown.min()), float(shown.max())
        if low == high:
            low, high = low - 0.5, high + 0.5
        edges = np.geomspace(low, high, bins + 1) if of.is_log(name) and low > 0 else np.linspace(low, high, bins + 1)
        if everything:
            axes.hist(shown, edges.tolist(), color=INVALID, label="all", density=density)
        axes.hist(values[of.valid], edges.tolist(), color=VALID, label="valid", density=density)
    axes.set_xlabel(of.label(name))
    of.scale(axes, name)


def density(of: Columns, x: str, y: str, *, ax: Axes | None = None, figure: Any = None) -> Any:
    """Draw the figure of `rayscan.results.plot.Plots.density`."""
    from scipy.stats import gaussian_kde, pearsonr

    (across, x_label), (along, y_label) = of.scaled(x), of.scaled(y)
    points = np.column_stack([across, along])[of.valid]
    points = points[np.isfinite(points).all(axis=1)]
    if (
        len(points) < FEWEST
        or (np.ptp(points, axis=0) == 0).any()
        or abs(float(pearsonr(*points.T).statistic)) > 1 - 1e-9
    ):
        msg = (
            f"plot density of {x}, {y}: expected at least {FEWEST} valid points that spread in both; got "
            f"{count(len(points), 'usable point')}. Go on with the scan, or draw them one by one with scatter"
        )
        raise ConfigError(msg)
    figure, axes = single((6.0, 5.2), ax, figure)
    some = thinned(points)
    kernel = gaussian_kde(some[:KERNELS].T)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.12 * (high - low)
    grids = [np.linspace(a, b, GRID) for a, b in zip(low - margin, high + margin, strict=True)]
    mesh = np.meshgrid(*grids)
    height: Array = kernel(np.stack([part.ravel() for part in mesh])).reshape(GRID, GRID)
    levels, named = _levels(kernel(some[:KERNELS].T))
    axes.contourf(*mesh, height, [*levels, max(height.max(), levels[-1]) * 1.01],
                  colors=["#9ECAE1", VALID], alpha=0.55)  # fmt: skip
    look: Any = {"ms": 2.5 if len(some) > FEW else 6, "alpha": float(np.clip(1500 / len(some), 0.08, 0.6)), "mew": 0}
    axes.plot(*some.T, ".", color=DARK, rasterized=True, zorder=1.5, **look)
    lines = axes.contour(*mesh, height, levels, colors=DARK, linewidths=1.1)
    axes.clabel(lines, fmt=named, fontsize=9)
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.set_title("shares of the collected valid points", fontsize=10, loc="right")
    tidy(axes)
    return figure


def _levels(at_points: Array) -> tuple[list[float], dict[float, str]]:
    """Return the heights above which a density has 95 and 68 % of its points, growing, and what they are called."""
    levels = [float(np.quantile(at_points, 1 - share)) for share in SHARES]
    if not levels[0] < levels[1]:
        levels[1] = float(np.nextafter(levels[0], np.inf))
    return levels, {level: f"{share:.0%}" for level, share in zip(levels, SHARES, strict=True)}
