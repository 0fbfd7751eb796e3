"""The live view as a page: served to this machine alone, by the standard library."""

from __future__ import annotations

import functools
import ipaddress
import json
import secrets
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources

from rayscan.errors import ConfigError, RayscanError
from rayscan.watch.view import as_dict
from rayscan.watch.watcher import Watcher

HOST = "127.0.0.1"
HEADERS = {
    # The page needs nothing but itself and its numbers, whatever a program may have put into a message.
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Page(ThreadingHTTPServer):
    """Serves one run.

    Other users of this machine reach its ports too: the address contains a word that cannot be guessed.

    Parameters
    ----------
    watcher : Watcher
    port : int
        0: any that is free.

    Attributes
    ----------
    address : str
        Of the page.

    Raises
    ------
    ConfigError
        The port is taken, or is not ours to take.
    """

    daemon_threads = True

    def __init__(self, watcher: Watcher, port: int = 0) -> None:
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            msg = f"port {port}: {error.strerror}; expected a free one. Choose another with --port, or leave it out"
            raise ConfigError(msg) from error
        self.word = secrets.token_urlsafe(12)
        self.address = f"http://{HOST}:{self.server_port}/{self.word}/"
        self._watcher = watcher
        self._lock = threading.Lock()
        self._next, self._view = 0.0, b""

    def view(self) -> bytes:
        """Return the view as JSON: however many browsers ask, the run is read no more often than the watcher likes.

        Raises
        ------
        StoreError
            A file of the run is damaged.
        """
        with self._lock:
            if time.monotonic() >= self._next:
                self._view = json.dumps(as_dict(self._watcher.look()), allow_nan=False).encode()
                self._next = time.monotonic() + self._watcher.rest
            return self._view


class Handler(BaseHTTPRequestHandler):
    """Answers with the page, or with its numbers."""

    server: Page
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Answer one question."""
        # A page of somewhere else may have had its own name lead here.
        if not _is_local(self.headers.get("Host", "")):
            self._send(HTTPStatus.FORBIDDEN, "text/plain", b"expected the address 127.0.0.1 or localhost\n")
        elif self.path == f"/{self.server.word}/":
            self._send(HTTPStatus.OK, "text/html", _page())
        elif self.path == f"/{self.server.word}/view.json":
            try:
                self._send(HTTPStatus.OK, "application/json", self.server.view())
            except RayscanError as error:
                self._send(HTTPStatus.OK, "application/json", json.dumps({"error": str(error)}).encode())
        else:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"not here: open the address that rayscan watch printed\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the terminal quiet."""

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(watcher: Watcher, port: int, tell: Callable[[str], None]) -> None:
    """Serve a run until Ctrl-C; `tell` takes the address.

    Raises
    ------
    ConfigError
        The port is taken.
    """
    with Page(watcher, port) as page:
        tell(page.address)
        page.serve_forever()


@functools.cache
def _page() -> bytes:
    return resources.files(__package__).joinpath("page.html").read_bytes()


def _is_local(host: str) -> bool:
    """Whether a ``Host`` header names this machine: also through a forwarded port, which has another number."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    try:
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
