"""The pages on programs: every configuration and all Python works with a program that behaves as the real one."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from rayscan.check import check_point, text_of
from rayscan.scan import Scan
from rayscan.tools.base import Tool
from tests.examples import fakes

ROOT = Path(__file__).parents[2]
PAGES = ("spheno.md", "micromegas.md", "higgs.md", "slha.md")


def blocks(page: str, kind: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf'^```{kind}(?: title="[^"]+")?\n(.*?)^```', text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the cards of the examples, and a home with programs."""
    fakes.install(tmp_path / "home")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "scan"
    folder.mkdir()
    for card in ("spheno_sarah/LesHouches.in.MSSM", "softsusy/CMSSM.in", "micromegas/data.par"):
        shutil.copy(ROOT / "examples" / "programs" / card, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_the_configuration_of_a_page_evaluates_a_point(place: Path, page: str) -> None:
    """As it stands, next to a card: every stage runs, and every observable has a value."""
    (config,) = blocks(page, "toml")
    (place / "scan.toml").write_text(config)
    scan = Scan.from_file(place, evaluators=0)
    details = check_point(scan.problem, {}, str(place))
    assert details["status"] == "ok", text_of(details)
    assert all(value is not None for value in details["observables"].values())
    assert {stage["status"] for stage in details["stages"]} == {"ok"}


@pytest.mark.parametrize(
    ("page", "code"), [(page, code) for page in PAGES for code in blocks(page, "python")], ids=lambda text: text[:12]
)
def test_the_python_of_a_page_makes_tools(place: Path, page: str, code: str) -> None:
    """Arguments are those that there are, and a scan of them passes all checks."""
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, page, "exec"), names)
    made = [value for value in names.values() if isinstance(value, Tool)]
    assert made
    for value in names.values():
        if isinstance(value, Scan):
            details = check_point(value.problem, {}, str(place))
            assert details["status"] == "ok", text_of(details)
