"""The parameter space: which parameters are scanned, over what prior, and the map from and to the unit cube."""

from __future__ import annotations

import keyword
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rayscan.errors import ConfigError, did_you_mean
from rayscan.markup import html_table
from rayscan.problem.condition import Condition
from rayscan.problem.domain import Domain
from rayscan.problem.joint import Joint
from rayscan.problem.priors import Choice, Derived, Fixed, Log, Normal, Prior, SymLog, Uniform

Single: TypeAlias = Uniform | Log | SymLog | Normal | Choice
Parameter: TypeAlias = Single | Joint | Fixed | Derived
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
ROUNDED = 1e-9
"""How far outside the ranges, as a share of them, a value may lie that was written with fewer digits."""

RESERVED_NAMES = frozenset({
    "point_id", "status", "valid", "likelihood", "penalty", "origin", "density", "score", "generation", "u", "issued",
    "started", "ended", "host", "worker", "attempt", "exit_code", "signal", "message", "stages", "kept",
})  # fmt: skip
"""Names that the store uses for its own columns."""


def check_name(kind: str, name: object) -> str:
    """Return `name` if it can name a column and appear in an expression.

    Raises
    ------
    ConfigError
        If it is not an identifier, is a Python keyword, or is one of the store's own columns.
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name) or not name.isascii():
        msg = f"{kind} {name!r}: expected a name of letters, digits and underscores that starts with a letter"
        raise ConfigError(msg)
    if name in RESERVED_NAMES:
        msg = f"{kind} {name!r}: the name is used for a column of the result table; choose another, such as '{name}_'"
        raise ConfigError(msg)
    return name


class Space:
    """Named parameters, each with its prior, and conditions between them.

    Parameters
    ----------
    *given : mapping of str to Parameter, or Joint
        The parameters in order. A pair ``(lo, hi)`` means `Uniform`, a plain number means `Fixed`; `Simplex`,
        `Ordered`, `Ball` and `PriorTransform` name several parameters with one distribution.
    where : str or sequence of str, optional
        Conditions between parameters, fixed and derived ones included, such as ``"m1 < m2"``. Places where they do not
        hold are no part of the prior: no point is issued there, and fractions of the prior are fractions of the rest.
    **named : Parameter
        More parameters, by keyword.

    Attributes
    ----------
    names : tuple of str
        Every parameter in order, fixed and derived ones included: the columns of a physical point. Length ``p``.
    free : tuple of str
        The scanned parameters in order, from which all others follow: the axes of the unit cube. Length ``d``.
    d : int
        The number of scanned parameters.
    where : tuple of str
        The conditions.
    domain : Domain
        What they leave of the unit cube.

    Raises
    ------
    ConfigError
        For min ≥ max, a logarithmic range across zero, a bad name, an expression of unknown or circular parameters,
        conditions that less than 1 in 10,000 draws from the prior satisfy.

    Examples
    --------
    >>> space = Space(m0=(100, 3000), tanb=Log(2, 60), mu=500, m0sq=Derived("m0**2"))
    >>> space.names, space.free
    (('m0', 'tanb', 'mu', 'm0sq'), ('m0', 'tanb'))
    >>> space.to_physical([[0.0, 0.0]])
    array([[  100.,     2.,   500., 10000.]])
    >>> round(Space(m1=(0, 100), m2=(0, 100), where="m1 < m2 and m1 + m2 > 50").domain.share, 2)
    0.44
    """

    def __init__(
        self, *given: Mapping[str, Any] | Joint | None, where: str | Sequence[str] | None = None, **named: Any
    ) -> None:
        self._parameters: dict[str, Parameter] = {}
        for one in (*given, named):
            for name, parameter in _entries(one):
                if name in self._parameters:
                    msg = f"parameter {name!r} is given twice"
                    raise ConfigError(msg)
                self._parameters[check_name("parameter", name)] = _as_parameter(name, parameter)
        self.names: tuple[str, ...] = tuple(self._parameters)
        # A joint prior stands under the first of its names.
        self._priors: dict[str, Single | Joint] = {
            name: p
            for name, p in self._parameters.items()
            if isinstance(p, Single) or (isinstance(p, Joint) and name == p.names[0])
        }
        self.free: tuple[str, ...] = tuple(
            axis for name, p in self._priors.items() for axis in (p.free if isinstance(p, Joint) else (name,))
        )
        self.d: int = len(self.free)
        if not self.free:
            msg = "the space has no parameter to scan; expected at least one range, such as m0=(100, 3000)"
            raise ConfigError(msg)
        self._derived_order = self._order_derived()
        self._condition = None if where is None else Condition(where, self._parameters)
        self.domain = self._restricted(self._condition) if self._condition else Domain(self.d, zeros=self._zeros())

    @property
    def where(self) -> tuple[str, ...]:
        return self._condition.texts if self._condition else ()

    def _zeros(self) -> Array:
        """Where in the unit cube each scanned parameter is zero ``(d,)``, NaN for those that are not.

        Of a `SymLog` nothing is said: its axis is logarithmic around zero as it is.
        """
        zeros = np.full(self.d, np.nan)
        for axis, name in enumerate(self.free):
            prior = self._parameters[name]
            if isinstance(prior, Uniform | Normal) and prior.bounds[0] < 0 < prior.bounds[1]:
                zeros[axis] = prior.to_unit(np.zeros(1))[0]
        return zeros

    def __getitem__(self, name: str) -> Parameter:
        if name not in self._parameters:
            msg = f"no parameter {name!r} in the space{did_you_mean(name, self._parameters)}"
            raise ConfigError(msg)
        return self._parameters[name]

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Space)
            and list(self._parameters.items()) == list(other._parameters.items())
            and self._condition == other._condition
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        joint = (repr(p) for p in self._priors.values() if isinstance(p, Joint))
        single = (f"{name}={p}" for name, p in self._parameters.items() if not isinstance(p, Joint))
        where = [f"where={self.where[0] if len(self.where) == 1 else list(self.where)!r}"] if self.where else []
        return f"Space({', '.join([*joint, *single, *where])})"

    def _repr_html_(self) -> str:
        rows: list[tuple[object, object]] = [*self._parameters.items(), *(("where", text) for text in self.where)]
        return html_table("Space", ("parameter", "prior or value"), rows)

    def to_physical(self, u: ArrayLike) -> Array:
        """Map unit-cube points to physical points.

        Parameters
        ----------
        u : array_like, shape (n, d)
            Values in [0, 1].

        Returns
        -------
        ndarray, shape (n, p)
            One column per name in `names`.

        Raises
        ------
        ConfigError
            If the shape is wrong or a value lies outside [0, 1].
        """
        u = self._matrix("unit-cube points", u, self.d)
        if not ((u >= 0) & (u <= 1)).all():
            msg = f"unit-cube points: expected values in [0, 1], got {u.min():g} to {u.max():g}"
            raise ConfigError(msg)
        return self._matrix_of(self._columns(u, self.names))

    def complete(self, free: ArrayLike) -> Array:
        """Add the parameters that follow from the scanned ones.

        Parameters
        ----------
        free : array_like, shape (n, d)
            Physical values, one column per name in `free`.

        Returns
        -------
        ndarray, shape (n, p)
            One column per name in `names`.
        """
        given = self._matrix("scanned parameters", free, self.d)
        columns: dict[str, Array] = {name: given[:, axis] for axis, name in enumerate(self.free)}
        for joint in (p for p in self._priors.values() if isinstance(p, Joint)):
            whole = joint.complete(np.column_stack([columns[name] for name in joint.free]))
            columns |= {name: whole[:, k] for k, name in enumerate(joint.names)}
        return self._matrix_of(self._followed(columns, len(given), self.names))

    def to_unit(self, x: ArrayLike) -> Array:
        """Map physical points to the unit cube.

        Parameters
        ----------
        x : array_like, shape (n, p) or (n, d)
            All parameters, or the scanned ones only.

        Returns
        -------
        ndarray, shape (n, d)
            Points outside the ranges map outside [0, 1]; what has no image (log of a negative number) is NaN.

        Raises
        ------
        ConfigError
            If the number of columns is neither ``p`` nor ``d``.
        """
        x = np.asarray(x, dtype=np.float64)
        width = self.d if x.ndim == 2 and x.shape[1] == self.d else len(self.names)
        x = self._matrix("physical points", x, width)
        names = self.free if width == self.d else self.names
        places = []
        for name, prior in self._priors.items():
            if isinstance(prior, Joint):
                places.append(prior.to_unit(x[:, [names.index(one) for one in prior.free]]))
            else:
                places.append(prior.to_unit(x[:, names.index(name)])[:, None])
        return np.concatenate(places, axis=1)

    def bounds(self, name: str) -> tuple[float, float]:
        """Return the smallest and largest value of a parameter that is neither fixed nor derived."""
        parameter = self[name]
        if isinstance(parameter, Joint):
            return parameter.bounds_of(name)
        assert isinstance(parameter, Prior)
        return parameter.bounds

    def hold(self, x: ArrayLike) -> Mask:
        """Return at which points ``(n, p)`` the conditions hold ``(n,)``."""
        x = self._matrix("physical points", x, len(self.names))
        if self._condition is None:
            return np.ones(len(x), dtype=bool)
        return self._condition.hold(dict(zip(self.names, x.T, strict=True)))

    def broken(self, x: ArrayLike) -> str:
        """Return the first part of the conditions that does not hold at a point ``(p,)`` where they do not."""
        assert self._condition is not None
        return self._condition.broken(dict(zip(self.names, np.reshape(x, (-1, 1)), strict=True)))

    def admits(self, x: ArrayLike) -> Mask:
        """Return which points ``(n, p)`` the priors and the conditions allow ``(n,)``, up to rounding.

        What a prior without a way back allows is not known, and passes.
        """
        u = self.to_unit(x)
        known = [name for name in self.free if getattr(self._parameters[name], "invertible", True)]
        places = u[:, [self.free.index(name) for name in known]]
        return np.asarray(((places >= -ROUNDED) & (places <= 1 + ROUNDED)).all(axis=1) & self.hold(x))

    @property
    def serving(self) -> tuple[str, ...]:
        """The parameters from which others are derived, or follow."""
        needed = {name for p in self._parameters.values() if isinstance(p, Derived) for name in p.compiled.names}
        needed |= {
            name for p in self._priors.values() if isinstance(p, Joint) and p.free != p.names for name in p.names
        }
        return tuple(name for name in self.names if name in needed)

    @property
    def conditions(self) -> tuple[str, ...]:
        """What must hold, one by one and written in one way, as saved with the data and compared on resume."""
        return self._condition.parts if self._condition else ()

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Describe the parameters in plain types, as saved with the data and compared on resume."""
        described: dict[str, dict[str, Any]] = {}
        for name, parameter in self._parameters.items():
            if isinstance(parameter, Joint):
                low, high = parameter.bounds_of(name)
                ends = {"lo": low, "hi": high} if low > -np.inf else {}
                # What follows from the others has no axis.
                follows = {} if name in parameter.free else {"scanned": False}
                described[name] = {**parameter.to_dict(), **ends, **follows}
                continue
            values = {key: list(v) if isinstance(v, tuple) else v for key, v in vars(parameter).items()}
            described[name] = {"prior": type(parameter).__name__.lower(), **values}
        return described

    def _matrix(self, what: str, values: ArrayLike, width: int) -> Array:
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != width:
            msg = f"{what}: expected an array of shape (n, {width}) for {', '.join(self.names)}, got {array.shape}"
            raise ConfigError(msg)
        return array

    def _matrix_of(self, columns: Mapping[str, Array]) -> Array:
        return np.column_stack([columns[name] for name in self.names])

    def _columns(self, u: Array, wanted: Collection[str]) -> dict[str, Array]:
        """Return columns by name ``(n,)`` at places ``(n, d)``: those that are wanted, and what they are made of."""
        columns: dict[str, Array] = {}
        axis = 0
        for name, prior in self._priors.items():
            if isinstance(prior, Joint):
                width = len(prior.free)
                if not set(prior.names).isdisjoint(wanted):
                    whole = prior.to_physical(u[:, axis : axis + width])
                    columns |= {one: whole[:, k] for k, one in enumerate(prior.names)}
            else:
                width = 1
                if name in wanted:
                    columns[name] = prior.to_physical(u[:, axis])
            axis += width
        return self._followed(columns, len(u), wanted)

    def _followed(self, columns: dict[str, Array], n: int, wanted: Collection[str]) -> dict[str, Array]:
        """Add fixed and derived parameters that are wanted to columns ``(n,)``."""
        for name, parameter in self._parameters.items():
            if isinstance(parameter, Fixed) and name in wanted:
                columns[name] = np.full(n, parameter.value)
        for name in self._derived_order:
            parameter = self._parameters[name]
            if isinstance(parameter, Derived) and name in wanted:
                columns[name] = np.broadcast_to(parameter.compiled(columns), (n,)).astype(np.float64)
        return columns

    def _restricted(self, condition: Condition) -> Domain:
        """Return where a condition holds."""
        needed = set(condition.names)
        for name in reversed(self._derived_order):
            parameter = self._parameters[name]
            if isinstance(parameter, Derived) and name in needed:
                needed |= parameter.compiled.names
        scanned = {
            axis
            for name, p in self._priors.items()
            for axis in (p.free if isinstance(p, Joint) else (name,))
            if not needed.isdisjoint(p.names if isinstance(p, Joint) else (name,))
        }
        axes = tuple(axis for axis, name in enumerate(self.free) if name in scanned)
        if not axes:
            msg = f"where: {' and '.join(condition.texts)!r} depends on no scanned parameter"
            raise ConfigError(msg)

        def draw(n: int, rng: np.random.Generator) -> dict[str, Array]:
            u = np.full((n, self.d), 0.5)
            u[:, axes] = rng.random((n, len(axes)))
            return self._columns(u, needed)

        share = condition.measure(draw)
        self._conditioned = frozenset(needed)
        return Domain(self.d, self._allowed, axes, share, self._zeros())

    def _allowed(self, u: Array) -> NDArray[np.bool_]:
        """Return at which places ``(n, d)`` the conditions hold ``(n,)``."""
        assert self._condition is not None
        return self._condition.hold(self._columns(u, self._conditioned))

    def _order_derived(self) -> tuple[str, ...]:
        waiting = {name: p.compiled for name, p in self._parameters.items() if isinstance(p, Derived)}
        for name, expression in waiting.items():
            for needed in sorted(expression.names - set(self._parameters)):
                msg = (
                    f"parameter {name!r} = {expression.text!r} needs {needed!r}, which is not a parameter"
                    f"{did_you_mean(needed, set(self._parameters) - {name})}"
                )
                raise ConfigError(msg)
        order: list[str] = []
        while waiting:
            ready = [name for name, expression in waiting.items() if not expression.names & set(waiting)]
            if not ready:
                msg = f"derived parameters depend on each other in a circle: {', '.join(waiting)}"
                raise ConfigError(msg)
            order += ready
            for name in ready:
                del waiting[name]
        return tuple(order)


def _entries(given: Any) -> list[tuple[Any, Any]]:
    """Return names and what stands for them, of one argument of a space."""
    if given is None:
        return []
    if isinstance(given, Joint):
        return [(name, given) for name in given.names]
    if not isinstance(given, Mapping):
        msg = (
            f"Space: expected a mapping of names to parameters, Simplex, Ordered, Ball or PriorTransform; got {given!r}"
        )
        raise ConfigError(msg)
    for name, value in given.items():
        if isinstance(value, Joint):
            msg = f"Space: {type(value).__name__} names its parameters itself; give it first, without {name!r}"
            raise ConfigError(msg)
    return list(given.items())


def _as_parameter(name: str, value: Any) -> Parameter:
    try:
        if isinstance(value, Single | Joint | Fixed | Derived):
            return value
        if isinstance(value, tuple | list) and len(value) == 2:
            return Uniform(*value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return Fixed(value)
    except ConfigError as error:
        msg = f"parameter {name!r}: {error}"
        raise type(error)(msg) from None
    msg = (
        f"parameter {name!r}: expected a pair (lo, hi), a number, or one of Uniform, Log, SymLog, Normal, Choice, "
        f"Fixed, Derived; got {value!r}"
    )
    raise ConfigError(msg)
