"""Two columns against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from rayscan.results.plot.columns import Array, Columns
from rayscan.results.plot.style import DENSE, FEW, INVALID, VALID, count, single, some_of, thinned, tidy

DECADES = 300.0
"""The ratio of the largest to the smallest number from which colours follow the logarithm."""


def scatter(
    of: Columns,
    x: str,
    y: str,
    *,
    colour: str | None = None,
    only_valid: bool = False,
    ax: Axes | None = None,
    figure: Any = None,
) -> Any:
    """Draw the figure of `rayscan.results.plot.Plots.scatter`."""
    across, along = of.numbers(x), of.numbers(y)
    shade = of.numbers(colour) if colour else None
    figure, axes = single((6.6, 5.2), ax, figure)
    shown = thinned(np.flatnonzero(of.valid))
    size = 36 if len(shown) < FEW else 14 if len(shown) < DENSE else 6
    if not only_valid:
        others = thinned(np.flatnonzero(~of.valid))
        axes.scatter(
            across[others],
            along[others],
            s=max(size / 2, 4),
            color=INVALID,
            lw=0,
            alpha=0.6,
            rasterized=True,
            label="not valid",
        )
    if shade is None:
        axes.scatter(across[shown], along[shown], s=size, color=VALID, lw=0, rasterized=True, label="valid")
    else:
        dots = axes.scatter(across[shown], along[shown], s=size, c=shade[shown], cmap="viridis", lw=0,
                            norm=_norm(shade[shown]), rasterized=True, label="valid")  # fmt: skip
        bar = figure.colorbar(dots, ax=axes, pad=0.02)
        bar.set_label(of.label(str(colour)), fontsize=12)
        bar.outline.set_visible(False)
    axes.set(xlabel=of.label(x), ylabel=of.label(y))
    of.scale(axes, x, y)
    good = int(of.valid.sum())
    axes.set_title(
        f"{count(good, 'valid point')} of {len(of.valid):,}{some_of(len(shown), good)}", fontsize=11, loc="right"
    )
    tidy(axes)
    return figure


def _norm(values: Array) -> Any:
    """Return how numbers become colours: in their logarithm where they span decades."""
    finite = values[np.isfinite(values)]
    decades = len(finite) and finite.min() > 0 and finite.max() / finite.min() > DECADES
    return LogNorm(finite.min(), finite.max()) if decades else None
