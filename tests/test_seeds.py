"""Known points start a scan, from wherever they come, in addition to the sequence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rayscan as rs
from rayscan.config import load_config
from rayscan.errors import ConfigError
from rayscan.learn.data import Origin
from rayscan.learn.initial import InitialDesign
from rayscan.learn.options import LearnOptions
from rayscan.seeds import unit_points

SPACE = rs.Space(tanb=(2, 60), m0=rs.Log(100, 10_000), mu=500, m0sq=rs.Derived("m0**2"))
X = np.array([[31.0, 1000.0], [60.0, 100.0]])
U = np.array([[0.5, 0.5], [1.0, 0.0]])


def scan(out: Path | None = None, **options: Any) -> rs.Scan:
    return rs.Scan(
        space=SPACE, tool=rs.Function(lambda tanb, m0, **_: tanb + m0, outputs=["y"]), target=rs.Target(y=(1000, 1100)),
        out=out, evaluators=0, **{"K": 20, **options},
    )  # fmt: skip


def test_every_form_means_the_same_points(tmp_path: Path) -> None:
    """Arrays of the scanned or all parameters, mappings in any order, and three kinds of file."""
    everything = SPACE.complete(X)
    mappings = [{"m0": 1000, "tanb": 31}, {"m0": "100", "tanb": 60.0}]
    result = scan(tmp_path / "run", initial=X).run(evaluations=2, progress=None)
    files = []
    for kind in ("csv", "parquet", "arrow"):
        from rayscan.store.export import export_table

        files.append(export_table(result.table, tmp_path / f"points.{kind}"))
    for given in (
        X,
        X.tolist(),
        everything,
        mappings,
        [{**mappings[0], "mu": 500}, {**mappings[1], "mu": 500}],
        *files,
    ):
        np.testing.assert_allclose(unit_points(SPACE, given, "seeds"), U, atol=1e-12)


def test_rounded_values_at_an_end_are_inside() -> None:
    """A value written with ten digits is not out of range, and lands on the end."""
    u = unit_points(SPACE, [[60.0000000001, 10_000.00000001]], "seeds")
    np.testing.assert_array_equal(u, [[1.0, 1.0]])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[31, 1000], [61, 1000]], r"seeds: point 1 has tanb = 61, which lies outside the space"),
        ([[31, np.nan]], "seeds: point 0 has m0 = nan"),
        ([[31, -5]], "point 0 has m0 = -5"),
        ([[31, 1000, 1]], r"got an array of shape \(1, 3\) for 2 scanned parameters"),
        ([{"tanb": 31}], "no values of 'm0'; expected tanb, m0, got tanb"),
        ([{"tanb": 31, "mo": 1000}], "point 0 has 'mo', which is no parameter; known: m0, m0sq, mu, tanb"),
        ([{"tanb": 31, "m0": 1000}, {"tanb": 31}], "point 1 and point 0 do not name the same parameters; 'm0'"),
        ([{"tanb": 31, "m0": "many"}], "point 0 has m0 = 'many'; expected a number"),
        ([{"tanb": 31, "m0": 1000}, 5], "point 1 is 5; expected a list of points"),
        ([{"tanb": 31, "m0": 1000, "mu": 400}], "point 0 has mu = 400, but in this space mu is 500 there"),
        ([{"tanb": 31, "m0": 1000, "m0sq": 7}], "m0sq is 1e[+]06 there"),
        ("nowhere.csv", "nowhere.csv: cannot be read as a table of points"),
        ("points.txt", "expected a file that ends in .parquet, .csv, .arrow; got .txt"),
        (object(), "seeds: expected a list of points such as"),
    ],
)
def test_what_is_no_point_of_the_space_is_refused(given: Any, message: str) -> None:
    """The message names the point, the parameter, what is there and what was expected."""
    with pytest.raises(ConfigError, match=message):
        scan(seeds=given)


def test_the_sequence_comes_after_the_seeds_unchanged() -> None:
    """Seeds first, of unknown density, and then the same Sobol points as without them."""
    alone = InitialDesign(2, LearnOptions(K=20), 3).take(100)
    options = LearnOptions(K=20, seeds=U)
    both = InitialDesign(2, options, 3)
    first, rest = both.take(1), both.take(100)
    assert options.initial_count == len(both.u) == 22
    np.testing.assert_array_equal(first.u, U[:1])
    np.testing.assert_array_equal(rest.u, np.concatenate([U[1:], alone.u]))
    assert rest.origin.tolist() == [Origin.GIVEN] + [Origin.INITIAL] * 20
    assert np.isnan(rest.density[0])
    assert (rest.density[1:] == 1).all()
    only = InitialDesign(2, LearnOptions(initial=0, seeds=U), 3).take(100)
    assert len(only) == 2


def test_given_initial_points_replace_the_sequence_and_seeds_do_not() -> None:
    """With both, all of them are given; an array of another dimension is refused."""
    both = InitialDesign(2, LearnOptions(initial=U[::-1], seeds=U), 0).take(100)
    np.testing.assert_array_equal(both.u, np.concatenate([U, U[::-1]]))
    assert set(both.origin) == {Origin.GIVEN}
    with pytest.raises(ConfigError, match=r"seeds: expected unit-cube points of shape \(n, 3\)"):
        InitialDesign(3, LearnOptions(seeds=U), 0)


def test_seeds_are_part_of_the_description() -> None:
    """Other seeds are other options, as far as a deterministic resume is concerned."""
    described = [LearnOptions(seeds=points).to_dict()["seeds"] for points in (U, U[::-1], None)]
    assert described[0].startswith("2 given points #")
    assert len(set(described)) == 3


def test_a_scan_begins_with_its_seeds_and_counts_them(tmp_path: Path) -> None:
    """The first rows are the seeds, to the last digit; a step is K points beyond all of the start."""
    x = np.array([[31.123456789, 987.654321]])
    result = scan(tmp_path / "run", seeds=x, surrogate="classifier", L=100, steps=2).run(steps=1, progress=None)
    table = result.table
    assert table.num_rows == 1 + 20 + 20
    assert table["origin"].to_pylist()[:2] == ["given", "initial"]
    np.testing.assert_allclose([table["tanb"][0].as_py(), table["m0"][0].as_py()], x[0], rtol=1e-12)
    assert table["valid"][0].as_py()


def test_the_file_takes_a_table_or_a_list(tmp_path: Path) -> None:
    """`seeds` of [scan] is a path beside the file, or points; text that is neither is refused."""
    (tmp_path / "known.csv").write_text("m0,tanb,comment\n1000,31,good\n100,60,bad\n")
    text = """
[parameters]
tanb = [2, 60]
m0 = { prior = "log", min = 100, max = 10000 }

[tool]
kind = "function"
f = "math:hypot"
outputs = ["y"]

[target]
y = [0, 1]

[scan]
evaluators = 0
seeds = SEEDS
"""
    for seeds in ('"known.csv"', "[[31, 1000], [60, 100]]", "[{ m0 = 1000, tanb = 31 }, { m0 = 100, tanb = 60 }]"):
        (tmp_path / "scan.toml").write_text(text.replace("SEEDS", seeds))
        options = load_config(tmp_path / "scan.toml").options
        np.testing.assert_allclose(
            unit_points(rs.Space(tanb=(2, 60), m0=rs.Log(100, 10_000)), options["seeds"], "seeds"), U, atol=1e-12
        )
    (tmp_path / "scan.toml").write_text(text.replace("SEEDS", "5"))
    with pytest.raises(ConfigError, match=r"scan.seeds: expected"):
        load_config(tmp_path / "scan.toml")
