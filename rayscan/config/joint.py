"""The entries of ``[parameters]`` that give several parameters a prior in common, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from rayscan.config.document import Table, join, show, validate
from rayscan.config.parameters import build_parameter, dump_parameter
from rayscan.config.tools import importable, load_object
from rayscan.errors import ConfigError, did_you_mean
from rayscan.problem.joint import Ball, Joint, Ordered, Simplex
from rayscan.problem.prior_transform import PriorTransform


class SimplexTable(Table):
    """Fractions that sum to 1."""

    prior: Literal["simplex"] = Field(description="Fractions that sum to 1, all combinations equally likely.")

    def build(self, names: Sequence[str]) -> Joint:
        return Simplex(*names)


class OrderedTable(Table):
    """Parameters in ascending order."""

    prior: Literal["ordered"] = Field(description="Parameters in ascending order, such as masses.")
    of: Any = Field(description="The prior that each would have without the order: [min, max], or a table as above.")

    def build(self, names: Sequence[str]) -> Joint:
        return Ordered(*names, of=build_parameter("of", self.of))  # type: ignore[arg-type] # Ordered refuses what it cannot


class BallTable(Table):
    """Parameters within a ball or an ellipsoid."""

    prior: Literal["ball"] = Field(description="Parameters within a ball or an ellipsoid, uniform in volume.")
    radius: float | list[float] = Field(1.0, description="Its radius, or half an axis for each parameter.")
    center: float | list[float] = Field(0.0, description="Its middle, for all parameters or for each.")

    def build(self, names: Sequence[str]) -> Joint:
        return Ball(*names, radius=self.radius, center=self.center)


class TransformTable(Table):
    """A joint prior of the user's own."""

    prior: Literal["transform"] = Field(
        description="What a function of yours makes of a uniform distribution; of one parameter or of several."
    )
    transform: str = Field(
        description="'module:function', from an array (n, m) of places in the unit cube to the values (n, m) there."
    )
    inverse: str | None = Field(None, description="The way back, which known points (seeds, initial) need.")

    def build(self, names: Sequence[str]) -> Joint:
        inverse = None if self.inverse is None else load_object(self.inverse, "inverse")
        return PriorTransform(*names, transform=load_object(self.transform, "transform"), inverse=inverse)


JointTable = SimplexTable | OrderedTable | BallTable | TransformTable
JOINT: dict[str, type[JointTable]] = {
    "simplex": SimplexTable,
    "ordered": OrderedTable,
    "ball": BallTable,
    "transform": TransformTable,
}


def build_joint(names: str, value: object) -> Joint | None:
    """Return the prior of several parameters, None for what is the prior of one."""
    kind = value.get("prior") if isinstance(value, Mapping) else None
    where = join("parameters", names)
    if not isinstance(kind, str) or kind not in JOINT:
        if "," in names:
            hint = did_you_mean(kind, JOINT, listed=True) if isinstance(kind, str) else ""
            msg = f"{where}: expected a table with prior = one of {', '.join(JOINT)}; got {show(value)}{hint}"
            raise ConfigError(msg)
        return None
    table = validate(JOINT[kind], value, where)
    try:
        return table.build([name.strip() for name in names.split(",")])
    except ConfigError as error:
        msg = f"{where}: {error}"
        raise ConfigError(msg) from None


def dump_joint(joint: Joint) -> dict[str, Any] | None:
    """Return what stands for a prior of several parameters in a file, None if nothing can."""
    match joint:
        case Ordered(of=prior):
            return {"prior": "ordered", "of": dump_parameter(prior)}
        case Ball(radius=radius, center=center):
            return {"prior": "ball", "radius": _each(radius), "center": _each(center)}
        case PriorTransform(transform=transform, inverse=inverse):
            names = {"transform": importable(transform), "inverse": importable(inverse) if inverse else ""}
            if None in names.values():
                return None
            return {"prior": "transform", **{key: name for key, name in names.items() if name}}
    return {"prior": "simplex"}


def _each(values: tuple[float, ...]) -> float | list[float]:
    return values[0] if len(set(values)) == 1 else list(values)
