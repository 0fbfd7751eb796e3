"""Prior distributions of several parameters together, each an exact map between a unit cube and physical values.

Nothing is ever drawn and thrown away: every place of the cube is a point, and equal volumes are equally likely.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError
from rayscan.problem.priors import Log, Normal, SymLog, Uniform

Array = NDArray[np.float64]
Continuous = Uniform | Log | SymLog | Normal

ROUNDING = 1e-12
"""What may be left of a whole by rounding."""


@dataclass(frozen=True, init=False)
class Joint(ABC):
    """Several parameters with one distribution.

    Attributes
    ----------
    names : tuple of str
        The parameters, in order. Length ``m``.
    """

    names: tuple[str, ...]

    def _name(self, names: Sequence[str], least: int = 2) -> None:
        kind = type(self).__name__
        for name in names:
            if not isinstance(name, str):
                msg = f'{kind}: expected the names of parameters, such as {kind}("a", "b"); got {name!r}'
                raise ConfigError(msg)
        if len(names) < least:
            msg = f"{kind}({', '.join(map(repr, names))}): expected {least} parameters or more, got {len(names)}"
            raise ConfigError(msg)
        if len(set(names)) < len(names):
            msg = f"{kind}{tuple(names)!r}: a parameter is named twice"
            raise ConfigError(msg)
        object.__setattr__(self, "names", tuple(names))

    @property
    def free(self) -> tuple[str, ...]:
        """The parameters from which the others follow, one for each axis of the unit cube. Length ``k``."""
        return self.names

    @property
    def invertible(self) -> bool:
        """Whether the place of given values is known."""
        return True

    @abstractmethod
    def to_physical(self, u: Array) -> Array:
        """Map places ``(n, k)`` of the unit cube to values ``(n, m)`` of all parameters."""

    @abstractmethod
    def to_unit(self, x: Array) -> Array:
        """Map values ``(n, k)`` of the parameters `free` to the unit cube: outside of it, or to NaN, what has no place.

        Everything is NaN where the way back is not known.
        """

    def complete(self, x: Array) -> Array:
        """Return values ``(n, m)`` of all parameters, given those ``(n, k)`` of the parameters `free`."""
        return x

    @abstractmethod
    def bounds_of(self, name: str) -> tuple[float, float]:
        """Return the smallest and largest value of one of the parameters."""

    def to_dict(self) -> dict[str, Any]:
        """Describe the distribution in plain types."""
        described = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}
        return {"prior": type(self).__name__.lower(), **described}

    def __repr__(self) -> str:
        given = ", ".join(f"{key}={value!r}" for key, value in vars(self).items() if key != "names")
        return f"{type(self).__name__}({', '.join(filter(None, [*map(repr, self.names), given]))})"


@dataclass(frozen=True, init=False, repr=False)
class Simplex(Joint):
    """Fractions that sum to 1, all combinations equally likely: ``Simplex("f1", "f2", "f3")``.

    The last fraction is what the others leave, so that there is one axis less than there are parameters.

    Notes
    -----
    The density is Dirichlet(1, …, 1). Of what is left after ``j - 1`` fractions, the j-th of `m` takes the share
    ``1 - (1 - u)**(1 / (m - j))`` (stick breaking [1]_).

    References
    ----------
    .. [1] L. Devroye, "Non-Uniform Random Variate Generation", Springer 1986, §XI.4.

    Examples
    --------
    >>> Simplex("f1", "f2", "f3").to_physical(np.array([[0.75, 0.5]]))
    array([[0.5 , 0.25, 0.25]])
    """

    def __init__(self, *names: str) -> None:
        self._name(names)

    @property
    def free(self) -> tuple[str, ...]:
        return self.names[:-1]

    def to_physical(self, u: Array) -> Array:
        left, taken = np.ones(len(u)), []
        with np.errstate(divide="ignore"):
            shares = -np.expm1(np.log1p(-u) / self._after)
        for share in shares.T:
            taken.append(left * share)
            left = left * (1 - share)
        return np.column_stack([*taken, left])

    def to_unit(self, x: Array) -> Array:
        left = 1 - np.concatenate([np.zeros((len(x), 1)), np.cumsum(x, axis=1)[:, :-1]], axis=1)
        with np.errstate(all="ignore"):
            share = x / left
            u = np.where((share >= 0) & (share <= 1), -np.expm1(self._after * np.log1p(-share)), share)
        # Where nothing is left, any place will do.
        return np.where((left < ROUNDING) & (np.abs(x) < ROUNDING), 0.5, np.where(left < ROUNDING, np.nan, u))

    def complete(self, x: Array) -> Array:
        rest = 1 - x.sum(axis=1)
        return np.column_stack([x, np.where(np.abs(rest) < ROUNDING, np.maximum(rest, 0.0), rest)])

    def bounds_of(self, name: str) -> tuple[float, float]:  # noqa: ARG002 - the same for all
        return 0.0, 1.0

    @property
    def _after(self) -> Array:
        """How many fractions come after each ``(k,)``."""
        return np.arange(len(self.names) - 1, 0, -1.0)


@dataclass(frozen=True, init=False, repr=False)
class Ordered(Joint):
    """Parameters in ascending order, such as masses: ``Ordered("m1", "m2", "m3", of=Log(10, 1000))``.

    Parameters
    ----------
    *names : str
        From the smallest to the largest.
    of : tuple or Uniform or Log or SymLog or Normal
        What each would have without the order; a pair means `Uniform`.

    Notes
    -----
    The density is that of so many independent draws, sorted: it is `m!` times theirs, where they are in order. The
    largest of `m` uniform draws is ``u**(1 / m)``, and those below it are independent draws up to it [1]_.

    References
    ----------
    .. [1] L. Devroye, "Non-Uniform Random Variate Generation", Springer 1986, §V.3.

    Examples
    --------
    >>> Ordered("m1", "m2", of=(0, 100)).to_physical(np.array([[0.5, 0.25]]))
    array([[25., 50.]])
    """

    of: Continuous

    def __init__(self, *names: str, of: tuple[float, float] | list[float] | Continuous) -> None:
        self._name(names)
        prior = Uniform(*of) if isinstance(of, tuple | list) and len(of) == 2 else of
        if not isinstance(prior, Continuous):
            msg = f"Ordered: expected of = a pair (lo, hi) or Uniform, Log, SymLog or Normal; got {of!r}"
            raise ConfigError(msg)
        object.__setattr__(self, "of", prior)

    def to_physical(self, u: Array) -> Array:
        power = 1 / np.arange(1.0, len(self.names) + 1)
        quantile = np.asarray(np.cumprod((u**power)[:, ::-1], axis=1)[:, ::-1], dtype=np.float64)
        return np.maximum.accumulate(self.of.to_physical(quantile), axis=1)

    def to_unit(self, x: Array) -> Array:
        quantile = self.of.to_unit(x)
        above = np.concatenate([quantile[:, 1:], np.ones((len(x), 1))], axis=1)
        with np.errstate(all="ignore"):
            share = quantile / above
            u = np.where(share > 0, share ** np.arange(1.0, len(self.names) + 1), share)
        # Below the smallest of all values, any place will do.
        return np.where((above == 0) & (quantile == 0), 0.5, u)

    def bounds_of(self, name: str) -> tuple[float, float]:  # noqa: ARG002 - the same for all
        return self.of.bounds

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "of": {"prior": type(self.of).__name__.lower(), **vars(self.of)}}


@dataclass(frozen=True, init=False, repr=False)
class Ball(Joint):
    """Parameters within a ball or an ellipsoid, uniform in volume: ``Ball("x", "y", "z", radius=2)``.

    Parameters
    ----------
    *names : str
    radius : float or sequence of float
        Of the ball, or half an axis of the ellipsoid for each parameter.
    center : float or sequence of float
        The middle, for all parameters or for each.

    Notes
    -----
    One parameter after the other is drawn given those before it [1]_: in units of what these leave of the radius, the
    first of `k` that are left is ``2 b - 1``, where b has a beta distribution with both indices ``(k + 1) / 2``. The
    map has neither seams nor poles, so that what is close in the ball is close in the cube.

    References
    ----------
    .. [1] M. Rosenblatt, "Remarks on a multivariate transformation", Ann. Math. Stat. 23 (1952) 470.

    Examples
    --------
    >>> Ball("x", "y", radius=2, center=(1, 0)).to_physical(np.array([[0.5, 0.75]]))
    array([[1., 1.]])
    """

    radius: tuple[float, ...]
    center: tuple[float, ...]

    def __init__(self, *names: str, radius: float | Sequence[float] = 1.0, center: float | Sequence[float] = 0) -> None:
        self._name(names)
        object.__setattr__(self, "radius", self._each("radius", radius))
        object.__setattr__(self, "center", self._each("center", center))
        if not min(self.radius) > 0:
            msg = f"Ball: radius = {radius!r}; expected radius > 0"
            raise ConfigError(msg)

    def _each(self, what: str, value: Any) -> tuple[float, ...]:
        try:
            values = np.broadcast_to(np.asarray(value, dtype=np.float64), len(self.names))
        except (TypeError, ValueError):
            values = np.array([math.nan])
        if not np.isfinite(values).all():
            msg = f"Ball: {what} = {value!r}; expected a finite number, or one for each of {', '.join(self.names)}"
            raise ConfigError(msg)
        return tuple(values.tolist())

    def to_physical(self, u: Array) -> Array:
        from scipy.special import betaincinv

        left, placed = np.ones(len(u)), []
        for index, each in zip(self._indices, u.T, strict=True):
            place = np.sqrt(left) * np.clip(2 * betaincinv(index, index, each) - 1, -1, 1)
            placed.append(place)
            left = np.maximum(left - place**2, 0.0)
        x: Array = np.asarray(self.center) + np.asarray(self.radius) * np.column_stack(placed)
        return x

    def to_unit(self, x: Array) -> Array:
        from scipy.special import betainc

        place = (x - np.asarray(self.center)) / np.asarray(self.radius)
        left = 1 - np.concatenate([np.zeros((len(x), 1)), np.cumsum(place**2, axis=1)[:, :-1]], axis=1)
        with np.errstate(all="ignore"):
            share = (1 + place / np.sqrt(left)) / 2
            u = np.where((share >= 0) & (share <= 1), betainc(self._indices, self._indices, share), share)
        # On the rim nothing is left, and any place will do.
        return np.where((left < ROUNDING) & (place**2 < ROUNDING), 0.5, np.where(left < ROUNDING, np.nan, u))

    def bounds_of(self, name: str) -> tuple[float, float]:
        k = self.names.index(name)
        return self.center[k] - self.radius[k], self.center[k] + self.radius[k]

    @property
    def _indices(self) -> Array:
        return (np.arange(len(self.names), 0, -1.0) + 1) / 2
