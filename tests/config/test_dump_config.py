"""A scan written out as scan.toml again."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rayscan as rs
from rayscan.config import dump_config, load_config
from rayscan.config.knobs import parse_duration
from rayscan.config.space import build_space, dump_space
from rayscan.config.target import build_target, dump_target
from rayscan.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
finite = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 6))
positive = st.floats(1e-6, 1e6)
ends = st.tuples(finite, positive).map(lambda pair: (pair[0], pair[0] + pair[1])).filter(lambda e: e[0] < e[1])
priors = st.one_of(
    ends.map(lambda e: rs.Uniform(*e)),
    ends.filter(lambda e: e[0] * e[1] > 0).map(lambda e: rs.Log(*e)),
    st.builds(lambda e, linear: rs.SymLog(*e, linear=linear), ends, positive),
    st.builds(rs.Normal, finite, positive),
    st.lists(finite, min_size=2, max_size=5, unique=True).map(rs.Choice),
    finite.map(rs.Fixed),
)
constraints = st.one_of(
    ends.map(lambda e: rs.Window(*e)),
    finite.map(lambda lo: rs.Window(lo, math.inf)),
    st.builds(rs.Gaussian, finite, positive),
    st.builds(rs.Gaussian, finite, st.tuples(positive, positive)),
    st.builds(rs.Below, finite, st.none() | positive),
    st.builds(rs.Above, finite, st.none() | positive),
)


@given(st.lists(priors, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_every_space_survives_the_file(several: list[Any]) -> None:
    """Whatever space is written out is read back equal."""
    space = rs.Space({"x": (0, 1), **{f"p{i}": prior for i, prior in enumerate(several)}, "last": rs.Derived("x**2")})
    assert build_space(dump_space(space)) == space


@given(st.lists(constraints, min_size=1, max_size=4), st.floats(0, 0.99), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_target_of_constraints_survives_the_file(several: list[Any], threshold: float, labels: bool) -> None:
    """Whatever constraints are written out are read back equal."""
    target = rs.Target(
        labels="ok" if labels else None,
        threshold=threshold,
        derive={"o0": "2 * y"},
        **{f"o{i}": constraint for i, constraint in enumerate(several)},
    )
    assert build_target(dump_target(target)).to_dict() == target.to_dict()


def test_example_written_out_is_the_same_problem(tmp_path: Path) -> None:
    """A run directory's scan.toml, elsewhere, describes the problem and the options that were run."""
    scan = rs.Scan.from_file(ROOT / "examples" / "mssm_higgs", K=50, hidden=(10, 20), evaluators=0, seed=3)
    (tmp_path / "scan.toml").write_text(dump_config(scan.problem, scan.options))
    again = rs.Scan.from_file(tmp_path / "scan.toml")
    assert again.problem.describe() == scan.problem.describe()
    assert again.options.to_dict() == scan.options.to_dict()


def test_function_of_an_importable_module_is_written_by_name(tmp_path: Path) -> None:
    """A tool made in Python of a function that a file can name is written with that name."""
    space, target = rs.Space(x=(0, 1), y=(0, 1)), rs.Target(h=(0, 1))
    scan = rs.Scan(space, rs.Function(math.hypot, outputs=["h"]), target)
    (tmp_path / "scan.toml").write_text(dump_config(scan.problem, scan.options))
    assert load_config(tmp_path / "scan.toml").tool.f is math.hypot


def test_what_only_python_can_make_is_said_in_a_comment(tmp_path: Path) -> None:
    """A lambda, a target function and given points are left out, named in comments, and the rest is still TOML."""
    scan = rs.Scan(
        rs.Space(x=(0, 1)), rs.Function(lambda x: x, outputs=["h"]), rs.Target(lambda h: h > 0.5), initial=[[0.5]]
    )
    text = dump_config(scan.problem, scan.options)
    assert "# Made in Python" in text
    for what in ("the tool", "the target's function", "the initial points"):
        assert what in text
    (tmp_path / "scan.toml").write_text(text)
    with pytest.raises(ConfigError, match="the target is empty"):
        load_config(tmp_path / "scan.toml")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (90, 90.0),
        (1.5, 1.5),
        ("90", 90.0),
        ("90 s", 90.0),
        ("2m", 120.0),
        ("90 min", 5400.0),
        ("1.5h", 5400.0),
        ("2h 30m", 9000.0),
        ("1d", 86400.0),
        ("1:30:00", 5400.0),
        ("2:05", 125.0),
    ],
)
def test_durations(text: float | str, seconds: float) -> None:
    """A time limit is seconds, units, or a clock."""
    assert parse_duration(text, "here") == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "5 h 3 d", "1:2", 0, -1, math.nan, math.inf, "0s"])
def test_no_durations(text: float | str) -> None:
    """Anything else is refused with examples of what is meant."""
    with pytest.raises(ConfigError, match="here: expected a time such as 600"):
        parse_duration(text, "here")
