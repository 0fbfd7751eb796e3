"""Proposals of known density at and around the known valid points: what an unbiased volume is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.special import log_ndtr, logsumexp, ndtr, ndtri_exp

from rayscan.errors import ConfigError
from rayscan.learn.data import Array, Origin

FLOOR = 0.1
"""Share of uniform draws within the audit itself: keeps every density above it, so no weight is ever huge."""
FEWEST, MOST = 20, 2000
"""Valid points from which, and at most how many of them, a model is fitted."""
GROWTH = 1.4
"""A new fit pays when there are this many times more valid points than at the last."""
PROBES = 120
WORK = 1800
"""Components times dimension: bounds what a density costs."""
WIDE_SHARE, WIDE = 0.25, 2.0
"""Share of components that are wider, and how much: together they have the tails of a heavier distribution."""
INTERIOR = 6.0
"""Standard deviations from the cube's faces beyond which cutting a component off there changes less than 1e-8."""
HALF_LOG_2PI = 0.5 * float(np.log(2 * np.pi))


class Audit:
    """A mixture of Gaussians around known valid points, each cut off at the cube's faces, plus a uniform part.

    Parameters
    ----------
    d : int

    Attributes
    ----------
    ready : bool
        False until a model has been fitted; draws are uniform until then.

    Notes
    -----
    A component has the mean and covariance of the ``k`` valid points nearest to one of them. Axis by axis it is drawn
    from the Gaussian conditional on the axes before, restricted to [0, 1]; the product of these conditionals is its
    density, exactly normalised on the cube whatever the covariance.

    ``k`` and a common scale are those that would have made the weights of held-back valid points smallest in the mean,
    which is the variance of a volume estimated from the audit mixed half and half with uniform points. A model that
    leaves a hole in the known region loses by this measure to one that spills over its border.

    A fit takes only points found before, so that an estimate from the points drawn next is unbiased whatever the fit.

    References
    ----------
    .. [1] A. B. Owen and Y. Zhou, "Safe and effective importance sampling", J. Am. Stat. Assoc. 95 (2000) 135: mixtures
       with a uniform part.
    .. [2] J. Geweke, "Efficient simulation from the multivariate normal and Student-t distributions subject to linear
       constraints", Computing Science and Statistics 23 (1991) 571: the conditionals.
    """

    def __init__(self, d: int) -> None:
        self.d = d
        self._fitted = 0
        self._centre: Array = np.empty((0, d))
        self._factor: Array = np.empty((0, d, d))

    @property
    def ready(self) -> bool:
        """Whether there is a model."""
        return len(self._centre) > 0

    def fit(self, u_valid: Array, rng: np.random.Generator) -> None:
        """Follow the known valid points, if there are enough and clearly more of them than at the last fit.

        Parameters
        ----------
        u_valid : ndarray, shape (n, d)
            From any proposal: the density at which they were collected need not be known.
        rng : numpy Generator
        """
        n = len(u_valid)
        if n < max(FEWEST, GROWTH * self._fitted):
            return
        self._fitted = n
        known = u_valid[rng.permutation(n)[:MOST]]
        held = min(PROBES, len(known) // 4)
        probes, rest = known[:held], known[held:]
        centres = self._spread(rest, rng)
        best = np.inf
        choice = (len(rest), 1.0)
        sizes = self._neighbourhoods(len(rest))
        near = _nearest(rest, centres, sizes[-1])
        for k in sizes:
            centre, covariance = _shapes(rest, near[:, :k])
            for scale in (0.6, 1.0):
                self._adopt(centre, covariance * scale**2)
                loss = float(np.mean(1.0 / (1.0 + self.density(probes))))
                if loss < best:
                    best, choice = loss, (k, scale)
        k, scale = choice
        near = _nearest(known, self._spread(known, rng), k * len(known) // len(rest))
        centre, covariance = _shapes(known, near)
        self._adopt(centre, covariance * scale**2)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw points ``(n, d)``."""
        u = rng.random((n, self.d))
        if not self.ready:
            return u
        rows = np.flatnonzero(rng.random(n) >= FLOOR)
        j = rng.integers(len(self._centre), size=len(rows))
        centre, factor = self._centre[j], self._factor[j]
        z = np.zeros((len(rows), self.d))
        for i in range(self.d):
            sigma = factor[:, i, i]
            mean = centre[:, i] + np.einsum("nk,nk->n", factor[:, i, :i], z[:, :i])
            z[:, i] = _draw_between(-mean / sigma, (1.0 - mean) / sigma, u[rows, i])
            x = np.clip(mean + sigma * z[:, i], 0.0, 1.0)
            # What was rounded at a face must not carry on to the next axes.
            z[:, i], u[rows, i] = (x - mean) / sigma, x
        return u

    def density(self, u: Array) -> Array:
        """Return the density ``(n,)`` at points ``(n, d)`` of the unit cube, with respect to the prior."""
        if not self.ready:
            return np.ones(len(u))
        chunk = max(1, 400_000 // (len(self._centre) * self.d))
        parts = [self._log_mixture(u[start : start + chunk]) for start in range(0, len(u), chunk)]
        mixture = np.exp(np.concatenate(parts)) if parts else np.empty(0)
        return np.asarray(FLOOR + (1.0 - FLOOR) * mixture)

    def batch(self, n_uniform: int, n_audit: int, rng: np.random.Generator) -> tuple[Array, NDArray[np.int8], Array]:
        """Draw a stratified batch: exactly so many uniform points and so many from the audit, in random order.

        Parameters
        ----------
        n_uniform, n_audit : int
            Before there is a model, all of them are uniform.
        rng : numpy Generator

        Returns
        -------
        u : ndarray, shape (n, d)
        origin : ndarray of int8, shape (n,)
            `Origin.UNIFORM` or `Origin.AUDIT`.
        density : ndarray, shape (n,)
            Of the mixture of both in the batch's shares, at every point, whichever of the two it was drawn from (the
            balance heuristic). As the order is random, each position has exactly this density, so that the mean of
            ``valid / density`` is unbiased for any part of the batch that is evaluated.

        References
        ----------
        .. [1] E. Veach and L. Guibas, "Optimally combining sampling techniques for Monte Carlo rendering", SIGGRAPH 95.
        """
        n = n_uniform + n_audit
        drawn = n_audit if self.ready else 0
        origin = np.full(n, Origin.UNIFORM, dtype=np.int8)
        origin[rng.permutation(n)[:drawn]] = Origin.AUDIT
        u = rng.random((n, self.d))
        if not drawn:
            return u, origin, np.ones(n)
        u[origin == Origin.AUDIT] = self.sample(drawn, rng)
        share = drawn / n
        return u, origin, 1.0 - share + share * self.density(u)

    def state_dict(self) -> dict[str, Any]:
        """Return the model: centres ``(M, d)`` and factors ``(M, d, d)`` of the covariances."""
        return {"fitted": self._fitted, "centre": self._centre, "factor": self._factor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises
        ------
        ConfigError
            If it belongs to another dimension.
        """
        centre = np.array(state["centre"], dtype=np.float64)
        if centre.ndim != 2 or centre.shape[1] != self.d:
            shape = f"audit: the saved centres have shape {centre.shape}; expected (M, {self.d})"
            msg = f"{shape}. Resume with the same parameters"
            raise ConfigError(msg)
        self._fitted, self._centre = int(state["fitted"]), centre
        self._factor = np.array(state["factor"], dtype=np.float64)

    def _neighbourhoods(self, n: int) -> list[int]:
        """Return the numbers of neighbours to try: from the fewest that span the space to half of all points."""
        low, high = min(2 * (self.d + 1), n), max(n // 2, 1)
        return sorted({int(k) for k in np.geomspace(min(low, high), high, 5)})

    def _spread(self, known: Array, rng: np.random.Generator) -> Array:
        """Return as many of the points as there are components, sparse places first served."""
        count = int(np.clip(WORK // self.d, 60, 500))
        if len(known) <= count:
            return known
        apart, _ = KDTree(known).query(known, k=[6])
        log_volume = self.d * np.log(np.maximum(apart[:, 0], 1e-12))
        log_volume = np.minimum(log_volume, np.quantile(log_volume, 0.9))
        # The largest of log-weight plus Gumbel noise are a weighted draw without replacement.
        keys = log_volume + rng.gumbel(size=len(known))
        return known[np.argpartition(-keys, count)[:count]]

    def _adopt(self, centre: Array, covariance: Array) -> None:
        wide = np.arange(len(centre)) < WIDE_SHARE * len(centre)
        widened = covariance * np.where(wide, WIDE**2, 1.0)[:, None, None]
        self._centre, self._factor = centre, np.asarray(np.linalg.cholesky(widened), dtype=np.float64)

    def _log_mixture(self, u: Array) -> Array:
        """Return the logarithm of the mixture's density ``(n,)``, without the uniform part."""
        count = len(self._centre)
        diagonal = np.diagonal(self._factor, axis1=1, axis2=2)
        z = np.swapaxes(np.linalg.solve(self._factor, np.swapaxes(u[None] - self._centre[:, None], 1, 2)), 1, 2)
        log_density = -0.5 * np.einsum("mni,mni->mn", z, z) - (self.d * HALF_LOG_2PI + np.log(diagonal).sum(1))[:, None]
        low = z - u[None] / diagonal[:, None]
        high = z + (1.0 - u[None]) / diagonal[:, None]
        cut = np.minimum(-low, high) < INTERIOR
        lost = np.zeros(cut.shape)
        lost[cut] = _log_mass(low[cut], high[cut])
        return np.asarray(logsumexp(log_density - lost.sum(axis=2), axis=0) - np.log(count))


def _nearest(known: Array, centres: Array, k: int) -> NDArray[np.intp]:
    """Return the `k` known points nearest to each centre ``(M, k)``, the nearest first."""
    # Not a tree: for neighbourhoods as large as half of all points sorting all distances is faster.
    squared = (known**2).sum(axis=1) - 2 * centres @ known.T
    return np.argsort(squared, axis=1)[:, :k]


def _shapes(known: Array, near: NDArray[np.intp]) -> tuple[Array, Array]:
    """Return mean ``(M, d)`` and covariance ``(M, d, d)`` of each row of known points ``(M, k)``."""
    k, d = near.shape[1], known.shape[1]
    part = known[near]
    mean = part.mean(axis=1)
    part -= mean[:, None]
    covariance = np.swapaxes(part, 1, 2) @ part / k
    # Few points span their covariance badly; a round part as large as their number is small makes up for it.
    round_part = (d + 1) / (d + 1 + k)
    variance = np.trace(covariance, axis1=1, axis2=2) / d + 1e-12
    return mean, (1 - round_part) * covariance + (round_part * variance + 1e-9 * variance)[:, None, None] * np.eye(d)


def _log_mass(low: Array, high: Array) -> Array:
    """Return the logarithm of the standard normal's probability between two bounds, precise in both tails."""
    flip = low + high > 0
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    mass = ndtr(high) - ndtr(low)
    with np.errstate(divide="ignore"):
        log_mass = np.log(mass)
    # So far out that the numbers underflow, their logarithms do not.
    far = mass < 1e-290
    top = log_ndtr(high[far])
    log_mass[far] = top + np.log1p(-np.exp(np.minimum(log_ndtr(low[far]) - top, -1e-300)))
    return np.asarray(log_mass)


def _draw_between(low: Array, high: Array, v: Array) -> Array:
    """Return the quantiles `v` of a standard normal restricted to an interval."""
    flip = low + high > 0
    below, above = np.where(flip, -high, low), np.where(flip, -low, high)
    # 1 - v of a flipped interval is as uniform as v.
    with np.errstate(divide="ignore"):
        log_p = np.logaddexp(log_ndtr(below), np.log(v) + _log_mass(below, above))
    z = np.clip(ndtri_exp(np.minimum(log_p, -1e-300)), below, above)
    return np.asarray(np.where(flip, -z, z))
