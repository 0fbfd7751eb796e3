"""The code of the documentation runs as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import rayscan as rs
from docs import pages, tables
from rayscan.cli import app

DOCS = Path(tables.__file__).parent
PAGES = ("data.md",)
OPTIONAL = ("pandas", "polars", "duckdb", "getdist", "arviz")


def blocks(language: str) -> list[tuple[str, str]]:
    """Return every block of code of a language with the place where it stands."""
    found = []
    for name in PAGES:
        heading = name
        for part in re.split(r"^(?=## )", (DOCS / name).read_text(encoding="utf-8"), flags=re.MULTILINE):
            heading = part.splitlines()[0].strip("# ")
            codes = re.findall(rf"^```{language}\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
            found += [(f"{name}: {heading} {k}", code) for k, code in enumerate(codes, 1)]
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A directory with the run that the pages speak of."""
    home = tmp_path_factory.mktemp("docs")
    rs.Scan(
        space=rs.Space(m0=(100, 3000), m12=rs.Log(100, 3000), tanb=(2, 60)),
        tool=rs.Function(lambda m0, m12, tanb: 120 + 3e-3 * m0 + 1e-3 * m12 - 10 / tanb, outputs=["mh"]),
        target=rs.Target(mh=(124, 126)),
        out=home / "runs" / "mssm",
        evaluators=0,
    ).run(evaluations=300, progress=None)
    return home


@pytest.mark.parametrize(("place", "code"), blocks("python"), ids=lambda text: text if len(text) < 60 else "code")
def test_python_runs(home, monkeypatch, place, code):
    """Each block by itself; one that needs a library that is not there is skipped, which says which."""
    for library in OPTIONAL:
        if re.search(rf"^import {library}\b|\.to_{library}\(", code, re.MULTILINE):
            pytest.importorskip(library, reason=f"{place} needs {library}: pip install 'rayscan[data]'")
    monkeypatch.chdir(home)
    # The blocks are pages of this repository, compiled as files are.
    exec(compile(code, place, "exec"), {"__name__": "page"})


@pytest.mark.parametrize(("place", "code"), blocks("bash"), ids=lambda text: text if len(text) < 60 else "code")
def test_commands_run(home, monkeypatch, place, code):
    """Every line is a command that ends well."""
    monkeypatch.chdir(home)
    for line in code.splitlines():
        words = shlex.split(line, comments=True)
        if words:
            assert words.pop(0) == "rayscan"
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, f"{place}: {line}: {done.output}"


def follow(name: str) -> tuple[dict[str, Any], set[str]]:
    """Do what a page says, in its order and in the working directory; return what its Python made."""
    names: dict[str, Any] = {"__name__": "page"}
    page = (DOCS / name).read_text(encoding="utf-8")
    steps = re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', page, re.MULTILINE | re.DOTALL)
    for kind, title, code in steps:
        if title:
            Path(title).write_text(code)
        elif kind == "python":
            exec(compile(code, name, "exec"), names)
        elif kind == "bash":
            for line in code.splitlines():
                done = CliRunner().invoke(app, shlex.split(line)[1:])
                assert done.exit_code == 0, f"{line}: {done.output}"
    return names, {kind for kind, _, _ in steps}


@pytest.mark.slow
def test_whoever_comes_from_another_scanner_finds_examples_that_run(tmp_path, monkeypatch, capsys):
    """DLScanner, MLscanner, EasyScan_HEP, BSMArt and nautilus: each example ends well and finds something."""
    monkeypatch.chdir(tmp_path)
    names, kinds = follow("coming.md")
    assert kinds == {"python", "toml", "bash", "text"}
    assert names["samples"].effective_size > 5
    assert rs.open_run(tmp_path / "easy").valid.num_rows > 0
    assert "200 evaluations" in capsys.readouterr().out


@pytest.mark.slow
def test_the_tutorial_works_step_by_step(tmp_path, monkeypatch):
    """In the order of the page: files are written as they are titled, Python and commands run, figures come out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    names, kinds = follow("tutorial.md")
    assert kinds == {"python", "toml", "bash", "text"}
    drawn = {path.name for path in tmp_path.iterdir() if path.suffix in {".png", ".html"}}
    assert drawn == {"corner.png", "report.html", "relic.html", "profile.png", "own.png"}
    assert names["result"].valid.num_rows >= 200
    assert 119 < names["fit"].best["mh"] < 127
    assert "no convergence" in (tmp_path / "relic.html").read_text()


def test_pages_made_from_the_program_hold_every_key_and_command():
    """The site's pages of scan.toml and of the commands."""
    keys, commands = pages.keys(), pages.commands()
    for words in ("## parameters", "## spheno", "## goal", "random_share = 0.1", 'prior = "log"'):
        assert words in keys
    for name in ("run", "check", "watch", "report", "export", "spectra"):
        assert f"\n## {name}\n\n" in commands
    assert "| `--best N` | Only the N most likely of them. |" in commands
    assert "Exit codes: 0 done" in commands


def test_the_site_lists_every_page():
    """No page of docs/ is left out of mkdocs.yml."""
    told = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    for page in DOCS.glob("*.md"):
        assert re.search(rf": {page.name}$", told, re.MULTILINE), page.name
