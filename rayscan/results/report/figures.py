"""Which figures a report shows, and what is seen in them."""

from __future__ import annotations

import numpy as np

from rayscan.results.report.evidence import Evidence
from rayscan.results.report.section import Figure
from rayscan.store.arrays import column, unit_points

MOST_COLUMNS = 7
"""In figures of all pairs: more are too small to read on a page."""
MOST_PANELS = 20
ENOUGH = 20


def of_what_was_found(report: Evidence) -> list[Figure]:
    """Return pairs and histograms of the valid points; of many parameters, those that the target says most about."""
    if not report.valid.any():
        return []
    names, constrained = _scanned(report), [name for name in _constrained(report) if name in report.table.column_names]
    chosen = _told_most(report, names, max(MOST_COLUMNS - len(constrained), 4))
    columns = [*chosen, *constrained[: max(MOST_COLUMNS - len(chosen), 0)]]
    all_of_them = len(columns) == len(names) + len(constrained)
    which = (
        "all parameters"
        if len(chosen) == len(names)
        else f"the {len(chosen)} of {len(names)} parameters that the target constrains most"
    )
    lines = ", with lines around 39 and 86 % of them" if report.valid.sum() > 50 else ""
    found = [
        Figure(
            "corner", f"The valid points in each pair of columns over the range that was scanned{lines}: {which}.",
            {"columns": columns, "contours": True},
        )
    ]  # fmt: skip
    if not all_of_them:
        shown = [*_told_most(report, names, MOST_PANELS), *constrained][:MOST_PANELS]
        found.append(Figure("histograms", "How the valid points spread in each column.", {"columns": shown}))
    if _graded(report) and len(chosen) >= 2:
        pair = chosen[:2]
        found.append(
            Figure(
                "profile",
                f"Profile likelihood of {pair[0]} and {pair[1]}: the best point found in each cell, with the regions "
                "of 68 and 95 % confidence.",
                {"x": pair[0], "y": pair[1]},
            )
        )
    return found


def of_the_search(report: Evidence) -> list[Figure]:
    """Return valid points and acceptance against evaluations."""
    if not len(report.valid):
        return []
    return [
        Figure("progress", "Valid points found, and the share of valid ones, against the number of evaluations."),
        Figure("acceptance", "The share of valid points among those of each origin, in all and as the scan went on."),
    ]


def of_failures(report: Evidence) -> list[Figure]:
    """Return where points failed."""
    if not report.cases:
        return []
    columns = _told_most(report, _scanned(report), MOST_PANELS)
    return [Figure("failures", "The share of points that failed across each parameter, by kind.", {"columns": columns})]


def of_coverage(report: Evidence) -> list[Figure]:
    """Return collected points against the population, and promises against what came true."""
    found = []
    if report.valid.sum() >= ENOUGH:
        columns = _told_most(report, _scanned(report), MOST_PANELS)
        about = "The collected valid points against the population that they stand for: the prior within the target."
        found.append(Figure("evenness", about, {"columns": columns, "weighted": report.population}))
    if np.isfinite(column(report.table, "score")).sum() >= ENOUGH:
        about = "How often proposals were valid, against the probability that the surrogate had given them."
        found.append(Figure("calibration", about))
    return found


def of_time(report: Evidence) -> list[Figure]:
    """Return who was at work when."""
    known = np.isfinite(column(report.table, "started")) & np.isfinite(column(report.table, "ended"))
    return [Figure("timeline", "When each evaluator was at work, by what became of the points.")] if known.any() else []


def _scanned(report: Evidence) -> list[str]:
    from rayscan.results.plot import Plots

    plots = Plots.of_run(report.table, report.run) if report.run is not None else Plots(report.table)
    return list(plots.parameters)


def _constrained(report: Evidence) -> list[str]:
    target = report.description.get("target", {})
    return [name for name, given in target.items() if isinstance(given, dict) and "kind" in given]


def _graded(report: Evidence) -> bool:
    """Return whether valid points differ in their likelihood."""
    likelihood = column(report.table, "likelihood")[report.valid]
    likelihood = likelihood[np.isfinite(likelihood)]
    return len(likelihood) >= ENOUGH and bool(np.ptp(likelihood) > 0)


def _told_most(report: Evidence, names: list[str], most: int) -> list[str]:
    """Return at most so many parameters, in order: those in which valid points are least spread as the prior is.

    The largest difference of their cumulative distribution from the prior's says so (Kolmogorov and Smirnov).
    """
    d = report.table.schema.field("u").type.list_size
    if len(names) <= most or len(names) != d:
        return names[:most]
    u = np.sort(unit_points(report.table, d)[report.valid], axis=0)
    if not len(u):
        return names[:most]
    steps = np.arange(1, len(u) + 1)[:, None] / len(u)
    distance = np.maximum(np.abs(steps - u), np.abs(steps - 1 / len(u) - u)).max(axis=0)
    best = set(np.argsort(-distance, kind="stable")[:most].tolist())
    return [name for axis, name in enumerate(names) if axis in best]
