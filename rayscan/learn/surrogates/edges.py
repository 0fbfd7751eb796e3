"""The cube with its faces pulled apart: what a surrogate sees of a point."""

from __future__ import annotations

import math

import numpy as np

from rayscan.learn.data import Array

CLOSE = 0.02
"""Distance from a face, in units of the range, below which nothing is stretched any further."""


def edges(u: Array) -> Array:
    """Return each coordinate twice ``(n, 2d)``, in [-1, 1]: as it is, and stretched towards both ends of its range.

    Many observables change fastest near one end of a parameter's range, where it varies by factors rather than by
    differences (a mass from 100 to 3000 GeV, a tan β from 1 to 50). The stretched coordinate is
    ``ln[(u + c) / (1 - u + c)]`` with ``c`` = `CLOSE`.

    Parameters
    ----------
    u : ndarray, shape (n, d)
    """
    stretched = np.log((u + CLOSE) / (1 - u + CLOSE)) / math.log(1 / CLOSE + 1)
    return np.concatenate([2 * u - 1, stretched], axis=1)
