"""Points that a user knows already, from wherever they come, as places in the unit cube."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError, did_you_mean
from rayscan.problem.joint import Joint
from rayscan.problem.priors import Prior
from rayscan.problem.space import ROUNDED, Parameter, Space

Array = NDArray[np.float64]
SAME = 1e-6
EXPECTED = (
    "expected a list of points such as {'m0': 500, 'tanb': 10}, an array with a column for each scanned parameter, or "
    "a file of them (.csv, .parquet, .arrow)"
)


def unit_points(space: Space, points: Any, what: str) -> Array:
    """Return given physical points as places in the unit cube.

    Parameters
    ----------
    space : Space
    points : array_like (n, d) or (n, p), sequence of mapping, str or Path
        Values of the scanned or of all parameters, in the space's order; mappings of names to values; or a table, whose
        other columns are left alone.
    what : str
        For messages.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    ConfigError
        If a parameter is missing or unknown, a value is no number or out of its range, or a fixed or derived parameter
        comes with a value that it does not have; if a point does not satisfy the space's conditions.
    """
    if isinstance(points, str | Path):
        from rayscan.store.points_file import read_points

        what = f"{what} {points}"
        x = _by_name(space, read_points(points), what)
    elif isinstance(points, Sequence) and points and isinstance(points[0], Mapping):
        x = _by_name(space, _columns(space, points, what), what)
    else:
        try:
            x = np.asarray(points, dtype=np.float64)
        except (TypeError, ValueError):
            msg = f"{what}: {EXPECTED}; got {points!r}"
            raise ConfigError(msg) from None
        if x.ndim != 2 or x.shape[1] not in {space.d, len(space.names)}:
            msg = f"{what}: {EXPECTED}; got an array of shape {x.shape} for {space.d} scanned parameters"
            raise ConfigError(msg)
    u = space.to_unit(x)
    inside = (u >= -ROUNDED) & (u <= 1 + ROUNDED)
    if not inside.all():
        row, axis = np.argwhere(~inside)[0]
        name = space.free[axis]
        value = x[row, axis if x.shape[1] == space.d else space.names.index(name)]
        expected = _allowed(space[name])
        msg = f"{what}: point {row} has {name} = {value:g}, which lies outside the space; expected {expected}"
        raise ConfigError(msg)
    u = np.clip(u, 0.0, 1.0)
    whole = space.to_physical(u)
    for row in np.flatnonzero(~space.hold(whole)):
        msg = (
            f"{what}: point {row} does not satisfy {space.broken(whole[row])!r}; leave it out, or change the condition"
        )
        raise ConfigError(msg)
    return u


def _allowed(prior: Parameter) -> str:
    if isinstance(prior, Joint):
        return f"values that {prior} gives" + ("" if prior.invertible else ", and its inverse to know them by")
    assert isinstance(prior, Prior)
    return "a value in its range, {:g} to {:g}".format(*prior.bounds)


def _columns(space: Space, points: Sequence[Any], what: str) -> dict[str, Array]:
    """Return a list of mappings as columns."""
    columns: dict[str, list[float]] = {name: [] for name in space.names if name in points[0]}
    for row, point in enumerate(points):
        if not isinstance(point, Mapping):
            msg = f"{what}: point {row} is {point!r}; {EXPECTED}"
            raise ConfigError(msg)
        unknown = [name for name in point if name not in space.names]
        if unknown:
            hint = did_you_mean(unknown[0], space.names)
            msg = f"{what}: point {row} has {unknown[0]!r}, which is no parameter{hint}"
            raise ConfigError(msg)
        if set(point) != set(columns):
            missing = min(set(columns) ^ set(point))
            msg = f"{what}: point {row} and point 0 do not name the same parameters; {missing!r} is in one of them only"
            raise ConfigError(msg)
        for name, value in point.items():
            try:
                columns[name].append(float(value))
            except (TypeError, ValueError):
                msg = f"{what}: point {row} has {name} = {value!r}; expected a number"
                raise ConfigError(msg) from None
    return {name: np.array(values) for name, values in columns.items()}


def _by_name(space: Space, columns: Mapping[str, Array], what: str) -> Array:
    """Return the scanned parameters ``(n, d)``, after a look at the others."""
    missing = [name for name in space.free if name not in columns]
    if missing:
        got = ", ".join(columns) or "none"
        msg = f"{what}: no values of {missing[0]!r}; expected {', '.join(space.free)}, got {got}"
        raise ConfigError(msg)
    free = np.column_stack([columns[name] for name in space.free])
    whole = space.complete(free)
    for name in set(columns) & set(space.names) - set(space.free):
        follows = whole[:, space.names.index(name)]
        # What fractions leave of 1 has the rounding of all of them.
        small = SAME if isinstance(space[name], Joint) else 0.0
        other = np.flatnonzero(~np.isclose(columns[name], follows, rtol=SAME, atol=small))
        if len(other):
            row = int(other[0])
            msg = (
                f"{what}: point {row} has {name} = {columns[name][row]:g}, but in this space {name} is "
                f"{follows[row]:g} there; leave {name} out, or scan it"
            )
            raise ConfigError(msg)
    return free
