"""How a scan is getting on, under the cell of a notebook that runs it."""

from __future__ import annotations

import importlib
import sys
import time
from typing import TYPE_CHECKING, Any

from rayscan.errors import printable
from rayscan.markup import plain

if TYPE_CHECKING:
    from rayscan.progress import Progress

PERIOD = 0.5
"""Seconds between two updates at least: each is a message to the browser."""


def in_notebook() -> bool:
    """Return whether a Jupyter kernel runs this process, so that there is a cell to show things under."""
    # Whoever has not imported IPython is not run by it.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class Picture:
    """Progress as a notebook shows it: a bar for each goal and the line, or the line alone where there is only text."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __repr__(self) -> str:
        return printable(self._progress.line())

    def _repr_html_(self) -> str:
        from rayscan.watch.view import goals

        bars = "".join(
            f'<tr><td style="text-align: left">{plain(goal.name)}</td>'
            f'<td><progress value="{goal.share:.4f}" style="width: 20em"></progress></td>'
            f'<td style="text-align: left">{plain(goal.text)}</td></tr>'
            for goal in goals(self._progress)
        )
        return f"<table>{bars}</table><div>{plain(self._progress.line())}</div>"


class Cell:
    """One output of a cell that is updated in place, and stays as it was at the end."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._pending: Progress | None = None
        self._shown_at, self._state = float("-inf"), ""

    def __call__(self, progress: Progress) -> None:
        self._pending = progress
        if progress.state != self._state or time.monotonic() - self._shown_at >= PERIOD:
            self._state, self._shown_at = progress.state, time.monotonic()
            self.close()

    def close(self) -> None:
        """Show the latest, unless it is shown already."""
        if self._pending is None:
            return
        # By name: IPython is there whenever this is called, and no requirement of ours.
        display = importlib.import_module("IPython.display").display
        picture, self._pending = Picture(self._pending), None
        if self._handle is None:
            self._handle = display(picture, display_id=True)
        else:
            self._handle.update(picture)
