"""Weights that turn the collected valid points into a sample of the prior within the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from rayscan.learn.data import NEAR, Array
from rayscan.results.saturation import MOST, MOST_FAR, thinned
from rayscan.results.volume import importance
from rayscan.store.arrays import ORIGIN_CODES, codes, column, unit_points

NEIGHBOURS = 16
"""Collected points that a local density is taken from: a scatter of a quarter."""
CALIBRATORS = 30
"""Points of known density that a local correction is taken from, and from which there is one."""
ANCHORS, COUNTED = 1000, 30_000
"""Places at most at which the local correction is worked out, and collected points at most that are counted there."""
TRUST = 0.15
"""How far the spacing may be trusted: the standard deviation of the logarithmic tilt that it is likely to miss."""
TAILS = (0.05, 0.95)
ITERATIONS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Valid points with weights that make them a sample of the prior within the target.

    Attributes
    ----------
    rows : ndarray of int64, shape (k,)
        Which of the valid points these are: all, or some that are spread evenly over the order of issue.
    weight : ndarray, shape (k,)
        Positive, with mean 1.
    valid : int
        How many valid points there are.
    """

    rows: NDArray[np.int64]
    weight: Array
    valid: int

    @property
    def effective_size(self) -> float:
        """How many equal points all the valid ones are worth, judged by these."""
        return effective_size(self.weight) * self.valid / max(len(self.rows), 1)


def prior_weights(u: ArrayLike, origin: ArrayLike, density: ArrayLike, valid: ArrayLike) -> Array:
    """Return weights that make the collected valid points a sample of the prior within the target.

    Parameters
    ----------
    u : array_like, shape (n, d)
        All points of a scan in the unit cube, in the order of issue.
    origin : array_like of int, shape (n,)
    density : array_like, shape (n,)
        With respect to the prior; NaN where it is not known, as it is for the population.
    valid : array_like of bool, shape (n,)

    Returns
    -------
    ndarray, shape (number of valid points,)
        Positive, with mean 1, in the order of the valid points; ``effective_size`` says how many equal ones they are
        worth.

    Notes
    -----
    1. *Spacing*: the weight of a point is the volume of the ball that reaches to its 16th neighbour, in the dimension
       that the points have locally (thin shells have less than the space), with tails cut off.
    2. *Local correction*: probes and uniform points that were valid have exact importance weights. In the ball that
       holds 30 of them around a point, the collected points get the total weight that these have. Both counts see the
       same part of the ball inside the target, so that its border cancels, which in 1 it does not.
    3. *Tilt*: weights are multiplied by the exponential of a quadratic function of each coordinate, the one that
       brings means and variances to those of the exact points, as far as these are better known than 1 and 2.

    Without 30 valid points of known density there is only 1.

    What to expect, from targets in three to seven dimensions with 4,000 points collected five times more densely at one
    end than at the other, and 70 to 480 valid ones of known density: the largest deviation of a one-dimensional
    cumulative distribution falls from 0.16-0.21 to 0.04-0.09, the shift of the mean of the uneven coordinate from 0.4
    to below 0.1 of its standard deviation. Structure finer than the spacing of the exact points is left as collected.
    Where that matters, the exact points alone (finite ``density``, weights ``1 / density``) are free of any bias.
    """
    return population(u, origin, density, valid, whole=True).weight


def population(
    u: ArrayLike, origin: ArrayLike, density: ArrayLike, valid: ArrayLike, *, whole: bool = False
) -> Population:
    """Return valid points with weights as of `prior_weights`, whose arguments these are.

    All of them if `whole`, else at most 20,000, beyond ten dimensions 8,000. Points of known density
    are counted on whether they are among these or not.
    """
    good = np.asarray(valid, bool)
    points = np.asarray(u, np.float64)[good]
    exact = importance(np.asarray(origin), np.asarray(density, np.float64), good)[good]
    most = len(points) if whole else MOST if points.shape[1] <= NEAR else MOST_FAR
    rows, known = thinned(len(points), most), np.flatnonzero(exact > 0)
    known = known[thinned(len(known), most)]
    return Population(rows, _weights(points[rows], points[known], exact[known]), len(points))


def population_of(table: Any) -> Population:
    """Return the population that a table of evaluated points shows, as `population` does."""
    d = table.schema.field("u").type.list_size
    origin, density = codes(table, "origin", ORIGIN_CODES), column(table, "density")
    return population(unit_points(table, d), origin, density, column(table, "valid").astype(bool))


def _weights(collected: Array, reference: Array, exact: Array) -> Array:
    if len(collected) <= NEIGHBOURS + 1:
        return np.ones(len(collected))
    weight = _spacing(collected)
    if len(exact) < CALIBRATORS:
        return np.asarray(weight / weight.mean())
    share = exact / exact.sum()
    weight = _local(collected, weight, reference, share)
    weight = _tilted(collected, weight, reference, share)
    return np.asarray(weight / weight.mean())


def effective_size(weight: Array) -> float:
    """Return how many points of equal weight scatter as much as these (Kish): ``(sum w)² / sum w²``."""
    return float(weight.sum() ** 2 / (weight**2).sum()) if len(weight) else 0.0


def _spacing(u: Array) -> Array:
    """Return the volume that each point has to itself, up to a factor."""
    reach, _ = KDTree(u).query(u, k=NEIGHBOURS + 1)
    reach = np.maximum(reach[:, 1:], 1e-12)
    # Levina and Bickel's estimate of the dimension, from the ratios of neighbours' distances.
    slope = float(np.mean(np.log(reach[:, -1:] / reach[:, :-1])))
    dimension = min(u.shape[1], (NEIGHBOURS - 2) / (NEIGHBOURS - 1) / slope) if slope > 0 else 0.0
    log_volume = dimension * np.log(reach[:, -1])
    volume = np.exp(np.clip(log_volume, *np.quantile(log_volume, TAILS)) - log_volume.max())
    return np.asarray(volume / volume.mean())


def _local(u: Array, weight: Array, reference: Array, share: Array) -> Array:
    """Return the weights with their total around each point brought to that of the reference."""
    few = thinned(len(u), COUNTED)
    places, around = u[few], weight[few] * (weight.sum() / weight[few].sum())
    anchors = u[few[thinned(len(few), ANCHORS)]]
    reach, near = KDTree(reference).query(anchors, k=CALIBRATORS)
    radius = reach[:, -1] * (1 + 1e-9)
    theirs = share[near].sum(axis=1)
    ours = np.array(
        [around[((places - anchor) ** 2).sum(axis=1) <= r * r].sum() for anchor, r in zip(anchors, radius, strict=True)]
    )
    # A ball around an anchor holds thirty exact points, so that what it says holds for its neighbours, too.
    _, nearest = KDTree(anchors).query(u)
    corrected = weight * (theirs / ours)[nearest]
    return np.asarray(corrected / corrected.mean())


def _tilted(u: Array, weight: Array, reference: Array, share: Array) -> Array:
    """Return the weights with first and second moments drawn towards the reference's."""
    mean, width = u.mean(axis=0), np.maximum(u.std(axis=0), 1e-12)

    def moments(points: Array) -> Array:
        z = (points - mean) / width
        return np.concatenate([z, z**2 - 1], axis=1)

    ours, theirs = moments(u), moments(reference)
    goal = share @ theirs
    away = (theirs - goal) * share[:, None]
    # The reference's own noise: what is smaller than that is no reason to tilt.
    noise = away.T @ away / TRUST**2 + 1e-9 * np.eye(len(goal))
    tilt = np.zeros(len(goal))
    tilted = weight
    for _ in range(ITERATIONS):
        exponent = np.log(weight) + ours @ tilt
        tilted = np.exp(exponent - exponent.max())
        tilted /= tilted.sum()
        now = tilted @ ours
        slope = now - goal + noise @ tilt
        curvature = (ours * tilted[:, None]).T @ ours - np.outer(now, now) + noise
        step = np.linalg.solve(curvature, slope)
        step *= min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-12))
        tilt -= step
        if np.abs(step).max() < 1e-9:
            break
    return np.asarray(tilted)
