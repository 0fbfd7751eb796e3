"""The spectra of chosen points: kept ones, and others made once more."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import rayscan as rs
from rayscan.cli import app
from rayscan.errors import ConfigError, StoreError
from rayscan.results.result import open_run
from rayscan.spectra import INDEX, choose, problem_of, write_spectra

EXAMPLE = Path(__file__).parents[1] / "examples" / "mssm_higgs"


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Path:
    """A copy of the example: its spectrum program, and half the points in target."""
    copy = tmp_path_factory.mktemp("example") / "mssm"
    shutil.copytree(EXAMPLE, copy)
    config = copy / "scan.toml"
    config.write_text(config.read_text().replace("mh = [124, 126]", "mh = [110, 130]"))
    return copy


@pytest.fixture(scope="module")
def run(example, tmp_path_factory) -> Path:
    """A scan of it that kept the spectra of valid points, of which every second one has been lost since."""
    out = tmp_path_factory.mktemp("spectra") / "run"
    rs.Scan.from_file(example, out=out, evaluators=0, keep="valid").run(evaluations=12, progress=None)
    spectra = sorted((out / "kept").iterdir())
    assert len(spectra) >= 4
    for path in spectra[::2]:
        shutil.move(path, out.parent / path.name)
    return out


def test_kept_spectra_are_copied_and_others_made_again(run, tmp_path):
    """Both are the same to the last byte, under the point's number, with an index beside them."""
    result = open_run(run)
    ids, folder = choose(result), tmp_path / "new" / "spectra"
    done = list(write_spectra(result, ids, folder, problem_of(run)))
    assert [one.point_id for one in done] == ids.tolist()
    assert {one.again for one in done} == {True, False}
    assert not any(one.note for one in done)
    for one in done:
        (name,) = one.files
        assert name == f"{one.point_id}-SPheno.spc"
        there = (run.parent if one.again else run / "kept") / name
        assert (folder / name).read_bytes() == there.read_bytes()
    with (folder / INDEX).open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["point_id"]) for row in rows] == ids.tolist()
    assert [float(row["mh"]) for row in rows] == result.valid["mh"].to_pylist()


def test_no_program_runs_for_what_was_kept(run, tmp_path):
    """The problem is not even asked for."""
    result = open_run(run)
    kept = {int(path.name.split("-")[0]) for path in (run / "kept").iterdir()}

    def never() -> None:
        raise AssertionError

    done = list(write_spectra(result, np.array(sorted(kept)), tmp_path / "spectra", never))
    assert len(done) == len(kept)


def test_points_are_chosen_by_a_condition_and_by_likelihood(run):
    """Valid ones only; the first found of equally likely ones."""
    result = open_run(run)
    mh, ids = result.valid["mh"].to_numpy(), result.valid["point_id"].to_numpy()
    middle = float(np.median(mh))
    assert choose(result, f"mh > {middle} and tanb > 0").tolist() == ids[mh > middle].tolist()
    assert choose(result, best=2).tolist() == ids[:2].tolist()
    assert len(choose(result, "mh > 1e6")) == 0


@pytest.mark.parametrize(
    ("where", "best", "message"),
    [
        ("mh + 1", None, "expected a condition, such as 'mh > 125"),
        ("mhh > 125", None, "no column 'mhh'; did you mean 'mh'"),
        ("mh >", None, "cannot be parsed"),
        (None, 0, "expected a positive number of points"),
    ],
)
def test_a_wrong_choice_is_refused(run, where, best, message):
    """In words, before anything is run or written."""
    with pytest.raises(ConfigError, match=message):
        choose(open_run(run), where, best)


def test_nothing_is_written_among_other_files(run, tmp_path):
    """A folder with something in it is left alone."""
    (tmp_path / "mine.txt").write_text("mine")
    result = open_run(run)
    with pytest.raises(StoreError, match="new or an empty folder; nothing was changed"):
        list(write_spectra(result, choose(result), tmp_path, problem_of(run)))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_another_tool_is_refused_or_its_differences_told(run, example, tmp_path):
    """A card that has changed since: nothing runs, unless it may; then each point says what is not as it was."""
    other = tmp_path / "other"
    shutil.copytree(example, other)
    card = other / "LesHouches.in"
    card.write_text(card.read_text().replace("1.731000E+02", "1.711000E+02"))
    arguments = ["spectra", str(run), "--to", str(tmp_path / "s"), "--config", str(other / "scan.toml")]
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 2
    assert not (tmp_path / "s").exists()
    told = CliRunner().invoke(app, [*arguments, "--same-tool"])
    assert told.exit_code == 1
    assert "it was" in told.output
    assert len(list((tmp_path / "s").iterdir())) == len(choose(open_run(run))) + 1


def test_a_scan_of_a_function_has_no_spectra(tmp_path):
    """Said in words; nothing is written."""
    tool = rs.Function(lambda x: x, outputs=["y"])
    scan = rs.Scan(rs.Space(x=(0, 1)), tool, rs.Target(y=(0, 1)), out=tmp_path / "run", evaluators=0)
    result = scan.run(evaluations=5, progress=None)
    with pytest.raises(ConfigError, match="writes no files that could be kept"):
        list(write_spectra(result, choose(result), tmp_path / "s", lambda: scan.problem))
    with pytest.raises(ConfigError, match="give one that can with --config"):
        list(write_spectra(result, choose(result), tmp_path / "s", problem_of(result.path)))
    assert not (tmp_path / "s").exists()
