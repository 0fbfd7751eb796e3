"""What a surrogate sees of a point: the coordinates, and each stretched where observables change fastest."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rayscan.learn.data import Array

CLOSE = 0.02
"""Distance from a face, in units of the range, below which nothing is stretched any further."""
SMALL = 0.01
"""Distance from zero, in units of the range, below which nothing is stretched any further."""


class Features:
    """Maps points to their coordinates, each in [-1, 1], as it is and stretched.

    Many observables change fastest near one end of a parameter's range, where it varies by factors rather than by
    differences (a mass from 100 to 3000 GeV, a tan β from 1 to 50): each is seen once more as
    ``ln[(u + c) / (1 - u + c)]`` with ``c`` = `CLOSE`. A parameter of either sign varies by factors near its zero as
    well (a gaugino mass from -3 to 3 TeV), and is seen a third time, as ``asinh[(u - u₀) / c]`` with ``c`` = `SMALL`.

    Parameters
    ----------
    d : int
    zeros : ndarray, shape (d,), optional
        Where in the unit cube each parameter is zero, NaN for those that are not. None is, by default.

    Attributes
    ----------
    zeros : ndarray, shape (d,)
    axes : ndarray of int, shape (k,)
        The parameter that each feature shows: first all as they are, then all stretched, then those of either sign.
    """

    def __init__(self, d: int, zeros: Array | None = None) -> None:
        self.d = d
        self.zeros: Array = np.full(d, np.nan) if zeros is None else np.asarray(zeros, dtype=np.float64)
        signed = np.flatnonzero((self.zeros > CLOSE) & (self.zeros < 1 - CLOSE))
        self.axes: NDArray[np.int64] = np.concatenate([np.arange(d), np.arange(d), signed])
        self._zeros = torch.from_numpy(self.zeros[signed])
        self._reach = torch.asinh(torch.maximum(self._zeros, 1 - self._zeros) / SMALL)

    @property
    def k(self) -> int:
        """How many there are."""
        return len(self.axes)

    def __call__(self, u: Tensor, inputs: Tensor | None = None) -> Tensor:
        """Return the features of points.

        Parameters
        ----------
        u : Tensor, shape (n, d)
        inputs : Tensor of int, shape (i,), optional
            Which to return, in this order; all by default.

        Returns
        -------
        Tensor, shape (n, k) or (n, i)
        """
        if inputs is None:
            own = u[:, torch.from_numpy(self.axes[2 * self.d :]).to(u.device)]
            return torch.cat([2 * u - 1, _faces(u), self._around(own, slice(None))], dim=1)
        at = u[:, torch.from_numpy(self.axes).to(u.device)[inputs]]
        seen = torch.where(inputs < self.d, 2 * at - 1, _faces(at))
        signed = inputs >= 2 * self.d
        if not signed.any():
            return seen
        return torch.where(signed, self._around(at, (inputs - 2 * self.d).clamp(min=0)), seen)

    def _around(self, u: Tensor, which: Tensor | slice) -> Tensor:
        """Return the coordinates stretched around the zeros of `which` parameters of either sign."""
        return torch.asinh((u - self._zeros.to(u)[which]) / SMALL) / self._reach.to(u)[which]


def _faces(u: Tensor) -> Tensor:
    """Return the coordinates stretched towards both ends."""
    return torch.log((u + CLOSE) / (1 - u + CLOSE)) / math.log(1 / CLOSE + 1)
