from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rayscan as rs
from rayscan.errors import ConfigError


def test_windows_are_closed() -> None:
    """Both ends belong to a window."""
    verdict = rs.Target(mh=(124, 126)).judge({"mh": [123.999, 124, 125, 126, 126.001]})

    assert verdict.valid.tolist() == [False, True, True, True, False]
    assert verdict.penalty[1:4].tolist() == [0, 0, 0]


def test_likelihood_is_equation_5() -> None:
    """Measurements multiply to exp of minus half the sum of squared pulls."""
    target = rs.Target(a=rs.Gaussian(1.0, 0.5), b=rs.Gaussian(10, (1, 4)))
    verdict = target.judge({"a": [1.0, 1.5, 0.5], "b": [10.0, 14.0, 8.0]})

    np.testing.assert_allclose(verdict.likelihood, [1, math.exp(-1), math.exp(-2.5)])


def test_measurements_are_in_target_above_the_threshold() -> None:
    """The paper's 3-D test: likelihood above one half is within 5·sqrt(2 ln 2)."""
    edge = 5 * math.sqrt(2 * math.log(2))
    verdict = rs.Target(y=rs.Gaussian(150, 5), threshold=0.5).judge({"y": [150 + 0.999 * edge, 150 - 1.001 * edge]})

    assert verdict.valid.tolist() == [True, False]


def test_limits_sharp_and_soft() -> None:
    """A sharp limit excludes at once; one with a width loses likelihood gradually."""
    sharp = rs.Target(x=rs.Below(2)).judge({"x": [2.0, 2.1]})
    soft = rs.Target(x=rs.Above(2, sigma=0.1), threshold=0.5).judge({"x": [2.0, 1.9, 1.5]})

    assert sharp.valid.tolist() == [True, False]
    assert soft.valid.tolist() == [True, True, False]
    assert soft.likelihood[1] == pytest.approx(math.exp(-0.5))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_missing_observables_are_never_valid(bad: float) -> None:
    """NaN and infinity are not values, whatever the window."""
    for window in [(124, 126), (-math.inf, 126), (124, math.inf)]:
        verdict = rs.Target(mh=window, other=rs.Below(3)).judge({"mh": [bad], "other": [1.0]})

        assert not verdict.valid[0]
        assert verdict.likelihood[0] == 0
        assert verdict.penalty[0] > 0
    assert math.isnan(rs.Target(mh=(124, 126)).judge({"mh": [bad]}).penalty[0])


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(0.01, 100), st.floats(0.01, 0.95))
def test_penalty_is_zero_exactly_on_target(a: float, b: float, sigma: float, threshold: float) -> None:
    """Valid means no penalty, and a penalty means not valid."""
    target = rs.Target(a=(-10, 10), b=rs.Gaussian(0, sigma), threshold=threshold)
    verdict = target.judge({"a": [a], "b": [b]})

    assert verdict.valid[0] == (verdict.penalty[0] == 0)
    assert 0 <= verdict.likelihood[0] <= 1


def test_penalty_grows_with_distance() -> None:
    """The penalty leads towards the target from anywhere."""
    target = rs.Target(mh=(124, 126), xsec=rs.Below(1e-9))
    far = target.judge({"mh": np.linspace(126.1, 500, 50), "xsec": np.full(50, 1e-8)}).penalty

    assert (np.diff(far) > 0).all()


def test_absurd_values_are_far_away() -> None:
    """A value whose square overflows is no nearer than one whose square does not."""
    penalty = rs.Target(mh=(0, 1)).judge({"mh": [1e10, 1e100, 1e300]}).penalty

    assert np.isfinite(penalty).all()
    assert (np.diff(penalty) > 0).all()


def test_labels() -> None:
    """A function that only says 0 or 1 is a target too."""
    target = rs.Target(labels="y")

    assert target.judge({"y": [0, 1, 0.4, math.nan]}).valid.tolist() == [False, True, False, False]
    assert target.labels_only
    assert not rs.Target(y=(0, 1)).labels_only


def test_functions_of_observables_and_parameters() -> None:
    """A function gets what it names, and its answer is a bool or a likelihood."""
    by_name = rs.Target(lambda mh, tanb: mh > tanb, mh=(0, 200))
    with_all = rs.Target(lambda **all_of_it: math.exp(-all_of_it["mh"]), threshold=0.3)

    assert by_name.judge({"mh": [10.0, 10.0, 300.0], "tanb": [5.0, 20.0, 5.0]}).valid.tolist() == [True, False, False]
    assert with_all.judge({"mh": [1.0, 2.0]}).valid.tolist() == [True, False]


def test_functions_that_answer_nonsense_are_refused() -> None:
    """Text, nothing, or a likelihood above one is the user's mistake, and named as such."""
    for answer in ("yes", None, 2.0, -1.0):
        with pytest.raises(ConfigError, match=r"expected a bool or a"):
            rs.Target(lambda y, a=answer: a).judge({"y": [1.0]})


def test_derived_observables() -> None:
    """Expressions see parameters and observables, and can be constrained."""
    target = rs.Target(ratio=(0.9, 1.1), derive={"ratio": "mh / m0", "twice": "2 * ratio"})
    target.check(["mh"], ["m0"])

    derived = target.derive({"mh": np.array([2.0]), "m0": np.array([4.0])})
    assert {name: value.tolist() for name, value in derived.items()} == {"ratio": [0.5], "twice": [1.0]}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (rs.Target, "empty"),
        (lambda: rs.Target(mh=(126, 124)), "'mh'.*min < max"),
        (lambda: rs.Target(mh=(math.nan, 126)), "NaN"),
        (lambda: rs.Target(mh=(-math.inf, math.inf)), "demands nothing"),
        (lambda: rs.Target(mh=125), "expected a window"),
        (lambda: rs.Target(mh=rs.Gaussian(125, 0)), "sigma > 0"),
        (lambda: rs.Target(mh=rs.Gaussian(125, (1, -1))), "sigma > 0"),
        (lambda: rs.Target(mh=rs.Below(math.inf)), "finite limit"),
        (lambda: rs.Target(mh=(1, 2), threshold=1.0), "threshold"),
        (lambda: rs.Target("mh > 3"), "expected a function"),
        (lambda: rs.Target(mh=(1, 2)).check(["mH"]), "did you mean 'mH'"),
        (lambda: rs.Target(x=(1, 2), derive={"x": "y + 1"}).check(["mh"]), "needs 'y'"),
        (lambda: rs.Target(mh=(1, 2), derive={"mh": "1 + 1"}).check(["mh"]), "already exists"),
    ],
)
def test_bad_targets_are_refused(make: Any, message: str) -> None:
    """Each mistake is named, with what was expected."""
    with pytest.raises(ConfigError, match=message):
        make()


def test_an_edited_function_changes_the_description() -> None:
    """Resume compares what a function does, not only its name."""
    one, same, other = (rs.Target(f).to_dict()["function"] for f in (lambda y: y > 1, lambda y: y > 1, lambda y: y > 2))

    assert one == same
    assert one != other
