"""The part of the unit cube that points may come from: the prior, as long as a condition on it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

CHUNK = 100_000
"""Draws at a time, at most."""


@dataclass(frozen=True, eq=False)
class Domain:
    """All of the unit cube, or what a condition leaves of it.

    Attributes
    ----------
    d : int
        Axes of the cube.
    holds : callable, optional
        The condition: which places ``(n, d)`` of the cube satisfy it ``(n,)``. None for all.
    axes : tuple of int
        What the condition depends on.
    share : float
        Of the cube, where it holds: an estimate.
    zeros : ndarray, shape (d,), optional
        Where in the cube each parameter is zero, NaN for those that are not; None if none is.

    Examples
    --------
    >>> half = Domain(2, lambda u: u[:, 0] < u[:, 1], axes=(0, 1), share=0.5)
    >>> half.inside(np.array([[0.2, 0.4], [0.4, 0.2], [-0.2, 0.4]])).tolist()
    [True, False, False]
    """

    d: int
    holds: Callable[[Array], Mask] | None = None
    axes: tuple[int, ...] = ()
    share: float = 1.0
    zeros: Array | None = None

    @staticmethod
    def of(given: Domain | int) -> Domain:
        """Return a domain as it is, and for a dimension all of its cube."""
        return given if isinstance(given, Domain) else Domain(given)

    @property
    def whole(self) -> bool:
        """Whether it is all of the cube."""
        return self.holds is None

    def inside(self, places: Array) -> Mask:
        """Return which of the places ``(n, d)`` lie in it ``(n,)``."""
        inside = np.asarray(((places >= 0) & (places <= 1)).all(axis=1))
        if self.holds is not None and inside.any():
            inside[inside] = self.holds(places[inside])
        return inside

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Draw `n` independent places ``(n, d)``, uniform within it.

        What the condition does not depend on is drawn for the places that satisfy it alone, so that a condition on few
        of many parameters that few places satisfy costs little.
        """
        if self.holds is None:
            return rng.random((n, self.d))
        found: list[Array] = []
        missing = n
        while missing > 0:
            tries = min(int(1.2 * missing / self.share) + 16, CHUNK)
            trial = np.full((tries, self.d), 0.5)
            trial[:, self.axes] = rng.random((tries, len(self.axes)))
            found.append(trial[self.holds(trial)])
            missing -= len(found[-1])
        u = np.concatenate(found)[:n] if found else np.empty((0, self.d))
        others = np.setdiff1d(np.arange(self.d), self.axes)
        u[:, others] = rng.random((len(u), len(others)))
        return u
