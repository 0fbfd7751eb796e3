"""The report's numbers are those of the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rayscan.results.report import WIDTH, Report, text_report, utilisation
from rayscan.store import Schema, Store
from rayscan.tools.base import Stage, Status

SCHEMA = Schema(("tanb", "mu"), ("mh",), 1, {}, {"mh": "GeV"})
DESCRIPTION = {
    "space": {"tanb": {"prior": "uniform", "lo": 1, "hi": 50}},
    "target": {"mh": {"kind": "window", "lo": 124, "hi": 126}},
}


def columns(n: int = 40) -> dict[str, Any]:
    """Return ``n`` points: every fourth is valid, every tenth unphysical, on two workers in turn, one second each."""
    i = np.arange(n)
    status = np.where(i % 10 == 9, 1, 0)
    return {
        "point_id": i, "status": status, "valid": i % 4 == 0, "likelihood": np.where(i % 4 == 0, 1 / (1 + i), 0.0),
        "penalty": (i - 7.0) ** 2, "u": i[:, None] / n, "origin": np.where(i < 8, 2, 3), "generation": i // 8,
        "issued": 100.0 + i // 2, "started": 100.0 + i // 2, "ended": 101.0 + i // 2, "host": "node1",
        "worker": [f"w{k % 2}" for k in i], "tanb": i + 1.0, "mu": 500.0, "mh": np.where(status == 0, 125.0, np.nan),
        "message": [f"tachyon, m2 = {-k}" if s else "" for k, s in zip(i, status, strict=True)],
        "stages": [
            (Stage("SPheno", Status(int(s)), 0.5), Stage("Higgs", None if s else Status.OK, 0.25)) for s in status
        ],
    }  # fmt: skip


def table(**changed: Any) -> pa.Table:
    data = {**columns(), **changed}
    data["kept"] = [()] * len(data["point_id"])
    return pa.Table.from_batches([SCHEMA.batch([SCHEMA.take(data)])])


def section(report: Report, title: str) -> list[list[str]]:
    return [list(row) for part in report.sections() if part.title == title for row in part.rows]


def test_counts_and_acceptance_are_those_of_the_table():
    """Statuses, valid points and shares, overall, by origin and by generation."""
    report = Report(table())
    assert section(report, "Result") == [
        ["evaluations", "40"], ["valid points", "10"], ["acceptance", "25.00% ± 6.85%"],
    ]  # fmt: skip
    assert section(report, "Evaluations by status") == [["ok", "36", "90.00%"], ["unphysical", "4", "10.00%"]]
    assert section(report, "Acceptance by origin") == [
        ["uniform", "8", "2", "25.00% ± 15.31%"], ["map", "32", "8", "25.00% ± 7.65%"],
    ]  # fmt: skip
    assert [row[:3] for row in section(report, "Acceptance by generation")] == [[str(g), "8", "2"] for g in range(5)]
    assert section(report, "Evaluations needed") == [["10", "37"]]


def test_many_generations_are_joined():
    """A long scan has at most ten lines of generations, which together hold all points."""
    report = Report(table(generation=np.arange(40)))
    rows = section(report, "Acceptance by generation")
    assert [row[0] for row in rows] == [f"{4 * k}-{4 * k + 3}" for k in range(10)]
    assert sum(int(row[1]) for row in rows) == 40


def test_programs_and_failures_are_listed():
    """Times per stage without the skipped runs; failures that differ in numbers alone are one kind."""
    report = Report(table())
    assert section(report, "Programs") == [
        ["SPheno", "40", "0.5 s", "0.5 s", "0.5 s", "20 s"], ["Higgs", "36", "0.25 s", "0.25 s", "0.25 s", "9 s"],
    ]  # fmt: skip
    assert section(report, "Most frequent failures") == [["4", "unphysical", "tachyon, m2 = -9"]]


def test_a_long_message_is_wrapped_inside_its_column():
    """The columns before it stay empty on the lines that follow, and no line is wider than the report."""
    said = "the program says at length why it could not do what it was asked for " * 3
    text = Report(table(message=[said] * 40)).text()
    lines = text[text.index("Most frequent failures") :].split("\n\n")[0].splitlines()[2:]
    column = lines[0].index("for example")
    assert len(lines) > 2
    assert all(len(line) <= WIDTH for line in lines)
    assert all(not line[:column].strip() for line in lines[2:])
    assert " ".join(line[column:] for line in lines[1:]) == said[:160].strip()


def test_ranges_and_the_best_point_are_those_of_valid_points():
    """Quantiles over valid points of what varies; the best has the largest likelihood."""
    report = Report(table())
    low, middle, high = np.quantile(np.arange(0, 40, 4) + 1.0, [0.05, 0.5, 0.95])
    assert section(report, "Valid points")[0] == ["tanb", f"{low:.6g}", f"{middle:.6g}", f"{high:.6g}", ""]
    assert "mu" not in [row[0] for row in section(report, "Valid points")]
    assert section(report, "Best point, by likelihood") == [
        ["point_id", "0"], ["likelihood", "1"], ["tanb", "1"], ["mu", "500"], ["mh", "125 GeV"],
    ]  # fmt: skip


def test_without_valid_points_the_closest_is_shown():
    """Before the first valid point, the report names the one with the smallest penalty."""
    report = Report(table(valid=np.zeros(40, bool), penalty=np.where(np.arange(40) == 3, np.nan, columns()["penalty"])))
    assert section(report, "Closest point, by penalty")[0] == ["point_id", "7"]
    assert section(report, "Evaluations needed") == []
    assert section(report, "Valid points") == []


@pytest.mark.parametrize("n", [0, 1])
def test_a_scan_that_has_just_begun_has_a_report(n):
    """No rows, or one, give a short report."""
    data = {name: value[:n] if isinstance(value, list | np.ndarray) else value for name, value in columns().items()}
    data["kept"] = [()] * n
    short = pa.Table.from_batches([SCHEMA.batch([SCHEMA.take(data)])])
    text = Report(short).text()
    assert f"evaluations   {n}" in text
    assert "arXiv:2412.19675" in text
    assert " nan" not in text


def test_utilisation_is_busy_time_over_workers_and_span():
    """Two workers that are always busy are 100 % busy; idle time lowers it."""
    busy = utilisation(table())
    assert busy is not None
    assert (busy.busy, busy.evaluators, busy.span) == (pytest.approx(1.0), 2, 19.0)
    half = utilisation(table(ended=columns()["started"] + 0.5))
    assert half is not None
    assert half.busy == pytest.approx(0.5)
    of_four = utilisation(table(), evaluators=4)
    assert of_four is not None
    assert of_four.busy == pytest.approx(0.5)


def test_a_pause_between_sessions_is_nobodys_idle_time(tmp_path):
    """A scan that was closed for a day was busy while it was open; its log tells when it was."""
    later = np.where(np.arange(40) < 20, 0.0, 86_400.0)
    times = {name: columns()[name] + later for name in ("issued", "started", "ended")}
    assert utilisation(table(**times)).busy == pytest.approx(19 / 86_419.0)
    resumed = utilisation(table(**times), openings=[99.0, 86_500.0])
    assert (resumed.busy, resumed.evaluators, resumed.span) == (pytest.approx(1.0), 2, 18.0)

    with Store.create(tmp_path / "run", SCHEMA, "", {}) as store:
        store.append({**columns(), **times})
    opened = store.path / "log"
    opened.write_text("1970-01-01 00:01:39Z opened: 0 points\n1970-01-02 00:01:40Z opened: 20 points\nnot a line\n")
    rows = dict(row for row in section(Report.of(tmp_path / "run"), "Time") if len(row) == 2)
    assert rows["in sessions"] == "2, 20 s of that time"
    assert rows["evaluations per second"] == "2.00"
    assert rows["evaluators busy"].startswith("100.0%")


def test_a_block_evaluated_at_once_counts_once():
    """Vectorised evaluations share one stretch of time: a worker is never more than 100 % busy."""
    block = 100.0 + np.arange(40) // 20 * 10
    use = utilisation(table(worker="w0", issued=block, started=block, ended=block + 5))
    assert use is not None
    assert use.evaluators == 1
    assert use.busy == pytest.approx(0.5)


def test_overlapping_work_of_a_worker_is_joined():
    """A short evaluation inside a long one adds nothing."""
    n = 3
    data = {**{k: v[:n] if isinstance(v, list | np.ndarray) else v for k, v in columns().items()}, "kept": [()] * n}
    data |= {"worker": "w", "issued": [0.0, 0.0, 10.0], "started": [0.0, 1.0, 6.0], "ended": [5.0, 2.0, 10.0]}
    use = utilisation(pa.Table.from_batches([SCHEMA.batch([SCHEMA.take(data)])]))
    assert use is not None
    assert use.busy == pytest.approx(0.9)


def test_without_a_span_there_is_no_utilisation():
    """One issue time for all points gives none instead of a division by zero."""
    assert utilisation(table(issued=100.0)) is None
    assert utilisation(table(issued=np.nan)) is None


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with Store.create(tmp_path / "mssm", SCHEMA, "", DESCRIPTION, {"seed": 5, "evaluators": 8}) as store:
        store.append(columns())
    return tmp_path / "mssm"


def test_a_run_directory_adds_the_problem_and_its_provenance(run):
    """The problem, seed, versions, fingerprint and what to cite are in the report of a directory."""
    text = Report.of(run).text()
    assert text == text_report(run)
    assert "tanb       uniform  1 to 50" in text
    assert "mh  124 to 126   GeV" in text
    assert "seed         5\n" in text
    assert "rayscan 0." in text
    for citation in ("rayscan: parallel", "arXiv:2412.19675", "arXiv:2009.05112"):
        assert citation in text
    assert "evaluators                     8\n" in text
    assert "25.0% between first and last issue" in text


def test_long_descriptions_are_wrapped(tmp_path):
    """No line of the text is wider than a terminal window, and no word of it is lost."""
    details = {"options": {f"option_{k}": list(range(40)) for k in range(4)}}
    Store.create(tmp_path / "run", SCHEMA, "", DESCRIPTION, details).close()
    text = text_report(tmp_path / "run")
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.count("39]") == 4


def test_the_markdown_has_the_same_tables(run):
    """Every section is a Markdown table with one cell per column."""
    report = Report.of(run)
    markdown = report.markdown()
    assert markdown.startswith("# mssm\n")
    for part in report.sections():
        assert f"\n## {part.title}\n" in markdown
    for line in markdown.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")
    assert "| ok | 36 | 90.00% |" in markdown
    assert "| status | points | share |\n| --- | ---: | ---: |" in markdown


def test_text_of_programs_cannot_break_the_tables():
    """A message with bars and line ends stays in its cell."""
    report = Report(table(message=["a | b\nsecond line"] * 40))
    assert "| 4 | unphysical | a \\| b |" in report.markdown()
    assert "second line" not in report.text()


def test_the_report_says_what_a_scan_covers():
    """Volume and verdict of the diagnostics are part of the report."""
    rows = dict(section(Report(table()), "Coverage of the valid region"))
    assert rows["verdict"] == "too few valid points to tell"
    assert rows["clusters"].startswith("1 ")
    assert "unknown" in rows["valid volume"]
