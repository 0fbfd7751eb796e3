"""The cube with its faces pulled apart: what a surrogate sees of a point."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CLOSE = 0.02
"""Distance from a face, in units of the range, below which nothing is stretched any further."""


def edges(u: Tensor, inputs: Tensor | None = None) -> Tensor:
    """Return each coordinate twice ``(n, 2d)``, in [-1, 1]: as it is, and stretched towards both ends of its range.

    Many observables change fastest near one end of a parameter's range, where it varies by factors rather than by
    differences (a mass from 100 to 3000 GeV, a tan β from 1 to 50). The stretched coordinate is
    ``ln[(u + c) / (1 - u + c)]`` with ``c`` = `CLOSE`.

    Parameters
    ----------
    u : Tensor, shape (n, d)
    inputs : Tensor of int, shape (k,), optional
        Which of the ``2d`` to return, in this order; all by default.
    """
    d = u.shape[1]
    if inputs is None:
        return torch.cat([2 * u - 1, _stretched(u)], dim=1)
    at = u[:, inputs % d]
    return torch.where(inputs < d, 2 * at - 1, _stretched(at))


def _stretched(u: Tensor) -> Tensor:
    return torch.log((u + CLOSE) / (1 - u + CLOSE)) / math.log(1 / CLOSE + 1)
