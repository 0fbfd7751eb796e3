"""What the surrogate promised against what came true, and what a checkpoint remembers of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rayscan.errors import ConfigError
from rayscan.results.plot.columns import Columns
from rayscan.results.plot.style import DARK, INVALID, VALID, canvas, panels, single, tidy
from rayscan.store.arrays import column

BINS = 10
FEWEST = 20


def _scored(of: Columns) -> tuple[Any, Any]:
    """Return the promised probabilities and what came true of the points that have any."""
    score = column(of.table, "score")
    known = np.isfinite(score)
    if known.sum() < FEWEST:
        msg = (
            f"plot: {int(known.sum()):,} of {len(score):,} points were scored by a surrogate before they were "
            f"evaluated; expected at least {FEWEST}. Go on with the scan: the first points are chosen without one"
        )
        raise ConfigError(msg)
    return np.clip(score[known], 0, 1), known


def calibration(of: Columns, *, ax: Axes | None = None, figure: Any = None) -> Any:
    """Draw the figure of `rayscan.results.plot.Plots.calibration`."""
    promised, known = _scored(of)
    true = of.valid[known]
    figure, axes = single((5.6, 5.2), ax, figure)
    cell = np.minimum((promised * BINS).astype(int), BINS - 1)
    n = np.bincount(cell, minlength=BINS)
    held = n > 0
    mean = np.bincount(cell, promised, BINS)[held] / n[held]
    share = np.bincount(cell, true, BINS)[held] / n[held]
    # Of Wilson's interval, which is right at shares of 0 and 1, too.
    centre = (share + 0.5 / n[held]) / (1 + 1 / n[held])
    half = np.sqrt(share * (1 - share) / n[held] + 0.25 / n[held] ** 2) / (1 + 1 / n[held])
    axes.plot([0, 1], [0, 1], ls="--", color=DARK, lw=1, label="as promised")
    axes.bar((np.arange(BINS) + 0.5) / BINS, 0.25 * n / n.max(), width=0.9 / BINS, color=INVALID, alpha=0.6,
             label="how often promised")  # fmt: skip
    axes.errorbar(mean, share, np.maximum([share - centre + half, centre + half - share], 0), fmt="o-", color=VALID,
                  lw=1.4, ms=5, capsize=2, label="came true")  # fmt: skip
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05), xlabel="promised probability of being valid",
             ylabel="share that was valid")  # fmt: skip
    axes.set_title(f"{len(promised):,} points, each scored before it was evaluated", fontsize=9, loc="right")
    axes.legend(frameon=False, fontsize=10, loc="upper left")
    tidy(axes)
    return figure


def training(of: Columns, *, figure: Any = None) -> Any:
    """Draw the figure of `rayscan.results.plot.Plots.training`."""
    promised, known = _scored(of)
    true, generation = of.valid[known], column(of.table, "generation")[known]
    width = max(1, -(-int(np.ptp(generation) + 1) // 60))
    groups, member = np.unique(generation // width, return_inverse=True)
    n = np.bincount(member)
    p = np.clip(promised, 1e-6, 1 - 1e-6)
    loss = np.bincount(member, -np.where(true, np.log(p), np.log(1 - p))) / n
    # The loss of one who only knows how many are valid.
    rate = np.clip(np.bincount(member, true) / n, 1e-12, 1 - 1e-12)
    guess = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    figure = canvas((7.0, 5.4), figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    at = groups * width
    upper.plot(at, loss, "o-", ms=3.5, color=VALID, label="surrogate, on points it had not seen")
    upper.plot(at, guess, ls="--", color=DARK, lw=1, label="knowing only the acceptance")
    upper.set(ylabel="log loss", ylim=(0, None))
    upper.legend(frameon=False, fontsize=9)
    lower.plot(at, np.bincount(member, promised) / n, "o-", ms=3.5, color="#E69F00", label="promised")
    lower.plot(at, np.bincount(member, true) / n, "s-", ms=3.5, color=VALID, label="came true")
    lower.set(ylabel="share valid", ylim=(-0.03, 1.05), xlabel="generation (refits of the surrogate)")
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    lower.legend(frameon=False, fontsize=9)
    for axes in (upper, lower):
        tidy(axes)
    return figure


def vegas(grid: Any, names: list[str], *, figure: Any = None) -> Any:
    """Draw the figure of `rayscan.results.plot.Plots.vegas`: ``grid`` are the increments' edges ``(d, ninc + 1)``."""
    figure, places = panels(len(names), figure)
    for axes, name, edges in zip(places, names, grid, strict=True):
        axes.stairs(1 / np.maximum(np.diff(edges), 1e-12) / (len(edges) - 1), edges, color=VALID, fill=True, alpha=0.7)
        axes.axhline(1.0, color=DARK, lw=0.8, ls="--")
        axes.set(xlim=(0, 1), xlabel=f"{name}, in the unit cube", yticks=[])
        tidy(axes)
        axes.xaxis.set_major_locator(MaxNLocator(3))
    return figure
