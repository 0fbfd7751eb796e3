"""How a scan went: valid points and acceptance, evaluation by evaluation and proposal by proposal."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter
from numpy.typing import NDArray

from rayscan.results.plot.columns import Array, Columns
from rayscan.results.plot.style import DARK, ORIGIN_COLOURS, VALID, canvas, empty, tidy
from rayscan.store.arrays import column, labels


def progress(of: Columns, figure: Any = None) -> Any:
    """Draw the figure of `rayscan.results.plot.Plots.progress`."""
    if not len(of.valid):
        return empty("no evaluation yet", figure)
    figure = canvas((7.5, 5.6), figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    n = len(of.valid)
    counted = np.concatenate([[0], np.cumsum(of.valid)])
    kept = np.unique(np.linspace(0, n, 2000).astype(int))
    upper.plot(kept, counted[kept], color=VALID, lw=2, label="this scan")
    upper.plot([0, n], [0, n], color=DARK, lw=1.0, ls=":", label="ideal: every point valid")
    upper.set_ylim(0, max(1.15 * float(counted[-1]), 1.0))
    uniform = of.valid[labels(of.table, "origin") == "uniform"]
    if len(uniform) >= 20 and uniform.any():
        rate = uniform.mean()
        upper.plot([0, n], [0, rate * n], color=ORIGIN_COLOURS["uniform"], lw=1.3, ls="--",
                   label=f"uniform sampling ({rate:.2%} valid)")  # fmt: skip
    upper.set_ylabel("valid points")
    upper.legend(frameon=False, fontsize=10, loc="upper left")
    window = max(1, min(max(n // 50, 20), n // 4))
    inside = (counted[window:] - counted[:-window]) / window
    middle = np.arange(len(inside)) + window / 2
    kept = np.unique(np.linspace(0, len(inside) - 1, 2000).astype(int))
    lower.plot(middle[kept], inside[kept], color=VALID, lw=1.3)
    lower.set(xlabel="evaluations", ylim=(0, 1.03), xlim=(0, n))
    lower.set_ylabel(f"acceptance\n(last {window:,})")
    lower.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for axis in (upper.yaxis, lower.xaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axis.set_major_locator(MaxNLocator(6, integer=True))
    for axes in (upper, lower):
        tidy(axes)
    return figure


def acceptance(of: Columns, figure: Any = None) -> Any:
    """Draw the figure of `rayscan.results.plot.Plots.acceptance`."""
    if not len(of.valid):
        return empty("no evaluation yet", figure)
    figure = canvas((9.5, 4.2), figure)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.6])
    origin, generation = labels(of.table, "origin"), column(of.table, "generation")
    present = [name for name in ORIGIN_COLOURS if (origin == name).any()]
    rates = [of.valid[origin == name].mean() for name in present]
    left.barh(present, rates, color=[ORIGIN_COLOURS[name] for name in present], height=0.65)
    for row, (name, rate) in enumerate(zip(present, rates, strict=True)):
        left.text(rate + 0.02, row, f"{rate:.1%} of {(origin == name).sum():,}", va="center", fontsize=9)
    left.set(xlim=(0, 1.45), xlabel="acceptance", ylim=(len(present) - 0.4, -0.6))
    left.set_xticks([0, 0.25, 0.5, 0.75, 1.0])
    left.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for name in present:
        steps, rate = _by_group(generation[origin == name], of.valid[origin == name])
        # The bars beside it say which colour is which.
        right.plot(steps, rate, "o-", ms=3.5, lw=1.3, color=ORIGIN_COLOURS[name], label=name)
    right.set(xlabel="generation (refits of the surrogate)", ylabel="acceptance", ylim=(-0.02, 1.03))
    right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    low, high = right.get_xlim()
    if high - low < 1:
        right.set_xlim((low + high) / 2 - 0.5, (low + high) / 2 + 0.5)
    for axes in (left, right):
        tidy(axes)
    left.grid(visible=False, axis="y")
    return figure


def _by_group(group: NDArray[Any], valid: NDArray[np.bool_]) -> tuple[NDArray[Any], Array]:
    """Return the groups, at most about 60 of neighbouring ones joined, and the share of valid points in each."""
    width = max(1, -(-int(np.ptp(group) + 1) // 60))
    found, member = np.unique(group // width, return_inverse=True)
    return found * width + (width - 1) / 2, np.bincount(member, weights=valid) / np.bincount(member)
