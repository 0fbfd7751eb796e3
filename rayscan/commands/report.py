"""``rayscan report``: what was found, as text or as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rayscan.commands.outcome import Run, say, tells


@tells
def report(
    run: Run,
    *,
    html: Annotated[
        Path | None,
        typer.Option(help="Write it as a page instead, with figures, in one file.", metavar="FILE.html"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there and is no report.")
    ] = False,
) -> None:
    """Print the summary of a run, also while it goes on; or write it as one page with figures."""
    from rayscan.results.result import open_run

    result = open_run(run)
    if html is None:
        say(result.report())
    else:
        say(f"report: {result.report_html(html, overwrite=overwrite)}")
