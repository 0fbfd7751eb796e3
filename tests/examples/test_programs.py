"""Every example is a configuration without mistakes, and works with a program that behaves as the real one does."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rayscan.check import check_point, text_of
from rayscan.errors import ConfigError
from rayscan.scan import Scan

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.parent.name for path in (EXAMPLES / "programs").glob("*/scan.toml"))
PYTHON = {"flavio": ("flavour", "flavio", "wilson"), "smodels": ("limits", "smodels")}


def _fakes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fakes_of_examples", Path(__file__).with_name("fakes.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fakes = _fakes()


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Copy the examples, and put fake programs under a home directory where the examples expect the real ones."""
    copy, home = tmp_path / "examples", tmp_path / "home"
    shutil.copytree(EXAMPLES, copy)
    fakes.install(home)
    fakes.executable(copy / "programs" / "madgraph" / "process" / "bin" / "madevent", fakes.MADEVENT)
    (copy / "programs" / "madgraph" / "process" / "Cards").mkdir()
    fakes.package(tmp_path / "packages", {**fakes.FLAVIO, **fakes.SMODELS})
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{home / 'tools'}:/usr/bin:/bin")
    loaded = set(sys.modules)

    def place(name: str) -> Path:
        if name in PYTHON:
            monkeypatch.syspath_prepend(str(tmp_path / "packages"))
            monkeypatch.syspath_prepend(str(copy / "programs" / name))
            importlib.invalidate_caches()
        return copy / "programs" / name

    yield place
    for module in set(sys.modules) - loaded:
        if module.split(".")[0] in {one for names in PYTHON.values() for one in names}:
            del sys.modules[module]


def checked(folder: Path) -> dict[str, Any]:
    scan = Scan.from_file(folder, evaluators=0)
    details = check_point(scan.problem, {}, str(folder))
    assert text_of(details)
    return details


def test_there_is_an_example_of_each_kind() -> None:
    """The programs that physicists run, a Python package loaded once, a chain, two speeds, private directories."""
    assert {
        "flavio", "flexiblesusy", "higgs", "madgraph", "micromegas", "nmssmtools", "smodels", "softsusy",
        "spheno_sarah",
    } <= set(NAMES)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_point_goes_through(example: Callable[[str], Path], name: str) -> None:
    """The file is read, checked and evaluated as it stands: every stage runs and every observable has a value."""
    folder = example(name)
    before = {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "__pycache__" not in str(path)
    }
    details = checked(folder)
    assert details["status"] == "ok", text_of(details)
    assert all(value is not None for value in details["observables"].values()), text_of(details)
    assert [stage["status"] for stage in details["stages"] if stage["status"] != "ok"] == []
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("name", NAMES)
def test_the_header_says_how_to_adapt_it(name: str) -> None:
    """What it is, the command to try it, and what to change."""
    text = (EXAMPLES / "programs" / name / "scan.toml").read_text()
    header = text[: text.index("\nout =")]
    assert f"rayscan check examples/programs/{name}/scan.toml" in header
    assert "# To adapt:" in header
    assert all(not line or line.startswith("#") for line in header.splitlines())


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(PYTHON) - {"madgraph"}))
def test_a_missing_program_is_named(
    example: Callable[[str], Path], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the program, the scan is refused before anything starts."""
    folder = example(name)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    with pytest.raises(ConfigError, match="nobody"):
        Scan.from_file(folder, evaluators=0)


def test_madgraph_works_in_a_process_directory_of_its_own(example: Callable[[str], Path]) -> None:
    """Each evaluator has a copy; the user's keeps its card, and gets no events."""
    folder = example("madgraph")
    details = checked(folder)
    assert details["observables"]["xsec"] == 0.0045
    assert details["observables"]["error"] == 1.2e-05
    assert list((folder / "process" / "Cards").iterdir()) == []
    assert not (folder / "process" / "Events").exists()


def test_two_speeds_use_their_own_switches(example: Callable[[str], Path]) -> None:
    """The fast run has decays and flavour off, the full run on, and it runs only where the fast mass passes."""
    folder = example("spheno_sarah")
    details = checked(folder)
    fast, full = ({change["address"]: float(change["new"]) for change in stage["written"]["LesHouches.in"]["changes"]}
                  for stage in details["stages"])  # fmt: skip
    switches = ("SPHENOINPUT 7", "SPHENOINPUT 11", "SPHENOINPUT 13", "SPHENOINPUT 57")
    assert [fast[one] for one in switches] == [0, 0, 0, 0]
    assert [full[one] for one in switches] == [0, 1, 1, 1]
    text = (folder / "scan.toml").read_text()
    (folder / "scan.toml").write_text(text.replace("m_fast = [121, 129]", "m_fast = [100, 110]"))
    assert [stage["status"] for stage in checked(folder)["stages"]] == ["ok", "skipped"]


def test_the_largest_ratio_counts(example: Callable[[str], Path]) -> None:
    """Of the analyses with a limit, the strictest decides; those without one are left out."""
    details = checked(example("smodels"))
    assert details["observables"]["r_max"] == 0.4
    assert details["observables"]["predictions"] == 2.0
    assert details["valid"]


@pytest.mark.parametrize("name", sorted(PYTHON))
def test_a_package_that_is_missing_is_named(example: Callable[[str], Path], name: str) -> None:
    """A Python tool without its package is refused before anything starts, with the command that installs it."""
    folder = example(name)
    shutil.rmtree(folder.parents[2] / "packages")
    importlib.invalidate_caches()
    with pytest.raises(ConfigError, match=f"pip install {name}"):
        Scan.from_file(folder, evaluators=0)
