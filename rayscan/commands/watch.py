"""``rayscan watch``: a run as it goes on, on the terminal."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from rayscan.commands.outcome import Exit, tells


@tells
def watch(
    run: Annotated[Path, typer.Argument(help="The run directory.", metavar="RUN")],
    *,
    once: Annotated[bool, typer.Option("--once", help="Show it once and end, also while the scan goes on.")] = False,
) -> Exit:
    """Look at a scan while it runs, from any terminal: goals, acceptance, evaluators, failures, histograms."""
    from rich.console import Console

    from rayscan.watch.live import await_run, watch_terminal
    from rayscan.watch.watcher import Watcher

    console = Console()
    # Ctrl-C ends the looking; it fails nothing.
    with contextlib.suppress(KeyboardInterrupt):
        if not once:
            await_run(run, console)
        watch_terminal(Watcher(run), console, once=once)
    return Exit.DONE
