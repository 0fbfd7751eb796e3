"""The code of the documentation runs as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import rayscan as rs
from docs import tables
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
