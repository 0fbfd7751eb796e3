"""The view as a page: itself and its numbers, for this machine alone."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rayscan as rs
from rayscan.errors import ConfigError
from rayscan.watch import server
from rayscan.watch.server import Page
from rayscan.watch.watcher import Watcher
from tests.browser import NEEDED, browser
from tests.watch.conftest import publish

EVIL = "<img src=x onerror=document.title='owned'> failed"

Ask = Callable[..., tuple[int, str, dict[str, str]]]


@pytest.fixture
def page(store, answer) -> Iterator[Page]:
    """A page of a run under way, one kind of failure of which speaks HTML."""
    answer(range(100), message=EVIL)
    publish(store.path, goal={"valid": 60}, time=time.time(), crew={"working": 2})
    with Page(Watcher(store.path)) as page:
        thread = threading.Thread(target=page.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield page
        page.shutdown()
        thread.join()
    store.abandon()


@pytest.fixture
def ask(page: Page) -> Ask:
    def get(path: str, host: str | None = None) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", page.server_port, timeout=10)
        connection.request("GET", path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body, dict(answer.headers)

    return get


def test_the_page_gets_the_numbers_of_the_view(page, ask):
    """What a terminal shows, a page gets as JSON."""
    status, body, _ = ask(f"/{page.word}/view.json")
    view = json.loads(body)
    assert (status, view["evaluations"], view["valid"], view["goals"][0]["text"]) == (200, 100, 30, "30 / 60")
    assert view["facts"][0] == "30 valid of 100"


def test_the_page_needs_nothing_else(page, ask):
    """No address of anywhere else is in it, and none may be asked."""
    status, body, headers = ask(f"/{page.word}/")
    assert status == 200
    assert set(re.findall(r"https?://[^\"' ]+", body)) <= {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_only_who_knows_the_address_sees_the_run(page, ask):
    """Other users of the machine, and pages of elsewhere whose name leads here, get nothing."""
    assert page.server_address[0] == "127.0.0.1"
    assert ask("/")[0] == ask("/view.json")[0] == 404
    assert ask(f"/{page.word}/view.json", host="evil.example:80")[0] == 403
    assert ask(f"/{page.word}/view.json", host="localhost:9999")[0] == 200
    assert ask(f"/{page.word}/view.json", host="[::1]")[0] == 200


def test_many_browsers_cost_one_look(page, ask, monkeypatch):
    """A run is read at most once a second."""
    monkeypatch.setattr(server.time, "monotonic", lambda: 1e6)
    ask(f"/{page.word}/view.json")
    monkeypatch.setattr(page._watcher, "look", lambda: pytest.fail("looked again"))
    assert ask(f"/{page.word}/view.json")[0] == 200


def test_a_damaged_run_is_said_to_be(page, ask, store: Path):
    """What cannot be read is told on the page."""
    (segment,) = store.path.glob("points-*.arrows")
    segment.rename(segment.with_suffix(".kept"))
    segment.mkdir()
    page._next = 0.0
    assert "error" in json.loads(ask(f"/{page.word}/view.json")[1])


def test_a_port_that_is_taken_is_bad_input(page):
    """The message names the port and the way out."""
    with pytest.raises(ConfigError, match=rf"port {page.server_port}: .* --port"):
        Page(page._watcher, page.server_port)


@NEEDED
def test_a_browser_shows_the_page_without_an_error(page, tmp_path, monkeypatch):
    """At a desk and on a telephone: numbers arrive again, texts of programs stay texts, nothing sticks out."""
    asked, view = [], page.view
    monkeypatch.setattr(page, "view", lambda: asked.append(1) or view())
    with browser(tmp_path / "profile") as tab:
        for width in (1280, 390):
            tab.show(page.address, width)
            tab.wait(lambda: tab.value("!at('parts').hidden"), "the first numbers")
            assert tab.value("document.querySelectorAll('svg').length") == 3
            shown = tab.value("document.body.innerText")
            assert "30 / 60" in shown
            assert "<img src=x" in shown
            assert tab.value("document.title").endswith("rayscan watch")
            assert not tab.spill()
        before = len(asked)
        tab.wait(lambda: len(asked) > before, "the page to ask again")
        assert not tab.console


@NEEDED
def test_a_browser_follows_a_scan_while_it_runs(tmp_path):
    """The counts on the page grow with the scan."""
    scan = rs.Scan(
        rs.Space(x=(0, 1), y=(0, 1)), rs.Function(lambda x, y: time.sleep(0.004) or x + y, outputs=["s"]),
        rs.Target(s=(0.9, 1.1)), out=tmp_path / "run", evaluators=0, initial=40, K=40,
    )  # fmt: skip
    counts, problems = [], []

    def look() -> None:
        try:
            with Page(Watcher(tmp_path / "run")) as page, browser(tmp_path / "profile") as tab:
                threading.Thread(target=page.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
                tab.show(page.address, 1280)

                def grown() -> bool:
                    found = re.search(r"valid of ([\d,]+)", tab.value("document.body.innerText"))
                    counts.extend([int(found[1].replace(",", ""))] if found else [])
                    return len(set(counts) - {0}) >= 2

                tab.wait(grown, "the scan to grow on the page")
                problems.extend([*tab.console, *tab.spill()])
                page.shutdown()
        except BaseException as error:
            problems.append(repr(error))
            raise
        finally:
            scan.stop()

    scan.run(evaluations=20, progress=False)
    looking = threading.Thread(target=look)
    looking.start()
    scan.run(evaluations=1_000_000, progress=False)
    looking.join()
    assert not problems
    assert counts == sorted(counts)
