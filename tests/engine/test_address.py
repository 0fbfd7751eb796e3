"""A cluster that is not where RAY_ADDRESS says."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from rayscan.engine import address as module
from rayscan.engine.address import check_address
from rayscan.errors import ClusterError


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that takes calls and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.mark.parametrize(
    "wrong", ["head", "ray://head:10001", ":6379", "head:six", "127.0.0.1:99999", "http://head:80"]
)
def test_what_is_no_address_is_told_before_anybody_is_called(wrong: str) -> None:
    """The message has what was given, and what is expected in its place."""
    with pytest.raises(ClusterError, match=r"expected host:port") as said:
        check_address(wrong)
    assert f"RAY_ADDRESS={wrong}" in str(said.value)


def test_a_dead_address_is_told_at_once(listener: socket.socket) -> None:
    """Nobody there: the message says so, and what to look at."""
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(ClusterError, match=rf"RAY_ADDRESS=127\.0\.0\.1:{port}: nobody is there.*ray status.*unset"):
        check_address(f"127.0.0.1:{port}")


def test_another_server_is_no_cluster(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something that accepts and never answers is given up on."""
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.5)
    with pytest.raises(ClusterError, match="does not answer as a Ray cluster does"):
        check_address(f"127.0.0.1:{listener.getsockname()[1]}")


def test_a_wrong_token_is_named(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the cluster says of a token is passed on as what to do about it."""
    monkeypatch.setattr(module, "_ask", lambda _: "ray.exceptions.AuthenticationError: RPC error: InvalidAuthToken")
    with pytest.raises(ClusterError, match=r"asks for a token.*RAY_AUTH_TOKEN"):
        check_address(f"127.0.0.1:{listener.getsockname()[1]}")
