"""A workshop for the tools to work in, and fake programs for them to run."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from rayscan.sandbox.workshop import Workshop
from rayscan.tools.base import Outcome, Tool

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """One workshop for all tests of tools."""
    with Workshop(tmp_path_factory.mktemp("bench"), "tools") as workshop:
        yield workshop


@pytest.fixture
def evaluate(bench: Workshop) -> Callable[..., Outcome]:
    """Evaluate one point in a fresh directory; ``look`` sees the directory afterwards, ``before`` before."""

    def run(
        tool: Tool,
        point: Mapping[str, float] | None = None,
        *,
        look: Callable[[Path], None] | None = None,
        before: Callable[[Path], None] | None = None,
        verbose: bool = False,
    ) -> Outcome:
        with bench.sandbox(1, verbose=verbose) as sandbox:
            if before:
                before(sandbox.directory)
            outcome = tool.evaluate(point or {}, sandbox)
            if look:
                look(sandbox.directory)
            return outcome

    return run


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    """Make an executable Python script; ``sys`` is imported, and ``args`` are its arguments."""

    def make(body: str, name: str = "prog") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!{sys.executable} -SE\nimport sys\nargs = sys.argv[1:]\n{textwrap.dedent(body)}\n")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def data() -> Path:
    """The directory of sample files."""
    return DATA


@pytest.fixture
def unchanged(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Watch files that must be the same, to the byte and the time stamp, when the test ends."""
    watched: dict[Path, tuple[bytes, int]] = {}

    def watch(path: Path) -> None:
        watched[path] = (path.read_bytes(), path.stat().st_mtime_ns)

    yield watch
    for path, (content, time) in watched.items():
        assert path.read_bytes() == content, path
        assert path.stat().st_mtime_ns == time, path
        assert not [p for p in path.parent.iterdir() if p.name.startswith(path.name) and p != path]
