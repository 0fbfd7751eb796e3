"""The section ``[target]``: what each entry demands of an observable, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from rayscan.config.document import Table, join, show, validate
from rayscan.config.mistakes import Mistakes
from rayscan.errors import ConfigError
from rayscan.problem.constraints import Above, Below, Constraint, Gaussian, Window
from rayscan.problem.target import Target


class MeasuredTable(Table):
    """A measured value with its error."""

    value: float = Field(description="The measured value.")
    sigma: float | list[float] = Field(description="Its standard deviation, or [minus, plus].")

    def build(self) -> Constraint:
        return Gaussian(self.value, tuple(self.sigma) if isinstance(self.sigma, list) else self.sigma)


class LimitTable(Table):
    """One limit or two; the short form of two is ``[min, max]``."""

    min: float | None = Field(None, description="The lower limit.")
    max: float | None = Field(None, description="The upper limit.")
    sigma: float | None = Field(None, description="The width of a Gaussian tail beyond a single limit; none if sharp.")

    def build(self) -> Constraint:
        if self.min is not None and self.max is not None:
            if self.sigma is not None:
                msg = "sigma goes with one limit, not with two; leave it out, or write {value = …, sigma = …}"
                raise ConfigError(msg)
            return Window(self.min, self.max)
        if self.max is not None:
            return Below(self.max, self.sigma)
        if self.min is not None:
            return Above(self.min, self.sigma)
        msg = "expected min, max or both"
        raise ConfigError(msg)


class TargetTable(Table):
    """What is not the demand on one observable."""

    threshold: float = Field(
        0.9, description="Where constraints are measurements, a point is valid when its likelihood exceeds this."
    )
    labels: str | None = Field(None, description="The observable that is itself the answer: valid above 0.5.")
    derive: dict[str, str] = Field(
        default_factory=dict, description="Further observables as arithmetic of parameters and observables."
    )


def build_target(section: object) -> Target:
    """Return the target that a section ``[target]`` describes.

    Raises
    ------
    ConfigError
        Naming the observable and the key of every mistake.
    """
    if not isinstance(section, Mapping):
        msg = f"target: expected a section with one entry per observable, got {show(section)}"
        raise ConfigError(msg)
    own = {key: value for key, value in section.items() if key in TargetTable.model_fields}
    mistakes = Mistakes()
    rest = mistakes.of(validate, TargetTable, own, "target")
    names = [name for name in section if name not in own]
    found = {name: mistakes.of(_constraint, join("target", name), section[name]) for name in names}
    mistakes.tell()
    constraints = {name: one for name, one in found.items() if one is not None}
    assert rest is not None
    try:
        return Target(labels=rest.labels, threshold=rest.threshold, derive=rest.derive, **constraints)
    except ConfigError as error:
        msg = f"target: {error}"
        raise ConfigError(msg) from None


def dump_target(target: Target) -> dict[str, Any]:
    """Return the section that `build_target` turns into an equal target; a function of the user's is left out."""
    section: dict[str, Any] = {name: _entry(constraint) for name, constraint in target.constraints.items()}
    if target.threshold != TargetTable.model_fields["threshold"].default:
        section["threshold"] = target.threshold
    if target.labels is not None:
        section["labels"] = target.labels
    if target.derived:
        section["derive"] = {name: expression.text for name, expression in target.derived.items()}
    return section


def _constraint(where: str, value: object) -> Constraint:
    if isinstance(value, Mapping):
        kind: type[MeasuredTable | LimitTable] = MeasuredTable if "value" in value else LimitTable
        build = validate(kind, value, where).build
    elif isinstance(value, list) and len(value) == 2:
        build = validate(LimitTable, {"min": value[0], "max": value[1]}, where).build
    else:
        msg = (
            f"{where}: expected a window [min, max], {{value = …, sigma = …}}, {{max = …}} or {{min = …}}; "
            f"got {show(value)}"
        )
        raise ConfigError(msg)
    try:
        return build()
    except ConfigError as error:
        msg = f"{where}: {error}"
        raise ConfigError(msg) from None


def _entry(constraint: Constraint) -> Any:
    match constraint:
        case Window(lo, hi):
            return [lo, hi]
        case Gaussian(value, (minus, plus)):
            return {"value": value, "sigma": minus if math.isclose(minus, plus, rel_tol=0) else [minus, plus]}
        case Below(limit, sigma):
            return {"max": limit, **({} if sigma is None else {"sigma": sigma})}
        case Above(limit, sigma):
            return {"min": limit, **({} if sigma is None else {"sigma": sigma})}
    msg = f"{constraint!r} is no constraint that a configuration file can hold"
    raise ConfigError(msg)
