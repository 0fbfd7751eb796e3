"""How every figure looks: colours, grids, how much is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

# The Okabe-Ito palette and a further colour, which colour-blind readers can tell apart.
VALID, INVALID, DARK = "#0072B2", "#B8B8B8", "#333333"
ORIGIN_COLOURS = {
    "given": "#000000", "initial": "#999999", "uniform": "#E69F00", "map": "#0072B2", "local": "#009E73",
    "population": "#CC79A7", "growth": "#D55E00", "probe": "#56B4E9", "fork": "#F0E442",
    "transplant": "#882255",
}  # fmt: skip
MAX_DRAWN = 20_000
DENSE = 500


def empty(message: str) -> Figure:
    """Return a figure that is a sentence."""
    figure = Figure(figsize=(6, 3))
    figure.text(0.5, 0.5, message, ha="center", va="center", fontsize=13, color=DARK)
    return figure


def thinned(points: NDArray[Any]) -> NDArray[Any]:
    """Return at most `MAX_DRAWN` of the rows, the same ones each time."""
    if len(points) <= MAX_DRAWN:
        return points
    return points[np.random.default_rng(0).choice(len(points), MAX_DRAWN, replace=False)]


def count(n: int, noun: str) -> str:
    """Return how many of something there are, in words."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def tidy(axes: Axes) -> None:
    """Open the frame, and lay a faint grid below."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=10)
    axes.xaxis.label.set_fontsize(12)
    axes.yaxis.label.set_fontsize(12)
    axes.grid(visible=True, color="#E6E6E6", lw=0.7)
    axes.set_axisbelow(True)
