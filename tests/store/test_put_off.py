"""Records of points that were ended because they took suspiciously long."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rayscan.learn.data import Origin
from rayscan.results.report.facts import Report
from rayscan.store import RunDirectory, Store
from rayscan.store.put_off import FILE, PutOff
from rayscan.store.run_directory import LOG
from rayscan.store.schema import Schema
from rayscan.tools.base import Status


def run_with(path: Path, records: list[PutOff]) -> RunDirectory:
    """Make a run of 100 points, x evenly in 0 to 1, of which these were put off."""
    store = Store.create(path, Schema(("x",), ("y",), 1), "", {"tool": {}}, {})
    n = 100
    x = (np.arange(n) + 0.5) / n
    ids = np.arange(n)
    store.append({
        "point_id": ids, "status": np.full(n, int(Status.OK)), "valid": True, "likelihood": 1.0,
        "x": x, "y": x, "u": x[:, None],
        "origin": np.full(n, int(Origin.INITIAL)), "issued": 0.0, "started": 1.0, "ended": 2.0,
    })  # fmt: skip
    for one in records:
        store.put_off(one)
    store.close()
    return RunDirectory(path)


RECORDS = [PutOff(k, 2.0 + k, "prog (a) was ended: limit; by hand", {"x": 0.5 + 0.01 * k}) for k in range(5)]


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    """Each time that a point was put off is a record with its point, whatever a program's message holds."""
    assert run_with(tmp_path / "run", RECORDS).put_off() == RECORDS


def test_a_torn_record_is_none(tmp_path: Path) -> None:
    """What a crash leaves of the last line, or a foreign line, does not hinder reading the others."""
    run = run_with(tmp_path / "run", RECORDS[:2])
    with (run.path / FILE).open("a") as file:
        file.write('[1]\n{"point_id": 7, "sec')
    assert run.put_off() == RECORDS[:2]


def test_a_run_of_an_earlier_version_tells_what_it_put_off(tmp_path: Path) -> None:
    """Where only the log tells of a point it is read from there, also when this version has gone on with the run."""
    run = run_with(tmp_path / "run", [])
    by_hand = "by hand: rayscan check scan.toml --point x=0.5"
    run.log(f"put off after 2.01 s: point 50 (SPheno was ended after 2.01 s (timeout 2 s)); {by_hand}")
    old = PutOff(50, 2.01, "SPheno was ended after 2.01 s (timeout 2 s)", {"x": 0.5})
    assert not (run.path / FILE).exists()
    assert run.put_off() == [old]
    run.add_put_off(RECORDS[0])
    assert run.put_off() == [old, RECORDS[0]]
    assert len((run.path / LOG).read_text().splitlines()) >= 2


def test_the_report_says_where_points_hang(tmp_path: Path) -> None:
    """A narrow range that holds all points that hang is told, so that a condition can leave it out."""
    said = " ".join(Report.of(run_with(tmp_path / "run", RECORDS).path).text().split())
    assert "lost to points that hang 20 s of 5, 17% of all evaluation" in said
    assert "all of them have 0.5 <= x <= 0.54, where 4.0% of the points are" in said
    few = " ".join(Report.of(run_with(tmp_path / "few", RECORDS[:4]).path).text().split())
    assert "all of them have" not in few
