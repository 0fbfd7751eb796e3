"""Diagnostics count islands, and tell a scan that still finds something from one that does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rayscan.learn.clusters import LINKED
from rayscan.learn.clusters import islands as told_apart
from rayscan.learn.data import Origin
from rayscan.results.diagnostics import GROWING, OPEN, SATURATED, UNKNOWN, clusters, diagnose
from rayscan.results.result import open_run
from rayscan.store import Schema, Store

CENTRES = np.array([[0.2, 0.2, 0.2], [0.8, 0.2, 0.5], [0.5, 0.8, 0.8]])


def islands(n, which, seed=0):
    """Return points of balls of radius 0.1 around some of the centres."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    return CENTRES[rng.choice(which, n)] + 0.1 * direction * rng.random((n, 1)) ** (1 / 3)


def chain(u):
    """Return the columns of valid chain points."""
    return u, np.full(len(u), Origin.POPULATION), np.full(len(u), np.nan), np.ones(len(u), bool)


def join(*parts):
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


@pytest.mark.parametrize("n", [200, 2000])
def test_islands_are_counted(n):
    """Three separate balls are three clusters, whatever the number of points, and one is one."""
    assert set(clusters(islands(n, [0, 1, 2]))) == {0, 1, 2}
    assert set(clusters(islands(n, [1]))) == {0}


def test_a_lonely_point_is_no_cluster():
    """Fewer than three points together are loners."""
    u = np.concatenate([islands(200, [0]), [[0.9, 0.9, 0.1]]])
    assert clusters(u)[-1] == -1
    assert set(clusters(u[:-1])) == {0}


def arcs(n, seed=0):
    """Return points of three thin rings, most of them on the right of each, and twenty times fewer on the last."""
    rng = np.random.default_rng(seed)
    angle, ring = np.pi * rng.normal(scale=0.4, size=n), rng.choice(3, n, p=[0.6, 0.37, 0.03])
    return CENTRES[ring, :2] + 0.12 * np.column_stack([np.cos(angle), np.sin(angle)]), ring


@pytest.mark.parametrize("n", [400, 2 * LINKED])
def test_islands_are_told_apart_by_the_widest_gap(n):
    """However unevenly they were sampled, where clusters follow the density and see fragments."""
    u, ring = arcs(n)
    label = told_apart(u)
    assert label.max() == 2
    # Each label goes with one ring.
    assert len(np.unique(np.column_stack([label, ring])[label >= 0], axis=0)) == 3
    assert (label < 0).mean() < 0.02


def test_lone_points_that_were_not_looked_at_are_on_no_island():
    """Of more points than are linked, those far from all others do not make an island of their own together."""
    u, _ = arcs(2 * LINKED)
    seen = np.linspace(0, len(u) + 3, LINKED).astype(int)
    unseen = np.setdiff1d(np.arange(1, len(u)), seen)[[10, 500, 1000, 1500]]
    lonely = np.array([[0.02, 0.98], [0.98, 0.6], [0.02, 0.6], [0.98, 0.98]])
    u = np.insert(u, unseen - np.arange(4), lonely, axis=0)
    alone = np.flatnonzero((u[:, None] == lonely).all(axis=2).any(axis=1))
    assert not np.isin(alone, seen).any()
    assert (told_apart(u)[alone] == -1).all()


@pytest.mark.parametrize("u", [np.empty((0, 2)), np.full((9, 2), 0.5), np.random.default_rng(0).random((500, 2))])
def test_what_hangs_together_is_one_island_at_most(u):
    """There is no gap: points are on it, or on none."""
    assert set(told_apart(u)) <= {-1, 0}


def test_a_uniform_sample_of_the_whole_region_is_saturated():
    """Once all islands are known early and nothing new is found, the verdict says so, if probes bear it out."""
    u, origin, density, valid = chain(islands(3000, [0, 1, 2]))
    origin[::3], density[::3] = Origin.UNIFORM, 1.0
    result = diagnose(u, origin, density, valid)
    assert result.verdict == SATURATED
    assert result.clusters == 3
    assert result.growth[0] == (300, 3)
    assert max(share for _, share in result.saturation) < 0.05


def test_nothing_new_is_no_evidence_that_nothing_is_missing():
    """Without probes, or in so many dimensions that distances say nothing, the verdict is that it is unknown."""
    assert diagnose(*chain(islands(3000, [0, 1, 2]))).verdict == OPEN
    u = np.random.default_rng(0).random((2000, 20))
    result = diagnose(u, np.full(2000, Origin.UNIFORM), np.ones(2000), u[:, 0] < 0.5)
    assert result.verdict == OPEN
    assert "another seed" in " ".join(result.reasons)
    assert "unknown" in str(result) or "no probes" in str(result)


def test_an_island_found_late_is_new_territory():
    """A third island that turns up in the last fifth changes the verdict, and growth says when."""
    result = diagnose(*chain(np.concatenate([islands(2500, [0, 1]), islands(500, [0, 1, 2], seed=1)])))
    assert result.verdict == GROWING
    assert "clusters were found in the last fifth" in result.reasons[0]
    assert [count for _, count in result.growth] == [2] * 8 + [3] * 2


def test_a_scan_that_moves_on_is_in_new_territory():
    """Points that march along a line always lie beyond the earlier ones."""
    rng = np.random.default_rng(0)
    u = np.column_stack([np.linspace(0.1, 0.9, 2000), *(0.5 + 0.005 * rng.random((2, 2000)))])
    result = diagnose(*chain(u))
    assert result.verdict == GROWING
    assert any("beyond the reach" in reason for reason in result.reasons)


def test_probes_measure_the_coverage_that_chains_lack():
    """Chains that know one of two equal islands cover half of what uniform probes see."""
    probe = islands(400, [0, 1], seed=2)
    parts = []
    for k in range(10):
        near = islands(200, [0], seed=10 + k)
        here = probe[40 * k : 40 * (k + 1)]
        parts += [chain(near), (here, np.full(40, Origin.UNIFORM), np.ones(40), np.full(40, k >= 5))]
    result = diagnose(*join(*parts))
    assert 0.4 < result.coverage.share < 0.75
    assert result.verdict == GROWING
    covered = diagnose(*join(chain(islands(2000, [0, 1])), (probe, np.full(400, 2), np.ones(400), np.ones(400, bool))))
    assert covered.coverage.share > 0.97
    assert covered.coverage.error < 0.03


def test_counts_are_those_of_the_table():
    """Milestones, acceptance and origins follow from the columns."""
    n = 2000
    valid = np.arange(n) % 4 == 3
    u = np.random.default_rng(0).random((n, 2))
    origin = np.where(np.arange(n) < 500, Origin.INITIAL, Origin.POPULATION)
    result = diagnose(u, origin, np.where(origin == Origin.INITIAL, 1.0, np.nan), valid)
    assert result.milestones == {10: 40, 100: 400}
    assert result.acceptance == result.recent == 0.25
    assert result.by_origin == {"initial": (500, 125), "population": (1500, 375)}
    assert result.volume.value == pytest.approx(0.25)
    text = str(result)
    assert "initial 25.0% of 500" in text
    assert "100 at 400" in text


@pytest.mark.parametrize("n", [0, 1, 30])
def test_too_few_points_to_tell(n):
    """Without enough valid points nothing is claimed, and everything can be printed."""
    result = diagnose(*chain(islands(n, [0])))
    assert result.verdict == UNKNOWN
    assert UNKNOWN in str(result)


def test_nothing_valid_is_no_error():
    """A scan without any valid point has diagnostics."""
    n = 500
    result = diagnose(np.random.default_rng(0).random((n, 2)), np.full(n, 2), np.ones(n), np.zeros(n, bool))
    assert result.verdict == UNKNOWN
    assert (result.valid, result.clusters, result.effective_size) == (0, 0, 0)
    assert "less than 0.006" in str(result)


def test_a_result_has_them_all(tmp_path: Path):
    """A run directory's result gives volume, weights in the order of its valid rows, and diagnostics."""
    rng = np.random.default_rng(0)
    n = 400
    u = rng.random((n, 2))
    valid = u[:, 0] < 0.5
    store = Store.create(tmp_path / "run", Schema(("a", "b"), ("y",), 2, {}), "K = 300\n", {"space": {}}, {"seed": 0})
    store.append(
        {
            "point_id": np.arange(n), "status": np.zeros(n, int), "valid": valid, "u": u, "a": u[:, 0], "b": u[:, 1],
            "y": u[:, 0], "origin": np.full(n, int(Origin.UNIFORM)), "density": np.ones(n), "issued": np.zeros(n),
            "started": np.zeros(n), "ended": np.ones(n), "stages": [()] * n, "kept": [{}] * n,
        }
    )  # fmt: skip
    store.close()
    result = open_run(tmp_path / "run")
    assert result.volume().value == pytest.approx(valid.mean())
    assert result.weights.shape == (result.valid.num_rows,)
    assert result.diagnostics().verdict == SATURATED
    assert result.diagnostics().by_origin == {"uniform": (n, int(valid.sum()))}
