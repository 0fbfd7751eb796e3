"""The sections ``[parameters]`` and ``[space]``: what is scanned, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from rayscan.config.document import Table, join, show, validate
from rayscan.config.joint import build_joint, dump_joint
from rayscan.config.mistakes import Mistakes
from rayscan.config.parameters import build_parameter, dump_parameter
from rayscan.errors import ConfigError
from rayscan.problem.joint import Joint
from rayscan.problem.prior_transform import PriorTransform
from rayscan.problem.space import Parameter, Space


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
        Naming the parameter and the key of every mistake.
    """
    if not isinstance(section, Mapping):
        msg = f"parameters: expected a section with one entry per parameter, got {show(section)}"
        raise ConfigError(msg)
    mistakes = Mistakes()
    parts = [part for name, value in section.items() if (part := mistakes.of(_part, name, value)) is not None]
    held = mistakes.of(validate, SpaceTable, {} if conditions is None else conditions, "space")
    mistakes.tell()
    where = held.where if held is not None else None
    try:
        return Space(*parts, where=where)
    except ConfigError as error:
        # A condition says by itself that it is one.
        msg = f"{'space.' if str(error).startswith('where:') else 'parameters: '}{error}"
        raise ConfigError(msg) from None


def _part(name: str, value: object) -> Joint | dict[str, Parameter]:
    return build_joint(name, value) or {name: build_parameter(join("parameters", name), value)}


def dump_space(space: Space) -> dict[str, Any]:
    """Return the section that `build_space` turns into an equal space, but for functions that have no name."""
    section: dict[str, Any] = {}
    for name in space.names:
        parameter = space[name]
        if not isinstance(parameter, Joint):
            section[name] = dump_parameter(parameter)
        elif name == parameter.names[0] and (entry := dump_joint(parameter)) is not None:
            section[", ".join(parameter.names)] = entry
    return section


def unnamed_transforms(space: Space) -> list[PriorTransform]:
    """Return the priors of which a file cannot name the functions."""
    parameters = {id(space[name]): space[name] for name in space.names}
    return [one for one in parameters.values() if isinstance(one, PriorTransform) and dump_joint(one) is None]


def dump_conditions(space: Space) -> dict[str, Any]:
    """Return the section ``[space]``, if there is anything in it."""
    where = list(space.where)
    return {"space": {"where": where[0] if len(where) == 1 else where}} if where else {}
