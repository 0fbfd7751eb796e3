"""The surrogates of a finished run: what they know, and what clusters look like through them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rayscan as rs
from rayscan.errors import ConfigError
from rayscan.learn.clusters import clusters, connected
from rayscan.results.result import ScanResult


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScanResult:
    """Two bands, nearer to each other than the points on them would tell."""
    out = tmp_path_factory.mktemp("bands") / "run"
    tool = rs.Function(lambda x, y: {"r": x**2, "s": y}, outputs=["r", "s"])
    space, target = rs.Space(x=(-1, 1), y=(0, 1)), rs.Target(r=(0.003, 0.2), s=(0.1, 0.9))
    rs.Scan(space, tool, target, out=out, K=60, evaluators=0, seed=3).run(evaluations=130, progress=False)
    return rs.open_run(out)


def test_probabilities_are_those_of_the_region(result: ScanResult) -> None:
    """On a grid the surrogates of the run say yes where the target holds, and no elsewhere."""
    x, y = np.meshgrid(np.linspace(0.02, 0.98, 25), np.linspace(0.02, 0.98, 25))
    u = np.column_stack([x.ravel(), y.ravel()])
    r, s = (2 * u[:, 0] - 1) ** 2, u[:, 1]
    truth = (r > 0.003) & (r < 0.2) & (s > 0.1) & (s < 0.9)
    assert ((result.surrogate.probability(u) > 0.5) == truth).mean() > 0.95


def test_probabilities_are_worth_what_earlier_promises_were(tmp_path: Path) -> None:
    """A hidden second condition makes half of all promises worthless: a place that was sure is worth a half."""
    tool = rs.Function(lambda x, y: {"r": x, "noise": np.sin(1e5 * (x + y))}, outputs=["r", "noise"])
    space, target = rs.Space(x=(0, 1), y=(0, 1)), rs.Target(r=(0.3, 0.7), noise=rs.Above(0.0))
    rs.Scan(space, tool, target, out=tmp_path / "run", K=200, initial=200, evaluators=0, seed=1).run(
        evaluations=600, progress=False
    )
    found = rs.open_run(tmp_path / "run")
    rng = np.random.default_rng(0)
    u = np.column_stack([rng.uniform(0.35, 0.65, 400), rng.random(400)])
    truth = (np.sin(1e5 * u.sum(axis=1)) > 0).mean()
    assert abs(found.surrogate.probability(u).mean() - truth) < 0.12
    order = np.argsort(found.surrogate.log_promise(u))
    assert (np.diff(found.surrogate.log_probability(u)[order]) >= 0).all()


def test_places_of_another_dimension_are_refused(result: ScanResult) -> None:
    """What was expected is said."""
    with pytest.raises(ConfigError, match=r"\(n, 2\) in the unit cube, got \(1, 3\)"):
        result.surrogate.probability([[0.1, 0.2, 0.3]])


def test_bands_are_told_apart_through_the_surrogates(result: ScanResult) -> None:
    """Clusters of a scan are what the surrogates see no way between, not what lies a distance apart."""
    found = result.diagnostics()
    assert found.clusters == 2
    assert sum(found.sizes) + found.loners == found.valid
    assert dict(found.rows())["clusters"].startswith(f"2 of {found.sizes[0]}, {found.sizes[1]} points")


def test_an_uneven_region_is_one() -> None:
    """Distances see fragments where a region was sampled unevenly; a way between them makes it one."""
    rng = np.random.default_rng(0)
    u = np.concatenate([0.1 + 0.02 * rng.random((100, 2)), 0.3 + 0.02 * rng.random((100, 2))])
    assert set(clusters(u)) == {0, 1}
    assert set(connected(np.concatenate([u, [[0.2, 0.2]] * 3]), lambda at: np.zeros(len(at)))) <= {0, 1}
    assert set(connected(u, lambda at: np.full(len(at), -9.0))) == {-1}


def test_a_run_without_surrogates_says_so(tmp_path: Path) -> None:
    """Of a random scan nothing was learned; clusters fall back on distances."""
    tool = rs.Function(lambda x: {"y": x}, outputs=["y"])
    options = {"surrogate": "regressor", "K": 20, "steps": 5}
    scan = rs.Scan(rs.Space(x=(0, 1)), tool, rs.Target(y=(0, 0.5)), out=tmp_path / "run", evaluators=0, **options)
    scan.run(evaluations=30, progress=False)
    result = rs.open_run(tmp_path / "run")
    with pytest.raises(ConfigError, match="expected a checkpoint of the default method"):
        _ = result.surrogate
    assert result.diagnostics().clusters == 1
