"""How much of the valid region is within reach of the points found, as unbiased probes see it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from rayscan.learn.data import NEAR, Array
from rayscan.results.volume import importance

BEYOND = 1.5
"""A place is within reach of a sample nearer than this many times the distance that nine of ten of its points have to
their nearest. Of independent uniform points less than 1 % lie beyond, in two or more dimensions."""
ENOUGH = 50
"""Valid points below which nothing is said."""
EARLY = 0.25
"""Share of a scan that is forgotten: what it lacked at its beginning says little."""
FEWEST, VAGUE = 10.0, 0.1
"""Effective probes below which, and error above which the coverage counts as unknown."""
STAGES = 6
"""Parts of the rest; each is compared with all that came before it."""
MOST, MOST_FAR = 20_000, 8000
"""Valid points looked at, evenly spaced in the order of issue, in up to `NEAR` dimensions and beyond, where each is
compared with each; and `SPACED` of them for their spacing: all bound the cost."""
SPACED = 2000


@dataclass(frozen=True, slots=True)
class Coverage:
    """The share of the valid volume that lies within reach of collected valid points.

    Attributes
    ----------
    share : float
        The estimate, in [0, 1]; NaN without probes.
    error : float
        Its standard error; never 0, also when every probe was within reach.
    probes : float
        Equally weighted probes that would say as much.
    """

    share: float
    error: float
    probes: float

    @property
    def known(self) -> bool:
        """Whether enough probes say so: an error that is a large part of the share is no answer."""
        return self.probes >= FEWEST and self.error <= VAGUE

    @property
    def lower(self) -> float:
        """The share less its error, in [0, 1]; 0 without probes."""
        return max(0.0, self.share - self.error) if math.isfinite(self.share) else 0.0

    def __str__(self) -> str:
        if not math.isfinite(self.share):
            return "no probes"
        if not self.known:
            return f"unknown: {self.probes:.1f} effective probes say {self.share:.0%} ± {self.error:.0%}"
        return f"{self.share:.1%} ± {self.error:.1%}"


UNKNOWN = Coverage(math.nan, math.nan, 0.0)


def estimate_coverage(u: ArrayLike, origin: ArrayLike, density: ArrayLike, valid: ArrayLike) -> Coverage:
    r"""Estimate how much of the valid volume is within reach of the valid points found.

    Parameters
    ----------
    u : array_like, shape (n, d)
        All evaluated points in the unit cube, in the order of issue.
    origin : array_like of int, shape (n,)
    density : array_like, shape (n,)
        With respect to the prior; NaN where it is not known.
    valid : array_like of bool, shape (n,)

    Returns
    -------
    Coverage
        `UNKNOWN` before there are `ENOUGH` valid points, without a valid probe after the first quarter of the scan, and
        in more than `NEAR` dimensions.

    Notes
    -----
    *Probes* are the valid ones of those points that were drawn with a known density, whatever the surrogate thought of
    them. Weighted by importance (`rayscan.results.volume.importance`) they are a sample of the whole valid region, what
    is not known of it included. Each is compared with the points found before it, as it may have led to others nearby;
    those of the first quarter of the scan are left out. *Within reach* is nearer than `BEYOND` times the distance that
    nine of ten points have to their nearest: the measure is whether the sample has holes that are larger than its own
    spacing, not how fine that is.

    With weights :math:`w_i` and :math:`c_i = 1` within reach, 0 beyond it, and total :math:`W = \sum w_i`,

    .. math:: C = \frac{\sum w_i c_i}{W}, \qquad
              \sigma^2 = \frac{\sum w_i^2 (c_i - C)^2 + w_{max}^2}{(W + w_{max})^2},

    the error of a ratio, and that of one more probe beyond reach with the largest weight seen.

    A region of which no probe and no other point was ever valid has no part in it;
    `rayscan.results.volume.Volume.unseen` limits that.
    """
    points, good = np.asarray(u, np.float64), np.asarray(valid, bool)
    weight = importance(np.asarray(origin), np.asarray(density, np.float64), good)
    at = np.flatnonzero(good)
    return coverage_of(points[good], at, weight[good], len(good))


def coverage_of(u: Array, at: NDArray[np.int64], weight: Array, n: int) -> Coverage:
    """Estimate the coverage from the valid points alone.

    Parameters
    ----------
    u : ndarray, shape (k, d)
        Valid points.
    at : ndarray of int, shape (k,)
        Their places in the order of issue, increasing.
    weight : ndarray, shape (k,)
        Importance; 0 for those that are no probes.
    n : int
        Evaluated points.

    Returns
    -------
    Coverage
    """
    if len(at) < ENOUGH or u.shape[1] > NEAR:
        return UNKNOWN
    known = thinned(len(at), MOST)
    edges = np.linspace(EARLY * n, n, STAGES + 1).astype(np.int64)
    weights, inside = [np.empty(0)], [np.empty(0, dtype=bool)]
    for start, end in itertools.pairwise(edges):
        before = known[at[known] < start]
        probes = np.flatnonzero((at >= start) & (at < end) & (weight > 0))
        if len(before) >= ENOUGH // 2 and len(probes):
            gap, _ = (tree := KDTree(u[before])).query(u[probes])
            weights.append(weight[probes])
            inside.append(gap <= reach(tree))
    return _weighted(np.concatenate(weights), np.concatenate(inside))


def reach(tree: KDTree) -> float:
    """Return how far points are from what is known to be in new territory."""
    some = tree.data[thinned(tree.n, SPACED)]
    spacing, _ = tree.query(some, k=[2])
    return BEYOND * float(np.quantile(spacing, 0.9))


def thinned(n: int, most: int) -> NDArray[np.int64]:
    """Return at most so many indices of `n` things, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64)) if n else np.empty(0, dtype=np.int64)


def _weighted(weight: Array, covered: NDArray[np.bool_]) -> Coverage:
    total = float(weight.sum())
    if total == 0:
        return UNKNOWN
    share, largest = float(weight[covered].sum()) / total, float(weight.max())
    scatter = float(np.sum(weight**2 * (covered - share) ** 2))
    error = math.sqrt(scatter + largest**2) / (total + largest)
    return Coverage(share, error, total**2 / float((weight**2).sum()))
