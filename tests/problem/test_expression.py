from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayscan.errors import ExpressionError
from rayscan.problem.expression import Expression


def test_arithmetic_of_arrays() -> None:
    """Arrays broadcast as in NumPy."""
    values = Expression("where(a > 2, a, -a) + b**2 % 5")({"a": np.array([1.0, 3.0]), "b": 3.0})

    assert values.tolist() == [3.0, 7.0]


def test_names_are_known_without_evaluation() -> None:
    """Constants and functions are not names of quantities."""
    assert Expression("sqrt(mA**2 + pi) / tanb").names == {"mA", "tanb"}


def test_undefined_results_are_nan() -> None:
    """No arithmetic raises: 0/0 and log(-1) are NaN, overflow is infinite."""
    assert math.isnan(Expression("a / b")({"a": 0.0, "b": 0.0}))
    assert math.isnan(Expression("log(a)")({"a": -1.0}))
    assert Expression("9**9**9**9")({}) == np.inf


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "a.__class__",
        "(lambda: 1)()",
        "[x for x in a]",
        "a[0]",
        "'text'",
        "True",
        "a if b else c",
        "f'{a}'",
        "print(a)",
        "a := 3",
        "sqrt(a, b)",
        "sqrt(x=a)",
        "a ^ 2",
        "a in b",
        "a is b",
        "min()",
        "min(*a)",
        "mean(a, axis=0)",
        "a & b",
        "a ** ",
        "",
        "(" * 300,
        "1" * 5000,
        "a\0b",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    """Attribute access, calls of unknown functions, subscripts and text are not in the language."""
    with pytest.raises(ExpressionError):
        Expression(text)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0 < a < b <= 2", [1, 0, 0]),
        ("a < b and b < 2 or a == 4", [0, 0, 1]),
        ("not a < b", [0, 1, 1]),
        ("a and b", [1, 1, 1]),
        ("not a - 1", [1, 0, 0]),
    ],
)
def test_conditions_are_one_where_they_hold(text: str, values: list[float]) -> None:
    """Chained comparisons, and, or, not bind as in Python, element by element."""
    result = Expression(text)({"a": np.array([1.0, 3.0, 4.0]), "b": np.array([2.0, 2.0, 3.0])})

    assert result.tolist() == values


def test_what_is_undefined_is_not_true() -> None:
    """A comparison with NaN does not hold, nor does NaN itself, whatever it is joined to by `and`."""
    nan = {"a": np.nan}

    assert Expression("0 < log(a) < 1")(nan) == 0
    assert Expression("a and 1 < 2")(nan) == 0
    assert Expression("a or 1 < 2")(nan) == 1


def test_extremes_sums_and_means_of_any_number() -> None:
    """min, max, sum and mean take one argument or more, arrays and numbers together."""
    values = {name: np.array([k, -k]) for k, name in enumerate("abcdefgh", start=1)}
    everything = ", ".join(values)

    assert Expression(f"min({everything})")(values).tolist() == [1, -8]
    assert Expression(f"max({everything}, 5)")(values).tolist() == [8, 5]
    assert Expression(f"sum({everything})")(values).tolist() == [36, -36]
    assert Expression(f"mean({everything})")(values).tolist() == [4.5, -4.5]
    assert Expression("mean(a)")(values).tolist() == [1, -1]


@pytest.mark.parametrize(
    ("text", "logical", "parts"),
    [
        ("a < b", True, ["a < b"]),
        ("a < b and (c > 1 or a == 2) and not b < c < 1", True, ["a < b", "c > 1 or a == 2", "not b < c < 1"]),
        ("(a < b and b < c) and c < 1", True, ["a < b", "b < c", "c < 1"]),
        ("a < b and c", False, ["a < b", "c"]),
        ("min(a, b)", False, ["min(a, b)"]),
    ],
)
def test_a_condition_is_known_and_taken_apart(text: str, logical: bool, parts: list[str]) -> None:
    """What joins comparisons alone is a condition; what `and` joins is found one by one."""
    expression = Expression(text)

    assert expression.logical == logical
    assert [part.text for part in expression.parts] == parts


def test_missing_name_is_named_with_a_suggestion() -> None:
    """The message says which name is missing and which one was probably meant."""
    with pytest.raises(ExpressionError, match=r"uses 'tanbeta'.*did you mean 'tanb'"):
        Expression("tanbeta**2")({"tanb": 3.0})


def test_pickles() -> None:
    """An expression travels to other processes."""
    assert pickle.loads(pickle.dumps(Expression("a + 1")))({"a": 1.0}) == 2.0


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_agrees_with_python(a: float, b: float) -> None:
    """Precedence and values are Python's."""
    expected = a + b * (a - 2.5) ** 2 / 3 - -b

    assert Expression("a + b * (a - 2.5) ** 2 / 3 - -b")({"a": a, "b": b}) == pytest.approx(expected, rel=1e-12)


@given(st.floats(-9, 9), st.floats(-9, 9), st.floats(-9, 9))
def test_conditions_agree_with_python(a: float, b: float, c: float) -> None:
    """Precedence of and, or, not and chains is Python's."""
    expected = c == 0 or (not a < b <= c and (a > 0 or b > 0))

    assert Expression("c == 0 or not a < b <= c and (a > 0 or b > 0)")({"a": a, "b": b, "c": c}) == expected
