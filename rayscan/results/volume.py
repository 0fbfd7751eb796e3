"""The valid fraction of the prior, from the points that were drawn with a known density."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincinv

from rayscan.learn.data import Array, Origin

UNBIASED = (Origin.INITIAL, Origin.UNIFORM, Origin.AUDIT)
"""Origins whose ``density`` is the one that a point was drawn with, given everything before it."""
CONFIDENCE = 0.95
FEWEST_HITS = 5
"""Valid points of the mixture from which its own scatter says how precise it is."""


@dataclass(frozen=True, slots=True)
class Volume:
    """The valid fraction of the prior.

    Attributes
    ----------
    value : float
        The estimate, in [0, 1] up to its error. 0 where no point of known density was valid.
    error : float
        Its standard error; never 0, also when no point was valid; infinite without evaluations.
    evaluations : int
        Points that the estimate rests on: those of known density.
    upper : float
        The limit that the fraction is below at 95 % confidence, judging by the regions in which valid points are known.
    unseen : float
        The limit at 95 % confidence for a valid region in which no point was ever found: one that every uniform point
        missed. No estimate can exclude less, however small its error.
    """

    value: float
    error: float
    evaluations: int
    upper: float
    unseen: float

    @property
    def relative(self) -> float:
        """The error relative to the value; infinite where nothing was found."""
        return self.error / self.value if self.value > 0 else math.inf

    def __str__(self) -> str:
        unseen = f"a region never found holds less than {self.unseen:.2g} (95 %)"
        if self.evaluations == 0:
            return "unknown: no point was drawn with a known density"
        if self.value == 0:
            return f"less than {self.upper:.2g} of the prior (95 %, none valid of {self.evaluations:,} points)"
        return f"{self.value:.4g} ± {self.error:.2g} of the prior ({self.evaluations:,} points; {unseen})"


def estimate_volume(origin: ArrayLike, density: ArrayLike, valid: ArrayLike) -> Volume:
    """Estimate the valid fraction of the prior.

    Parameters
    ----------
    origin : array_like of int, shape (n,)
        `Origin` codes, in the order of issue.
    density : array_like, shape (n,)
        With respect to the prior; NaN where it is not known.
    valid : array_like of bool, shape (n,)
        A point that failed for technical reasons counts as not valid.

    Returns
    -------
    Volume

    Notes
    -----
    For a point drawn with density q given all that came before, the expectation of ``valid / q`` is the volume V,
    whatever q was learnt from. Points of known density are of two kinds:

    * *plain*, with q = 1: the Sobol start and the uniform points before there was an audit. Each point of a scrambled
      Sobol sequence is uniform by itself, so their mean is unbiased; together they scatter less than independent
      points, so that a binomial error is on the safe side.
    * *mixed*: batches of uniform and audit points, q being the density of the mixture
      (`rayscan.learn.coverage.audit.Audit`). The density gets better as the scan goes on. Weights that follow the
      observed scatter would prefer batches that missed; the k-th point gets the weight √k instead, which is fixed
      beforehand and at most 9/8 of the variance of the best such rule for any rate of learning [1]_.

    The two means are averaged by inverse variance. The plain one's is V (1 - V) / n with the mixed mean for V; the
    mixed one's comes from the scatter of the mixed points; both are as if there had been one more valid point. Weights
    must not depend on the points they apply to, or rare large values would be weighted down: those of one half of the
    mixed points are taken from the other half.

    The mean of the estimate is V. As for a Poisson count, an estimate that is too small comes with an error that is too
    small, so that the mean of (estimate - V) / error is half the skewness of the estimate below 0: about -0.1 where the
    error is a tenth of V.

    The error describes what was sampled. Regions in which nothing was ever found are only within reach of uniform
    points; `Volume.unseen` is the limit for these.

    References
    ----------
    .. [1] A. B. Owen and Y. Zhou, "The square root rule for adaptive importance sampling", ACM Trans. Model. Comput.
       Simul. 30 (2020) 13, arXiv:1901.02976.
    """
    codes, q, good = np.asarray(origin), np.asarray(density, np.float64), np.asarray(valid, bool)
    known = unbiased(codes, q)
    evaluations = int(known.sum())
    if not evaluations:
        return Volume(0.0, math.inf, 0, 1.0, 1.0)
    unseen = _no_hit_limit(int((known & (codes != Origin.AUDIT)).sum()))
    if not good[known].any():
        return Volume(0.0, _binomial_error(0.0, evaluations), evaluations, unseen, unseen)
    plain, mixed = known & (q == 1.0), known & (q != 1.0)
    weight = importance(codes, q, good)
    value = float(weight[good].sum())
    n_plain = int(plain.sum())
    plain_error = float(weight[plain].sum()) * (_binomial_error(value, n_plain) if n_plain else 0.0)
    values = good[mixed] / q[mixed]
    error = math.hypot(plain_error, math.sqrt(_variance(values, weight[mixed] * q[mixed])))
    count = (value / error) ** 2
    # The limit of a Poisson count with the same relative error.
    upper = min(1.0, float(gammaincinv(count + 1, CONFIDENCE)) * value / count)
    return Volume(value, error, evaluations, upper, unseen)


def importance(origin: NDArray[np.int8], density: Array, valid: NDArray[np.bool_]) -> Array:
    """Return what each point ``(n,)`` adds to the volume if it is valid: 0 for points of unknown density.

    Parameters and method as `estimate_volume`; the volume is the sum over the valid points. Among these, the values are
    weights that make them a sample of the prior within the target.
    """
    known = unbiased(origin, density)
    plain, mixed = known & (density == 1.0), known & (density != 1.0)
    n_plain, n_mixed = int(plain.sum()), int(mixed.sum())
    weight = np.zeros(len(density))
    if n_mixed:
        root = np.sqrt(np.arange(1.0, n_mixed + 1))
        root *= _shares(valid[mixed] / density[mixed], root, n_plain) / root.sum()
        weight[mixed] = root / density[mixed]
        weight[plain] = (1.0 - float(root.sum())) / max(n_plain, 1)
    else:
        weight[plain] = 1.0 / max(n_plain, 1)
    return weight


def unbiased(origin: NDArray[np.int8], density: Array) -> NDArray[np.bool_]:
    """Return which points ``(n,)`` were drawn with the density that they carry."""
    return np.isin(origin, UNBIASED) & np.isfinite(density) & (density > 0)


def _shares(values: Array, weight: Array, n_plain: int) -> Array:
    """Return for each of the mixed `values` the share that the mixed mean gets in the estimate, judged by the others.

    A share that follows from the very points it applies to is small when they hold a rare large value, and large when
    they miss it. So points in even places get what those in odd places say, and the other way round.
    """
    if not n_plain:
        return np.ones(len(values))
    shares = np.full(len(values), len(values) / (n_plain + len(values)))
    halves = [np.arange(start, len(values), 2) for start in (0, 1)]
    if min(int((values[half] > 0).sum()) for half in halves) < FEWEST_HITS:
        # Too few to know how precise the mixture is: every point counts the same.
        return shares
    for here, other in (halves, halves[::-1]):
        part = weight[other] / weight[other].sum()
        plain_variance = _binomial_error(float(part @ values[other]), n_plain) ** 2
        # Both halves together are twice as precise.
        shares[here] = plain_variance / (plain_variance + _variance(values[other], part) / 2)
    return shares


def _variance(values: Array, weight: Array) -> float:
    """Return the variance of ``weight @ values`` of independent values."""
    if not len(values) or not weight.any():
        return 0.0
    share = weight / weight.sum()
    scatter = float(np.sum(weight**2 * (values - share @ values) ** 2)) / max(1.0 - float(np.sum(share**2)), 0.5)
    # As for a binomial share, the error is that with one more success, here of the largest value seen. The scatter of
    # few and uneven values is small exactly when large ones are missing, and the sum is then too small as well.
    return scatter + float(np.max(weight * values)) ** 2


def _binomial_error(share: float, n: int) -> float:
    """Return the error of a share as that of one more success and one more failure: none and all have one, too."""
    p = min((share * n + 1) / (n + 2), 1.0)
    return math.sqrt(p * (1 - p) / n)


def _no_hit_limit(n: int) -> float:
    return 1.0 - (1.0 - CONFIDENCE) ** (1.0 / n) if n else 1.0
