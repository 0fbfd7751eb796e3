"""All columns side by side: one line a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize

from rayscan.results.plot.columns import Columns
from rayscan.results.plot.style import VALID, count, empty, single, some_of

MOST_LINES = 2000


def parallel(
    of: Columns,
    columns: Sequence[str] | None = None,
    *,
    colour: str | None = None,
    ax: Axes | None = None,
    figure: Any = None,
) -> Any:
    """Draw the figure of `rayscan.results.plot.Plots.parallel`."""
    names = list(columns) if columns is not None else [*of.parameters, *of.constrained]
    scaled = [of.scaled(name) for name in names]
    shade = of.numbers(colour) if colour else None
    points = np.column_stack([values[of.valid] for values, _ in scaled])
    whole = np.isfinite(points).all(axis=1)
    if not whole.any():
        return empty(f"no valid point among {len(of.valid):,} evaluations yet", figure)
    rows = np.flatnonzero(whole)
    if len(rows) > MOST_LINES:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_LINES, replace=False))
    low, high = points[whole].min(axis=0), points[whole].max(axis=0)
    height = (points[rows] - low) / np.where(high > low, high - low, 1.0)
    figure, axes = single((max(6.0, 0.75 * len(names) + 2.5), 4.8), ax, figure)
    steps = np.arange(len(names))
    alpha = float(np.clip(150 / len(rows), 0.15, 0.8))
    lines = LineCollection(
        [np.column_stack([steps, one]) for one in height], linewidths=0.8, alpha=alpha, rasterized=True
    )
    if shade is None:
        lines.set_color(VALID)
    else:
        chosen = shade[of.valid][rows]
        lines.set(array=chosen, cmap="viridis")
        # A bar of the lines themselves would be as pale as they are.
        bar = figure.colorbar(
            ScalarMappable(Normalize(np.nanmin(chosen), np.nanmax(chosen)), "viridis"), ax=axes, pad=0.02
        )
        bar.set_label(of.label(str(colour)), fontsize=12)
        bar.outline.set_visible(False)
    axes.add_collection(lines)
    for step in range(len(names)):
        axes.axvline(step, color="#666666", lw=0.7)
        for place, value, side in ((0.0, low[step], "top"), (1.0, high[step], "bottom")):
            axes.text(step, place, f"{value:.4g}", ha="center", va=side, fontsize=8)
    many = len(names) > 6
    axes.set(xlim=(-0.4, len(names) - 0.6), ylim=(-0.06, 1.06), yticks=[])
    axes.set_xticks(steps, [text for _, text in scaled], rotation=40 if many else 0, ha="right" if many else "center",
                    fontsize=10)  # fmt: skip
    axes.tick_params(length=0, pad=8)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(
        f"{count(int(of.valid.sum()), 'valid point')}{some_of(len(rows), int(whole.sum()))}", fontsize=11, loc="right"
    )
    return figure
