"""Conditions between parameters: what must hold of a point before any program sees it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError, ExpressionError, did_you_mean
from rayscan.problem.expression import Expression

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Columns = Mapping[str, Array]

RAREST = 1e-4
"""The share of the prior that must satisfy the conditions: blind points are draws from it, by trial and error."""
FIRST, MOST, ENOUGH = 100_000, 1_000_000, 1000
"""Draws by which the share is measured: so many at a time, at most, and how many of them are to satisfy them."""


class Condition:
    """One or more conditions, all of which must hold.

    Parameters
    ----------
    where : str or sequence of str
        Comparisons of parameters, joined by ``and``, ``or`` and ``not``.
    known : collection of str
        The parameters.

    Attributes
    ----------
    texts : tuple of str
    names : frozenset of str
        The parameters that they depend on.

    Raises
    ------
    ConfigError
        If one is no condition, or needs what is not a parameter.

    Examples
    --------
    >>> Condition("0 < m1 < m2", ["m1", "m2"]).hold({"m1": np.array([1.0, 3.0]), "m2": np.full(2, 2.0)})
    array([ True, False])
    """

    def __init__(self, where: str | Sequence[str], known: Collection[str]) -> None:
        given = [where] if isinstance(where, str) else where
        if not isinstance(given, list | tuple) or not given or not all(isinstance(text, str) for text in given):
            msg = (
                f"where: expected a condition such as 'm1 < m2', or a list of them; got {where!r} (a parameter of this "
                "name goes in a mapping: Space({'where': (0, 1)}))"
            )
            raise ConfigError(msg)
        self.texts = tuple(" ".join(text.split()) for text in given)
        self._expressions = tuple(_parsed(text, known) for text in self.texts)
        self.names = frozenset[str]().union(*(one.names for one in self._expressions))

    @property
    def parts(self) -> tuple[str, ...]:
        """What must hold, one by one, written in one way: the conditions that ``and`` joins are told apart."""
        return tuple(ast.unparse(ast.parse(one.text, mode="eval")) for one in self._parts())

    def hold(self, columns: Columns) -> Mask:
        """Return of which points ``(n,)``, given as columns by name, all conditions hold."""
        held = [np.asarray(one(columns) != 0) for one in self._expressions]
        n = len(next(iter(columns.values())))
        return np.asarray(np.broadcast_to(np.logical_and.reduce(np.broadcast_arrays(*held)), n))

    def broken(self, columns: Columns) -> str:
        """Return the first part of the conditions that does not hold of the only point there is."""
        return next(one.text for one in self._parts() if not np.all(one(columns) != 0))

    def measure(self, draw: Callable[[int, np.random.Generator], Columns]) -> float:
        """Return the share of the prior where all conditions hold.

        Parameters
        ----------
        draw : callable
            Returns so many points of the prior as columns.

        Raises
        ------
        ConfigError
            If it is less than `RAREST`, with what each part of the conditions leaves.
        """
        rng, tried, held = np.random.default_rng(0), 0, 0
        parts = list(self._parts())
        counts = np.zeros(len(parts))
        while tried < MOST and held < ENOUGH:
            columns = draw(FIRST, rng)
            tried, held = tried + FIRST, held + int(self.hold(columns).sum())
            counts += [np.broadcast_to(one(columns) != 0, FIRST).sum() for one in parts]
        if held >= RAREST * tried:
            return held / tried
        alone = ", ".join(f"{one.text!r} {_share(count / tried)}" for one, count in zip(parts, counts, strict=True))
        each = f"; alone: {alone}" if len(parts) > 1 else ""
        together = " and ".join(map(repr, self.texts))
        msg = (
            f"where: {held or 'none'} of {tried:,} draws from the prior satisfy {together}{each}. Expected "
            f"{_share(RAREST)} or more: mend the condition or the ranges. Where parameters are ordered, sum to 1 or "
            "lie in a ball, Ordered, Simplex and Ball leave nothing to try; where two sides are equal, derive a "
            "parameter from the others (Derived)"
        )
        raise ConfigError(msg)

    def _parts(self) -> Iterator[Expression]:
        for one in self._expressions:
            yield from one.parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and self.parts == other.parts

    __hash__ = None  # type: ignore[assignment]


def _parsed(text: str, known: Collection[str]) -> Expression:
    try:
        expression = Expression(text)
    except ExpressionError as error:
        msg = f"where: {error}"
        raise ExpressionError(msg) from None
    if not expression.logical:
        msg = f"where: {text!r} is no condition; expected comparisons joined by and, or, not, such as 'm1 < m2'"
        raise ConfigError(msg)
    for name in sorted(expression.names - set(known)):
        msg = (
            f"where: {text!r} needs {name!r}, which is not a parameter{did_you_mean(name, known)} (what is asked of an "
            "observable belongs in the target)"
        )
        raise ConfigError(msg)
    if not expression.names:
        msg = f"where: {text!r} names no parameter; expected a condition such as 'm1 < m2'"
        raise ConfigError(msg)
    return expression


def _share(share: Any) -> str:
    return f"{100 * share:.3g} %"
