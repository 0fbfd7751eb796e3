"""Progress for people: one live line on a terminal, bars in a notebook, a plain line a minute anywhere else."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from rayscan.errors import printable
from rayscan.progress import Progress
from rayscan.watch.notebook import Cell, in_notebook

PLAIN_PERIOD = 60.0
"""Seconds between two lines where nobody watches."""

Show = Callable[[Progress], None]


@contextlib.contextmanager
def follower(progress: Show | bool | None, stream: TextIO | None = None) -> Iterator[Show]:
    """Give what a running scan calls with each `Progress`.

    Parameters
    ----------
    progress : callable, bool or None
        A function of the user's, a line on standard error or under the cell of a notebook (True), or nothing.
    stream : file, optional
        In place of standard error.

    Yields
    ------
    callable
    """
    if callable(progress):
        yield progress
        return
    if not progress:
        yield _ignore
        return
    line: LiveLine | PlainLines | Cell
    if stream is None and in_notebook():
        line = Cell()
    else:
        stream = sys.stderr if stream is None else stream
        line = LiveLine(stream) if stream.isatty() else PlainLines(stream)
    shown = _Lasting(line)
    try:
        yield shown
    finally:
        shown.close()


def stand_in() -> None:
    """Put something behind standard input, output and error where there is nothing, as for a daemon.

    A file that is opened while one of them is closed would get its number, and then all that others print.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - open as long as the process


class _Lasting:
    """Progress on a stream that may go away, such as a pipe or a lost connection: a scan does not end with it."""

    def __init__(self, line: LiveLine | PlainLines | Cell) -> None:
        self._line: LiveLine | PlainLines | Cell | None = line

    def __call__(self, progress: Progress) -> None:
        if self._line is not None:
            try:
                self._line(progress)
            except (OSError, ValueError):
                self._line = None

    def close(self) -> None:
        if self._line is not None:
            with contextlib.suppress(OSError, ValueError):
                self._line.close()


class LiveLine:
    """One line of a terminal that is rewritten in place, cut to the window while it lives and whole at the end.

    Parameters
    ----------
    stream : file
        A terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        # rich costs a tenth of a second to load, which `import rayscan` and log files need not pay.
        from rich.console import Console
        from rich.live import Live

        self._stream, self._last = stream, ""
        self._live = Live(
            console=Console(file=stream),
            transient=True,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def __call__(self, progress: Progress) -> None:
        from rich.text import Text

        self._last = printable(progress.line())
        self._live.update(Text(self._last, no_wrap=True, overflow="ellipsis"))

    def close(self) -> None:
        """Leave the last line, whole, behind."""
        self._live.stop()
        if self._last:
            self._stream.write(f"{self._last}\n")
            self._stream.flush()


class PlainLines:
    """A line now and then: the first, one a minute, one for each change of state, and the last.

    Parameters
    ----------
    stream : file
        A log file, a pipe.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._shown_at, self._state = stream, float("-inf"), ""
        self._pending: str | None = None

    def __call__(self, progress: Progress) -> None:
        self._pending = printable(progress.line())
        if progress.state != self._state or time.monotonic() - self._shown_at >= PLAIN_PERIOD:
            self._state, self._shown_at = progress.state, time.monotonic()
            self.close()

    def close(self) -> None:
        """Write the latest line, unless it was written already."""
        if self._pending is not None:
            self._stream.write(f"{time.strftime('%H:%M:%S')} {self._pending}\n")
            self._stream.flush()
            self._pending = None


def _ignore(progress: Progress) -> None:
    """Show nothing."""
