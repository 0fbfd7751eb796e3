"""Arithmetic expressions in configuration files, evaluated without ``eval``.

Only numbers, names, ``+ - * / ** %``, parentheses, comparisons, ``and``, ``or``, ``not`` and a fixed list of functions
exist in the language; everything is float64, so that no expression can run away with integers of unbounded size. What
is true is 1, what is not is 0; of comparisons with an undefined value only ``!=`` is true.
"""

from __future__ import annotations

import ast
import functools
import itertools
import operator
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rayscan.errors import ExpressionError, did_you_mean

CONSTANTS = {"pi": np.pi, "e": np.e, "inf": np.inf}
_ANY = -1
"""One argument or more."""


def _sum(*values: Any) -> Any:
    return functools.reduce(operator.add, values)


FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "abs": (np.abs, 1),
    "sqrt": (np.sqrt, 1),
    "exp": (np.exp, 1),
    "log": (np.log, 1),
    "log10": (np.log10, 1),
    "sin": (np.sin, 1),
    "cos": (np.cos, 1),
    "tan": (np.tan, 1),
    "arcsin": (np.arcsin, 1),
    "arccos": (np.arccos, 1),
    "arctan": (np.arctan, 1),
    "arctan2": (np.arctan2, 2),
    "sinh": (np.sinh, 1),
    "cosh": (np.cosh, 1),
    "tanh": (np.tanh, 1),
    "sign": (np.sign, 1),
    "min": (lambda *values: functools.reduce(np.minimum, values), _ANY),
    "max": (lambda *values: functools.reduce(np.maximum, values), _ANY),
    "sum": (_sum, _ANY),
    "mean": (lambda *values: _sum(*values) / len(values), _ANY),
    "where": (np.where, 3),
}
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.true_divide,
    ast.Pow: np.float_power,
    ast.Mod: np.mod,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_INSTEAD: dict[type[ast.operator], str] = {
    ast.BitXor: " (write a power as **)",
    ast.BitAnd: " (write 'and')",
    ast.BitOr: " (write 'or')",
}
_MAX_LENGTH = 2000
_MAX_DEPTH = 100
"""Brackets within brackets; deeper ones might not be evaluated where the stack is deep already."""


@dataclass(frozen=True)
class Expression:
    """An arithmetic expression of named quantities.

    Parameters
    ----------
    text : str
        For example ``"mA**2 / tanb"``. ``^`` is refused, because it means a power to some and exclusive-or to others.

    Attributes
    ----------
    names : frozenset of str
        The quantities the expression needs.

    Raises
    ------
    ExpressionError
        If `text` is not in the language.

    Examples
    --------
    >>> Expression("sqrt(a**2 + b**2)")({"a": 3.0, "b": 4.0})
    array(5.)
    >>> Expression("0 < a < b and not max(a, b, c) > 9")({"a": [1, 2], "b": 2, "c": 3})
    array([1., 0.])
    """

    text: str
    names: frozenset[str] = field(init=False, compare=False)
    _tree: ast.expr = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.text) > _MAX_LENGTH:
            msg = f"expression of {len(self.text)} characters; at most {_MAX_LENGTH} are accepted"
            raise ExpressionError(msg)
        try:
            tree = ast.parse(self.text.strip(), mode="eval").body
            names: set[str] = set()
            _check(tree, self.text, names)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            if isinstance(error, ExpressionError):
                raise
            msg = f"expression {self.text!r} cannot be parsed: expected arithmetic such as 'mA**2 / tanb' ({error})"
            raise ExpressionError(msg) from None
        object.__setattr__(self, "names", frozenset(names))
        object.__setattr__(self, "_tree", tree)

    @property
    def logical(self) -> bool:
        """Whether it is a condition: a comparison, or conditions joined by ``and``, ``or`` and ``not``."""
        return _is_condition(self._tree)

    @property
    def parts(self) -> tuple[Expression, ...]:
        """The expressions that ``and`` joins; the expression itself where it joins none."""
        tree = self._tree
        if not (isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And)):
            return (self,)
        return tuple(part for value in tree.values for part in Expression(ast.unparse(value)).parts)

    def __call__(self, values: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
        """Evaluate for scalars or for arrays that broadcast together.

        Parameters
        ----------
        values : mapping of str to array_like
            At least every name in `names`.

        Returns
        -------
        ndarray
            float64; undefined results (0/0, log of a negative number) are NaN or infinite, never an exception.

        Raises
        ------
        ExpressionError
            If a name is missing from `values`.
        """
        for name in sorted(self.names - set(values)):
            msg = f"expression {self.text!r} uses {name!r}, which is not defined{did_you_mean(name, values)}"
            raise ExpressionError(msg)
        with np.errstate(all="ignore"):
            return np.asarray(_evaluate(self._tree, values), dtype=np.float64)

    def __reduce__(self) -> tuple[type[Expression], tuple[str]]:
        return Expression, (self.text,)


def _refuse(text: str, node: ast.AST, reason: str) -> ExpressionError:
    column = getattr(node, "col_offset", 0) + 1
    return ExpressionError(f"expression {text!r}, column {column}: {reason}")


def _check(node: ast.expr, text: str, names: set[str], depth: int = 0) -> None:
    if depth > _MAX_DEPTH:
        raise _refuse(text, node, f"nested more than {_MAX_DEPTH} deep; split it into several quantities")
    for child in _children(node, text, names):
        _check(child, text, names, depth + 1)


def _children(node: ast.expr, text: str, names: set[str]) -> list[ast.expr]:  # noqa: PLR0911 - one for each kind
    match node:
        case ast.Constant():
            _check_number(node, text)
            return []
        case ast.Name(id=name):
            names |= {name} - set(CONSTANTS)
            return []
        case ast.BinOp(left=left, right=right):
            _check_operator(node, text)
            return [left, right]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not(), operand=operand):
            return [operand]
        case ast.BoolOp(values=joined):
            return joined
        case ast.Compare(left=left, comparators=others):
            _check_operator(node, text)
            return [left, *others]
        case ast.Call():
            return _check_call(node, text)
    raise _refuse(text, node, f"{type(node).__name__} is not in the language; expected arithmetic of names")


def _check_operator(node: ast.BinOp | ast.Compare, text: str) -> None:
    if isinstance(node, ast.Compare):
        if not all(type(op) in _COMPARE for op in node.ops):
            raise _refuse(text, node, "comparison not in the language; expected one of < <= > >= == !=")
    elif type(node.op) not in _BINARY:
        hint = _INSTEAD.get(type(node.op), "")
        raise _refuse(text, node, f"operator not in the language; expected one of + - * / ** %{hint}")


def _check_number(node: ast.Constant, text: str) -> None:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        raise _refuse(text, node, f"expected a number, got {node.value!r}")
    if isinstance(node.value, int) and abs(node.value) > sys.float_info.max:
        raise _refuse(text, node, "a number too large for a double")


def _check_call(node: ast.Call, text: str) -> list[ast.expr]:
    name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
    if name not in FUNCTIONS:
        raise _refuse(text, node, f"unknown function {name!r}{did_you_mean(name, FUNCTIONS)}")
    expected = FUNCTIONS[name][1]
    if (not node.args if expected == _ANY else len(node.args) != expected) or node.keywords:
        takes = "one or more" if expected == _ANY else expected
        raise _refuse(text, node, f"{name} takes {takes} argument(s), got {len(node.args) + len(node.keywords)}")
    return node.args


def _evaluate(node: ast.expr, values: Mapping[str, ArrayLike]) -> Any:  # noqa: PLR0911 - one for each kind
    match node:
        case ast.Constant(value=value):
            return np.float64(value)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return np.asarray(values[name], dtype=np.float64) if name in values else np.float64(CONSTANTS[name])
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_evaluate(left, values), _evaluate(right, values))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return 1.0 - _truth(_evaluate(operand, values))
        case ast.UnaryOp(op=op, operand=operand):
            value = _evaluate(operand, values)
            return -value if isinstance(op, ast.USub) else value
        case ast.BoolOp(op=op, values=nodes):
            join = np.minimum if isinstance(op, ast.And) else np.maximum
            return functools.reduce(join, (_truth(_evaluate(one, values)) for one in nodes))
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = itertools.pairwise(_evaluate(one, values) for one in (left, *others))
            held = (_COMPARE[type(op)](one, two) for op, (one, two) in zip(ops, sides, strict=True))
            return np.asarray(functools.reduce(operator.and_, held), dtype=np.float64)
        case ast.Call(func=ast.Name(id=name), args=args):
            return FUNCTIONS[name][0](*(_evaluate(argument, values) for argument in args))
    msg = f"unchecked node {ast.dump(node)}"
    raise AssertionError(msg)


def _truth(value: Any) -> Any:
    """Return 1 where a value is true and 0 where it is not; what is undefined is not."""
    return np.asarray((value != 0) & ~np.isnan(value), dtype=np.float64)


def _is_condition(node: ast.expr) -> bool:
    if isinstance(node, ast.BoolOp):
        return all(map(_is_condition, node.values))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _is_condition(node.operand)
    return isinstance(node, ast.Compare)
