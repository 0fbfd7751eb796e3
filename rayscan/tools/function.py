"""A Python function as a tool, one point at a time or a block at once."""

from __future__ import annotations

import inspect
import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError, ToolError, did_you_mean
from rayscan.problem.identity import fingerprint_function
from rayscan.problem.space import check_name
from rayscan.tools.base import Outcome, Status, Tool

if TYPE_CHECKING:
    from rayscan.sandbox.sandbox import Sandbox

Array = NDArray[np.float64]
MESSAGE_LENGTH = 400


class Function(Tool):
    """A Python function of a point.

    Parameters
    ----------
    f : callable
        Takes parameters by name, ``f(m0=…, tanb=…)`` (those in its signature, or all with ``**``), and returns a
        number, a tuple with one number per output, or a dict. With `vectorized`, takes an ``(n, d)`` array in the
        space's order and returns ``(n,)`` or ``(n, m)``.
    outputs : sequence of str
        The observables it gives. Length ``m``.
    vectorized : bool
        Whether `f` takes a whole block of points.
    name : str, optional
        For stages and messages; the function's own by default.

    Raises
    ------
    ConfigError
        When `f` is no function, or the outputs are not distinct names.

    Notes
    -----
    A point for which any output is NaN is ``unphysical``: it has no such value. An infinite output is kept in the row,
    whose status stays ``ok``, but fulfils no constraint, not even an open window. An exception, something that is no
    number, or a wrong number of outputs is a ``tool_error``: a mistake of the function, not a property of the point.

    Examples
    --------
    >>> tool = Function(lambda x, y: x**2 + y**2, outputs=["r2"])
    >>> tool.describe()["outputs"]
    ['r2']
    """

    def __init__(
        self, f: Callable[..., Any], outputs: Sequence[str] = ("y",), vectorized: bool = False, name: str | None = None
    ) -> None:
        given: object = f
        if not callable(given):
            msg = f"expected a function, got {f!r}"
            raise ConfigError(msg)
        self.f = f
        self.vectorized = bool(vectorized)
        self.name = name if name is not None else str(getattr(f, "__name__", type(f).__name__)).strip("<>")
        if isinstance(outputs, str):
            msg = f"function {self.name}: outputs = {outputs!r}; expected a list of names such as [{outputs!r}]"
            raise ConfigError(msg)
        self.outputs = tuple(check_name("output", output) for output in outputs)
        if not self.outputs or len(set(self.outputs)) < len(self.outputs):
            msg = f"function {self.name}: outputs = {list(outputs)}; expected at least one name, and each once"
            raise ConfigError(msg)

    def check(self, parameters: Sequence[str]) -> None:
        """Refuse a function that cannot be called with these parameters, by its signature alone.

        Raises
        ------
        ConfigError
            For an argument that is no parameter, or an output of the same name as a parameter.
        """
        for output in self.outputs:
            if output in parameters:
                msg = f"function {self.name}: output {output!r} has the name of a parameter; choose another name"
                raise ConfigError(msg)
        arguments = self._arguments()
        if arguments is None:
            return
        needed = [argument for argument in arguments if argument.default is argument.empty and _is_single(argument)]
        if self.vectorized:
            takes = sum(argument.kind is not argument.KEYWORD_ONLY for argument in needed)
            able = any(argument.kind is not argument.KEYWORD_ONLY and argument.kind is not argument.VAR_KEYWORD
                       for argument in arguments)  # fmt: skip
            if takes > 1 or takes < len(needed) or not able:
                names = [argument.name for argument in needed]
                msg = (
                    f"function {self.name} is vectorised: expected one argument, the (n, d) array of points; it takes "
                    f"{names or 'none'}. Without vectorized=True it gets parameters by name"
                )
                raise ConfigError(msg)
            return
        for argument in needed:
            if argument.kind is argument.POSITIONAL_ONLY:
                msg = f"function {self.name}: {argument.name!r} is positional-only; expected parameters by name"
                raise ConfigError(msg)
            if argument.name not in parameters:
                hint = did_you_mean(argument.name, parameters)
                msg = f"function {self.name} needs {argument.name!r}, which is not a parameter of the space{hint}"
                raise ConfigError(msg)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "function": fingerprint_function(self.f), "vectorized": self.vectorized}

    def evaluate(self, point: Mapping[str, float], sandbox: Sandbox) -> Outcome:  # noqa: ARG002 - it starts no program
        if self.vectorized:
            x = np.array([list(point.values())], dtype=np.float64)
            try:
                values = self.evaluate_many(x, list(point))[0]
            except ToolError as error:
                return Outcome(Status.TOOL_ERROR, message=str(error)[:MESSAGE_LENGTH])
            return self._outcome(dict(zip(self.outputs, map(float, values), strict=True)))
        try:
            returned = self.f(**self._select(point))
        except Exception as error:  # noqa: BLE001 - whatever a user's function raises is the outcome of this point
            return Outcome(Status.TOOL_ERROR, message=self._blame(error)[:MESSAGE_LENGTH])
        try:
            return self._outcome(self._by_name(returned))
        except ToolError as error:
            return Outcome(Status.TOOL_ERROR, message=str(error)[:MESSAGE_LENGTH])

    def evaluate_many(self, x: Array, parameters: Sequence[str]) -> Array:
        """Evaluate a block at once.

        Parameters
        ----------
        x : ndarray, shape (n, d)
            Physical points in the space's order. The function gets a copy.
        parameters : sequence of str, length d

        Returns
        -------
        ndarray, shape (n, m)
            A row with NaN in it is an unphysical point.

        Raises
        ------
        ToolError
            When the function raises, or returns another shape or no numbers.
        """
        if not self.vectorized:
            return super().evaluate_many(x, parameters)
        n, m = len(x), len(self.outputs)
        try:
            returned = self.f(np.array(x, dtype=np.float64))
        except Exception as error:
            raise ToolError(self._blame(error)) from error
        try:
            values = np.asarray(returned)
        except ValueError:
            values = np.empty(0, dtype=object)
        if values.dtype.kind not in "fiub":
            msg = f"function {self.name} returned {_show(returned)}; expected an array of real numbers"
            raise ToolError(msg)
        allowed = [(n, m), (n,)] if m == 1 else [(n, m)]
        if values.shape not in allowed:
            msg = (
                f"function {self.name} returned shape {values.shape} for {n} points and {m} outputs; expected "
                f"{' or '.join(map(str, allowed))}"
            )
            raise ToolError(msg)
        return np.array(values, dtype=np.float64).reshape(n, m)

    def _arguments(self) -> list[inspect.Parameter] | None:
        """Return the function's arguments; None where it does not tell (some of those written in C)."""
        try:
            return list(inspect.signature(self.f).parameters.values())
        except (TypeError, ValueError):
            return None

    def _select(self, point: Mapping[str, float]) -> dict[str, float]:
        arguments = self._arguments()
        if arguments is None or any(argument.kind is argument.VAR_KEYWORD for argument in arguments):
            return dict(point)
        return {argument.name: point[argument.name] for argument in arguments if argument.name in point}

    def _by_name(self, returned: Any) -> dict[str, float]:
        """Return what the function gave as one float per output."""
        if isinstance(returned, Mapping):
            missing = [output for output in self.outputs if output not in returned]
            if missing:
                hint = did_you_mean(missing[0], map(str, returned))
                msg = f"function {self.name} returned a dict without {missing[0]!r}{hint}"
                raise ToolError(msg)
            entries = [returned[output] for output in self.outputs]
        elif isinstance(returned, tuple | list) or (isinstance(returned, np.ndarray) and returned.ndim == 1):
            entries = list(returned)
        else:
            entries = [returned]
        if len(entries) != len(self.outputs):
            msg = (
                f"function {self.name} returned {len(entries)} value(s), {_show(returned)}; "
                f"expected {len(self.outputs)}: {', '.join(self.outputs)}"
            )
            raise ToolError(msg)
        return {output: self._number(output, entry) for output, entry in zip(self.outputs, entries, strict=True)}

    def _number(self, output: str, entry: Any) -> float:
        # float("1.5") and float(b"1") work, too, but text here is a mistake that should be seen.
        if not isinstance(entry, str | bytes | complex | np.complexfloating):
            try:
                return float(entry)
            except (TypeError, ValueError, OverflowError):
                pass
        hint = "; does it end without a return?" if entry is None else ""
        msg = f"function {self.name} returned {_show(entry)} for {output!r}; expected a number{hint}"
        raise ToolError(msg)

    def _outcome(self, values: dict[str, float]) -> Outcome:
        undefined = [name for name, value in values.items() if math.isnan(value)]
        if undefined:
            return Outcome(Status.UNPHYSICAL, values, message=f"{', '.join(undefined)} is NaN"[:MESSAGE_LENGTH])
        infinite = [name for name, value in values.items() if math.isinf(value)]
        message = f"{', '.join(infinite)} is infinite, which fulfils no constraint" if infinite else ""
        return Outcome(Status.OK, values, message=message[:MESSAGE_LENGTH])

    def _blame(self, error: Exception) -> str:
        frames = traceback.extract_tb(error.__traceback__)
        place = f" ({frames[-1].filename}:{frames[-1].lineno})" if len(frames) > 1 else ""
        return f"function {self.name} raised {type(error).__name__}: {str(error)[:200]}{place}"


def _is_single(argument: inspect.Parameter) -> bool:
    return argument.kind not in {argument.VAR_POSITIONAL, argument.VAR_KEYWORD}


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
