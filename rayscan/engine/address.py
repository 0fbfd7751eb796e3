"""Whether there is a Ray cluster at an address: told within seconds, where Ray itself tries for minutes."""

from __future__ import annotations

import socket
import subprocess
import sys

from rayscan.errors import ClusterError

DIAL_SECONDS = 4.0
"""Seconds that a host may take to accept a connection."""
ANSWER_SECONDS = 8.0
"""Seconds that what is there may take to answer as Ray does."""
HIGHEST_PORT = 65535
_KEYWORDS = ("auto", "local")
_PROBE = """
import sys
from ray._raylet import GcsClient
print("loaded", flush=True)
GcsClient(address=sys.argv[1])
print("answered", flush=True)
"""
"""In a process of its own: it can be ended, and Ray's log lines stay there."""


def check_address(address: str) -> None:
    """Find out whether a cluster answers.

    Parameters
    ----------
    address : str
        As in ``RAY_ADDRESS``: ``host:port``, or a keyword of Ray's, which is not looked into.

    Raises
    ------
    ClusterError
        Not an address, nobody there, not a Ray cluster, or one that does not let this user in.
    """
    if address in _KEYWORDS:
        return
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdigit() or int(port) > HIGHEST_PORT:
        raise _error(
            address,
            "expected host:port of the cluster's head node, such as 10.0.0.1:6379",
            "`ray start --head` and `ray up` print it; ray:// addresses are for scripts outside the cluster: run the "
            "scan on one of its nodes, or with `ray job submit`",
        )
    advice = (
        "look whether the cluster runs (`ray status` on its head node) and the address is still right, or unset "
        "RAY_ADDRESS to run on this machine alone"
    )
    try:
        socket.create_connection((host.strip("[]"), int(port)), DIAL_SECONDS).close()
    except OSError as error:
        why = f"no answer within {DIAL_SECONDS:g} s" if isinstance(error, TimeoutError) else str(error)
        raise _error(address, f"nobody is there: {why}", advice) from None
    said = _ask(address)
    if "answered" in said:
        return
    if "AuthenticationError" in said or "Unauthenticated" in said:
        raise _error(
            address,
            "the cluster asks for a token, and this one is missing or another",
            "put the cluster's own in ~/.ray/auth_token, RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, and set "
            "RAY_AUTH_MODE=token",
        )
    raise _error(address, "something is there, but it does not answer as a Ray cluster does", advice)


def _ask(address: str) -> str:
    """Return what a process said that asked for the cluster's identity: "answered", or why not."""
    command = [sys.executable, "-c", _PROBE, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            return process.communicate(timeout=ANSWER_SECONDS)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()[0]


def _error(address: str, found: str, advice: str) -> ClusterError:
    msg = f"RAY_ADDRESS={address}: {found}; {advice}"
    return ClusterError(msg)
