"""Priors of several parameters together: exact maps from the unit cube, and back."""

from __future__ import annotations

import itertools
import math
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

import rayscan as rs
from rayscan.check import point_of
from rayscan.errors import ConfigError
from rayscan.problem.joint import Joint
from rayscan.problem.space import Space
from rayscan.seeds import unit_points

Array = NDArray[np.float64]


def names(count: int) -> list[str]:
    return [f"f{k}" for k in range(1, count + 1)]


def ratio(u: Array) -> Array:
    """A mass, and another above it."""
    mass = 10 ** (1 + 2 * u[:, 0])
    return np.column_stack([mass, mass * (1 + u[:, 1])])


def back(x: Array) -> Array:
    return np.column_stack([(np.log10(x[:, 0]) - 1) / 2, x[:, 1] / x[:, 0] - 1])


KINDS: dict[str, Joint] = {
    "simplex3": rs.Simplex("a", "b", "c"),
    "simplex11": rs.Simplex(*names(11)),
    "simplex22": rs.Simplex(*names(22)),
    "ordered": rs.Ordered("a", "b", "c", "d", of=(-10, 100)),
    "ordered log": rs.Ordered("a", "b", "c", of=rs.Log(10, 1000)),
    "ordered normal": rs.Ordered("a", "b", "c", of=rs.Normal(0, 1, -3, 3)),
    "ball": rs.Ball("a", "b", "c", radius=2),
    "ellipse": rs.Ball("a", "b", radius=(1, 20), center=(5, -5)),
    "ball11": rs.Ball(*names(11)),
    "transform": rs.PriorTransform("a", "b", transform=ratio, inverse=back),
}


@pytest.mark.parametrize("joint", KINDS.values(), ids=KINDS)
def test_the_way_back_leads_to_the_same_place(joint: Joint) -> None:
    """Values know their place, those at corners of the cube belong to the prior, and all follow from the free ones."""
    k = len(joint.free)
    u = np.random.default_rng(2).random((2000, k))
    x = joint.to_physical(u)
    free = x[:, [joint.names.index(name) for name in joint.free]]

    assert x.shape == (2000, len(joint.names))
    assert joint.to_unit(free) == pytest.approx(u, abs=1e-6)
    assert joint.complete(free) == pytest.approx(x, abs=1e-9)
    corners = np.array(list(itertools.islice(itertools.product([0.0, 1.0, 0.5], repeat=k), 2000)))
    there = joint.to_physical(corners)
    assert np.isfinite(there).all()
    again = joint.to_unit(there[:, [joint.names.index(name) for name in joint.free]])
    assert ((again >= -1e-9) & (again <= 1 + 1e-9)).all()
    assert joint.complete(there[:, : len(joint.free)]) == pytest.approx(there, abs=1e-9)


@pytest.mark.parametrize("count", [2, 3, 11, 22])
def test_fractions_sum_to_one_and_all_combinations_are_equally_likely(count: int) -> None:
    """The distribution is Dirichlet's: every fraction has the same one, and any two the same correlation."""
    x = rs.Simplex(*names(count)).to_physical(np.random.default_rng(1).random((20_000, count - 1)))

    assert (x >= 0).all()
    assert x.sum(axis=1) == pytest.approx(1, abs=1e-12)
    for fraction in x.T:
        assert stats.kstest(fraction, stats.beta(1, count - 1).cdf).pvalue > 1e-4
    correlation = np.corrcoef(x.T)[np.triu_indices(count, 1)]
    assert correlation == pytest.approx(-1 / (count - 1), abs=0.04)


def test_ordered_parameters_are_sorted_draws() -> None:
    """The k-th of n has the distribution of the k-th smallest of n independent draws."""
    x = rs.Ordered("a", "b", "c", "d", of=rs.Log(10, 1000)).to_physical(np.random.default_rng(1).random((20_000, 4)))

    assert (np.diff(x, axis=1) >= 0).all()
    for k, values in enumerate((np.log10(x) - 1).T / 2, start=1):
        assert stats.kstest(values, stats.beta(k, 5 - k).cdf).pvalue > 1e-4


@pytest.mark.parametrize("count", [2, 3, 11])
def test_a_ball_is_filled_evenly(count: int) -> None:
    """The radius has the distribution of equal volumes, and no direction is preferred."""
    ball = rs.Ball(*names(count), radius=2, center=1)
    x = (ball.to_physical(np.random.default_rng(1).random((20_000, count))) - 1) / 2
    radius = np.linalg.norm(x, axis=1)

    assert radius.max() <= 1 + 1e-9
    assert stats.kstest(radius**count, "uniform").pvalue > 1e-4
    assert np.cov(x.T) == pytest.approx(np.eye(count) / (count + 2), abs=0.01)
    assert stats.kstest(x[:, 0], x[:, -1]).pvalue > 1e-4


def test_a_space_has_one_axis_less_for_fractions() -> None:
    """All fractions are columns, the last follows; other parameters, derived ones and conditions work with them."""
    space = Space(rs.Simplex("f1", "f2", "f3"), m=(0, 10), top=rs.Derived("max(f1, f2, f3)"), where="top < .9")

    assert (space.names, space.free, space.d) == (("f1", "f2", "f3", "m", "top"), ("f1", "f2", "m"), 3)
    x = space.to_physical(space.domain.draw(3000, np.random.default_rng(0)))
    assert x[:, :3].sum(axis=1) == pytest.approx(1, abs=1e-12)
    assert (x[:, 4] < 0.9).all()
    # Three corners are cut off, each a hundredth of the triangle.
    assert space.domain.share == pytest.approx(0.97, abs=0.003)
    assert space.domain.axes == (0, 1)
    assert space.complete(x[:, [0, 1, 3]]) == pytest.approx(x, abs=1e-12)
    assert space.to_physical(space.to_unit(x)) == pytest.approx(x, abs=1e-9)
    assert space == pickle.loads(pickle.dumps(space))
    assert "Simplex('f1', 'f2', 'f3')" in repr(space)


def test_order_is_as_given() -> None:
    """Joint priors stand where they were given, among mappings and keywords."""
    space = Space({"x": (0, 1)}, rs.Ordered("m1", "m2", of=(0, 100)), {"y": 3}, rs.Ball("a", "b"), z=(0, 1))

    assert space.names == ("x", "m1", "m2", "y", "a", "b", "z")
    assert space.free == ("x", "m1", "m2", "a", "b", "z")
    u = np.random.default_rng(0).random((50, 6))
    assert space.to_unit(space.to_physical(u)) == pytest.approx(u, abs=1e-9)


def test_known_points_of_joint_priors_are_placed() -> None:
    """Seeds may name all fractions or leave out the last; what does not sum to 1, or is out of order, is refused."""
    space = Space(rs.Simplex("f1", "f2", "f3"), rs.Ordered("m1", "m2", of=(0, 100)))
    point = {"f1": 0.5, "f2": 0.25, "m1": 10, "m2": 20}

    u = unit_points(space, [point], "seeds")
    assert space.to_physical(u) == pytest.approx(np.array([[0.5, 0.25, 0.25, 10, 20]]))
    assert unit_points(space, [{**point, "f3": 0.2500001}], "seeds") == pytest.approx(u)
    with pytest.raises(ConfigError, match=r"f3 = 0.3, but in this space f3 is 0.25 there"):
        unit_points(space, [{**point, "f3": 0.3}], "seeds")
    with pytest.raises(ConfigError, match=r"f2 = 0.75, which lies outside the space; expected values that Simplex"):
        unit_points(space, [{**point, "f2": 0.75}], "seeds")
    with pytest.raises(ConfigError, match=r"expected values that Ordered\('m1', 'm2', of=Uniform"):
        unit_points(space, [{**point, "m1": 30}], "seeds")
    one_way = Space(rs.PriorTransform("a", "b", transform=ratio))
    with pytest.raises(ConfigError, match="and its inverse to know them by"):
        unit_points(one_way, [{"a": 20, "b": 30}], "seeds")


def test_check_places_a_point_of_joint_priors() -> None:
    """The middle, or with given values a point nearby that goes with them; a program's failed point can be repeated."""
    space = Space(rs.Ordered("m1", "m2", of=(0, 100)), rs.Simplex("f1", "f2", "f3"))

    m1, m2, *fractions = point_of(space, {"m1": 90, "f1": 0.9}).tolist()[0]
    assert m1 == 90 < m2
    assert fractions[0] == 0.9
    assert sum(fractions) == pytest.approx(1, abs=1e-12)
    with pytest.raises(ConfigError, match="'f3' is not scanned"):
        point_of(space, {"f3": 0.2})
    with pytest.raises(ConfigError, match=r"--point m1=90 m2=80: expected values with Ordered"):
        point_of(space, {"m1": 90, "m2": 80})
    assert point_of(Space(rs.PriorTransform("a", "b", transform=ratio)), {"a": 20, "b": 30}).tolist() == [[20, 30]]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: rs.Simplex("f1"), "expected 2 parameters or more, got 1"),
        (lambda: rs.Simplex("f1", "f1"), "a parameter is named twice"),
        (lambda: rs.Simplex("f1", 2), "expected the names of parameters"),
        (lambda: rs.Ordered("a", "b", of=(3, 1)), "expected min < max"),
        (lambda: rs.Ordered("a", "b", of=rs.Choice(1, 2)), r"expected of = a pair \(lo, hi\) or Uniform"),
        (lambda: rs.Ball("a", "b", radius=0), "expected radius > 0"),
        (lambda: rs.Ball("a", "b", radius=(1, 2, 3)), "or one for each of a, b"),
        (lambda: rs.Ball("a", "b", center="c"), "center = 'c'; expected a finite number"),
        (lambda: rs.PriorTransform("a", transform=3), "expected transform = a function"),
        (lambda: rs.PriorTransform("a", transform=lambda u: u[:, 0]), r"turned an array \(64, 1\) into \(64,\)"),
        (lambda: rs.PriorTransform("a", transform=lambda u: u / 0), "expected finite numbers"),
        (lambda: rs.PriorTransform("a", transform=lambda u: u.nothing), "transform raised AttributeError"),
        (lambda: rs.PriorTransform("a", transform=np.sqrt, inverse=np.sqrt), "inverse does not lead back"),
        (lambda: Space(rs.Simplex("f1", "f2"), f1=(0, 1)), "parameter 'f1' is given twice"),
        (lambda: Space(f=rs.Simplex("f1", "f2")), "give it first, without 'f'"),
        (lambda: Space(("f1", "f2")), "expected a mapping of names to parameters, Simplex"),
        (lambda: Space(rs.Simplex("f 1", "f2")), "expected a name of letters"),
    ],
)
def test_what_is_no_joint_prior_is_refused(make: Any, said: str) -> None:
    """Each with what was expected and what came."""
    with np.errstate(all="ignore"), pytest.raises(ConfigError, match=said):
        make()


def test_what_a_transform_does_is_part_of_the_problem() -> None:
    """An edited function makes another problem; its axes have no known ends."""
    one = Space(rs.PriorTransform("a", "b", transform=ratio)).to_dict()

    assert one == Space(rs.PriorTransform("a", "b", transform=ratio)).to_dict()
    assert one != Space(rs.PriorTransform("a", "b", transform=lambda u: u)).to_dict()
    assert Space(rs.PriorTransform("a", "b", transform=ratio)).bounds("a") == (-math.inf, math.inf)
