"""The first points: known ones, and then given ones or a Sobol sequence."""

from __future__ import annotations

import numpy as np
from scipy.stats import qmc

from rayscan.errors import ConfigError
from rayscan.learn.data import Array, Origin, Proposals
from rayscan.learn.options import LearnOptions
from rayscan.problem.domain import Domain

AT_ONCE = 2**14
"""Points of a sequence at a time, where only those that satisfy a condition are wanted."""


class InitialDesign:
    """The points with which a scan starts, handed out in order.

    Parameters
    ----------
    domain : Domain or int
        Where points may be; a number of dimensions stands for all of the unit cube.
    options : LearnOptions
        For `seeds`, `initial` and `K`.
    seed : int

    Attributes
    ----------
    u : ndarray, shape (n, d)
    origin : ndarray of int8, shape (n,)
        `Origin.GIVEN`, or `Origin.INITIAL` for those of the sequence.
    issued : int
        How many have been handed out.

    Raises
    ------
    ConfigError
        If given points have another dimension.
    """

    def __init__(self, domain: Domain | int, options: LearnOptions, seed: int) -> None:
        domain = Domain.of(domain)
        d, self.issued = domain.d, 0
        seeds = _of_dimension("seeds", options.seeds if options.seeds is not None else np.empty((0, d)), d)
        first: Array
        if isinstance(options.initial, np.ndarray):
            first, origin = _of_dimension("initial", options.initial, d), Origin.GIVEN
        else:
            first, origin = _sobol(options.initial_count - len(seeds), domain, seed), Origin.INITIAL
        self.u: Array = np.concatenate([seeds, first])
        self.origin = np.repeat(np.array([Origin.GIVEN, origin], dtype=np.int8), [len(seeds), len(first)])

    def take(self, n: int) -> Proposals:
        """Return the next points, at most `n`, possibly none."""
        these = slice(self.issued, self.issued + n)
        u, origin = self.u[these].copy(), self.origin[these].copy()
        self.issued += len(u)
        density = np.where(origin == Origin.GIVEN, np.nan, 1.0)
        return Proposals(u, origin, density, np.full(len(u), np.nan), 0)


def _sobol(count: int, domain: Domain, seed: int) -> Array:
    """Return the first points of a sequence that lie in a domain."""
    sobol = qmc.Sobol(domain.d, scramble=True, rng=np.random.default_rng([seed, 0]))
    # Whole powers of two keep the sequence balanced; a prefix of one still covers the cube.
    size = 2 ** max(count - 1, 0).bit_length()
    found = np.asarray(sobol.random(size))
    found = found[domain.inside(found)]
    while len(found) < count:
        more = np.asarray(sobol.random(AT_ONCE))
        found = np.concatenate([found, more[domain.inside(more)]])
    return found[: max(count, 0)]


def _of_dimension(name: str, points: Array, d: int) -> Array:
    if points.shape[1] != d:
        msg = f"{name}: expected unit-cube points of shape (n, {d}), got {points.shape}"
        raise ConfigError(msg)
    return np.asarray(points, dtype=np.float64)
