"""The valid points as a sample for other programs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from rayscan.cli import app
from rayscan.errors import ConfigError, StoreError
from rayscan.learn.data import Origin
from rayscan.results.result import ScanResult, open_run
from rayscan.store import Schema, Store

N = 2000
SCHEMA = Schema(("x", "twice", "y"), ("obs", "never"), 2, {}, {"x": "GeV"}, {"x": "$m_x$"})
DESCRIPTION = {
    "space": {
        "x": {"prior": "uniform", "lo": 0.0, "hi": 10.0},
        "twice": {"prior": "derived", "expression": "2*x"},
        "y": {"prior": "normal", "mean": 0.0, "sigma": 1.0},
    },
    "target": {"obs": {"kind": "gaussian", "value": 0.5, "sigma": [0.1, 0.1]}, "threshold": 0.01},
}


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> ScanResult:
    """Uniform points, whose prior weights are equal; the likelihood is a normal one in x around 5, 1 wide."""
    u = np.random.default_rng(3).random((N, 2))
    likelihood = np.exp(-0.5 * ((u[:, 0] - 0.5) / 0.1) ** 2)
    columns: dict[str, Any] = {
        "point_id": np.arange(N), "status": np.zeros(N), "valid": likelihood > 0.01,
        "likelihood": likelihood, "penalty": 0.0,
        "u": u, "x": 10 * u[:, 0], "twice": 20 * u[:, 0], "y": u[:, 1], "obs": u[:, 0], "never": np.nan,
        "origin": np.full(N, int(Origin.UNIFORM)), "density": 1.0, "issued": 0.0, "started": 0.0, "ended": 1.0,
    }  # fmt: skip
    path = tmp_path_factory.mktemp("samples") / "run"
    with Store.create(path, SCHEMA, "", DESCRIPTION, {}) as store:
        store.append(columns)
    return open_run(path)


def test_weights_are_prior_times_likelihood(result):
    """Uniform valid points with these weights are a sample of the normal likelihood, which is cut at 0.01."""
    samples = result.samples()
    assert samples.parameters == ("x", "y")
    assert samples.derived == ("twice", "obs")
    mean = np.average(samples.values["x"], weights=samples.weight)
    assert mean == pytest.approx(5, abs=0.15)
    assert np.average((samples.values["x"] - mean) ** 2, weights=samples.weight) ** 0.5 == pytest.approx(0.96, abs=0.08)
    assert samples.weight.mean() == pytest.approx(1)
    assert np.allclose(samples.log_likelihood, -0.5 * (samples.values["x"] - 5) ** 2)
    assert samples.effective_size < len(samples.weight) < N


def test_draws_come_in_proportion_to_weights(result):
    """Systematic resampling: each point as often as its share says, to one."""
    samples = result.samples()
    draws = 5000
    counts = np.bincount(samples.resampled(draws, seed=1), minlength=len(samples.weight))
    assert counts.sum() == draws
    assert np.abs(counts - draws * samples.weight / samples.weight.sum()).max() < 1


def test_chains_are_what_getdist_reads(result, tmp_path):
    """Weight, minus the logarithm of the likelihood, the columns named in .paramnames; open ends of a prior are N."""
    root = result.to_getdist(tmp_path / "chains.txt")
    assert root == tmp_path / "chains"
    rows, samples = np.loadtxt(tmp_path / "chains.txt"), result.samples()
    assert np.allclose(rows[:, 0], samples.weight)
    assert np.allclose(rows[:, 1], -samples.log_likelihood)
    assert np.allclose(rows[:, 2:], np.column_stack([samples.values[name] for name in ("x", "y", "twice", "obs")]))
    assert (tmp_path / "chains.paramnames").read_text().splitlines() == ["x m_x", "y y", "twice* twice", "obs* obs"]
    assert (tmp_path / "chains.ranges").read_text().splitlines() == ["x 0 10", "y N N"]


def test_getdist_itself_reads_them(result, tmp_path):
    """GetDist finds names, ranges and the weighted mean."""
    getdist = pytest.importorskip("getdist", reason="GetDist is not installed: pip install 'rayscan[data]'")
    chains = getdist.loadMCSamples(str(result.to_getdist(tmp_path / "chains")), no_cache=True)
    assert chains.getParamNames().list() == ["x", "y", "twice", "obs"]
    assert chains.mean("x") == pytest.approx(5, abs=0.15)
    assert chains.ranges.getLower("x") == 0


def test_no_chain_is_overwritten(result, tmp_path):
    """If one of the three files is there, none is written, unless they may be replaced."""
    (tmp_path / "c.ranges").write_text("mine")
    with pytest.raises(StoreError, match=r"c\.ranges exists; nothing was changed"):
        result.to_getdist(tmp_path / "c")
    assert [file.name for file in tmp_path.iterdir()] == ["c.ranges"]
    assert result.to_getdist(tmp_path / "c", overwrite=True)
    with pytest.raises(StoreError, match=r"cannot write: .*choose another place"):
        result.to_getdist(tmp_path / "c.ranges" / "c")


def test_arviz_gets_equally_weighted_draws(result):
    """InferenceData with a chain, parameters and what follows from them, and the likelihood beside them."""
    pytest.importorskip("arviz", reason="ArviZ is not installed: pip install 'rayscan[data]'")
    data = result.to_arviz(seed=1)
    x = np.asarray(data["posterior"]["x"])
    assert x.shape == (1, round(result.samples().effective_size))
    assert x.mean() == pytest.approx(5, abs=0.15)
    assert np.allclose(np.asarray(data["posterior"]["twice"]), 2 * x)
    assert np.allclose(np.asarray(data["sample_stats"]["lp"]), -0.5 * (x - 5) ** 2)
    assert np.asarray(result.to_arviz(7)["posterior"]["y"]).shape == (1, 7)
    assert "never" not in data["posterior"]
    with pytest.raises(ConfigError, match="positive number of draws"):
        result.to_arviz(0)


@pytest.mark.parametrize("version", ["0.20.0", "1.3.0"])
def test_both_interfaces_of_arviz_are_spoken(result, monkeypatch, version):
    """Groups by keyword before version 1, as one mapping from it on."""

    class ArviZ:
        __version__ = version

        @staticmethod
        def from_dict(*given: Any, **groups: Any) -> Any:
            return given, groups

    monkeypatch.setitem(sys.modules, "arviz", ArviZ)
    given, groups = result.to_arviz(5)
    (mapping,) = given or (groups,)
    assert bool(given) == (version > "1")
    assert set(mapping) == {"posterior", "sample_stats"}


def test_without_arviz_it_is_said_how_to_get_it(result, monkeypatch):
    """The library is no requirement."""
    monkeypatch.setitem(sys.modules, "arviz", None)
    with pytest.raises(ConfigError, match="pip install arviz"):
        result.to_arviz()
    assert importlib.import_module("rayscan.results.inference_data")


def test_a_run_without_valid_points_has_no_sample(tmp_path):
    """Said in words, before anything is written."""
    Store.create(tmp_path / "run", SCHEMA, "", DESCRIPTION, {}).close()
    with pytest.raises(ConfigError, match="expected at least one, got none of 0"):
        open_run(tmp_path / "run").to_getdist(tmp_path / "c")
    assert not (tmp_path / "c.txt").exists()


def test_the_command_writes_chains_and_the_file_of_dlscanner(result, tmp_path):
    """`rayscan export --as getdist`, `--as dlscanner`; the latter holds the scanned parameters of the valid points."""
    done = CliRunner().invoke(app, ["export", str(result.path), "--to", str(tmp_path / "c"), "--as", "getdist"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "c.paramnames").is_file()
    path = tmp_path / "Accumulated_points.txt"
    arguments = ["export", str(result.path), "--to", str(path), "--as", "dlscanner"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    points = np.loadtxt(path, delimiter=",")
    assert np.array_equal(points[:, 0], result.valid["x"].to_numpy())
    assert Path(path).read_text().splitlines()[0] == "# x\ty"
    assert CliRunner().invoke(app, arguments).exit_code == 1
