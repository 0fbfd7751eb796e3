"""The pages of docs/ show figures that are there, and tables made from the benchmark's own files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from docs import tables

DOCS = Path(tables.__file__).parent
PAGES = sorted(DOCS.glob("*.md"))
MADE = ("scan_toml.md", "commands.md")
"""Pages of the site that are made from the program."""


def run(problem: str, seed: int, reached: dict[str, int], **changes: Any) -> dict[str, Any]:
    quality = {"share": 0.9 + 0.01 * seed, "uniform": 0.85, "islands": 2, "auc": 0.5}
    coverage = {goal: quality for goal in reached if int(goal) >= 100}
    return {
        "problem": problem, "method": "default", "seed": seed, "evaluations": reached, "coverage": coverage,
        "seconds": [9.0, 1.0, 1.2, 1.1], **changes,
    }  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path):
    """Every figure and file that a page names is there, and figures are small."""
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert target in MADE or (DOCS / target).is_file(), target
        if target.endswith(".png"):
            assert (DOCS / target).stat().st_size < 100_000, target


README = (DOCS.parent / "README.md").read_text(encoding="utf-8")
METHODS = {
    "rayscan": "default",
    "DLScanner's similarity network with VEGAS map": "similarity+map",
    "DLScanner's classifier with VEGAS map": "classifier+map",
    "DLScanner's regressor with VEGAS map": "regressor+map",
}
"""Rows of the table of the README, and what the methods are called in docs/method.md."""


def test_the_readme_is_short_and_leads_to_every_page():
    """Two screens, from which all pages and files can be found."""
    assert len(README.splitlines()) <= 100
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README)
    assert {f"docs/{page.name}" for page in PAGES if page.name not in {"index.md", "api.md"}} <= set(links)
    for target in [*links, *re.findall(r'src="([^"]+)"', README)]:
        assert (DOCS.parent / target).exists(), target


@pytest.mark.parametrize("name", METHODS)
def test_the_numbers_of_the_readme_are_measured(name: str):
    """Evaluations and coverage in its table are those of the comparison in docs/method.md."""
    page = (DOCS / "method.md").read_text(encoding="utf-8")
    table = page[page.index("<!-- comparison") : page.index("<!-- end of comparison")]
    (told,) = [cells(line) for line in README.splitlines() if line.startswith(f"| {name} |")]
    for problem, evaluations, coverage in (("mhiggs5", *told[1:3]), ("spheno5", *told[3:5])):
        (line,) = [line for line in table.splitlines() if line.startswith(f"| {problem} | {METHODS[name]} |")]
        assert evaluations == cells(line)[4]
        assert coverage == f"{float(cells(line)[5].split('/')[0]):.2f}"


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_has_medians_and_bars(tmp_path: Path):
    """A goal that most runs missed has no number; the coverage is that of the largest sample that most reached."""
    runs = [
        run("mhiggs5", seed, {"1000": 2000 + 100 * seed, **({"10000": 13_000} if seed == 1 else {})})
        for seed in range(3)
    ]
    runs.append(run("cos3", 0, {"1000": 2500}, method="emcee"))
    lines = tables.table(json.loads(json.dumps(runs))).splitlines()
    assert lines[2] == "| cos3 | emcee | 1 | 2,500 | - | 0.900/0.850 | 2 | 0.50 | 1.10 |"
    assert lines[3] == (
        "| mhiggs5 | default | 3 | 2,100 (≤ 2,400) | - (≤ 13,500) | 0.910/0.850 | 2 | 0.50 | 1.10 |"
    )  # fmt: skip


@pytest.mark.parametrize("name", tables.TABLES)
def test_a_table_replaces_what_stands_between_its_markers(name: str):
    """Once or twice, with the rest of the page left alone; a page without markers is refused."""
    page = (DOCS / "method.md").read_text(encoding="utf-8")
    begin, end = tables.BEGIN.format(name), tables.END.format(name)
    once = tables.with_table(page, name, "one")
    assert tables.with_table(once, name, "two") == tables.with_table(page, name, "two")
    assert once.split(begin)[0] == page.split(begin)[0]
    assert once.split(end)[1] == page.split(end)[1]
    assert f"{begin}\n\none\n\n{end}" in once
    with pytest.raises(ValueError, match="no lines"):
        tables.with_table("nothing", name, "one")
