"""``rayscan status`` and ``rayscan stop``: asking a scan how it is getting on, and to end."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from rayscan.commands.outcome import AsJSON, Exit, Run, complain, say, tells


@tells
def status(run: Run, *, as_json: AsJSON = False) -> None:
    """Say how a scan is getting on, from any terminal."""
    from rayscan.progress import Progress
    from rayscan.progress import published as read_progress
    from rayscan.store import RunDirectory, live_holder

    directory, live = RunDirectory(run), live_holder(run) is not None
    published = read_progress(run)
    if as_json:
        typer.echo(json.dumps({"run": str(directory.path), "live": live, **(published or {})}))
        return
    if published is None:
        say(f"{run}: {'starting' if live else 'not running'}, no progress yet")
        return
    # A clock may have been set back since.
    age = max(0.0, time.time() - published.get("time", time.time()))
    say(f"{run}: {'running' if live else 'not running'}, as of {age:.0f} s ago")
    say(Progress.of(published).line())


@tells
def stop(
    run: Run, *, wait: Annotated[float, typer.Option(help="Wait up to this many seconds for the end.")] = 0.0
) -> Exit:
    """Ask a running scan to finish the points under way, save and end."""
    from rayscan.store import RunDirectory, ask_to_stop, live_holder, refresh

    RunDirectory(run)
    if live_holder(run) is None:
        say(f"{run}: no scan is running there")
        return Exit.DONE
    ask_to_stop(run.expanduser())
    say(f"{run}: asked to stop")
    end = time.monotonic() + wait
    while wait and live_holder(run) is not None:
        if time.monotonic() > end:
            complain(f"{run} is still running after {wait:g} s; it ends when the points under way have")
            return Exit.FAILED
        time.sleep(0.2)
        refresh(run.expanduser(), 3.0)
    return Exit.DONE
