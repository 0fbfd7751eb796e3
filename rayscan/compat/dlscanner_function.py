"""A user's function of an array of points, as a tool that may know some of its values already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError
from rayscan.problem.identity import fingerprint_function
from rayscan.tools.function import Function

Array = NDArray[np.float64]


class BatchFunction(Function):
    """A function of points ``(n, d)``.

    Parameters
    ----------
    user_fun : callable
        Returns ``(n,)`` or ``(n, outdim)``.
    args : object
        Further arguments: None, a tuple or list of them, or a single one.
    outdim : int

    Raises
    ------
    ConfigError
        When it is no function, or gives no number.
    """

    def __init__(self, user_fun: Callable[..., Any], args: Any, outdim: int) -> None:
        if not isinstance(outdim, int) or isinstance(outdim, bool) or outdim < 1:
            msg = f"outdim = {outdim!r}; expected a whole number >= 1"
            raise ConfigError(msg)
        if not callable(user_fun):
            msg = f"user_fun: expected a function of points (n, ndim), got {user_fun!r}"
            raise ConfigError(msg)
        self.user_fun = user_fun
        self.args = () if args is None else tuple(args) if isinstance(args, tuple | list) else (args,)
        name = str(getattr(user_fun, "__name__", type(user_fun).__name__)).strip("<>")
        outputs = ("y", *(f"y{number}" for number in range(2, outdim + 1)))
        super().__init__(self._call, outputs, vectorized=True, name=name)
        self._known: dict[bytes, Array] = {}

    def know(self, x: Array, values: Array) -> None:
        """Take values ``(n, outdim)`` of points ``(n, d)``, which are then not asked of the function."""
        self._known = {row.tobytes(): value for row, value in zip(x, values, strict=True)}

    def evaluate_many(self, x: Array, parameters: Sequence[str]) -> Array:
        known = [self._known.get(row.tobytes()) for row in x] if self._known else [None] * len(x)
        unknown = np.array([value is None for value in known], dtype=bool)
        values = np.empty((len(x), len(self.outputs)))
        for row in np.flatnonzero(~unknown):
            values[row] = known[row]
        if unknown.any():
            values[unknown] = super().evaluate_many(x[unknown], parameters)
        return values

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "function": fingerprint_function(self.user_fun), "args": repr(self.args)}

    def _call(self, x: Array) -> Any:
        return self.user_fun(x, *self.args)
