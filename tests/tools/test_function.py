"""A Python function as a tool."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rayscan.errors import ConfigError, ToolError
from rayscan.problem.constraints import Above, Below
from rayscan.problem.target import Target
from rayscan.sandbox.sandbox import Sandbox
from rayscan.sandbox.workshop import Workshop
from rayscan.tools.base import Outcome, Status
from rayscan.tools.function import Function

POINT = {"m0": 3.0, "tanb": 4.0}


def evaluate(f: Callable[..., Any], *outputs: str, **options: Any) -> Outcome:
    return Function(f, outputs or ("y",), **options).evaluate(POINT, sandbox=None)  # type: ignore[arg-type]


def module_level(m0: float, tanb: float) -> float:
    return m0 * tanb


@pytest.mark.parametrize(
    ("returned", "expected"),
    [(5, 5.0), (np.float32(0.5), 0.5), (np.array(2.0), 2.0), (np.array([2.0]), 2.0), (True, 1.0), ((7,), 7.0),
     ({"y": 3, "more": "ignored"}, 3.0), (math.inf, math.inf)],
)  # fmt: skip
def test_a_number_however_it_is_wrapped(returned: Any, expected: float) -> None:
    """Numbers, one-tuples, dicts, NumPy scalars and booleans are one observable."""
    outcome = evaluate(lambda m0, tanb: returned)
    assert (outcome.status, outcome.observables) == (Status.OK, {"y": expected})


@pytest.mark.parametrize("kind", [tuple, list, np.array, lambda values: {"b": values[1], "a": values[0]}])
def test_several_outputs(kind: Callable[..., Any]) -> None:
    """A tuple, list or array goes by order, a dict by name."""
    outcome = evaluate(lambda m0, tanb: kind([m0 + tanb, m0 - tanb]), "a", "b")
    assert outcome.observables == {"a": 7.0, "b": -1.0}


def test_arguments_go_by_name() -> None:
    """A function gets those parameters that it names, in whatever order, or all of them with ``**``."""
    assert evaluate(lambda tanb, m0: tanb - m0).observables == {"y": 1.0}
    assert evaluate(lambda m0: m0).observables == {"y": 3.0}
    assert evaluate(lambda **point: sum(point.values())).observables == {"y": 7.0}
    assert evaluate(lambda m0, other=10: m0 * other).observables == {"y": 30.0}
    assert evaluate(dict, "m0", "tanb").observables == POINT


@pytest.mark.parametrize(
    ("returned", "words"),
    [((1, 2), ["2 value(s)", "expected 1: y"]), ((), ["0 value(s)"]), (None, ["None", "without a return"]),
     ("1.5", ["'1.5'", "expected a number"]), (1j, ["1j"]), ({"z": 1}, ["without 'y'"]), ([[1.0]], ["[1.0]"]),
     ({"y": None}, ["for 'y'"]), (np.ones((2, 2)), ["expected a number"]), (object, ["expected a number"])],
)  # fmt: skip
def test_what_is_no_answer_is_a_tool_error(returned: Any, words: list[str]) -> None:
    """The wrong length, no number, or a missing key is the function's mistake, told with what came and was expected."""
    outcome = evaluate(lambda m0, tanb: returned)
    assert outcome.status is Status.TOOL_ERROR
    for word in words:
        assert word in outcome.message


def test_an_exception_is_a_tool_error_with_its_place() -> None:
    """The message names the exception and the line, and is short."""

    def broken(m0: float) -> float:
        return m0 / 0

    outcome = evaluate(broken)
    assert outcome.status is Status.TOOL_ERROR
    assert "ZeroDivisionError" in outcome.message
    assert f"test_function.py:{broken.__code__.co_firstlineno + 1}" in outcome.message
    assert "function broken raised TypeError" in evaluate(lambda x: x).message.replace("lambda", "broken")

    def verbose(m0: float) -> float:
        raise ValueError("x" * 10_000)

    assert len(evaluate(verbose).message) <= 400


def test_an_interrupt_is_no_outcome() -> None:
    """Ctrl-C inside a function ends the scan, not the point."""

    def interrupted(m0: float) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(interrupted)


def test_nan_means_unphysical() -> None:
    """A function that has no answer says NaN: the point is unphysical, and its other outputs are kept."""
    outcome = evaluate(lambda m0: (math.nan, 2.0), "a", "b")
    assert outcome.status is Status.UNPHYSICAL
    assert outcome.observables["b"] == 2.0
    assert "a is NaN" in outcome.message
    assert evaluate(lambda x: np.full(1, np.nan), vectorized=True).status is Status.UNPHYSICAL


@pytest.mark.parametrize("infinite", [math.inf, -math.inf])
def test_infinity_is_a_value_that_fulfils_no_constraint(infinite: float) -> None:
    """It is kept in the row, which stays ok and says so; no window is so open that it would be valid."""
    outcome = evaluate(lambda m0: (infinite, 2.0), "a", "b")
    assert (outcome.status, outcome.observables) == (Status.OK, {"a": infinite, "b": 2.0})
    assert outcome.message == "a is infinite, which fulfils no constraint"
    for target in (
        Target(a=(0, math.inf)),
        Target(a=(-math.inf, 0)),
        Target(a=Above(0)),
        Target(a=Below(0)),
    ):
        assert target.judge({"a": [infinite]}).valid.tolist() == [False]


@pytest.mark.parametrize(
    ("f", "outputs", "options", "message"),
    [(3, ["y"], {}, "expected a function"), (module_level, "y", {}, r"expected a list of names such as \['y'\]"),
     (module_level, [], {}, "at least one name"), (module_level, ["a", "a"], {}, "each once"),
     (module_level, ["a b"], {}, "'a b'"), (module_level, [3], {}, "3")],
)  # fmt: skip
def test_wrong_descriptions_are_refused(f: Any, outputs: Any, options: dict[str, Any], message: str) -> None:
    """What can be seen without the space is refused on construction."""
    with pytest.raises(ConfigError, match=message):
        Function(f, outputs, **options)


@pytest.mark.parametrize(
    ("f", "vectorized", "message"),
    [(lambda m0, tanbeta: 1, False, "needs 'tanbeta'.*did you mean 'tanb'"),
     (lambda m0, /: 1, False, "positional-only"), (lambda a, b: 1, True, r"takes \['a', 'b'\]"),
     (lambda: 1, True, "takes none"), (lambda **k: 1, True, "one argument"),
     (lambda x, *, y: 1, True, "one argument")],
)  # fmt: skip
def test_check_finds_wrong_arguments_before_the_first_point(f: Any, vectorized: bool, message: str) -> None:
    """A function that cannot be called with the space's parameters is refused by its signature."""
    with pytest.raises(ConfigError, match=message):
        Function(f, vectorized=vectorized).check(["m0", "tanb"])


@pytest.mark.parametrize(
    ("f", "vectorized"),
    [(module_level, False), (lambda m0, k=2: 1, False), (lambda **k: 1, False), (dict, False),
     (lambda x: 1, True), (lambda x, k=2: 1, True), (lambda *x: 1, True), (np.sum, True), (lambda x=1: 1, True)],
)  # fmt: skip
def test_check_accepts_what_can_be_called(f: Any, vectorized: bool) -> None:
    """Defaults, ``*``, ``**`` and functions without a readable signature pass."""
    tool = Function(f, vectorized=vectorized)
    tool.check(["m0", "tanb"])
    assert tool.vectorized is vectorized


def test_an_output_may_not_hide_a_parameter() -> None:
    """Parameters and observables share one table."""
    with pytest.raises(ConfigError, match="'m0' has the name of a parameter"):
        Function(module_level, ["m0"]).check(["m0", "tanb"])


@given(hnp.arrays(np.float64, st.tuples(st.integers(0, 7), st.integers(1, 4)), elements=st.floats(-1e3, 1e3)))
def test_a_block_gives_the_same_as_point_by_point(x: np.ndarray) -> None:
    """A vectorised function's block equals its single points, in the order of the columns."""
    names = [f"x{i}" for i in range(x.shape[1])]
    tool = Function(lambda x: np.column_stack([x[:, 0], x.sum(axis=1)]), ["first", "total"], vectorized=True)
    block = tool.evaluate_many(x, names)
    assert block.shape == (len(x), 2)
    for row, values in zip(x, block, strict=True):
        outcome = tool.evaluate(dict(zip(names, row, strict=True)), sandbox=None)  # type: ignore[arg-type]
        assert [outcome.observables["first"], outcome.observables["total"]] == pytest.approx(values)


@pytest.mark.parametrize(
    ("returned", "message"),
    [(np.ones(2), r"shape \(2,\) for 3 points"), (np.ones((3, 2)), r"expected \(3, 1\) or \(3,\)"),
     (1.0, r"shape \(\)"), (np.ones(3) * 1j, "real numbers"), (["a", "b", "c"], "real numbers"),
     (None, "returned None"), ([[1], [1, 2], [3]], "real numbers")],
)  # fmt: skip
def test_a_block_of_the_wrong_shape_or_kind_is_an_error(returned: Any, message: str) -> None:
    """The error says what came back and what was expected."""
    tool = Function(lambda x: returned, vectorized=True)
    with pytest.raises(ToolError, match=message):
        tool.evaluate_many(np.ones((3, 2)), ["m0", "tanb"])


def test_two_outputs_need_two_columns() -> None:
    """A single column does not do for two outputs, not even when there are two points."""
    tool = Function(lambda x: np.ones(2), ["a", "b"], vectorized=True)
    with pytest.raises(ToolError, match=r"expected \(2, 2\)"):
        tool.evaluate_many(np.ones((2, 2)), ["m0", "tanb"])


def test_an_exception_in_a_block_is_a_tool_error() -> None:
    """A vectorised function that raises is named with its exception."""
    tool = Function(lambda x: x.no_such_thing, vectorized=True, name="mine")
    with pytest.raises(ToolError, match="function mine raised AttributeError"):
        tool.evaluate_many(np.ones((3, 2)), ["m0", "tanb"])
    assert tool.evaluate(POINT, sandbox=None).status is Status.TOOL_ERROR  # type: ignore[arg-type]


def test_a_function_cannot_change_the_points() -> None:
    """What is stored is what was asked for, even if the function works in place."""

    def in_place(x: np.ndarray) -> np.ndarray:
        x *= 2
        return x[:, 0]

    x = np.ones((3, 2))
    assert Function(in_place, vectorized=True).evaluate_many(x, ["m0", "tanb"]).tolist() == [[2.0]] * 3
    assert (x == 1).all()


def test_a_scalar_function_takes_no_blocks() -> None:
    """Asking it for one is a bug of the caller."""
    with pytest.raises(TypeError, match="one point at a time"):
        Function(module_level).evaluate_many(np.ones((3, 2)), ["m0", "tanb"])


def test_describe_tells_an_edited_function_apart() -> None:
    """The same function describes itself the same, another body or constant differently."""
    first, same, edited = (Function(f) for f in (lambda m0: m0 + 1, lambda m0: m0 + 1, lambda m0: m0 + 2))
    assert first.describe() == same.describe()
    assert first.describe() != edited.describe()
    assert Function(module_level).describe()["function"].startswith("module_level#")


def test_a_function_crosses_to_another_process() -> None:
    """Pickled and unpickled it works the same."""
    tool = pickle.loads(pickle.dumps(Function(module_level, ["y"])))
    assert tool.evaluate(POINT, sandbox=None).observables == {"y": 12.0}


def test_a_function_gets_a_real_sandbox_too(tmp_path: Any) -> None:
    """It is called like every other tool."""
    with Workshop(tmp_path) as workshop, workshop.sandbox(1) as sandbox:
        assert isinstance(sandbox, Sandbox)
        assert Function(module_level).evaluate(POINT, sandbox).observables == {"y": 12.0}
