"""What commands tell the shell and the user."""

from __future__ import annotations

import enum
import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

import typer

from rayscan.errors import ConfigError, RayscanError, SLHAError, printable

P = ParamSpec("P")


class Exit(enum.IntEnum):
    """What the shell is told."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    STOPPED = 3


def tells(command: Callable[P, Exit | None]) -> Callable[P, None]:
    """Turn what a command returns into an exit code, and our errors into a message instead of a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = command(*args, **kwargs)
        except RayscanError as error:
            complain(str(error))
            code = Exit.BAD_INPUT if isinstance(error, ConfigError | SLHAError) else Exit.FAILED
        except KeyboardInterrupt:
            sys.stderr.write("\nrayscan: interrupted\n")
            code = Exit.STOPPED
        raise typer.Exit(int(code or Exit.DONE))

    return wrapped


def say(text: str) -> None:
    """Print a text, whatever a program may have put into it."""
    typer.echo(printable(text))


def complain(text: str) -> None:
    """Print a message on standard error."""
    sys.stderr.write(f"rayscan: {printable(text)}\n")
