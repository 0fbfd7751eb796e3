"""Profile likelihoods of one and two columns."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from rayscan.results.plot.columns import Array, Columns
from rayscan.results.plot.style import DARK, VALID, empty, single, thinned, tidy
from rayscan.results.profile import Profile, profile_likelihood
from rayscan.store.arrays import column

CONFIDENCES, LINES = (0.68, 0.95), ("w", DARK)
COARSE, FINER = 16, 4
"""Bins of an axis below which regions are drawn as the bins they are made of, each by so many places."""


def profile(
    of: Columns, x: str, y: str | None, *, bins: Any, most: float, ax: Axes | None = None, figure: Any = None
) -> Any:
    """Draw the figure of `rayscan.results.plot.Plots.profile`."""
    found = profile_likelihood(of.table, x, y, bins)
    if not np.isfinite(found.delta_chi2).any():
        return empty("no point has a likelihood yet", figure)
    figure, axes = single((6.6, 5.2), ax, figure)
    flat = _is_flat(of)
    if y is None:
        _draw_line(axes, found, most)
    elif flat:
        _draw_region(axes, of, found)
        axes.set_ylabel(of.label(y))
    else:
        mesh = _draw_map(axes, found, most)
        bar = figure.colorbar(mesh, ax=axes, pad=0.09)
        bar.set_label(r"$\Delta\chi^2 = -2\,\ln(L/L_{max})$", fontsize=12)
        bar.outline.set_visible(False)
        for confidence, colour in zip(CONFIDENCES, LINES, strict=True):
            level = found.level(confidence)
            bar.ax.axhline(level, color=colour, lw=1.8)
            bar.ax.text(-0.3, level, f"{confidence:.0%}", ha="right", va="center", fontsize=9)
        axes.set_ylabel(of.label(y))
    best = np.flatnonzero(column(of.table, "point_id") == found.best)
    across = of.numbers(x)[best]
    if not flat:
        # Of a flat likelihood no point is the best.
        axes.plot(across, np.zeros(1) if y is None else of.numbers(y)[best], "*", color=DARK, ms=13, mec="w")
    axes.set_xlabel(of.label(x))
    of.scale(axes, x, y)
    said = "the region in target: the likelihood is the same all over it" if flat and y else (
        "from the points found: the true likelihood is at least this")  # fmt: skip
    axes.set_title(said, fontsize=9, loc="left")
    tidy(axes)
    return figure


def _is_flat(of: Columns) -> bool:
    """Return whether windows and limits alone made points valid: they are all equally likely then."""
    likelihood = column(of.table, "likelihood")[of.valid]
    return len(likelihood) > 1 and float(np.ptp(likelihood)) < 1e-9


def _draw_region(axes: Axes, of: Columns, found: Profile) -> None:
    """Draw where valid points are, on bins that about two of them fill, and beyond them the range that was scanned."""
    x, y = (of.numbers(name)[of.valid] for name in found.names)
    bins = int(np.clip(np.sqrt(len(x) / 4), 4, 60))
    edges = []
    for name, values, ends in zip(found.names, (x, y), found.edges, strict=True):
        low, high = float(values.min()), float(values.max())
        if low == high:
            low, high = float(ends[0]), float(ends[-1])
        edges.append(np.geomspace(low, high, bins + 1) if of.is_log(name) else np.linspace(low, high, bins + 1))
        edges[-1][0], edges[-1][-1] = low, high
    held = np.histogram2d(x, y, edges)[0].T > 0
    axes.pcolormesh(*edges, np.where(held, 1.0, np.nan), cmap=ListedColormap([VALID]), alpha=0.75, rasterized=True)
    some = thinned(np.column_stack([x, y]))
    axes.plot(*some.T, ".", ms=1.5, color=DARK, alpha=0.25, mew=0, rasterized=True)
    axes.set(xlim=found.edges[0][[0, -1]], ylim=found.edges[1][[0, -1]])


def _draw_line(axes: Axes, found: Profile, most: float) -> None:
    delta = found.delta_chi2
    axes.stairs(np.where(np.isfinite(delta), delta, np.nan), found.edges[0], color=VALID, lw=1.8, baseline=None)
    for confidence in CONFIDENCES:
        level = found.level(confidence)
        axes.axhline(level, color=DARK, lw=0.9, ls="--")
        axes.text(1.0, level, f" {confidence:.0%}", transform=axes.get_yaxis_transform(), va="center", fontsize=9)
    axes.set(ylim=(0, most), xlim=(found.edges[0][0], found.edges[0][-1]))
    axes.set_ylabel(r"$\Delta\chi^2 = -2\,\ln(L/L_{max})$")


def _draw_map(axes: Axes, found: Profile, most: float) -> Any:
    delta = found.delta_chi2.T
    mesh = axes.pcolormesh(*found.edges, delta, cmap="viridis_r", vmin=0.0, vmax=most, rasterized=True)
    levels = [found.level(confidence) for confidence in CONFIDENCES]
    if min(delta.shape) > 1:
        # A bin without a point is outside, and so is what lies beyond the edges, for regions are closed.
        closed = np.pad(np.where(np.isfinite(delta), delta, 1e3), 1, constant_values=1e3)
        middles = [_padded(middle) for middle in found.centres]
        if min(delta.shape) < COARSE:
            # A line through few bins would be drawn by what is between them; the outline of the bins is what is known.
            closed, middles = np.kron(closed, np.ones((FINER, FINER))), [_finer(edges) for edges in found.edges]
        axes.contour(*middles, closed, levels, colors=LINES, linewidths=1.4)
    axes.set(xlim=found.edges[0][[0, -1]], ylim=found.edges[1][[0, -1]])
    return mesh


def _padded(middle: Array) -> Array:
    """Return the middles of bins with one more on either side, for logarithmic axes a positive one."""
    low, high = 2 * middle[0] - middle[1], 2 * middle[-1] - middle[-2]
    if middle[0] > 0 >= low:
        low = middle[0] ** 2 / middle[1]
    return np.concatenate([[low], middle, [high]])


def _finer(edges: Array) -> Array:
    """Return places within each bin, and one more bin on either side, up to the edges: outlines are square."""
    ends = _padded(edges)
    within = np.concatenate([[0.01], np.linspace(0.1, 0.9, FINER - 2), [0.99]])
    return np.concatenate([low + within * (high - low) for low, high in itertools.pairwise(ends)])
