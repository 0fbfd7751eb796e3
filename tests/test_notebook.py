"""Scans in a notebook: what a cell shows, what interrupting it does, and what the objects look like."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import rayscan as rs
from rayscan.progress import Goal, Progress
from rayscan.watch.console import follower
from rayscan.watch.notebook import in_notebook

KERNEL = all(importlib.util.find_spec(name) is not None for name in ("ipykernel", "jupyter_client"))
EVIL = "<script>alert(1)</script>"
BEGIN = """
import time
import rayscan as rs

def slow(x, y):
    time.sleep(0.002)
    return x * y

scan = rs.Scan(
    rs.Space(x=(0, 1), y=(0, 1)), rs.Function(slow, outputs=["z"]), rs.Target(z=(0.2, 0.3)), out={out!r}, evaluators=0
)
"""

Run = Callable[..., list[tuple[str, Any]]]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A kernel as a notebook server starts it."""
    if not KERNEL:
        pytest.skip("ipykernel or jupyter_client is missing: no scan was run in a notebook")
    from jupyter_client.manager import KernelManager

    home = tmp_path_factory.mktemp("jupyter")
    places = pytest.MonkeyPatch()
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        places.setenv(name, str(home))
    manager = KernelManager(kernel_name="python3", connection_file=str(home / "kernel.json"))
    # Of this Python, whatever kernels a user has installed.
    manager.kernel_spec.argv[0] = sys.executable
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)

    def run(code: str, interrupt_at: str | None = None) -> list[tuple[str, Any]]:
        """Run a cell and return its outputs; interrupt it as soon as an output matches a pattern."""
        outputs: list[tuple[str, Any]] = []
        pattern = re.compile(interrupt_at) if interrupt_at else None

        def take(message: dict[str, Any]) -> None:
            nonlocal pattern
            outputs.append((message["msg_type"], message["content"]))
            if pattern and pattern.search(str(message["content"])):
                pattern = None
                manager.interrupt_kernel()

        client.execute_interactive(code, output_hook=take, timeout=120)
        assert not [content["traceback"] for kind, content in outputs if kind == "error"]
        return outputs

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    places.undo()


def of_kind(outputs: list[tuple[str, Any]], *kinds: str) -> list[Any]:
    return [content for kind, content in outputs if kind in kinds]


def test_a_scan_in_a_notebook_is_interrupted_and_resumed(kernel: Run, tmp_path: Path):
    """One output is updated in place; interrupting the cell saves; the next cell goes on where it was."""
    kernel(BEGIN.format(out=str(tmp_path / "run")))
    first = kernel("result = scan.run(valid=100_000)", interrupt_at=r"evaluations [1-9]")
    assert len(of_kind(first, "display_data")) == 1
    updates = of_kind(first, "update_display_data")
    assert "stopped before the goal" in updates[-1]["data"]["text/plain"]
    assert "<progress" in updates[-1]["data"]["text/html"]
    # Where the kernel shows it at all, what the signal says is there, and no lines of progress.
    said = "".join(content["text"] for content in of_kind(first, "stream")).strip()
    assert said in {"", "SIGINT: finishing the points under way and saving; once more to stop at once"}

    saved = rs.open_run(tmp_path / "run").table.num_rows
    assert saved
    second = kernel(f"result = scan.run(evaluations={saved + 100}); result")
    assert rs.open_run(tmp_path / "run").table.num_rows == saved + 100
    assert not of_kind(second, "stream")
    assert f"of {saved + 100:,} evaluations" in of_kind(second, "execute_result")[0]["data"]["text/html"]


def test_ray_gives_no_advice_of_its_own(kernel: Run):
    """Ray would like to have widgets; a scan needs none."""
    assert not of_kind(kernel("import rayscan.engine.ray_pool"), "stream", "display_data")


@contextlib.contextmanager
def pretended(monkeypatch: pytest.MonkeyPatch, **shell: Any) -> Iterator[list[tuple[str, object]]]:
    """Pretend that IPython runs this process, and note what is displayed."""
    shown: list[tuple[str, object]] = []

    def display(what: object, *, display_id: bool) -> object:
        assert display_id
        shown.append(("display", what))
        return SimpleNamespace(update=lambda what: shown.append(("update", what)))

    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(**shell)))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    yield shown


def test_only_a_kernel_makes_a_notebook(monkeypatch: pytest.MonkeyPatch):
    """IPython on a terminal has a line like any other terminal; where a stream is named, it is used."""
    with pretended(monkeypatch):
        assert not in_notebook()
    with pretended(monkeypatch, kernel=object()) as shown:
        assert in_notebook()
        stream = io.StringIO()
        with follower(True, stream) as show:
            show(Progress("scanning"))
        assert "valid 0" in stream.getvalue()
        assert not shown
        with follower(True) as show:
            show(Progress("scanning"))
        assert shown


def test_the_browser_is_not_flooded_and_the_last_state_stays(monkeypatch: pytest.MonkeyPatch):
    """Some updates are left out, the last one never is."""
    with pretended(monkeypatch, kernel=object()) as shown:
        with follower(True) as show:
            for valid in range(1000):
                show(Progress("scanning", evaluations=1000, valid=valid, goal=Goal(valid=1000)))
        assert [how for how, _ in shown[:1]] == ["display"]
        assert len(shown) < 100
        assert repr(shown[-1][1]).startswith("valid 999/1,000")
        assert "999 / 1,000" in shown[-1][1]._repr_html_()


def test_html_of_the_objects_says_what_they_are_and_obeys_nobody(tmp_path: Path):
    """Every name and value is shown as text."""
    scan = rs.Scan(
        rs.Space({"x": (0, 1), "y": rs.Log(1, 100)}),
        rs.Function(lambda x: x[:, 0], outputs=["z"], vectorized=True),
        rs.Target(z=(0.2, 0.3)),
        out=tmp_path / EVIL.replace("/", "_"),
        evaluators=0,
    )
    result = scan.run(evaluations=20, progress=None)
    for thing, words in (
        (scan.problem.space, ("x", "y", "100")),
        (scan.problem.target, ("z", "0.2")),
        (scan, ("Function(gives z)", "x", "z", "0.2", "<script>", "valid")),
        (result, ("x", "y", "z", "<script>", "20 evaluations")),
    ):
        reader = Reader()
        reader.feed(thing._repr_html_())
        assert not reader.tags & {"script", "img", "a"}
        for word in words:
            assert word in reader.text


def test_a_result_without_valid_points_has_html(tmp_path: Path):
    """Nothing found is no error."""
    tool = rs.Function(lambda x: x[:, 0], outputs=["z"], vectorized=True)
    scan = rs.Scan(rs.Space(x=(0, 1)), tool, rs.Target(z=(2, 3)), out=tmp_path / "run", evaluators=0)
    assert "0 valid of 10 evaluations" in scan.run(evaluations=10, progress=None)._repr_html_()


class Reader(HTMLParser):
    """What a browser would make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += f"{data}\n"
