"""One panel a parameter: where points fail, and whether the valid ones are collected as they are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rayscan.errors import ConfigError
from rayscan.results.plot.columns import Array, Columns
from rayscan.results.plot.style import DARK, STATUS_COLOURS, VALID, empty, few_ticks, panels, tidy
from rayscan.results.weights import Population
from rayscan.store.arrays import labels

BINS = 20
NARROW = 2
"""Panels up to which two entries of a legend do not fit side by side."""
FEWEST = 20


def failures(of: Columns, columns: Sequence[str] | None = None, *, figure: Any = None) -> Any:
    """Draw the figure of `rayscan.results.plot.Plots.failures`."""
    names = list(columns) if columns is not None else of.parameters
    status = labels(of.table, "status")
    found = [kind for kind in STATUS_COLOURS if kind != "ok" and (status == kind).any()]
    if not found:
        return empty(f"none of {len(status):,} evaluations failed", figure)
    figure, grid = panels(len(names), figure)
    for axes, name in zip(grid, names, strict=True):
        values = of.numbers(name)
        edges = _edges(of, name, values)
        total = np.histogram(values, edges)[0]
        below: Array = np.zeros(len(edges) - 1)
        for kind in found:
            share = np.histogram(values[status == kind], edges)[0] / np.maximum(total, 1)
            axes.stairs(below + share, edges, baseline=below, fill=True, color=STATUS_COLOURS[kind],
                        label=kind.replace("_", " "))  # fmt: skip
            below = below + share
        axes.set(ylim=(0, 1), xlabel=of.label(name), xlim=(edges[0], edges[-1]))
        of.scale(axes, name)
        tidy(axes)
        few_ticks(axes)
    grid[0].set_ylabel("share that failed")
    figure.legend(*grid[0].get_legend_handles_labels(), frameon=False, fontsize=10, ncols=len(found),
                  loc="outside upper right")  # fmt: skip
    return figure


def evenness(of: Columns, weighted: Population, columns: Sequence[str] | None = None, *, figure: Any = None) -> Any:
    """Draw the figure of `rayscan.results.plot.Plots.evenness`."""
    weight = weighted.weight
    names = list(columns) if columns is not None else of.parameters
    known = np.isfinite(weight) & (weight > 0)
    if known.sum() < FEWEST:
        msg = (
            f"plot evenness: {int(known.sum())} valid points have a weight that makes them a sample of the population; "
            f"expected at least {FEWEST}. Go on with the scan"
        )
        raise ConfigError(msg)
    those = f" (from {len(weight):,} of the points)" if len(weight) < weighted.valid else ""
    figure, grid = panels(len(names), figure)
    for axes, name in zip(grid, names, strict=True):
        values = of.numbers(name)[of.valid]
        some = values[weighted.rows]
        edges = _edges(of, name, values)
        collected = np.histogram(values, edges)[0] / len(values)
        population = np.histogram(some[known], edges, weights=weight[known])[0] / weight[known].sum()
        axes.stairs(collected, edges, fill=True, color=VALID, alpha=0.55, label="collected")
        axes.stairs(population, edges, color=DARK, lw=1.5, label=f"population: the prior within the target{those}")
        axes.set(xlabel=of.label(name), ylim=(0, None), xlim=(edges[0], edges[-1]))
        of.scale(axes, name)
        tidy(axes)
        axes.set_yticks([])
        few_ticks(axes)
    side_by_side = 1 if len(grid) <= NARROW else 2
    figure.legend(*grid[0].get_legend_handles_labels(), frameon=False, fontsize=10, ncols=side_by_side,
                  loc="outside upper right")  # fmt: skip
    return figure


def _edges(of: Columns, name: str, values: Array) -> Array:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    bins = int(np.clip(len(finite) / 10, 5, BINS))
    if of.is_log(name) and low > 0:
        return np.asarray(np.geomspace(low, high, bins + 1), dtype=np.float64)
    return np.linspace(low, high, bins + 1)
