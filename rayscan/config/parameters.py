"""The entries of ``[parameters]``: what each means as the prior of one parameter, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from rayscan.config.document import Table, show, validate
from rayscan.errors import ConfigError, did_you_mean
from rayscan.problem.priors import Choice, Derived, Fixed, Log, Normal, SymLog, Uniform
from rayscan.problem.space import Parameter


class UniformTable(Table):
    """Uniform between two ends; the short form is ``[min, max]``."""

    prior: Literal["uniform"] = Field("uniform", description="Uniform between min and max.")
    min: float = Field(description="The lower end.")
    max: float = Field(description="The upper end.")

    def build(self) -> Parameter:
        return Uniform(self.min, self.max)


class LogTable(Table):
    """Uniform in the logarithm."""

    prior: Literal["log"] = Field(description="Uniform in the logarithm between min and max, which have the same sign.")
    min: float = Field(description="The lower end.")
    max: float = Field(description="The upper end.")

    def build(self) -> Parameter:
        return Log(self.min, self.max)


class SymLogTable(Table):
    """Logarithmic on both sides of zero."""

    prior: Literal["symlog"] = Field(description="Logarithmic in the magnitude on both sides of zero.")
    min: float = Field(description="The lower end.")
    max: float = Field(description="The upper end.")
    linear: float = Field(1.0, description="The distance from zero within which it is linear.")

    def build(self) -> Parameter:
        return SymLog(self.min, self.max, self.linear)


class NormalTable(Table):
    """A normal distribution, truncated or not."""

    prior: Literal["normal"] = Field(description="A normal distribution.")
    mean: float = Field(description="Its mean.")
    sigma: float = Field(description="Its standard deviation.")
    min: float = Field(-math.inf, description="Truncate it below this value.")
    max: float = Field(math.inf, description="Truncate it above this value.")

    def build(self) -> Parameter:
        return Normal(self.mean, self.sigma, self.min, self.max)


class ChoiceTable(Table):
    """One of a list of numbers."""

    prior: Literal["choice"] = Field(description="One of a list of numbers, equally likely.")
    values: list[float] = Field(description="The numbers.")

    def build(self) -> Parameter:
        return Choice(*self.values)


class FixedTable(Table):
    """A constant; the short form is the plain number."""

    prior: Literal["fixed"] = Field(description="A constant: given to the tool and stored, but not scanned.")
    value: float = Field(description="Its value.")

    def build(self) -> Parameter:
        return Fixed(self.value)


class DerivedTable(Table):
    """An expression of other parameters."""

    derived: str = Field(description="Arithmetic of other parameters, such as 'm0**2 / tanb': not scanned.")

    def build(self) -> Parameter:
        return Derived(self.derived)


AnyTable = UniformTable | LogTable | SymLogTable | NormalTable | ChoiceTable | FixedTable | DerivedTable
PRIORS: dict[str, type[AnyTable]] = {
    "uniform": UniformTable,
    "log": LogTable,
    "symlog": SymLogTable,
    "normal": NormalTable,
    "choice": ChoiceTable,
    "fixed": FixedTable,
}


def build_parameter(where: str, value: object) -> Parameter:
    """Return the prior, constant or expression that an entry means; a ConfigError says `where` it is wrong."""
    if isinstance(value, Mapping):
        build = validate(_table_of(where, value), value, where).build
    elif isinstance(value, list) and len(value) == 2:
        build = validate(UniformTable, {"min": value[0], "max": value[1]}, where).build
    elif isinstance(value, int | float) and not isinstance(value, bool):
        build = FixedTable(prior="fixed", value=float(value)).build
    else:
        msg = (
            f"{where}: expected a range [min, max], a number, or a table such as {{prior = 'log', min = 1, max = 100}} "
            f"or {{derived = 'm0**2'}}; got {show(value)}"
        )
        raise ConfigError(msg)
    try:
        return build()
    except ConfigError as error:
        msg = f"{where}: {error}"
        raise ConfigError(msg) from None


def _table_of(where: str, value: Mapping[str, Any]) -> type[AnyTable]:
    if "derived" in value:
        return DerivedTable
    prior = value.get("prior", "uniform" if {"min", "max"} & set(value) else None)
    if not isinstance(prior, str) or prior not in PRIORS:
        hint = did_you_mean(prior, PRIORS, listed=True) if isinstance(prior, str) else ""
        got = f"prior = {show(prior)}" if prior is not None else f"the keys {', '.join(value) or '(none)'}"
        msg = f"{where}: expected prior = one of {', '.join(PRIORS)}, or derived = an expression; got {got}{hint}"
        raise ConfigError(msg)
    return PRIORS[prior]


def dump_parameter(parameter: Parameter) -> Any:  # noqa: PLR0911 - one line for each kind
    """Return the entry that `build_parameter` turns into an equal one."""
    match parameter:
        case Uniform(lo, hi):
            return [lo, hi]
        case Log(lo, hi):
            return {"prior": "log", "min": lo, "max": hi}
        case SymLog(lo, hi, linear):
            return {"prior": "symlog", "min": lo, "max": hi, "linear": linear}
        case Normal(mean, sigma, lo, hi):
            ends = {key: end for key, end in (("min", lo), ("max", hi)) if math.isfinite(end)}
            return {"prior": "normal", "mean": mean, "sigma": sigma, **ends}
        case Choice(values):
            return {"prior": "choice", "values": list(values)}
        case Fixed(value):
            return value
        case Derived(expression):
            return {"derived": expression}
