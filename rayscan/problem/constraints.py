"""What may be demanded of one observable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError

Array = NDArray[np.float64]


class Constraint(Protocol):
    """A demand on one observable."""

    def distance(self, value: Array) -> Array:
        """Return how far each of the values ``(n,)`` is from satisfying, in units of the constraint's own scale ≥ 0."""

    def chi2(self, value: Array) -> Array:
        """Return ``-2 ln L`` of each of the values ``(n,)`` (Eq. 5 of arXiv:2412.19675)."""

    @property
    def hard(self) -> bool:
        """Whether a non-zero distance alone excludes a point, whatever the likelihood."""


def _number(kind: str, what: str, value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        msg = f"{kind}: expected a number for {what}, got {value!r}"
        raise ConfigError(msg) from None
    if math.isnan(number):
        msg = f"{kind}: {what} is NaN; expected a number, inf for an open end"
        raise ConfigError(msg)
    return number


def _scale_of(limit: float) -> float:
    return abs(limit) if limit else 1.0


@dataclass(frozen=True)
class Window:
    """The observable must lie in [`lo`, `hi`]; one end may be infinite.

    Inside, the likelihood is 1; outside, it falls as a Gaussian of the distance to the nearer end with the half-width
    of the window as standard deviation (the size of the limit itself where the other end is infinite).
    """

    lo: float
    hi: float
    hard = True

    def __post_init__(self) -> None:
        lo, hi = _number("Window", "the lower end", self.lo), _number("Window", "the upper end", self.hi)
        if not lo < hi:
            msg = f"Window({lo:g}, {hi:g}): expected min < max; for a measured value use Gaussian(value, sigma)"
            raise ConfigError(msg)
        if math.isinf(lo) and math.isinf(hi):
            msg = "Window(-inf, inf) demands nothing; leave the observable out of the target or give one end"
            raise ConfigError(msg)
        object.__setattr__(self, "lo", lo)
        object.__setattr__(self, "hi", hi)

    @property
    def scale(self) -> float:
        """The unit of distance: half the width, or the size of the one finite limit."""
        if math.isfinite(self.lo) and math.isfinite(self.hi):
            return (self.hi - self.lo) / 2
        return _scale_of(self.lo if math.isfinite(self.lo) else self.hi)

    def distance(self, value: Array) -> Array:
        return np.maximum(np.maximum(self.lo - value, value - self.hi), 0.0) / self.scale

    def chi2(self, value: Array) -> Array:
        return self.distance(value) ** 2


@dataclass(frozen=True)
class Gaussian:
    """A measured value with a standard deviation, or with a lower and an upper one as ``(minus, plus)``."""

    value: float
    sigma: Any
    hard = False

    def __post_init__(self) -> None:
        if not math.isfinite(_number("Gaussian", "the value", self.value)):
            msg = f"Gaussian: expected a finite value, got {self.value!r}"
            raise ConfigError(msg)
        pair = self.sigma if isinstance(self.sigma, tuple | list) else (self.sigma, self.sigma)
        if len(pair) != 2 or not all(0 < _number("Gaussian", "sigma", s) < math.inf for s in pair):
            msg = f"Gaussian({self.value!r}, {self.sigma!r}): expected sigma > 0, or (minus, plus) both > 0"
            raise ConfigError(msg)
        object.__setattr__(self, "value", float(self.value))
        object.__setattr__(self, "sigma", (float(pair[0]), float(pair[1])))

    def distance(self, value: Array) -> Array:
        minus, plus = self.sigma
        width = np.where(value < self.value, minus, plus).astype(np.float64)
        pull: Array = np.abs(value - self.value) / width
        return pull

    def chi2(self, value: Array) -> Array:
        return self.distance(value) ** 2


@dataclass(frozen=True)
class _Limit:
    limit: float
    sigma: float | None = None
    _side = 1.0

    def __post_init__(self) -> None:
        kind = type(self).__name__
        if not math.isfinite(_number(kind, "the limit", self.limit)):
            msg = f"{kind}: expected a finite limit, got {self.limit!r}"
            raise ConfigError(msg)
        if self.sigma is not None and not 0 < _number(kind, "sigma", self.sigma) < math.inf:
            msg = f"{kind}({self.limit!r}, sigma={self.sigma!r}): expected sigma > 0 or none"
            raise ConfigError(msg)
        object.__setattr__(self, "limit", float(self.limit))

    @property
    def hard(self) -> bool:
        return self.sigma is None

    @property
    def scale(self) -> float:
        return self.sigma if self.sigma is not None else _scale_of(self.limit)

    def chi2(self, value: Array) -> Array:
        return self.distance(value) ** 2

    def distance(self, value: Array) -> Array:
        return np.maximum(self._side * (value - self.limit), 0.0) / self.scale


@dataclass(frozen=True)
class Below(_Limit):
    """An upper limit, sharp, or with a one-sided Gaussian tail of width `sigma` above it."""


@dataclass(frozen=True)
class Above(_Limit):
    """A lower limit, sharp, or with a one-sided Gaussian tail of width `sigma` below it."""

    _side = -1.0
