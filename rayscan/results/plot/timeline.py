"""When each evaluator was at work, and on what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch
from numpy.typing import NDArray

from rayscan.errors import ConfigError
from rayscan.results.plot.columns import Array, Columns
from rayscan.results.plot.style import INVALID, STATUS_COLOURS, VALID, single, tidy
from rayscan.store.arrays import column, labels

MOST_BARS, MOST_A_LANE = 20_000, 2000
"""Evaluations that are drawn one by one, in all and of one evaluator: more are thinner than a pixel."""
MOST_NAMED = 40


def timeline(of: Columns, *, ax: Axes | None = None, figure: Any = None) -> Any:
    """Draw the figure of `rayscan.results.plot.Plots.timeline`."""
    started, ended = column(of.table, "started"), column(of.table, "ended")
    known = np.isfinite(started) & np.isfinite(ended)
    if not known.any():
        msg = "plot timeline: no row says when it was evaluated; rows that a fork took over do not"
        raise ConfigError(msg)
    host, worker = labels(of.table, "host"), labels(of.table, "worker")
    name = np.array([f"{h} {w}".strip() or "evaluator" for h, w in zip(host, worker, strict=True)], dtype=object)
    names, place = np.unique(name[known].astype(str), return_inverse=True)
    lane = place.astype(np.int64)
    zero = float(started[known].min())
    begin, end = started[known] - zero, ended[known] - zero
    span = max(float(end.max()), 1e-9)
    divisor, unit = (3600, "h") if span > 7200 else (60, "min") if span > 240 else (1, "s")
    begin, end = begin / divisor, end / divisor
    status = np.where(of.valid, "valid", np.where(labels(of.table, "status") == "ok", "not valid",
                      labels(of.table, "status")))[known]  # fmt: skip
    figure, axes = single((9.0, float(np.clip(0.28 * len(names) + 1.6, 2.6, 14))), ax, figure)
    colours = {"valid": VALID, "not valid": INVALID, **{k: v for k, v in STATUS_COLOURS.items() if k != "ok"}}
    present = [kind for kind in colours if (status == kind).any()]
    handles = [Patch(color=colours[kind], label=kind.replace("_", " ")) for kind in present]
    dense = len(lane) > MOST_BARS or np.bincount(lane).max() > MOST_A_LANE
    draw = _shares if dense else _bars
    for kind, bars in draw(begin, end, lane, [status == kind for kind in present], span / divisor, len(names)):
        colour = colours[present[kind]]
        axes.add_collection(PolyCollection(list(bars), facecolors=colour, edgecolors="none", rasterized=True))
    if dense:
        axes.set_title("what they spent their time on", fontsize=10, loc="left")
    axes.set(
        xlim=(0, span / divisor), ylim=(len(names) - 0.4, -0.6), xlabel=f"time since the first evaluation [{unit}]"
    )
    step = max(1, -(-len(names) // MOST_NAMED))
    axes.set_yticks(np.arange(0, len(names), step), names[::step], fontsize=8)
    figure_legend = axes.legend(handles=handles, frameon=False, fontsize=9, ncols=len(handles), loc="lower right",
                                bbox_to_anchor=(1.0, 1.0))  # fmt: skip
    figure_legend.set_in_layout(True)
    tidy(axes)
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(visible=False, axis="y")
    return figure


def _bars(
    begin: Array, end: Array, lane: NDArray[np.int64], kinds: list[Any], span: float, _: int
) -> Iterator[tuple[int, Array]]:
    """Yield a bar for each evaluation, kind by kind, none too thin to be seen."""
    for kind, here in enumerate(kinds):
        last = np.maximum(end[here], begin[here] + span / 2000)
        yield kind, _rectangles(begin[here], last, lane[here] - 0.4, lane[here] + 0.4)


def _shares(
    begin: Array, end: Array, lane: NDArray[np.int64], kinds: list[Any], span: float, lanes: int
) -> Iterator[tuple[int, Array]]:
    """Yield, for each piece of time, how much of it an evaluator spent on each kind: a share of its lane's height."""
    pieces = int(np.clip(MOST_BARS / (lanes * len(kinds)), 20, 300))
    edges = np.linspace(0, span, pieces + 1)
    spent = np.stack([_spent(begin[here], end[here], lane[here], edges, lanes) for here in kinds])
    height = 0.8 * spent / np.maximum(spent.sum(axis=0), span / pieces)
    top = np.repeat(np.arange(lanes), pieces) + 0.4
    start, stop = np.tile(edges[:-1], lanes), np.tile(edges[1:], lanes)
    for kind, part in enumerate(height):
        some = part > 0
        yield kind, _rectangles(start[some], stop[some], (top - part)[some], top[some])
        top = top - part


def _spent(begin: Array, end: Array, lane: NDArray[np.int64], edges: Array, lanes: int) -> Array:
    """Return how long each evaluator was busy between the edges, one evaluator after the other."""
    spent = np.zeros((lanes, len(edges) - 1))
    for one in np.unique(lane):
        mine = np.flatnonzero(lane == one)
        mine = mine[np.argsort(begin[mine])]
        until = np.cumsum(end[mine] - begin[mine])
        # What it had done by the beginning and by the end of each evaluation; in between it grows as time does.
        times = np.column_stack([begin[mine], end[mine]]).ravel()
        done = np.column_stack([np.concatenate([[0.0], until[:-1]]), until]).ravel()
        spent[one] = np.diff(np.interp(edges, np.maximum.accumulate(times), done))
    return spent.ravel()


def _rectangles(left: Array, right: Array, low: Array, high: Array) -> Array:
    """Return corners ``(n, 4, 2)``."""
    corners = [(left, low), (right, low), (right, high), (left, high)]
    return np.stack([np.column_stack(corner) for corner in corners], axis=1)
