"""What commands tell the shell and the user, and what several of them are told."""

from __future__ import annotations

import contextlib
import enum
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, ParamSpec, cast

import typer

from rayscan.errors import ConfigError, RayscanError, SLHAError, printable

P = ParamSpec("P")


def run_place(text: str) -> Path:
    """Return where a run is: a path, or as it is what only `tells` can turn into one, a URI."""
    place: Any = text if "://" in text else Path(text)
    return cast("Path", place)


ConfigFile = Annotated[Path, typer.Argument(help="The scan.toml, or a directory with one.", metavar="scan.toml")]
Run = Annotated[
    Path,
    typer.Argument(
        help="The run directory, or its place in an object store (s3://bucket/path).", metavar="RUN", parser=run_place
    ),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]


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
            if isinstance(kwargs.get("run"), str):
                # Here, where it may fail in words.
                kwargs["run"] = _for_reading(str(kwargs["run"]))
            code = command(*args, **kwargs)
        except RayscanError as error:
            complain(str(error))
            code = Exit.BAD_INPUT if isinstance(error, ConfigError | SLHAError) else Exit.FAILED
        except KeyboardInterrupt:
            sys.stderr.write("\nrayscan: interrupted\n")
            code = Exit.STOPPED
        raise typer.Exit(int(code or Exit.DONE))

    return wrapped


def _for_reading(uri: str) -> Path:
    from rayscan.store import for_reading

    return for_reading(uri)


def say(text: str) -> None:
    """Print a text, whatever a program may have put into it."""
    with _reader_may_leave("stdout"):
        typer.echo(printable(text))


def complain(text: str) -> None:
    """Print a message on standard error."""
    with _reader_may_leave("stderr"):
        sys.stderr.write(f"rayscan: {printable(text)}\n")


@contextlib.contextmanager
def _reader_may_leave(name: str) -> Iterator[None]:
    """Have what a command does, and its exit code, not depend on whether somebody still reads what it says."""
    try:
        yield
        getattr(sys, name).flush()
    except OSError:
        # What is left in the buffer would be tried again when the interpreter ends.
        setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - open as long as the process
