"""``rayscan watch``: a run as it goes on, on the terminal or as a page."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Annotated

import typer

from rayscan.commands.outcome import Exit, Run, say, tells


@tells
def watch(
    run: Run,
    *,
    web: Annotated[bool, typer.Option("--web", help="Serve it as a page, to this machine alone.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0: any that is free.")] = 0,
    once: Annotated[bool, typer.Option("--once", help="Show it once and end, also while the scan goes on.")] = False,
) -> Exit:
    """Look at a scan while it runs, from any terminal: goals, acceptance, evaluators, failures, histograms."""
    from rich.console import Console

    from rayscan.watch.live import await_run, watch_terminal
    from rayscan.watch.watcher import Watcher

    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that has no bars gets something else in their place.
        sys.stdout.reconfigure(errors="replace")
    console = Console()
    # Ctrl-C ends the looking; it fails nothing.
    with contextlib.suppress(KeyboardInterrupt):
        if not once:
            await_run(run, console)
        watcher = Watcher(run)
        if web:
            from rayscan.watch.server import serve

            serve(watcher, port, lambda address: say(f"{run}: {address}   (Ctrl-C ends the page, not the scan)"))
        else:
            watch_terminal(watcher, console, once=once)
    return Exit.DONE
