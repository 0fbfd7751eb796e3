"""The report as a page: the same facts, in one file that needs nothing else."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from rayscan.cli import app
from rayscan.errors import ConfigError, StoreError
from rayscan.markup import plain
from rayscan.results.report import Report, write_page
from rayscan.results.report.citations import citations
from rayscan.results.report.page import page
from rayscan.results.report.problem import problem_sections
from rayscan.results.result import open_run
from rayscan.store import Schema, Store
from tests.browser import NEEDED, browser

SCHEMA = Schema(("tanb", "mA"), ("mh",), 2, {}, {"mA": "GeV", "mh": "GeV"})
DESCRIPTION = {
    "space": {"tanb": {"prior": "uniform", "lo": 1.0, "hi": 50.0}, "mA": {"prior": "log", "lo": 100.0, "hi": 3000.0}},
    "target": {"mh": {"kind": "window", "lo": 124.0, "hi": 126.0}, "threshold": 0.9},
    "tool": {"tool": "SPheno", "outputs": ["mh"], "command": [["/opt/SPheno", "<in>", "out"]]},
}
EVIL = "<script>alert(1)</script> tachyon of -{0} GeV\nsecond line & more"
N = 400


def columns() -> dict[str, Any]:
    """Return points with a third of them valid, and a tenth refused by a program that speaks HTML."""
    rng, i = np.random.default_rng(1), np.arange(N)
    u, bad = rng.random((N, 2)), np.arange(N) % 10 == 9
    return {
        "point_id": i, "status": np.where(bad, 1, 0), "valid": (i % 3 == 0) & ~bad, "likelihood": 1.0, "penalty": 0.0,
        "u": u, "tanb": 1 + 49 * u[:, 0], "mA": 100 * 30 ** u[:, 1], "mh": np.where(bad, np.nan, 125.0),
        "origin": np.where(i < 100, 2, 3), "density": 1.0, "score": np.where(i < 100, np.nan, u[:, 0]),
        "generation": i // 100, "issued": 1e9 + i, "started": 1e9 + i, "ended": 1e9 + i + 0.5, "host": "node1",
        "worker": [f"w{k % 2}" for k in i], "message": [EVIL.format(k) if b else "" for k, b in enumerate(bad)],
    }  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "my <b>run"
    with Store.create(path, SCHEMA, "", DESCRIPTION, {"options": {"seed": 5, "scratch": None}}) as store:
        store.append(columns())
    return path


@pytest.fixture(scope="module")
def written(run, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("out") / "report.html"
    assert open_run(run).report_html(path) == path
    return path.read_text(encoding="utf-8")


def test_the_page_says_all_that_the_text_says(run, written):
    """Every cell of every table of the text report is on the page: there is one source of facts."""
    for section in Report.of(run).sections():
        if section.title != "Most frequent failures":
            for row in section.rows:
                assert all(plain(cell) in written for cell in row), section.title


def test_the_page_needs_nothing_from_anywhere(written):
    """No address but of itself and of what is inside it, and a browser is told to ask for nothing."""
    addresses = re.findall(r'(?:src|href)="([^"]*)"', written)
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert set(re.findall(r'href="#([^"]+)"', written)) == set(re.findall(r'<section id="([^"]+)"', written))
    assert "default-src 'none'" in written
    assert "url(" not in written
    assert "<script" not in written


def test_what_programs_and_users_wrote_is_no_markup(written):
    """Messages, commands and the name of the directory are shown as they are."""
    assert html.escape(EVIL.format(9).splitlines()[0]) in written
    assert html.escape("/opt/SPheno <in> out") in written
    assert "my &lt;b&gt;run" in written


def test_figures_are_inside(written):
    """What was found, how it went, failures, evenness, calibration and time line are pictures with captions."""
    drawn = dict(re.findall(r'<figure class="(\w+)"><img src="data:image/[^;]+;base64,([^"]+)"', written))
    kinds = {"corner", "progress", "acceptance", "failures", "evenness", "calibration", "timeline"}
    assert set(drawn) == kinds
    for kind, content in drawn.items():
        assert base64.b64decode(content).startswith((b"<?xml", b"\x89PNG")), kind
    assert written.count("<figcaption>") == len(kinds)


def test_failures_are_explained_with_an_example(run, written):
    """What the status means, all that was said, the point, and the command that tries it again."""
    (case,) = Report.of(run).cases
    assert (case.count, case.status, case.point_id) == (40, "unphysical", 9)
    assert case.message == EVIL.format(9)
    point = {name: float(columns()[name][9]) for name in ("tanb", "mA")}
    found = dict(re.findall(r"--point (\w+)=(\S+)", case.command))
    assert {name: float(value) for name, value in found.items()} == point
    assert case.command.startswith("rayscan check '")
    for words in (case.meaning, case.message, case.command):
        assert plain(words) in written


def test_only_a_report_is_replaced(run, tmp_path):
    """Files of other people stay, unless they are said to go; a newer report takes an older one's place."""
    short, path = Report(Report.of(run).table.slice(0, 0)), tmp_path / "notes.html"
    path.write_text("<html>my notes</html>")
    with pytest.raises(StoreError, match="no report of rayscan; nothing was changed"):
        write_page(short, path)
    assert path.read_text() == "<html>my notes</html>"
    write_page(short, path, overwrite=True)
    path.write_text(path.read_text() + "older")
    write_page(short, path)
    assert not path.read_text().endswith("older")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(StoreError, match="nothing was changed"):
        write_page(short, tmp_path / "folder.html")
    with pytest.raises(ConfigError, match=r"ends in \.html; got \.pdf"):
        write_page(short, tmp_path / "report.pdf")
    assert write_page(short, tmp_path / "new" / "report.html").is_file()


def test_the_command_line_writes_it_and_says_where(run, tmp_path):
    """`rayscan report RUN --html FILE`; a file of somebody else's is an error in words."""
    path = tmp_path / "report.html"
    path.write_text("mine")
    refused = CliRunner().invoke(app, ["report", str(run), "--html", str(path)])
    assert refused.exit_code == 1
    assert path.read_text() == "mine"
    assert CliRunner().invoke(app, ["report", str(run)]).stdout.startswith("Problem\n")


def test_a_scan_that_has_just_begun_has_a_page(run):
    """Without a row there are the problem and what to cite, and no figure."""
    empty = Report(Report.of(run).table.slice(0, 0), Report.of(run).run)
    text = page(empty)
    assert "Nothing has been evaluated yet." in text
    assert "1 to 50" in text
    assert "<figure" not in text


def test_a_volume_of_which_nothing_was_seen_is_a_limit(run):
    """Not nothing: less than what blind points would have found."""
    table = Report.of(run).table
    none = table.set_column(table.column_names.index("valid"), "valid", [np.zeros(N, bool)])
    assert re.fullmatch(r"< 0\.\d+", Report(none).headlines()[-1][0])


def cited(description: dict[str, Any] | None = None, **options: Any) -> list[str]:
    learn = {"surrogate": "auto", "selection": "default", "proposal": "vegas"} | options.pop("learn", {})
    return [one.key for one in citations(description or {}, {"options": {"learn": learn, **options}}, {})]


def test_exactly_what_was_used_is_cited():
    """The paper's method where it ran, the map where there was one, Ray where it ran, programs by their names."""
    assert cited() == ["rayscan", "moritz2018ray", "Paszke:2019xhz"]
    assert cited(evaluators=0) == ["rayscan", "Paszke:2019xhz"]
    assert cited(learn={"surrogate": "classifier"})[:3] == ["rayscan", "Hammad:2024tzz", "Lepage:2020tgj"]
    assert "Lepage:2020tgj" not in cited(learn={"surrogate": "classifier", "proposal": "random"})
    slha = {"read": {"mh": {"kind": "slha", "address": "MASS 25"}}}
    sarah = {"tool": "SPheno", "command": [["/opt/SPhenoNMSSM", "in"]], **slha}
    omega = {"tool": "MicrOMEGAs", "command": [["./main", "data.par"]]}
    both = cited({"tool": {"tool": "Chain", "stages": [sarah, omega]}})[3:]
    assert both == ["Porod:2003um", "Porod:2011nf", "Staub:2013tta", "Skands:2003cj", "Alguero:2023zol"]
    assert cited({"tool": {"tool": "SPheno", "command": [["/usr/bin/python", "mssm_higgs.py"]]}})[3:] == []


def test_every_citation_is_whole():
    """Each has an author, a title and a place, and nothing is left to fill in."""
    from rayscan.results.report import citations as module

    library = module._library("1.2.3")
    named = {key for keys in [*module.PROGRAMS.values(), *module.TOOLS.values()] for key in keys}
    assert named < set(library)
    for one in library.values():
        assert one.title
        assert one.where.startswith(("arXiv:", "hep-ph/", "version 1.2.3")), one.key
        assert "author = " in one.bibtex
        assert one.bibtex.count("{") == one.bibtex.count("}")


def test_the_problem_is_told_in_words():
    """Ranges, measurements, limits, derived parameters, chains; what is not known is shown as it is."""
    description = {
        "space": {
            "a": {"prior": "derived", "expression": "2*b"}, "s": {"prior": "choice", "values": [-1.0, 1.0]},
            "n": {"prior": "normal", "mean": 0.0, "sigma": 1.0, "lo": float("-inf"), "hi": float("inf")},
        },
        "target": {
            "mg": {"kind": "window", "lo": 2200.0, "hi": float("inf")}, "threshold": 0.9,
            "om": {"kind": "gaussian", "value": 0.12, "sigma": [0.001, 0.002]},
            "br": {"kind": "below", "limit": 1e-9, "sigma": None},
        },
        "tool": {
            "tool": "Chain", "when": {"dm": ["mg"]},
            "stages": [{"name": "sp", "tool": "SPheno"}, {"name": "dm", "tool": "MicrOMEGAs", "outputs": ["om"]}],
        },
        "conditions": ["a < 3"],
    }  # fmt: skip
    rows = {
        (section.title, row[0]): row[1:]
        for section in problem_sections(description, {"mg": "GeV"})
        for row in section.rows
    }
    assert rows["Parameters", "a"] == ["derived", "2*b", ""]
    assert rows["Parameters", "s"] == ["choice", "values = [-1, 1]", ""]
    assert rows["Parameters", "n"][:2] == ["normal", "mean = 0, sigma = 1"]
    assert rows["Target", "mg"] == ["at least 2200", "GeV"]
    assert rows["Target", "om"][0] == "measured: 0.12 +0.002 -0.001"
    assert rows["Target", "br"][0] == "below 1e-09"
    assert rows["Target", "threshold"][0] == "the joint likelihood exceeds 0.9"
    assert rows["Tool", "tool"] == ["Chain of sp, dm"]
    assert rows["Tool", "dm: only where these hold"] == ["[mg]"]
    assert rows["Further description", "conditions"] == ["[a < 3]"]


@NEEDED
def test_a_browser_shows_the_report_without_an_error(written, tmp_path):
    """At a desk and on a telephone: all pictures are there, and nothing sticks out."""
    path = tmp_path / "report.html"
    path.write_text(written, encoding="utf-8")
    with browser(tmp_path / "profile") as tab:
        for width in (1280, 390):
            tab.show(path.as_uri(), width)
            assert tab.value("document.images.length") >= 5
            assert tab.value("[...document.images].every(image => image.complete && image.naturalWidth > 100)")
            assert not tab.spill()
        assert not tab.console
