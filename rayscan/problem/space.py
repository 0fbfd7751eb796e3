"""The parameter space: which parameters are scanned, over what prior, and the map from and to the unit cube."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rayscan.errors import ConfigError, did_you_mean
from rayscan.markup import html_table
from rayscan.problem.priors import Choice, Derived, Fixed, Log, Normal, Prior, SymLog, Uniform

Parameter: TypeAlias = Uniform | Log | SymLog | Normal | Choice | Fixed | Derived
Array = NDArray[np.float64]

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
    """A named box of parameters, each with its prior.

    Parameters
    ----------
    parameters : mapping of str to Parameter, optional
        The parameters in order. A pair ``(lo, hi)`` means `Uniform`, a plain number means `Fixed`.
    **named : Parameter
        More parameters, by keyword.

    Attributes
    ----------
    names : tuple of str
        Every parameter in order, fixed and derived ones included: the columns of a physical point. Length ``p``.
    free : tuple of str
        The scanned parameters in order: the axes of the unit cube. Length ``d``.
    d : int
        The number of scanned parameters.

    Raises
    ------
    ConfigError
        For min ≥ max, a logarithmic range across zero, a bad name, an expression of unknown or circular parameters.

    Examples
    --------
    >>> space = Space(m0=(100, 3000), tanb=Log(2, 60), mu=500, m0sq=Derived("m0**2"))
    >>> space.names, space.free
    (('m0', 'tanb', 'mu', 'm0sq'), ('m0', 'tanb'))
    >>> space.to_physical([[0.0, 0.0]])
    array([[  100.,     2.,   500., 10000.]])
    """

    def __init__(self, parameters: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        given = {**(parameters or {}), **named}
        if parameters is not None and len(given) != len(parameters) + len(named):
            twice = sorted(set(parameters) & set(named))
            msg = f"parameter {twice[0]!r} is given twice"
            raise ConfigError(msg)
        self._parameters: dict[str, Parameter] = {
            check_name("parameter", name): _as_parameter(name, value) for name, value in given.items()
        }
        self.names: tuple[str, ...] = tuple(self._parameters)
        self._priors: dict[str, Prior] = {
            name: p for name, p in self._parameters.items() if not isinstance(p, Fixed | Derived)
        }
        self.free: tuple[str, ...] = tuple(self._priors)
        self.d: int = len(self.free)
        if not self.free:
            msg = "the space has no parameter to scan; expected at least one range, such as m0=(100, 3000)"
            raise ConfigError(msg)
        self._derived_order = self._order_derived()

    @property
    def zeros(self) -> Array:
        """Where in the unit cube each scanned parameter is zero ``(d,)``, NaN for those that are not.

        Of a `SymLog` nothing is said: its axis is logarithmic around zero as it is.
        """
        zeros = np.full(self.d, np.nan)
        for axis, prior in enumerate(self._priors.values()):
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
        return isinstance(other, Space) and list(self._parameters.items()) == list(other._parameters.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Space({', '.join(f'{name}={parameter}' for name, parameter in self._parameters.items())})"

    def _repr_html_(self) -> str:
        return html_table("Space", ("parameter", "prior or value"), list(self._parameters.items()))

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
        return self.complete(
            np.column_stack([prior.to_physical(u[:, axis]) for axis, prior in enumerate(self._priors.values())])
        )

    def complete(self, free: ArrayLike) -> Array:
        """Add the fixed and derived parameters to the scanned ones.

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
        for name, parameter in self._parameters.items():
            if isinstance(parameter, Fixed):
                columns[name] = np.full(len(given), parameter.value)
        for name in self._derived_order:
            parameter = self._parameters[name]
            assert isinstance(parameter, Derived)
            columns[name] = np.broadcast_to(parameter.compiled(columns), (len(given),)).astype(np.float64)
        return np.column_stack([columns[name] for name in self.names])

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
        return np.column_stack([prior.to_unit(x[:, names.index(name)]) for name, prior in self._priors.items()])

    @property
    def serving(self) -> tuple[str, ...]:
        """The parameters from which others are derived."""
        needed = {name for p in self._parameters.values() if isinstance(p, Derived) for name in p.compiled.names}
        return tuple(name for name in self.names if name in needed)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Describe the space in plain types, as saved with the data and compared on resume."""
        described: dict[str, dict[str, Any]] = {}
        for name, parameter in self._parameters.items():
            values = {key: list(v) if isinstance(v, tuple) else v for key, v in vars(parameter).items()}
            described[name] = {"prior": type(parameter).__name__.lower(), **values}
        return described

    def _matrix(self, what: str, values: ArrayLike, width: int) -> Array:
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != width:
            msg = f"{what}: expected an array of shape (n, {width}) for {', '.join(self.names)}, got {array.shape}"
            raise ConfigError(msg)
        return array

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


def _as_parameter(name: str, value: Any) -> Parameter:
    try:
        if isinstance(value, Uniform | Log | SymLog | Normal | Choice | Fixed | Derived):
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
