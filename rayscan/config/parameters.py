"""The section ``[parameters]``: what each entry means as a prior, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from rayscan.config.document import Table, join, show, validate
from rayscan.errors import ConfigError, did_you_mean
from rayscan.problem.priors import Choice, Derived, Fixed, Log, Normal, SymLog, Uniform
from rayscan.problem.space import Parameter, Space


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


class SpaceTable(Table):
    """What must hold between parameters."""

    where: str | list[str] | None = Field(
        None,
        description="Conditions between parameters, joined by and, or, not, such as 'm1 < m2 and g1**2 + g2**2 < "
        "4*pi'; in a list, all must hold. Where they do not, no point is issued, and fractions of the prior are those "
        "of the rest.",
    )


def build_space(section: object, conditions: object = None) -> Space:
    """Return the space that a section ``[parameters]`` and one ``[space]`` describe.

    Raises
    ------
    ConfigError
        Naming the parameter and the key.
    """
    if not isinstance(section, Mapping):
        msg = f"parameters: expected a section with one entry per parameter, got {show(section)}"
        raise ConfigError(msg)
    parameters = {name: _parameter(join("parameters", name), value) for name, value in section.items()}
    where = validate(SpaceTable, {} if conditions is None else conditions, "space").where
    try:
        return Space(parameters, where=where)
    except ConfigError as error:
        # A condition says by itself that it is one.
        msg = f"{'space.' if str(error).startswith('where:') else 'parameters: '}{error}"
        raise ConfigError(msg) from None


def dump_space(space: Space) -> dict[str, Any]:
    """Return the section that `build_space` turns into an equal space."""
    return {name: _entry(space[name]) for name in space.names}


def dump_conditions(space: Space) -> dict[str, Any]:
    """Return the section ``[space]``, if there is anything in it."""
    where = list(space.where)
    return {"space": {"where": where[0] if len(where) == 1 else where}} if where else {}


def _parameter(where: str, value: object) -> Parameter:
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


def _entry(parameter: Parameter) -> Any:  # noqa: PLR0911 - one line for each kind
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
