"""The examples that a newcomer types in, in a small size."""

from __future__ import annotations

import csv
import importlib.util
import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from matplotlib.image import imread

import rayscan as rs

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_cos3_prints_a_count_for_every_step_and_draws(tmp_path: Path) -> None:
    """The paper's test function runs through the public interface, with every network that it offers."""
    picture = tmp_path / "cos3.png"
    arguments = ["--proposal", "vegas", "--K", "300", "--L", "3000", "--steps", "1", "--picture", str(picture)]
    command = [sys.executable, str(EXAMPLES / "cos3.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    rows = [line.split("last")[0].split() for line in done.stdout.splitlines() if "vegas" in line]
    assert [row[0] for row in rows] == ["similarity,", "classifier,", "regressor,"]
    assert all(len(row) == 4 for row in rows)
    assert picture.stat().st_size > 10_000


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    return example


@pytest.mark.parametrize(
    ("name", "evaluations"), [("singlet_dm", 80), ("best_fit", 100), ("own_network", 80), ("own_tool", 20)]
)
def test_examples_end_with_a_figure(name: str, evaluations: int, tmp_path: Path, monkeypatch, capsys) -> None:
    """Each runs to its end as a user starts it, in a small size, and says where its picture is."""
    monkeypatch.delenv("RAYSCAN_MICROMEGAS", raising=False)
    picture = tmp_path / "picture.png"
    arguments = ["--out", tmp_path / "run", "--picture", picture, "--evaluations", evaluations, "--evaluators", 0]
    load(name).main([str(word) for word in arguments])
    assert f"picture: {picture}" in capsys.readouterr().out
    assert imread(picture)[..., :3].std() > 0.02
    assert rs.open_run(tmp_path / "run").table.num_rows == evaluations


def test_the_stand_in_for_micromegas_is_as_good_as_it_says() -> None:
    """At 20 points of micrOMEGAs: the cross section to 1 %, the relic density to a factor of 0.5 to 5.5."""
    singlet = load("singlet_dm").singlet
    with (EXAMPLES.parent / "tests" / "data" / "micromegas" / "singletdm_20.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        omega, proton = singlet(float(row["Mdm1"]), float(row["laSH"]))
        assert proton == pytest.approx(float(row["proton_SI"]), rel=0.01)
        assert 0.5 < omega / float(row["omega"]) < 5.5
    assert len(rows) == 20


def test_mixtures_are_fractions_and_keep_to_the_conditions(tmp_path: Path) -> None:
    """Of the example with fractions, ordered masses and conditions, every row is one that the physics allows."""
    example = load("mixtures")
    table = example.make(tmp_path / "run", 100).run(evaluations=100, progress=None).table.to_pandas()

    assert example.SPACE.domain.share == pytest.approx(0.11, abs=0.01)
    assert len(table) == 100
    assert table.filter(like="f_").sum(axis=1).to_numpy() == pytest.approx(1)
    assert (2 * table.m_chi < table.m_med).all()
    assert (table.m_med < 3 * table.m_chi).all()
    assert (table.f_ee + table.f_mm + table.f_tt < 0.5).all()
    assert (table.g_chi**2 + table.g_sm**2 < 4 * math.pi).all()


def test_the_chain_runs_its_second_program_only_where_it_may_matter(tmp_path: Path) -> None:
    """The second stage reads the spectrum of the first, where the Higgs mass holds; a figure shows it."""
    from rayscan.scan import Scan

    scan = Scan.from_file(EXAMPLES / "chain", out=tmp_path / "run", evaluators=0)
    result = scan.run(evaluations=40, progress=None)
    rows = result.table.to_pylist()
    reached = [row for row in rows if row["status"] == "ok" and not math.isnan(row["tuning"])]
    assert {row["point_id"] for row in reached} == {
        row["point_id"] for row in rows if row["status"] == "ok" and 124 <= row["mh"] <= 126 and row["mst1"] >= 1000
    }
    assert all(row["tuning"] > 0 for row in reached)
    assert result.plot.scatter("mst1", "mh", colour="tuning", path=tmp_path / "chain.png")
    assert (tmp_path / "chain.png").stat().st_size > 5_000
