"""Prior distributions of one parameter: the map between the unit interval and the physical value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError
from rayscan.problem.expression import Expression

Array = NDArray[np.float64]


@runtime_checkable
class Prior(Protocol):
    """A scanned parameter's distribution, as its quantile function and the inverse of it."""

    def to_physical(self, u: Array) -> Array:
        """Map unit-interval values ``(n,)`` to physical values ``(n,)``."""

    def to_unit(self, x: Array) -> Array:
        """Map physical values ``(n,)`` to the unit interval ``(n,)``."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and largest physical value (infinite for an untruncated normal)."""


def _interval(kind: str, lo: float, hi: float) -> tuple[float, float]:
    try:
        low, high = float(lo), float(hi)
    except (TypeError, ValueError):
        msg = f"{kind}({lo!r}, {hi!r}): expected two numbers"
        raise ConfigError(msg) from None
    if not (math.isfinite(low) and math.isfinite(high)):
        msg = f"{kind}({lo!r}, {hi!r}): both ends of a range must be finite"
        raise ConfigError(msg)
    if not low < high:
        advice = "swap them" if low > high else "use Fixed for a constant"
        msg = f"{kind}({lo!r}, {hi!r}): expected min < max; {advice}"
        raise ConfigError(msg)
    if not math.isfinite(high - low):
        msg = f"{kind}({lo!r}, {hi!r}): the range is wider than a double can hold"
        raise ConfigError(msg)
    return low, high


@dataclass(frozen=True)
class _Range:
    """A finite range, `lo` < `hi`."""

    lo: float
    hi: float

    def __post_init__(self) -> None:
        lo, hi = _interval(type(self).__name__, self.lo, self.hi)
        object.__setattr__(self, "lo", lo)
        object.__setattr__(self, "hi", hi)

    @property
    def bounds(self) -> tuple[float, float]:
        return self.lo, self.hi


@dataclass(frozen=True)
class Uniform(_Range):
    """Uniform between `lo` and `hi`."""

    def to_physical(self, u: Array) -> Array:
        return np.clip(self.lo + u * (self.hi - self.lo), self.lo, self.hi)

    def to_unit(self, x: Array) -> Array:
        return (x - self.lo) / (self.hi - self.lo)


@dataclass(frozen=True)
class Log(_Range):
    """Uniform in the logarithm between `lo` and `hi`, both positive or both negative."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lo <= 0 <= self.hi:
            span = f"Log({self.lo:g}, {self.hi:g})"
            msg = f"{span}: a logarithmic range cannot touch or cross zero; use SymLog(lo, hi, linear=...)"
            raise ConfigError(msg)

    def to_physical(self, u: Array) -> Array:
        start, end = math.log(abs(self.lo)), math.log(abs(self.hi))
        return np.clip(math.copysign(1.0, self.lo) * np.exp(start + u * (end - start)), self.lo, self.hi)

    def to_unit(self, x: Array) -> Array:
        start, end = math.log(abs(self.lo)), math.log(abs(self.hi))
        with np.errstate(all="ignore"):
            return (np.log(x * math.copysign(1.0, self.lo)) - start) / (end - start)


@dataclass(frozen=True)
class SymLog(_Range):
    """Logarithmic in the magnitude on both sides of zero, linear within `linear` of zero.

    The quantile is uniform in ``arcsinh(x / (2 linear))``, which behaves like ``x / (2 linear)`` near zero and like
    ``± log(|x| / linear)`` far from it.
    """

    linear: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.linear) and self.linear > 0):
            msg = f"SymLog({self.lo:g}, {self.hi:g}, linear={self.linear!r}): expected linear > 0"
            raise ConfigError(msg)

    def to_physical(self, u: Array) -> Array:
        start, end = (math.asinh(edge / (2 * self.linear)) for edge in (self.lo, self.hi))
        return np.clip(2 * self.linear * np.sinh(start + u * (end - start)), self.lo, self.hi)

    def to_unit(self, x: Array) -> Array:
        start, end = (math.asinh(edge / (2 * self.linear)) for edge in (self.lo, self.hi))
        return (np.arcsinh(x / (2 * self.linear)) - start) / (end - start)


@dataclass(frozen=True)
class Normal:
    """Normal with mean and standard deviation, truncated to [`lo`, `hi`] when given."""

    mean: float
    sigma: float
    lo: float = -math.inf
    hi: float = math.inf

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.sigma) and self.sigma > 0):
            msg = f"Normal(mean={self.mean!r}, sigma={self.sigma!r}): expected a finite mean and sigma > 0"
            raise ConfigError(msg)
        if math.isnan(self.lo) or math.isnan(self.hi) or not self.lo < self.hi:
            msg = f"Normal(..., lo={self.lo!r}, hi={self.hi!r}): expected lo < hi"
            raise ConfigError(msg)
        low, high = self._tails()
        if not high - low > 1e-12:
            msg = (
                f"Normal({self.mean:g}, {self.sigma:g}): no probability to speak of lies in [{self.lo:g}, {self.hi:g}]"
            )
            raise ConfigError(msg)

    @property
    def bounds(self) -> tuple[float, float]:
        return self.lo, self.hi

    def _tails(self) -> tuple[float, float]:
        from scipy.special import ndtr

        return float(ndtr((self.lo - self.mean) / self.sigma)), float(ndtr((self.hi - self.mean) / self.sigma))

    def to_physical(self, u: Array) -> Array:
        from scipy.special import ndtri

        low, high = self._tails()
        # A unit coordinate of exactly 0 or 1 would be an infinite parameter.
        quantile = np.clip(low + u * (high - low), 1e-300, 1 - 1e-16)
        x: Array = np.clip(self.mean + self.sigma * ndtri(quantile), self.lo, self.hi)
        return x

    def to_unit(self, x: Array) -> Array:
        from scipy.special import ndtr

        low, high = self._tails()
        u: Array = (ndtr((x - self.mean) / self.sigma) - low) / (high - low)
        return u


@dataclass(frozen=True)
class Choice:
    """One of a list of numbers, equally likely. The unit interval is divided into equal cells."""

    values: tuple[float, ...]

    def __init__(self, *values: float | tuple[float, ...] | list[float]) -> None:
        flat = values[0] if len(values) == 1 and isinstance(values[0], tuple | list) else values
        try:
            numbers = tuple(float(value) for value in flat)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            msg = f"Choice{tuple(flat)!r}: expected numbers"
            raise ConfigError(msg) from None
        if len(numbers) < 2 or len(set(numbers)) != len(numbers) or not all(map(math.isfinite, numbers)):
            msg = f"Choice{numbers!r}: expected two or more different finite numbers; use Fixed for a constant"
            raise ConfigError(msg)
        object.__setattr__(self, "values", numbers)

    @property
    def bounds(self) -> tuple[float, float]:
        return min(self.values), max(self.values)

    def to_physical(self, u: Array) -> Array:
        cells = np.minimum((u * len(self.values)).astype(np.int64), len(self.values) - 1)
        return np.asarray(self.values)[cells]

    def to_unit(self, x: Array) -> Array:
        table = np.asarray(self.values)
        cells = np.abs(x[:, None] - table[None, :]).argmin(axis=1)
        return np.where(table[cells] == x, (cells + 0.5) / len(table), np.nan)


@dataclass(frozen=True)
class Fixed:
    """A constant: passed to the tool and stored, but not scanned."""

    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(float(self.value)):
            msg = f"Fixed({self.value!r}): expected a finite number"
            raise ConfigError(msg)
        object.__setattr__(self, "value", float(self.value))


@dataclass(frozen=True)
class Derived:
    """An arithmetic expression of other parameters: passed to the tool and stored, but not scanned.

    Examples
    --------
    >>> Derived("mA**2")
    Derived(expression='mA**2')
    """

    expression: str

    def __post_init__(self) -> None:
        Expression(self.expression)

    @property
    def compiled(self) -> Expression:
        """The parsed expression."""
        return Expression(self.expression)
