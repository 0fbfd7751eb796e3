"""When each evaluator was at work, and on what."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch

from rayscan.errors import ConfigError
from rayscan.results.plot.columns import Columns
from rayscan.results.plot.style import INVALID, STATUS_COLOURS, VALID, single, tidy
from rayscan.store.arrays import column, labels

MOST_BARS = 20_000
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
    names, lane = np.unique(name[known].astype(str), return_inverse=True)
    zero = float(started[known].min())
    begin, end = started[known] - zero, ended[known] - zero
    span = max(float(end.max()), 1e-9)
    divisor, unit = (3600, "h") if span > 7200 else (60, "min") if span > 240 else (1, "s")
    begin, end = begin / divisor, end / divisor
    status = np.where(of.valid, "valid", np.where(labels(of.table, "status") == "ok", "not valid",
                      labels(of.table, "status")))[known]  # fmt: skip
    figure, axes = single((9.0, float(np.clip(0.28 * len(names) + 1.6, 2.6, 14))), ax, figure)
    colours = {"valid": VALID, "not valid": INVALID, **{k: v for k, v in STATUS_COLOURS.items() if k != "ok"}}
    handles = []
    for kind, colour in colours.items():
        here = np.flatnonzero(status == kind)
        if not len(here):
            continue
        handles.append(Patch(color=colour, label=kind.replace("_", " ")))
        # A bar thinner than a pixel is not seen: the first of many speak for the others.
        here = here[:: max(1, -(-len(here) // MOST_BARS))]
        thinnest = np.maximum(end[here], begin[here] + span / divisor / 2000)
        low, high = lane[here] - 0.4, lane[here] + 0.4
        bars = np.stack([np.column_stack([begin[here], low]), np.column_stack([thinnest, low]),
                         np.column_stack([thinnest, high]), np.column_stack([begin[here], high])], axis=1)  # fmt: skip
        axes.add_collection(PolyCollection(list(bars), facecolors=colour, edgecolors="none", rasterized=True))
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
