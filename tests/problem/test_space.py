from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import rayscan as rs
from rayscan.errors import ConfigError

PRIORS: dict[str, Any] = {
    "uniform": rs.Uniform(-3, 5),
    "log": rs.Log(1e-3, 1e4),
    "negative log": rs.Log(-1e4, -1e-3),
    "symlog": rs.SymLog(-1e3, 1e4, linear=2),
    "normal": rs.Normal(5, 2),
    "truncated normal": rs.Normal(5, 2, lo=4, hi=5.5),
}


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS.keys())
@given(u=st.lists(st.floats(0.001, 0.999), min_size=1, max_size=20))
def test_unit_cube_and_back(prior: Any, u: list[float]) -> None:
    """Every continuous prior maps the unit interval to itself and back."""
    space = rs.Space({"x": prior})
    points = np.array(u)[:, None]

    np.testing.assert_allclose(space.to_unit(space.to_physical(points)), points, atol=1e-9)


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS.keys())
def test_quantiles_rise_and_stay_inside(prior: Any) -> None:
    """The map is monotonic and never leaves the range, ends included."""
    x = rs.Space({"x": prior}).to_physical(np.linspace(0, 1, 101)[:, None])[:, 0]

    assert (np.diff(x) > 0).all()
    assert np.isfinite(x).all()
    assert (x >= prior.bounds[0]).all()
    assert (x <= prior.bounds[1]).all()


@pytest.mark.parametrize(
    ("prior", "reference"),
    [
        (rs.Uniform(-3, 5), stats.uniform(-3, 8)),
        (rs.Log(0.1, 10), stats.loguniform(0.1, 10)),
        (rs.Normal(5, 2), stats.norm(5, 2)),
        (rs.Normal(5, 2, lo=4, hi=9), stats.truncnorm(-0.5, 2, loc=5, scale=2)),
    ],
)
def test_distribution_is_the_one_that_was_named(prior: Any, reference: Any) -> None:
    """The quantile function is that of SciPy's distribution of the name."""
    u = np.linspace(0.01, 0.99, 33)

    np.testing.assert_allclose(rs.Space({"x": prior}).to_physical(u[:, None])[:, 0], reference.ppf(u), rtol=1e-9)


def test_choice_gives_each_value_an_equal_cell() -> None:
    """A discrete parameter takes its values with equal probability, and they map back into their own cells."""
    space = rs.Space(sign=rs.Choice(-1, 1, 3))
    x = space.to_physical(np.linspace(0, 1, 3001)[:, None])

    assert [round(float(np.mean(x == value)), 2) for value in (-1, 1, 3)] == [0.33, 0.33, 0.33]
    np.testing.assert_array_equal(space.to_physical(space.to_unit(x)), x)


def test_fixed_and_derived_parameters_are_columns_but_not_axes() -> None:
    """Derived parameters may depend on each other, in any order of definition."""
    space = rs.Space(c=rs.Derived("b + 1"), a=(0, 1), b=rs.Derived("2 * a * k"), k=10)

    assert space.names == ("c", "a", "b", "k")
    assert space.free == ("a",)
    assert space.to_physical([[0.5]]).tolist() == [[11.0, 0.5, 10.0, 10.0]]
    assert space.to_unit([[11.0, 0.5, 10.0, 10.0]]).tolist() == [[0.5]]
    assert space.to_unit([[0.25]]).tolist() == [[0.25]]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"m0": (3000, 100)}, r"'m0'.*min < max; swap"),
        ({"m0": (5, 5)}, "use Fixed"),
        ({"m0": (0, float("nan"))}, "finite"),
        ({"m0": (0, float("inf"))}, "finite"),
        ({"m0": rs.Fixed(1)}, "no parameter to scan"),
        ({}, "no parameter to scan"),
        ({"m0": "wide"}, "expected a pair"),
        ({"m0": (1, 2, 3)}, "expected a pair"),
        ({"m 0": (0, 1)}, "letters, digits"),
        ({"../etc": (0, 1)}, "letters, digits"),
        ({"a\nb": (0, 1)}, "letters, digits"),
        ({"lambda": (0, 1)}, "letters, digits"),
        ({"status": (0, 1)}, "column of the result table"),
        ({"a": (0, 1), "b": rs.Derived("aa + 1")}, "did you mean 'a'"),
        ({"a": (0, 1), "b": rs.Derived("c"), "c": rs.Derived("b")}, "circle"),
    ],
)
def test_bad_spaces_are_refused_by_name(parameters: dict[str, Any], message: str) -> None:
    """Each mistake is named, with what was expected."""
    with pytest.raises(ConfigError, match=message):
        rs.Space(parameters)


def test_bad_priors_are_refused() -> None:
    """A logarithm across zero, a width of zero and a single choice are mistakes."""
    for make in (
        lambda: rs.Log(-1, 1),
        lambda: rs.Log(0, 1),
        lambda: rs.SymLog(-1, 1, linear=0),
        lambda: rs.Normal(0, 0),
        lambda: rs.Normal(0, 1, lo=50, hi=51),
        lambda: rs.Choice(1),
        lambda: rs.Choice(1, 1),
        lambda: rs.Uniform("a", 2),  # type: ignore[arg-type]
        lambda: rs.Derived("import os"),
    ):
        with pytest.raises(ConfigError):
            make()


def test_points_outside_the_cube_are_refused() -> None:
    """The unit cube is closed; NaN and 1.1 are not in it, and the shape is checked."""
    space = rs.Space(a=(0, 1), b=(0, 1))
    for points in ([[0.5, 1.1]], [[0.5, np.nan]], [0.5, 0.5], [[0.5]]):
        with pytest.raises(ConfigError):
            space.to_physical(points)


def test_spaces_compare_describe_and_pickle() -> None:
    """Equality is of parameters in order; the description is plain data."""
    space = rs.Space(a=(0, 1), b=rs.Choice(1, 2))

    assert pickle.loads(pickle.dumps(space)) == space
    assert space != rs.Space(b=rs.Choice(1, 2), a=(0, 1))
    assert space.to_dict()["b"] == {"prior": "choice", "values": [1.0, 2.0]}
