"""The valid fraction of the prior, from the points that were drawn with a known density."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincinv

from rayscan.learn.data import Array, Origin

UNBIASED = (Origin.INITIAL, Origin.UNIFORM, Origin.PROBE)
"""Origins whose ``density`` is the one that a point was drawn with, given everything before it."""
CONFIDENCE = 0.95
FEWEST_HITS = 5
"""Valid points of the mixture from which its own scatter says how precise it is."""
FEWEST_REFITS, BLOCKS = 6, 20
"""Refits from which the scatter of their means is the error, and parts of a scan that stand for them if none is known.
"""
FEWEST_DRAWS, HEAVIEST = 10.0, 0.7
"""Effective draws below which, and tail index of their weights above which an estimate is no estimate [2]_."""
LIGHT = 5.0
"""Largest of weights, in units of their mean, up to which their tail is bounded, whatever its shape."""
FEWEST_EFFECTIVE_REFITS = 3.0
"""Refits that the estimate must rest on, as equally weighted ones."""
AGREE = 1.5
"""Errors by which the later half of a scan may say more than the earlier one."""


@dataclass(frozen=True, slots=True)
class Volume:
    """The valid fraction of the prior.

    Attributes
    ----------
    value : float
        The estimate, in [0, 1] up to its error. 0 where no point of known density was valid. Where the volume is not
        `known`, a number that it probably exceeds.
    error : float
        Its standard error; never 0, also when no point was valid; infinite where the volume is not `known`.
    evaluations : int
        Points that the estimate rests on: those of known density.
    upper : float
        The limit that the fraction is below at 95 % confidence, judging by the regions in which valid points are known;
        1 where the volume is not `known`.
    unseen : float
        The limit at 95 % confidence for a valid region in which no point was ever found: one that every uniform point
        missed. No estimate can exclude less, however small its error.
    draws : float
        Equally weighted valid draws that would say as much.
    tail : float
        Index of the weights' tail; NaN where there are too few to tell.
    """

    value: float
    error: float
    evaluations: int
    upper: float
    unseen: float
    draws: float = 0.0
    tail: float = math.nan

    @property
    def known(self) -> bool:
        """Whether the estimate is one: few draws, or some that count for most, leave the volume open."""
        return math.isfinite(self.error)

    @property
    def relative(self) -> float:
        """The error relative to the value; infinite where nothing was found."""
        return self.error / self.value if self.value > 0 else math.inf

    def __str__(self) -> str:
        unseen = f"a region never found holds less than {self.unseen:.2g} (95 %)"
        if self.evaluations == 0:
            return "unknown: no point was drawn with a known density"
        if not self.known:
            why = f"{self.draws:.1f} effective draws" if self.draws < FEWEST_DRAWS else "refits disagree"
            why = f"tail index {self.tail:.2f}" if self.tail > HEAVIEST else why
            return f"unknown, at least about {self.value:.1g} of the prior ({why}; {unseen})"
        if self.value == 0:
            return f"less than {self.upper:.2g} of the prior (95 %, none valid of {self.evaluations:,} points)"
        return f"{self.value:.4g} ± {self.error:.2g} of the prior ({self.evaluations:,} points; {unseen})"


def estimate_volume(
    origin: ArrayLike, density: ArrayLike, valid: ArrayLike, generation: ArrayLike | None = None
) -> Volume:
    """Estimate the valid fraction of the prior.

    Parameters
    ----------
    origin : array_like of int, shape (n,)
        `Origin` codes, in the order of issue.
    density : array_like, shape (n,)
        With respect to the prior; NaN where it is not known.
    valid : array_like of bool, shape (n,)
        A point that failed for technical reasons counts as not valid.
    generation : array_like of int, shape (n,), optional
        After which refit each point was proposed. Without it, the error is at least that of independent points,
        which is too large by about a factor of two.

    Returns
    -------
    Volume

    Notes
    -----
    For a point drawn with density q given all that came before, the expectation of ``valid / q`` is the volume V,
    whatever q was learnt from. Points of known density are of two kinds:

    * *plain*, with q = 1: the Sobol start and the uniform points before there were probes. Each point of a scrambled
      Sobol sequence is uniform by itself, so their mean is unbiased; together they scatter less than independent
      points, so that a binomial error is on the safe side.
    * *mixed*: batches of uniform points and of probes, which are draws of the tempered population
      (`rayscan.learn.population`), q being the density of the mixture. The normalising constant of the population's
      density is an estimate without bias as well, anew after each refit. The density gets better as the scan goes on.
      Weights that follow the observed scatter would prefer batches that missed; the k-th point gets the weight √k
      instead, which is fixed beforehand and at most 9/8 of the variance of the best such rule for any rate of learning
      [1]_.

    The two means are averaged by inverse variance. The plain one's is V (1 - V) / n with the mixed mean for V. Mixed
    points of one refit share a normalising constant, and of each batch a fixed share are probes, so that they neither
    scatter independently nor as much as independent points would: the mixed one's error is how the means of refits
    scatter. Both are as if there had been one more valid point. Weights must not depend
    on the points they apply to, or rare large values would be weighted down: those of one half of the mixed points are
    taken from the other half.

    The mean of the estimate is V. As for a Poisson count, an estimate that is too small comes with an error that is too
    small, so that the mean of (estimate - V) / error is half the skewness of the estimate below 0: about -0.1 where the
    error is a tenth of V.

    Where few draws count for most of the estimate, its scatter does not know its error. So with fewer than
    `FEWEST_DRAWS` effective draws, or `FEWEST_EFFECTIVE_REFITS` refits, or where the tail index of the weights [2]_
    exceeds `HEAVIEST`, the volume is said to be unknown, and the value is what all but the largest weights make of it,
    less twice its scatter. The same holds where the later of two halves of the scan says more than the earlier by
    `AGREE` times their errors: what was learned between them is a region of which the earlier probes hardly saw
    anything.

    The error describes what was sampled. Regions in which nothing was ever found are only within reach of uniform
    points; `Volume.unseen` is the limit for these.

    References
    ----------
    .. [1] A. B. Owen and Y. Zhou, "The square root rule for adaptive importance sampling", ACM Trans. Model. Comput.
       Simul. 30 (2020) 13, arXiv:1901.02976.
    .. [2] A. Vehtari, D. Simpson, A. Gelman, Y. Yao, J. Gabry, "Pareto smoothed importance sampling", J. Mach. Learn.
       Res. 25 (2024) 72, arXiv:1507.02646.
    """
    codes, q, good = np.asarray(origin), np.asarray(density, np.float64), np.asarray(valid, bool)
    known = unbiased(codes, q)
    evaluations = int(known.sum())
    if not evaluations:
        return Volume(0.0, math.inf, 0, 1.0, 1.0)
    unseen = _no_hit_limit(int((known & (codes != Origin.PROBE)).sum()))
    if not good[known].any():
        return Volume(0.0, _binomial_error(0.0, evaluations), evaluations, unseen, unseen)
    plain, mixed = known & (q == 1.0), known & (q != 1.0)
    refit = None if generation is None else np.asarray(generation)
    weight = importance(codes, q, good, refit)
    value = float(weight[good].sum())
    n_plain = int(plain.sum())
    plain_error = float(weight[plain].sum()) * (_binomial_error(value, n_plain) if n_plain else 0.0)
    values = good[mixed] / q[mixed]
    error = math.hypot(plain_error, math.sqrt(_variance(values, weight[mixed] * q[mixed], _of(refit, mixed))))
    draws = float(weight[good].sum() ** 2 / (weight[good] ** 2).sum())
    tail = tail_index(weight[good & mixed])
    refits = _effective(weight[good & mixed], _of(refit, good & mixed))
    few = draws < FEWEST_DRAWS or refits < FEWEST_EFFECTIVE_REFITS
    if mixed.any() and (few or tail > HEAVIEST or _rising(values)):
        least = np.sort(weight[good])[: -math.ceil(min(0.2 * good.sum(), 3 * math.sqrt(good.sum())))]
        bound = max(float(least.sum() - 2 * math.sqrt((least**2).sum())), 0.0)
        return Volume(bound, math.inf, evaluations, 1.0, unseen, draws, tail)
    count = (value / error) ** 2
    # The limit of a Poisson count with the same relative error.
    upper = min(1.0, float(gammaincinv(count + 1, CONFIDENCE)) * value / count)
    return Volume(value, error, evaluations, upper, unseen, draws, tail)


def tail_index(weight: Array) -> float:
    """Return the index k of the generalised Pareto distribution that the largest of positive weights ``(n,)`` follow.

    Below 1/2 their variance is finite; above 0.7 their mean says little, at any sample size in reach. NaN for fewer
    than 25 weights, and minus infinity where none is `LIGHT` times as large as their mean.

    References
    ----------
    J. Zhang, M. A. Stephens, "A new and efficient estimation method for the generalized Pareto distribution",
    Technometrics 51 (2009) 316; the share of the weights, and the prior on k, from A. Vehtari et al., arXiv:1507.02646.
    """
    n = len(weight)
    if n < 25:
        return math.nan
    count = min(n // 5, int(3 * math.sqrt(n)))
    ordered = np.sort(weight)
    excess = ordered[-count:] - ordered[-count - 1]
    if ordered[-1] <= LIGHT * ordered.mean() or excess[-1] <= 1e-9 * ordered[-1]:
        return -math.inf
    excess = np.maximum(excess, 1e-12 * excess[-1])
    grid = np.arange(1, 30 + int(math.sqrt(count)) + 1) - 0.5
    theta = 1 / excess[-1] + (1 - np.sqrt(len(grid) / grid)) / (3 * excess[count // 4])
    shape = np.log1p(-theta[:, None] * excess).mean(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        likelihood = count * (np.log(-theta / shape) - shape - 1)
    likelihood = np.where(np.isfinite(likelihood), likelihood, -np.inf)
    share = np.exp(likelihood - likelihood.max())
    best = float(share @ theta / share.sum())
    k = float(np.log1p(-best * excess).mean())
    return (k * count + 5.0) / (count + 10)


def importance(
    origin: NDArray[np.int8], density: Array, valid: NDArray[np.bool_], generation: NDArray[Any] | None = None
) -> Array:
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
        root *= _shares(valid[mixed] / density[mixed], root, _of(generation, mixed), n_plain) / root.sum()
        weight[mixed] = root / density[mixed]
        weight[plain] = (1.0 - float(root.sum())) / max(n_plain, 1)
    else:
        weight[plain] = 1.0 / max(n_plain, 1)
    return weight


def unbiased(origin: NDArray[np.int8], density: Array) -> NDArray[np.bool_]:
    """Return which points ``(n,)`` were drawn with the density that they carry."""
    return np.isin(origin, UNBIASED) & np.isfinite(density) & (density > 0)


def _shares(values: Array, weight: Array, refit: NDArray[Any] | None, n_plain: int) -> Array:
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
        shares[here] = plain_variance / (plain_variance + _variance(values[other], part, _of(refit, other)) / 2)
    return shares


def _of(refit: NDArray[Any] | None, rows: NDArray[Any]) -> NDArray[Any] | None:
    return None if refit is None else refit[rows]


def _variance(values: Array, weight: Array, refit: NDArray[Any] | None) -> float:
    """Return the variance of ``weight @ values``, by the scatter of what the values of each refit say."""
    if not len(values) or not weight.any():
        return 0.0
    successive = np.arange(len(values)) * BLOCKS // len(values)
    part = np.unique(successive if refit is None else refit, return_inverse=True)[1]
    total, share = np.bincount(part, weight * values), np.bincount(part, weight)
    mean = total.sum() / share.sum()
    scatter = _scatter(total - share * mean, share)
    if refit is None or len(total) < FEWEST_REFITS:
        scatter = max(scatter, _scatter(weight * (values - mean), weight))
    # As for a binomial share, the error is that with one more success, here of the largest value seen. The scatter of
    # few and uneven values is small exactly when large ones are missing, and the sum is then too small as well.
    return scatter + float(np.max(weight * values)) ** 2


def _effective(weight: Array, refit: NDArray[Any] | None) -> float:
    """Return the number of equally weighted refits that would say as much as the weights of valid points do.

    Infinite where there are too few refits to tell.
    """
    if refit is None or not len(weight):
        return math.inf
    total = np.bincount(np.unique(refit, return_inverse=True)[1], weight)
    if len(total) < FEWEST_REFITS:
        return math.inf
    return float(total.sum() ** 2 / (total**2).sum())


def _rising(values: Array) -> bool:
    """Return whether the later half of the values says clearly more than the earlier one."""
    early, late = np.array_split(values, 2)
    if not len(early):
        return False
    errors = [
        math.hypot(half.std(), half.max() / math.sqrt(len(half))) / math.sqrt(len(half)) for half in (early, late)
    ]
    return bool(late.mean() - early.mean() > AGREE * math.hypot(*errors))


def _scatter(off: Array, share: NDArray[Any]) -> float:
    """Return the variance of a sum of independent parts that are so far off their means, with `share` of the weight."""
    return float((off**2).sum()) / max(1.0 - float(np.sum((share / share.sum()) ** 2)), 0.5)


def _binomial_error(share: float, n: int) -> float:
    """Return the error of a share as that of one more success and one more failure: none and all have one, too."""
    p = min((share * n + 1) / (n + 2), 1.0)
    return math.sqrt(p * (1 - p) / n)


def _no_hit_limit(n: int) -> float:
    return 1.0 - (1.0 - CONFIDENCE) ** (1.0 / n) if n else 1.0
