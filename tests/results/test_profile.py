"""Best fit and profile likelihood are those of the collected points, and say where there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import rayscan as rs
from rayscan.errors import ConfigError
from rayscan.results.plot import Plots
from rayscan.results.profile import best_point, profile_likelihood
from rayscan.store import Schema


def table(n: int = 4000, **changes: Any) -> pa.Table:
    """Return points of a, log-uniform b and hidden c, with a Gaussian likelihood around (0.3, 10, 0.5)."""
    u = np.random.default_rng(0).random((n, 3))
    a, b, c = u[:, 0], 100 ** u[:, 1], u[:, 2]
    chi2 = ((a - 0.3) / 0.1) ** 2 + (np.log10(b / 10) / 0.2) ** 2 + ((c - 0.5) / 0.1) ** 2
    columns: dict[str, Any] = {
        "point_id": np.arange(n) + 5, "status": np.zeros(n, int), "valid": chi2 < 6, "u": u, "origin": np.full(n, 2),
        "generation": 0, "issued": 0.0, "started": 1.0, "ended": 2.0, "a": a, "b": b, "c": c, "y": 2 * a,
        "likelihood": np.exp(-chi2 / 2), "penalty": np.maximum(np.sqrt(chi2) - 6**0.5, 0), "kept": [()] * n, **changes,
    }  # fmt: skip
    schema = Schema(("a", "b", "c"), ("y",), 3, {}, {"b": "GeV"})
    return pa.Table.from_batches([schema.batch([schema.take(columns)])])


def test_the_best_point_is_the_valid_one_of_the_highest_likelihood():
    """A more likely one that is not valid is passed over; its parameters and observables come by name."""
    whole = table()
    likelihood = whole["likelihood"].to_numpy().copy()
    top = int(np.argmax(likelihood))
    likelihood[np.flatnonzero(~whole["valid"].to_numpy(zero_copy_only=False))[0]] = 1.0
    best = best_point(table(likelihood=likelihood))
    assert best["point_id"] == top + 5
    assert best["valid"]
    assert best["y"] == pytest.approx(2 * best["a"])
    assert list(best) == ["point_id", "valid", "likelihood", "penalty", "a", "b", "c", "y"]


def test_without_valid_points_the_nearest_is_the_best():
    """By penalty; a failed point is none, and without any other there is an error."""
    n = 50
    penalty = np.linspace(3, 1, n)
    status = np.zeros(n, int)
    status[-1] = 2
    best = best_point(table(n, valid=np.zeros(n, bool), penalty=penalty, status=status))
    assert best["point_id"] == n - 2 + 5
    with pytest.raises(ConfigError, match="none of the 50 points was evaluated successfully"):
        best_point(table(n, status=np.full(n, 2)))


def test_each_bin_has_its_best_point():
    """In every bin of a grid the difference is that of its best point, and NaN where there is none."""
    whole = table(3000)
    found = profile_likelihood(whole, "a", "c", bins=(np.linspace(0, 1, 11), [0.0, 0.2, 0.5, 2.0, 3.0]))
    a, c, likelihood = (whole[name].to_numpy() for name in ("a", "c", "likelihood"))
    assert found.delta_chi2.shape == found.point_id.shape == (10, 4)
    for i in range(10):
        for j in range(4):
            here = (a >= found.edges[0][i]) & (a < found.edges[0][i + 1])
            here &= (c >= found.edges[1][j]) & (c < found.edges[1][j + 1])
            if here.any():
                expected = -2 * np.log(likelihood[here].max() / likelihood.max())
                assert found.delta_chi2[i, j] == pytest.approx(expected, abs=1e-9)
                assert found.point_id[i, j] == np.flatnonzero(here)[np.argmax(likelihood[here])] + 5
            else:
                assert np.isnan(found.delta_chi2[i, j])
                assert found.point_id[i, j] == -1
    assert np.isnan(found.delta_chi2[:, 3]).all()
    assert np.nanmin(found.delta_chi2) == 0
    assert found.best == np.argmax(likelihood) + 5


def test_the_profile_follows_the_true_one_from_above():
    """The hidden parameters are maximised over: the curve is that of a alone, never below it."""
    found = profile_likelihood(table(20_000), "a", bins=20)
    true = ((found.centres[0] - 0.3) / 0.1) ** 2
    edge = np.minimum(*(((ends - 0.3) / 0.1) ** 2 for ends in (found.edges[0][1:], found.edges[0][:-1])))
    near = true < 6
    assert (found.delta_chi2 > np.minimum(edge, true) - 0.3).all()
    assert np.abs(found.delta_chi2 - true)[near].max() < 1.5


def test_logarithmic_parameters_have_logarithmic_bins_and_observables_the_valid_range():
    """The range of a parameter is that of all points, of an observable that of the valid ones."""
    whole = table()
    b = profile_likelihood(whole, "b", bins=4).edges[0]
    np.testing.assert_allclose(b[1:] / b[:-1], b[1] / b[0])
    assert b[-1] / b[0] > 90
    y = profile_likelihood(whole, "y", bins=4).edges[0]
    valid = whole["y"].to_numpy()[whole["valid"].to_numpy(zero_copy_only=False)]
    assert (y[0], y[-1]) == (valid.min(), valid.max())


def test_by_default_bins_are_as_many_as_points_can_fill():
    """Few points make few bins, many make forty, and two columns fewer each than one."""
    counts = [len(profile_likelihood(table(n), "a").delta_chi2) for n in (50, 2000, 40_000)]
    assert counts[0] == 5 < counts[1] <= counts[2] == 40
    assert profile_likelihood(table(2000), "a", "c").delta_chi2.shape[0] < counts[1]


def test_the_ends_of_the_range_belong_to_it():
    """The smallest and the largest value are in the first and the last bin."""
    whole = table(100)
    found = profile_likelihood(whole, "a", bins=7)
    ids = found.point_id
    alone = profile_likelihood(whole, "a", bins=[whole["a"].to_numpy().min(), whole["a"].to_numpy().max()])
    assert alone.point_id.tolist() == [found.best]
    assert (ids >= 0).all()


def test_levels_are_those_of_wilks():
    """One and two degrees of freedom, for one and two columns."""
    one, two = profile_likelihood(table(50), "a"), profile_likelihood(table(50), "a", "c", bins=5)
    assert one.level(0.95) == pytest.approx(3.8415, abs=1e-4)
    assert two.level(0.95) == pytest.approx(5.9915, abs=1e-4)
    assert one.level(0.6827) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "bb"), "no column 'bb'"),
        (("status",), "holds no numbers"),
        (("u",), "holds no numbers"),
        (("a", None, 0), "0 bins of 'a'"),
        (("a", None, [1.0]), "expected a number of bins, or two or more growing edges"),
        (("a", "b", ([1, 0], 3)), "growing edges"),
    ],
)
def test_what_is_no_column_or_no_bin_is_refused(arguments: tuple[Any, ...], message: str):
    """With the name of the column and what was expected."""
    with pytest.raises(ConfigError, match=message):
        profile_likelihood(table(20), *arguments)


@pytest.mark.parametrize("n", [0, 1, 3, 500])
def test_profiles_are_drawn_however_few_points_there_are(tmp_path: Path, n: int):
    """One and two columns; a star at the best point, both levels, and a word where there is nothing to draw."""
    plots = Plots(table(n))
    one = plots.profile("a", path=tmp_path / "one.png")
    two = plots.profile("a", "b", tmp_path / "two.png", bins=12)
    assert (tmp_path / "one.png").stat().st_size > 1000
    assert (tmp_path / "two.png").stat().st_size > 1000
    if not n:
        assert "no point has a likelihood" in one.texts[0].get_text()
        return
    star = next(line for line in two.axes[0].lines if line.get_marker() == "*")
    best = best_point(table(n)) if n > 1 else {"a": table(n)["a"][0].as_py(), "b": table(n)["b"][0].as_py()}
    if n == 500:
        assert (star.get_xdata()[0], star.get_ydata()[0]) == (best["a"], best["b"])
        assert two.axes[0].get_yscale() == "log"
        levels = sorted(line.get_ydata()[0] for line in one.axes[0].lines if line.get_linestyle() == "--")
        assert levels == pytest.approx([0.989, 3.841], abs=1e-3)
        drawn = next(c for c in two.axes[0].collections if hasattr(c, "levels"))
        assert drawn.levels == pytest.approx([2.279, 5.991], abs=1e-3)


def test_a_result_has_best_point_and_profile(tmp_path: Path):
    """Of a whole scan of a measurement: the best point is near the measured value, the profile knows it."""
    scan = rs.Scan(
        space=rs.Space(a=(0, 1), b=(0, 1)), tool=rs.Function(lambda a, b: a + b, outputs=["y"]),
        target=rs.Target(y=rs.Gaussian(1.2, 0.1)), out=tmp_path / "run", evaluators=0,
    )  # fmt: skip
    result = scan.run(evaluations=200, progress=None)
    best = result.best
    assert best["y"] == pytest.approx(1.2, abs=0.02)
    assert best["likelihood"] == max(result.table["likelihood"].to_pylist())
    found = result.profile("a", "b", bins=5)
    assert found.best == best["point_id"]
    assert found.delta_chi2[0, 0] > 50
    result.plot.profile("a", "b", tmp_path / "profile.png", bins=5)
    assert (tmp_path / "profile.png").exists()
