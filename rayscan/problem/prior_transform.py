"""A joint prior distribution of the user's own, as a function of the unit cube."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError
from rayscan.problem.identity import fingerprint_function
from rayscan.problem.joint import Joint

Array = NDArray[np.float64]

TRIED = 64
"""Places at which the functions are tried."""


@dataclass(frozen=True, init=False, repr=False)
class PriorTransform(Joint):
    """A distribution of the user's own: ``PriorTransform("a", "b", transform=f)``.

    Parameters
    ----------
    *names : str
    transform : callable
        Maps places ``(n, m)`` of the unit cube, with one axis for each parameter, to their values ``(n, m)``. What it
        makes of a uniform distribution is the prior, as in nested sampling.
    inverse : callable, optional
        The way back, ``(n, m)`` to ``(n, m)``. Points that are known before (`initial`, `seeds`) need it; NaN stands
        for what has no place.

    Raises
    ------
    ConfigError
        If a function fails at some places, gives another shape or anything but finite numbers, or `inverse` does not
        lead back.

    Examples
    --------
    >>> def log_ratio(u):
    ...     m1 = 10 ** (1 + 2 * u[:, 0])
    ...     return np.column_stack([m1, m1 * (1 + u[:, 1])])
    >>> PriorTransform("m1", "m2", transform=log_ratio).to_physical(np.array([[0.5, 0.5]]))
    array([[100., 150.]])
    """

    transform: Callable[[Array], Any]
    inverse: Callable[[Array], Any] | None

    def __init__(
        self, *names: str, transform: Callable[[Array], Any], inverse: Callable[[Array], Any] | None = None
    ) -> None:
        self._name(names, 1)
        for what, function in (("transform", transform), ("inverse", inverse)):
            if not callable(function) and not (what == "inverse" and function is None):
                msg = f"PriorTransform: expected {what} = a function of an array, got {function!r}"
                raise ConfigError(msg)
        object.__setattr__(self, "transform", transform)
        object.__setattr__(self, "inverse", inverse)
        u = np.random.default_rng(0).random((TRIED, len(names)))
        x = self.to_physical(u)
        if inverse is not None and not np.allclose(again := self.to_physical(self._ask("inverse", x)), x, rtol=1e-6):
            row = int(np.abs(again - x).sum(axis=1).argmax())
            msg = f"PriorTransform: inverse does not lead back: {x[row]} becomes {again[row]} by inverse and transform"
            raise ConfigError(msg)

    def to_physical(self, u: Array) -> Array:
        x = self._ask("transform", u)
        if not np.isfinite(x).all():
            row = int(np.flatnonzero(~np.isfinite(x).all(axis=1))[0])
            msg = f"PriorTransform: transform gives {x[row]} at {u[row]}; expected finite numbers"
            raise ConfigError(msg)
        return x

    def to_unit(self, x: Array) -> Array:
        return self._ask("inverse", x) if self.invertible else np.full(x.shape, np.nan)

    @property
    def invertible(self) -> bool:
        return self.inverse is not None

    def bounds_of(self, name: str) -> tuple[float, float]:  # noqa: ARG002 - not known of any
        return -math.inf, math.inf

    def to_dict(self) -> dict[str, Any]:
        functions = {"transform": self.transform, "inverse": self.inverse}
        told = {key: fingerprint_function(one) for key, one in functions.items() if one is not None}
        return {"prior": "transform", "names": list(self.names), **told}

    def _ask(self, what: str, values: Array) -> Array:
        function = getattr(self, what)
        try:
            answer = np.asarray(function(values.copy()), dtype=np.float64)
        except Exception as error:
            msg = f"PriorTransform: {what} raised {type(error).__name__} for an array {values.shape}: {error}"
            raise ConfigError(msg) from error
        if answer.shape != values.shape:
            msg = (
                f"PriorTransform: {what} turned an array {values.shape} into {answer.shape}; expected {values.shape}, "
                f"a row for each point and a column for each of {', '.join(self.names)}"
            )
            raise ConfigError(msg)
        return answer
