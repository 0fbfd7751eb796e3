"""The house rules that a machine can check."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rayscan"
MODULES = sorted(PACKAGE.rglob("*.py"))

DOORS = {
    "ray": ("engine/",),
    "torch": ("learn/",),
    "vegas": ("learn/paper/vegas_map.py",),
    "pyarrow": ("store/", "results/"),
    "matplotlib": ("results/plot/",),
}
"""Who may import what, by the start of the path within the package."""

TOP = {"scan", "cli", "commands", "options", "watch"}
LAYERS = {
    "problem": {"learn", "tools", "engine", "store", "results", "config", *TOP},
    "learn": {"tools", "engine", "store", "results", "config", *TOP},
    "tools": {"learn", "engine", "store", "results", "config", *TOP},
    "slha": {"problem", "learn", "tools", "engine", "store", "sandbox", "results", "config", *TOP},
    "sandbox": {"problem", "learn", "tools", "engine", "store", "slha", "results", "config", *TOP},
    "store": {"engine", "results", "config", *TOP},
    "engine": {
        "results.result",
        "results.report",
        "results.plot",
        "results.diagnostics",
        "config",
        "scan",
        "cli",
        "commands",
        "watch",
    },
    "results": {"engine", "config", "cli", "commands", "watch"},
    "config": {"scan", "fork", "engine", "store", "results", "cli", "commands", "watch"},
    "watch": {"problem", "learn", "engine", "sandbox", "slha", "config", "scan", "cli", "commands"},
    "engine/fork.py": {"scan", "config", "results", "cli", "commands", "watch"},
}
"""What a part of the house must not know."""


MEETING: dict[str, tuple[str, ...]] = {
    "problem/statement.py": ("rayscan.tools.base",),
    "results/surrogate.py": ("rayscan.learn", "rayscan.problem.target"),
}
"""Where the tool joins what is asked, and a finished run what it has learned; and all that may be known there."""

FINISHED = (
    "errors",
    "markup",
    "plain_file",
    "progress",
    "results",
    "store",
    "learn.data",
    "learn.clusters",
    "learn.snapshot",
    "tools.base",
)
"""All that results may know: finished tables, and what their columns mean."""


def imports(path: Path, *, annotations_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            guarded |= set(ast.walk(node))
    names: set[str] = set()
    for node in ast.walk(tree):
        if node in guarded and not annotations_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_third_party_doors(path: Path) -> None:
    """Ray, torch, vegas, pyarrow and matplotlib each come in through their own door."""
    roots = {name.split(".")[0] for name in imports(path)}
    for package, allowed in DOORS.items():
        assert package not in roots or relative(path).startswith(allowed), f"{relative(path)} imports {package}"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_layers(path: Path) -> None:
    """Nothing imports against the flow of the data."""
    for part, forbidden in LAYERS.items():
        if not relative(path).startswith(part):
            continue
        for name in imports(path):
            if name.startswith("rayscan.") and not name.startswith(MEETING.get(relative(path), ())):
                parts = name.split(".")[1:]
                assert not {".".join(parts[:n]) for n in (1, 2)} & forbidden, f"{relative(path)} imports {name}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "results").rglob("*.py")), ids=relative)
def test_results_work_on_finished_tables(path: Path) -> None:
    """What tables say needs no tool, no learner and no engine."""
    for name in imports(path):
        if name.startswith(MEETING.get(relative(path), ())):
            continue
        inside = name.removeprefix("rayscan.")
        assert inside == name or any(inside == known or inside.startswith(f"{known}.") for known in FINISHED), name


STRANGERS = [
    ("paper", "coverage"), ("paper", "surrogates"), ("paper", "moves"), ("coverage", "paper"),
    ("surrogates", "coverage"), ("surrogates", "moves"), ("moves", "coverage"), ("moves", "surrogates"),
]  # fmt: skip
"""Rooms of the learning side, and those that they must not know."""


@pytest.mark.parametrize(("room", "other"), STRANGERS)
def test_methods_do_not_know_each_other(room: str, other: str) -> None:
    """What both methods share lies beside them; of the default's rooms, knowing and moving meet in the method alone."""
    assert list((PACKAGE / "learn" / room).rglob("*.py"))
    for path in (PACKAGE / "learn" / room).rglob("*.py"):
        assert not [name for name in imports(path) if name.startswith(f"rayscan.learn.{other}")], relative(path)


def test_learning_knows_only_status_of_the_tools() -> None:
    """The learning side is pure: of Ray and of files it knows nothing."""
    for path in (PACKAGE / "learn").rglob("*.py"):
        used = imports(path)
        assert not used & {"ray", "pathlib", "os", "tempfile", "shutil"}, relative(path)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_files_are_small_and_have_a_noun_for_a_name(path: Path) -> None:
    """No file is longer than 500 lines, and none is a drawer for odds and ends."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
    assert path.stem not in {"utils", "util", "helpers", "common", "misc"}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_nothing_runs_code_from_text(path: Path) -> None:
    """No eval, exec, shell or pickle.load anywhere."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads"}, relative(
                path
            )
            shells = [k for k in node.keywords if k.arg == "shell" and getattr(k.value, "value", True) is not False]
            assert not shells, relative(path)


def test_import_is_light() -> None:
    """``import rayscan`` loads neither torch nor ray, nor anything else that is heavy."""
    code = "import rayscan, sys; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    roots = {name.split(".")[0] for name in loaded}

    assert not roots & {"torch", "ray", "vegas", "pyarrow", "matplotlib", "scipy", "pandas", "numpy"}


def test_public_names_resolve() -> None:
    """Every public name exists, and there are few of them."""
    import rayscan

    assert len(rayscan.__all__) <= 30
    for name in rayscan.__all__:
        assert getattr(rayscan, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Scna'"):
        rayscan.Scna  # noqa: B018
