"""How every figure looks: colours, grids, how much is drawn."""

from __future__ import annotations

import io
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, NullLocator
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
DENSE, FEW = 500, 50


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


def some_of(drawn: int, n: int) -> str:
    """Return what to add to a title where not every point is drawn."""
    return f"; {drawn:,} of them drawn" if drawn < n else ""


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
        logarithmic(axes.xaxis, most)


class RoundLog(Locator):
    """Ticks of a logarithmic axis at round numbers, also where it spans less than a decade: 200, 500, 1000."""

    def __init__(self, most: int) -> None:
        self.most = most

    def __call__(self) -> Any:
        return self.tick_values(*sorted(self.axis.get_view_interval()))  # type: ignore[union-attr]

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """Return the places of the ticks, as many as are allowed."""
        if not 0 < vmin < vmax < np.inf:
            return np.empty(0)
        decades = np.arange(np.floor(np.log10(vmin)), np.ceil(np.log10(vmax)) + 1)
        for steps in ((1, 2, 5), (1, 3), (1,)):
            at = np.multiply.outer(10.0**decades, steps).ravel()
            at = at[(at >= vmin) & (at <= vmax)]
            if len(at) <= self.most:
                # Within half a decade round numbers are too few, and equal steps are as good.
                return at if len(at) > 1 else MaxNLocator(self.most).tick_values(vmin, vmax)
        return at[:: -(-len(at) // self.most)]


def logarithmic(axis: Any, most: int = 6) -> None:
    """Give a logarithmic axis at most so many ticks, at round numbers and without small ones whose labels collide."""
    axis.set_major_locator(RoundLog(most))
    axis.set_major_formatter(FuncFormatter(_number))
    axis.set_minor_locator(NullLocator())


def _number(value: float, _: Any = None) -> str:
    """Return a number as it is written on an axis: with a power of ten where it is long."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:g}"
    digits, power = f"{value:.3e}".split("e")
    digits = digits.rstrip("0").rstrip(".")
    return f"$10^{{{int(power)}}}$" if digits == "1" else rf"${digits}\times10^{{{int(power)}}}$"


def tidy(axes: Axes) -> None:
    """Open the frame, and lay a faint grid below."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=10)
    axes.xaxis.label.set_fontsize(12)
    axes.yaxis.label.set_fontsize(12)
    axes.grid(visible=True, color="#E6E6E6", lw=0.7)
    axes.set_axisbelow(True)
