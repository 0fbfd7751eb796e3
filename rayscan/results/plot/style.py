"""How every figure looks: colours, grids, how much is drawn."""

from __future__ import annotations

import io
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from numpy.typing import NDArray

# The Okabe-Ito palette and a further colour, which colour-blind readers can tell apart.
VALID, INVALID, DARK = "#0072B2", "#B8B8B8", "#333333"
ORIGIN_COLOURS = {
    "given": "#000000", "initial": "#999999", "uniform": "#E69F00", "map": "#0072B2", "local": "#009E73",
    "population": "#CC79A7", "growth": "#D55E00", "probe": "#56B4E9", "fork": "#F0E442",
    "transplant": "#882255",
}  # fmt: skip
STATUS_COLOURS = {
    "ok": "#0072B2", "unphysical": "#E69F00", "tool_error": "#D55E00", "timeout": "#CC79A7", "lost": "#999999",
    "poison": "#000000",
}  # fmt: skip
MAX_DRAWN = 20_000
DENSE = 500


class Picture(Figure):
    """A figure that a notebook shows by itself, whatever back-end it has or has not."""

    def _repr_png_(self) -> bytes:
        tray = io.BytesIO()
        self.savefig(tray, format="png", dpi=100, bbox_inches="tight")
        return tray.getvalue()


def canvas(size: tuple[float, float], figure: Any = None, layout: Literal["constrained"] | None = "constrained") -> Any:
    """Return a figure to draw in: the caller's, or a new one of this size in inches."""
    return figure if figure is not None else Picture(figsize=size, layout=layout)


def single(size: tuple[float, float], ax: Axes | None, figure: Any) -> tuple[Any, Axes]:
    """Return a figure and the one pair of axes to draw in: the caller's, or new ones."""
    if ax is not None:
        return ax.figure, ax
    figure = canvas(size, figure)
    return figure, figure.subplots()


def empty(message: str, figure: Any = None) -> Any:
    """Return a figure that is a sentence."""
    figure = canvas((6, 3), figure, None)
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


def panels(number: int, figure: Any = None, *, width: float = 2.7, height: float = 2.2) -> tuple[Any, list[Axes]]:
    """Return a figure with so many panels, one a parameter, and the panels."""
    columns = min(number, 5 if number > 12 else 4 if number > 4 else max(number, 1))
    rows = -(-number // columns)
    figure = canvas((max(columns * width, 5.0), rows * height + 0.8), figure)
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for spare in grid[number:]:
        spare.remove()
    return figure, grid[:number]


def few_ticks(axes: Axes, most: int = 4) -> None:
    """Give the horizontal axis at most so many ticks, so that small panels have none that overlap."""
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(most, prune="both"))
    else:
        axes.xaxis.set_minor_formatter(NullFormatter())


def tidy(axes: Axes) -> None:
    """Open the frame, and lay a faint grid below."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=10)
    axes.xaxis.label.set_fontsize(12)
    axes.yaxis.label.set_fontsize(12)
    axes.grid(visible=True, color="#E6E6E6", lw=0.7)
    axes.set_axisbelow(True)
