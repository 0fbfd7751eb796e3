"""Chromium without a window, steered through a pipe: what a page looks like, and what its console says."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NEEDED = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: the page was not shown in a browser")
PATIENCE = 60.0


class Tab:
    """One page.

    Attributes
    ----------
    console : list of str
        Errors and warnings of the page, failed requests and what the security policy refused.
    """

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read, self._number, self._rest = write, read, 0, b""
        self.console: list[str] = []
        self._events: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable", session=True)

    def show(self, address: str, width: int, height: int = 900) -> None:
        """Load a page in a window of this size."""
        self._ask("Emulation.setDeviceMetricsOverride", session=True, width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)  # fmt: skip
        self._events.clear()
        self._ask("Page.navigate", session=True, url=address)
        self.wait(lambda: "Page.loadEventFired" in self._events, "the page to load")

    def value(self, expression: str) -> Any:
        """Return what a JavaScript expression is on the page."""
        answer = self._ask("Runtime.evaluate", session=True, expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, until: Callable[[], Any], what: str) -> None:
        """Wait until something is so."""
        end = time.monotonic() + PATIENCE
        while not until():
            assert time.monotonic() < end, f"waited {PATIENCE:.0f} s for {what}"
            self.value("0")
            time.sleep(0.05)

    def spill(self) -> list[str]:
        """Return the elements that make the page wider than its window, from the outermost."""
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        beyond = "element.getBoundingClientRect().right > document.documentElement.clientWidth + 1"
        which = f"[...document.querySelectorAll('body *')].filter(element => {beyond})"
        return list(self.value(f"{wide} ? {which}.map(element => element.outerHTML.slice(0, 80)) : []"))

    def picture(self, path: Path) -> None:
        """Save the whole page as a picture, to be looked at."""
        size = self._ask("Page.getLayoutMetrics", session=True)["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 8000), "scale": 1}
        shot = self._ask("Page.captureScreenshot", session=True, clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _ask(self, method: str, *, session: bool = False, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._read, 1 << 20)
            assert more, "the browser has gone"
            self._rest += more
        message, self._rest = self._rest.split(b"\0", 1)
        return dict(json.loads(message))

    def _note(self, event: dict[str, Any]) -> None:
        method, about = event.get("method", ""), event.get("params", {})
        self._events.append(method)
        if method == "Runtime.exceptionThrown":
            self.console.append(str(about["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and about["type"] in {"error", "warning", "assert"}:
            self.console.append(str(about["args"]))
        elif method == "Log.entryAdded" and about["entry"]["level"] in {"error", "warning"}:
            self.console.append(about["entry"]["text"])
        elif method == "Network.loadingFailed" and not about.get("canceled"):
            self.console.append(f"not loaded: {about['errorText']}")


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Tab]:
    """Start Chromium and yield a tab."""
    asking, answers = os.pipe(), os.pipe()
    command = [
        str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--remote-debugging-pipe", f"--user-data-dir={profile}",
    ]  # fmt: skip
    # The browser reads its orders from descriptor 3 and answers on 4, whatever numbers the pipes have here.
    script = f'exec "$@" 3<&{asking[0]} 4>&{answers[1]}'
    process = subprocess.Popen(
        ["/bin/bash", "-c", script, "browser", *command], pass_fds=(asking[0], answers[1]),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(asking[0])
    os.close(answers[1])
    try:
        yield Tab(asking[1], answers[0])
    finally:
        os.close(asking[1])
        process.terminate()
        process.wait(20)
        os.close(answers[0])
