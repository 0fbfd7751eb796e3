"""The first points: given ones, or a Sobol sequence."""

from __future__ import annotations

import numpy as np
from scipy.stats import qmc

from rayscan.errors import ConfigError
from rayscan.learn.data import Array, Origin, Proposals
from rayscan.learn.options import LearnOptions


class InitialDesign:
    """The points with which a scan starts, handed out in order.

    Parameters
    ----------
    d : int
    options : LearnOptions
        For `initial` and `K`.
    seed : int

    Attributes
    ----------
    u : ndarray, shape (n, d)
    issued : int
        How many have been handed out.

    Raises
    ------
    ConfigError
        If given points have another dimension.
    """

    def __init__(self, d: int, options: LearnOptions, seed: int) -> None:
        self.issued = 0
        self.given = isinstance(options.initial, np.ndarray)
        self.u: Array
        if self.given:
            self.u = np.asarray(options.initial, dtype=np.float64)
        else:
            count = options.initial_count
            sobol = qmc.Sobol(d, scramble=True, rng=np.random.default_rng([seed, 0]))
            # Whole powers of two keep the sequence balanced; a prefix of one still covers the cube.
            self.u = np.asarray(sobol.random_base2(max(count - 1, 0).bit_length()))[:count]
        if self.u.shape[1] != d:
            msg = f"initial: expected unit-cube points of shape (n, {d}), got {self.u.shape}"
            raise ConfigError(msg)

    def take(self, n: int) -> Proposals:
        """Return the next points, at most `n`, possibly none."""
        u = self.u[self.issued : self.issued + n].copy()
        self.issued += len(u)
        origin = np.full(len(u), Origin.GIVEN if self.given else Origin.INITIAL, dtype=np.int8)
        density = np.full(len(u), np.nan if self.given else 1.0)
        return Proposals(u, origin, density, np.full(len(u), np.nan), 0)
