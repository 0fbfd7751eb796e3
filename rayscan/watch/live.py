"""The live view on a terminal: redrawn while the scan goes on, and left behind as text at its end."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from rayscan.errors import StoreError, printable
from rayscan.store.run_directory import is_run, refuse_occupied
from rayscan.watch.terminal import drawn

if TYPE_CHECKING:
    from pathlib import Path

    from rayscan.watch.view import View
    from rayscan.watch.watcher import Watcher

PERIOD = 1.0
"""Seconds between two looks for a run that has not begun."""
COLUMNS = 120
"""Width where nobody says how wide the paper is."""


def await_run(path: Path, console: Console) -> None:
    """Wait, as long as it takes, until a scan has begun in a directory; where nobody looks, do not wait.

    Raises
    ------
    StoreError
        No run can begin there: it holds something else.
    """
    told = False
    while console.is_terminal and not is_run(path):
        try:
            refuse_occupied(path.expanduser())
        except StoreError:
            # It may have begun in between.
            if is_run(path):
                return
            raise
        if not told:
            console.print(f"{printable(str(path))}: no scan has begun here yet; waiting (Ctrl-C ends)", markup=False)
            told = True
        time.sleep(PERIOD)


def watch_terminal(watcher: Watcher, console: Console, *, once: bool = False) -> None:
    """Show a run until its scan ends, or once where it has ended or nobody looks.

    Parameters
    ----------
    watcher : Watcher
    console : rich.console.Console
    once : bool
        Show it once, and go.

    Raises
    ------
    StoreError
        The run cannot be read, or is gone.
    """
    view = watcher.look()
    if view.live and console.is_terminal and not once:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while view.live:
                live.update(drawn(view, console.width, console.height - 1), refresh=True)
                time.sleep(watcher.rest)
                view = _again(watcher, view)
    width = console.width if console.is_terminal else COLUMNS
    console.print(drawn(view, width), soft_wrap=True)


def _again(watcher: Watcher, before: View) -> View:
    """Look again; while the file system is away, what was seen before stays, and says so."""
    try:
        return watcher.look()
    except StoreError as error:
        if not is_run(before.path):
            raise
        return dataclasses.replace(before, state=str(error))
