"""What a benchmark problem is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rayscan.problem.target import Target

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Draw = Callable[[int, np.random.Generator], Array]


@dataclass(frozen=True)
class Problem:
    """One problem in the unit cube.

    Attributes
    ----------
    name : str
    d : int
    observables : tuple of str
    target : Target
    fraction : float
        Of the prior volume that is valid.
    islands : int
        Number of disconnected valid regions.
    evaluate : callable
        ``(n, d)`` unit-cube points to ``(n, m)`` observables, NaN where the point is unphysical.
    island : callable
        ``(n, d)`` valid points to ``(n,)`` labels.
    draw : callable
        ``(n, rng)`` to ``(n, d)`` independent uniform valid points.
    stock : int or None
        How many different points `draw` has, where they cannot be made at will.
    """

    name: str
    d: int
    observables: tuple[str, ...]
    target: Target
    fraction: float
    islands: int
    evaluate: Callable[[Array], Array]
    island: Callable[[Array], Integers]
    draw: Draw
    stock: int | None = None

    def valid(self, u: Array) -> NDArray[np.bool_]:
        """Return which points ``(n, d)`` are in target."""
        values = self.evaluate(u)
        return self.target.judge({name: values[:, j] for j, name in enumerate(self.observables)}).valid


def rejection(
    d: int, evaluate: Callable[[Array], Array], target: Target, observables: tuple[str, ...], chunk: int = 200_000
) -> Draw:
    """Return a sampler that draws from the prior until enough points are in target."""

    def draw(n: int, rng: np.random.Generator) -> Array:
        found: list[Array] = []
        while sum(map(len, found)) < n:
            u = rng.random((chunk, d))
            values = evaluate(u)
            found.append(u[target.judge({name: values[:, j] for j, name in enumerate(observables)}).valid])
        return np.concatenate(found)[:n]

    return draw


def one_island(u: Array) -> Integers:
    """Label every point ``(n, d)`` alike."""
    return np.zeros(len(u), dtype=np.int64)
