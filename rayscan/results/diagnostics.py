"""How a scan went and whether it is still finding new territory, from its table and its surrogates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from rayscan.learn.clusters import clusters, connected
from rayscan.learn.data import NEAR, Array, Origin
from rayscan.results.saturation import ENOUGH, MOST, MOST_FAR, Coverage, coverage_of, reach, thinned
from rayscan.results.volume import Volume, estimate_volume, importance
from rayscan.results.weights import Population, population

if TYPE_CHECKING:
    from rayscan.results.surrogate import Surrogate

GOALS = (10, 100, 1000, 10_000)
RECENT = 1000
SEGMENTS = 10
LINKED = 5000
"""Valid points at most by which clusters are told apart."""
SHOWN = 8
"""Clusters at most whose sizes are shown."""
LATE = 2
"""Segments at the end that decide whether the scan still finds something new."""
NEW, COVERED = 0.05, 0.95
"""New territory is being found if more than the one share of recent valid points, or less than the other of what
unbiased probes see, lies beyond or within the reach of earlier points. Independent uniform points stay below 1 % in two
or more dimensions."""

GROWING, SATURATED, UNKNOWN = "still finding new territory", "saturated", "too few valid points to tell"
UNTOLD = "cannot be told apart in so many dimensions"
OPEN = "unknown: nothing new lately, but nothing shows that none is missing"


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """What the table of a scan says about its progress and its coverage.

    Attributes
    ----------
    evaluations, valid : int
    milestones : mapping of int to int
        Number of valid points → evaluations that it took, for those reached.
    acceptance, recent : float
        The valid share of all evaluations, and of the last thousand.
    by_origin : mapping of str to (int, int)
        Origin → points and valid points.
    effective_size : float
        How many equal points the valid ones are worth with their weights (`rayscan.results.weights.prior_weights`);
        of very many points, judged by some.
    clusters : int or None
        Groups of three or more valid points linked with each other but not with other groups: near ones between which
        the surrogates see valid places only. Without surrogates, in few dimensions, what is nearer than the points lie
        apart is one group. None where clusters cannot be told apart.
    sizes : tuple of int
        Points of each cluster, of those by which clusters were told apart, the largest first.
    loners : int
        Points in no cluster.
    growth : tuple of (int, int)
        Evaluations, and how many of the clusters had a point by then.
    saturation : tuple of (int, float)
        Evaluations, and the share of the valid points found in the tenth of the scan that ends there that lie beyond
        the reach of all found earlier: 1.5 times the distance that nine of ten of these have to their nearest.
    coverage : Coverage
        The share of the valid volume within reach of points found earlier; see
        `rayscan.results.saturation.estimate_coverage`.
    volume : Volume
    verdict : str
        "still finding new territory", "saturated", which takes probes of known density as evidence, "too few valid
        points to tell", or "unknown".
    reasons : tuple of str
        What the verdict rests on.
    """

    evaluations: int
    valid: int
    milestones: Mapping[int, int]
    acceptance: float
    recent: float
    by_origin: Mapping[str, tuple[int, int]]
    effective_size: float
    clusters: int | None
    sizes: tuple[int, ...]
    loners: int
    growth: tuple[tuple[int, int], ...]
    saturation: tuple[tuple[int, float], ...]
    coverage: Coverage
    volume: Volume
    verdict: str
    reasons: tuple[str, ...]

    def rows(self) -> list[tuple[str, str]]:
        """Return names and values as text, for a report."""
        reached = ", ".join(f"{goal:,} at {at:,}" for goal, at in self.milestones.items())
        origins = ", ".join(f"{name} {good / max(n, 1):.1%} of {n:,}" for name, (n, good) in self.by_origin.items())
        new = ", ".join(f"{share:.1%}" for _, share in self.saturation)
        lines = [
            ("evaluations", f"{self.evaluations:,}, {self.valid:,} of them valid"),
            ("valid points reached", reached or "fewer than ten"),
            ("acceptance", f"{self.acceptance:.1%}, of the last {min(RECENT, self.evaluations):,} {self.recent:.1%}"),
            ("acceptance by origin", origins or "-"),
            ("effective sample size", f"{self.effective_size:,.0f} with prior weights"),
            ("valid volume", str(self.volume)),
            ("clusters", self._clusters()),
            ("clusters found", ", ".join(f"{count:,} by {at:,}" for at, count in self._changes()) or "-"),
            ("new territory", new or "-"),
            ("covered, by probes", str(self.coverage)),
        ]
        return [*lines, ("verdict", "; ".join([self.verdict, *self.reasons]))]

    def _clusters(self) -> str:
        if self.clusters is None:
            return UNTOLD
        sizes = ", ".join(f"{size:,}" for size in self.sizes[:SHOWN]) + (", …" if len(self.sizes) > SHOWN else "")
        return f"{self.clusters:,}" + (f" of {sizes} points" if sizes else "") + f" ({self.loners:,} points in none)"

    def _changes(self) -> list[tuple[int, int]]:
        """Return the steps of `growth` that found something."""
        counts = [0, *(count for _, count in self.growth)]
        return [step for step, before in zip(self.growth, counts, strict=False) if step[1] > before]

    def __str__(self) -> str:
        return "\n".join(f"{name + ':':24s} {value}" for name, value in self.rows())


@dataclass(frozen=True, slots=True)
class Territory:
    """New ground, segment by segment; see `Diagnostics`."""

    ends: tuple[int, ...]
    found: NDArray[np.int64]
    beyond: NDArray[np.int64]


def diagnose(
    u: ArrayLike,
    origin: ArrayLike,
    density: ArrayLike,
    valid: ArrayLike,
    surrogate: Surrogate | None = None,
    *,
    weighted: Population | None = None,
    generation: ArrayLike | None = None,
) -> Diagnostics:
    """Judge a scan.

    Parameters
    ----------
    u : array_like, shape (n, d)
        All evaluated points in the unit cube, in the order of issue.
    origin : array_like of int, shape (n,)
    density : array_like, shape (n,)
    valid : array_like of bool, shape (n,)
    surrogate : Surrogate, optional
        What says of the places between points whether they are in target, by which clusters are told apart.
    weighted : Population, optional
        The valid points with their weights, where these have been worked out already.
    generation : array_like of int, shape (n,), optional
        After which refit each point was proposed, for the error of the volume.

    Returns
    -------
    Diagnostics
    """
    points, codes = np.asarray(u, np.float64), np.asarray(origin, np.int8)
    q, good = np.asarray(density, np.float64), np.asarray(valid, bool)
    refit = None if generation is None else np.asarray(generation)
    n, at = len(good), np.flatnonzero(good)
    edges = np.unique(np.linspace(0, n, SEGMENTS + 1).astype(np.int64))
    seen = at[thinned(len(at), MOST if points.shape[1] <= NEAR else MOST_FAR)]
    some = at[thinned(len(at), LINKED)]
    label = _clusters(points[some], surrogate)
    first = _first(label, some) if label is not None else np.empty(0, dtype=np.int64)
    ground = _territory(points[seen], seen, edges)
    coverage = coverage_of(points[good], at, importance(codes, q, good)[good], n)
    fresh = int((first >= edges[-1 - LATE]).sum()) if len(edges) > LATE else 0
    volume = estimate_volume(codes, q, good, refit)
    verdict, reasons = _verdict(len(at), fresh, ground, coverage, volume, points.shape[1])
    return Diagnostics(
        evaluations=n,
        valid=len(at),
        milestones={goal: int(at[goal - 1]) + 1 for goal in GOALS if goal <= len(at)},
        acceptance=len(at) / n if n else 0.0,
        recent=float(good[-RECENT:].mean()) if n else 0.0,
        by_origin={
            o.label: (int(here.sum()), int(good[here].sum())) for o in Origin if (here := codes == o).any()
        },
        effective_size=(weighted or population(points, codes, q, good)).effective_size,
        clusters=len(first) if label is not None else None,
        sizes=tuple(sorted(np.bincount(label[label >= 0]).tolist(), reverse=True)) if label is not None else (),
        loners=int((label < 0).sum()) if label is not None else 0,
        growth=tuple((int(end), int((first < end).sum())) for end in edges[1:]) if len(first) else (),
        saturation=tuple(
            (end, float(new / found))
            for end, found, new in zip(ground.ends, ground.found, ground.beyond, strict=True) if found
        ),
        coverage=coverage,
        volume=volume,
        verdict=verdict,
        reasons=reasons,
    )  # fmt: skip


def _clusters(u: Array, surrogate: Surrogate | None) -> NDArray[np.int64] | None:
    """Return the cluster of each valid point, -1 for none; None where they cannot be told apart.

    By distances alone that takes few dimensions. By the region between points it takes ways that stay in it: in a
    curved one of many dimensions, straight ways do not.
    """
    if surrogate is not None:
        label = connected(u, surrogate.log_promise)
        return label if (label >= 0).sum() >= len(label) / 2 else None
    return clusters(u) if u.shape[1] <= NEAR else None


def _first(label: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the evaluation that found each cluster's first point; points are in order."""
    names, row = np.unique(label, return_index=True)
    return at[row[names >= 0]]


def _territory(u: Array, at: NDArray[np.int64], edges: NDArray[np.int64]) -> Territory:
    """Compare each segment's valid points with those before it."""
    ends, found, beyond = [], [], []
    for k in range(1, len(edges) - 1):
        before, here = at < edges[k], (at >= edges[k]) & (at < edges[k + 1])
        if before.sum() < ENOUGH // 2:
            continue
        tree = KDTree(u[before])
        gap, _ = tree.query(u[here])
        ends.append(int(edges[k + 1]))
        found.append(int(here.sum()))
        beyond.append(int((gap > reach(tree)).sum()))
    return Territory(tuple(ends), np.array(found), np.array(beyond))


def _verdict(
    valid: int, fresh: int, ground: Territory, coverage: Coverage, volume: Volume, d: int
) -> tuple[str, tuple[str, ...]]:
    """Return the verdict and what speaks for it; `fresh` clusters were found in the late segments."""
    if valid < ENOUGH or not len(ground.found[-LATE:]):
        return UNKNOWN, ()
    reasons = []
    if fresh:
        reasons.append(f"{fresh:,} of the clusters were found in the last fifth of the evaluations")
    found, beyond = int(ground.found[-LATE:].sum()), int(ground.beyond[-LATE:].sum())
    if found and beyond / found - 2 * math.sqrt((beyond + 1) / found**2) > NEW:
        reasons.append(f"{beyond / found:.0%} of the last valid points are beyond the reach of earlier ones")
    if coverage.share + 2 * coverage.error < COVERED:
        reasons.append(f"earlier points cover {coverage.share:.0%} ± {coverage.error:.0%} of what probes see")
    if reasons:
        return GROWING, tuple(reasons)
    lacking = []
    if d > NEAR:
        lacking.append(f"distances say little in {d} dimensions: compare with a scan of another seed")
    elif not coverage.known:
        lacking.append("too few probes of known density for their word on the coverage")
    if not volume.known:
        lacking.append("the valid volume is unknown")
    return (OPEN if lacking else SATURATED), tuple(lacking)
