"""``rayscan check``: one point through the programs, or a look at each node of a cluster."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from rayscan.commands.outcome import AsJSON, ConfigFile, Exit, say, tells
from rayscan.errors import ConfigError

if TYPE_CHECKING:
    from rayscan.scan import Scan

EPILOG = "Exit codes: 0 the point was evaluated, valid or not; 1 a program failed; 2 bad input."


@tells
def check(
    config: ConfigFile,
    *,
    point: Annotated[
        list[str] | None,
        typer.Option(help="name=value of a scanned parameter; others are in the middle of their range."),
    ] = None,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Look at each node of the Ray cluster instead, and print a table of them.")
    ] = False,
    as_json: AsJSON = False,
) -> Exit:
    """Evaluate one point and show what was written, run and read, and why it is or is not valid."""
    from rayscan.check import check_point, text_of
    from rayscan.scan import Scan

    scan = Scan.from_file(config, evaluators=0)
    if cluster:
        return _check_cluster(scan, as_json=as_json)
    details = check_point(scan.problem, dict(_assignment(text) for text in point or []), scan.options.scratch)
    say(json.dumps(details, indent=1, default=str) if as_json else text_of(details))
    return Exit.FAILED if details["status"] in {"tool_error", "timeout"} else Exit.DONE


def _check_cluster(scan: Scan, *, as_json: bool) -> Exit:
    from rayscan.engine.node_report import table_of
    from rayscan.engine.nodes import inspect_cluster

    reports = inspect_cluster(scan.problem.tool, scan.problem.space.names, scan.options.scratch)
    say(json.dumps([dataclasses.asdict(one) for one in reports], indent=1) if as_json else table_of(reports))
    return Exit.FAILED if any(one.complaint for one in reports) else Exit.DONE


def _assignment(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        msg = f"--point {text}: expected name=value, such as --point tanb=10"
        raise ConfigError(msg) from None
