"""What is looked at on a node of a cluster before it gets evaluators: plain checks, without Ray."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rayscan.errors import RayscanError
from rayscan.sandbox.workshop import Workshop
from rayscan.tools.base import Tool

CLOCK_LIMIT = 1.0
"""Seconds that a node's clock may be off: times of rows come from it."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What was found on a node.

    Attributes
    ----------
    name : str
        Host name or address.
    complaint : str
        Why it cannot be used; empty if it can.
    program : str
        The first digits of the hash of what defines the tool there, its programs included.
    scratch : str
        Where sandboxes go.
    free : int
        Bytes free there.
    clock : float
        Seconds that its clock is ahead, as far as a message's way tells.
    """

    name: str
    complaint: str = ""
    program: str = ""
    scratch: str = ""
    free: int = 0
    clock: float = 0.0


def fingerprint(tool: Tool, origins: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return a hash of what defines the tool on this machine, its programs included.

    Parameters
    ----------
    tool : Tool
    origins : mapping of str to str
        Paths here to what they are called where the tool was described.
    """
    plain = json.dumps(tool.describe(), sort_keys=True, default=str)
    for here, there in origins.items():
        plain = plain.replace(json.dumps(here)[1:-1], json.dumps(there)[1:-1])
    return hashlib.sha256(plain.encode()).hexdigest()


def inspect_here(
    tool: Tool,
    parameters: Sequence[str],
    scratch: str | None,
    expected: str,
    name: str,
    origins: Mapping[str, str] = MappingProxyType({}),
) -> NodeReport:
    """Check the tool on this machine: programs and cards, the same version as elsewhere, scratch.

    Parameters
    ----------
    tool : Tool
    parameters : sequence of str
    scratch : str or None
        Root of the scratch directories.
    expected : str
        `fingerprint` of the tool at the driver; empty where there is nothing to compare with.
    name : str
        Of this node.
    origins : mapping of str to str
        As for `fingerprint`.
    """
    complaint, program, place, free = "", "", "", 0
    try:
        tool.check(parameters)
        program = fingerprint(tool, origins)
        if expected and program != expected:
            complaint = (
                f"another version of the tool: its programs and files have the hash {program[:8]} here and "
                f"{expected[:8]} at the driver"
            )
        workshop = Workshop(scratch=Path(scratch) if scratch else None, run_id=f"check-{time.time_ns()}", worker="0")
        try:
            place = str(workshop.directory.parent.parent)
            (workshop.directory / "writable").write_text("yes")
            free = shutil.disk_usage(workshop.directory).free
        finally:
            workshop.close()
    except Exception as error:  # noqa: BLE001 - a user's tool may raise anything, and a disk refuse in many ways
        complaint = str(error) if isinstance(error, RayscanError) else f"{type(error).__name__}: {error}"
    return NodeReport(name, complaint, program[:8], place, free)


def clock_complaint(sent: float, there: float, received: float) -> tuple[float, str]:
    """Return how far another clock is ahead, and a complaint if that is more than the way of a message explains.

    Parameters
    ----------
    sent, received : float
        Unix time here, before the question and after the answer.
    there : float
        Unix time there, in between.
    """
    ahead = there - 0.5 * (sent + received)
    beyond = max(there - received, sent - there)
    if beyond <= CLOCK_LIMIT:
        return ahead, ""
    return ahead, f"its clock is {abs(ahead):.1f} s {'ahead' if ahead > 0 else 'behind'}; set it (NTP, chrony)"


def table_of(reports: Sequence[NodeReport]) -> str:
    """Return reports as the table that ``rayscan check --cluster`` prints."""
    rows = [("node", "tool", "scratch", "free", "clock", "")]
    rows += [
        (one.name, one.program or "-", one.scratch or "-", f"{one.free / 2**30:.1f} GiB" if one.scratch else "-",
         f"{one.clock:+.3f} s", f"LEFT OUT: {one.complaint}" if one.complaint else "ok")
        for one in sorted(reports, key=lambda report: report.name)
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
