"""Conditions between parameters: where they hold is the prior, and what cannot hold is found at once."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

import rayscan as rs
from rayscan.errors import ConfigError
from rayscan.problem.domain import Domain
from rayscan.problem.space import Space

MASSES: dict[str, Any] = {"m1": (0, 100), "m2": (0, 100)}


@pytest.mark.parametrize(
    ("parameters", "where", "share"),
    [
        (MASSES, "m1 < m2", 1 / 2),
        (MASSES, "50 < m1 + m2 and m1 < m2", 7 / 16),
        (MASSES, ["50 < m1 + m2", "m1 < m2"], 7 / 16),
        (MASSES, "m1 < 10 or not m2 < 90", 0.19),
        ({"g1": (-2, 2), "g2": (-2, 2), "g3": (0, 1)}, "g1**2 + g2**2 < 4", math.pi / 4),
        ({"m": rs.Log(1, 100), "r": (0, 1), "p": rs.Derived("m * r")}, "p > 10", (math.log(10) - 0.9) / math.log(100)),
        ({**MASSES, "limit": 30}, "max(m1, m2) < limit", 0.09),
    ],
)
def test_the_share_of_the_prior_that_is_left_is_measured(
    parameters: dict[str, Any], where: str | list[str], share: float
) -> None:
    """Conditions may use fixed and derived parameters; of several, all must hold."""
    space = Space(parameters, where=where)

    assert space.domain.share == pytest.approx(share, rel=0.02)


def test_draws_of_the_prior_satisfy_the_conditions_evenly() -> None:
    """Below the diagonal nothing is drawn; above it, equal areas hold equally many, and other axes are not touched."""
    space = Space(MASSES, x=(0, 1), where="m1 < m2")

    u = space.domain.draw(40_000, np.random.default_rng(1))

    assert u.shape == (40_000, 3)
    assert (u[:, 0] < u[:, 1]).all()
    assert space.hold(space.to_physical(u)).all()
    for corner in (u[:, 1] < 0.5, u[:, 0] > 0.5):
        assert corner.mean() == pytest.approx(0.25, abs=0.01)
    assert np.histogram(u[:, 2], bins=4, range=(0, 1))[0] == pytest.approx(10_000, rel=0.03)


def test_rare_conditions_on_few_parameters_are_drawn_quickly() -> None:
    """One place in 2,500 of a plane, in 22 dimensions: only the plane is drawn by trial and error."""
    space = Space({f"x{k}": (0, 1) for k in range(22)}, where="x3 < .02 and x7 < .02")

    u = space.domain.draw(5000, np.random.default_rng(0))

    assert space.domain.axes == (3, 7)
    assert (u[:, [3, 7]] < 0.02).all()
    assert np.delete(u, [3, 7], axis=1).mean() == pytest.approx(0.5, abs=0.01)


def test_a_space_without_conditions_is_all_of_the_cube() -> None:
    """Nothing changes where there is no condition: any place is in, and draws are the generator's."""
    domain = Space(MASSES).domain

    assert domain.whole
    assert domain.share == 1
    assert domain.inside(np.array([[0.0, 1.0], [1.1, 0.5], [np.nan, 0.5]])).tolist() == [True, False, False]
    assert np.array_equal(domain.draw(5, np.random.default_rng(3)), np.random.default_rng(3).random((5, 2)))
    assert Domain.of(2).whole


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("m1 > 200", r"none of 1,000,000 draws from the prior satisfy 'm1 > 200'"),
        ("m1 < m2 and m2 < m1", r"satisfy 'm1 < m2 and m2 < m1'; alone: 'm1 < m2' \d+.* %, 'm2 < m1' \d+"),
        ("m1 == m2", "where two sides are equal, derive a parameter from the others"),
        ("m1 < 0.5 and m2 < 0.5", r"\d\d of 1,000,000 draws .* Expected 0\.01 % or more"),
        ("m1 + m2", "'m1 \\+ m2' is no condition; expected comparisons"),
        ("m1 < m3", "needs 'm3', which is not a parameter; known: limit, m1, m2 .*observable belongs in the target"),
        ("1 < 2", "names no parameter"),
        ("m1 <", "cannot be parsed"),
        ("m1 < m2 < __import__('os')", "unknown function '__import__'"),
        ("limit < 31", "depends on no scanned parameter"),
        ([], "expected a condition such as 'm1 < m2'"),
        ((0, 1), r"Space\(\{'where': \(0, 1\)\}\)"),
    ],
)
def test_what_cannot_hold_is_refused_at_once(where: Any, said: str) -> None:
    """Impossible and nearly impossible conditions, and what is none, are found when the space is made."""
    with pytest.raises(ConfigError, match=said) as error:
        Space(MASSES, limit=30, where=where)
    assert str(error.value).startswith("where:")


def test_a_parameter_may_be_called_where() -> None:
    """In a mapping any name of a parameter goes."""
    space = Space({"where": (0, 1), "x": (0, 1)}, where="where < x")

    assert space.names == ("where", "x")
    assert space.domain.share == pytest.approx(0.5, rel=0.02)


def test_spaces_are_equal_whose_conditions_say_the_same() -> None:
    """White space and the way in which conditions are joined do not matter, what they say does."""
    space = Space(MASSES, where="m1 < m2 and m1 > 10")

    assert space == Space(MASSES, where=["m1<m2", "m1 > 10"])
    assert space == pickle.loads(pickle.dumps(space))
    assert space != Space(MASSES, where="m1 < m2 and m1 > 11")
    assert space != Space(MASSES)


def test_conditions_are_shown() -> None:
    """In a terminal and in a notebook."""
    space = Space(MASSES, where="m1 < m2")

    assert "where='m1 < m2'" in repr(space)
    assert "m1 &lt; m2" in space._repr_html_()


def test_points_that_violate_a_condition_are_refused_as_known_ones() -> None:
    """Seeds and initial points must satisfy it; the message names the point and the part that does not hold."""
    from rayscan.seeds import unit_points

    space = Space(MASSES, where="m1 < m2 and m1 + m2 > 50")

    assert unit_points(space, [{"m1": 10, "m2": 50}], "seeds").tolist() == [[0.1, 0.5]]
    with pytest.raises(ConfigError, match=r"seeds: point 1 does not satisfy 'm1 \+ m2 > 50'"):
        unit_points(space, [[10, 50], [10, 20]], "seeds")


def test_check_takes_a_point_that_satisfies_the_conditions() -> None:
    """The middle where it does, else a point nearby; given values stay, the middle of what is not concerned as well."""
    from rayscan.check import point_of

    space = Space(MASSES, x=rs.Log(1, 100), where="m1 < m2")

    (m1, m2, x), *_ = point_of(space, {}).tolist()
    assert x == 10
    assert 45 < m1 < m2 < 55
    (m1, m2, x), *_ = point_of(space, {"m1": 90, "x": 3}).tolist()
    assert (m1, x) == (90, 3)
    assert 90 < m2 < 92
    assert point_of(Space(MASSES, where="m1 + m2 > 20"), {}).tolist() == [[50, 50]]
    with pytest.raises(ConfigError, match=r"--point m1=90 m2=80: expected values that satisfy 'm1 < m2'"):
        point_of(space, {"m1": 90, "m2": 80})
