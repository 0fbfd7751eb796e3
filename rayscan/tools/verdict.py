"""When a program has succeeded, and which of its failures are the point's own fault."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from rayscan.errors import ConfigError, did_you_mean
from rayscan.tools.base import Status

MESSAGE_LENGTH = 400


class Verdict(NamedTuple):
    """A status and the reason for it."""

    status: Status
    message: str


@dataclass(frozen=True)
class Success:
    r"""What to make of a program's exit code and words; its files are judged besides, always.

    Parameters
    ----------
    exit_codes : sequence of int, optional
        The exit codes of a run that may have succeeded; None for any. Never enough for success.
    require : str, optional
        A regular expression that standard output must match, such as ``Finished!``.
    unphysical_exit : sequence of int
        The exit codes by which the program says that the point is unphysical.
    unphysical : sequence of str
        Regular expressions of standard output and error by which it says so, such as ``tachyon``.
    forbid : sequence of int
        SPINFO entries that make a point unphysical, wherever an SLHA file is read, and DCINFO entries where decays are
        read from it.
    """

    exit_codes: tuple[int, ...] | None = (0,)
    require: str | None = None
    unphysical_exit: tuple[int, ...] = ()
    unphysical: tuple[str, ...] = ()
    forbid: tuple[int, ...] = (4,)

    def __post_init__(self) -> None:
        for name in ("exit_codes", "unphysical_exit", "unphysical", "forbid"):
            value = getattr(self, name)
            if value is not None:
                one = isinstance(value, int | str)
                object.__setattr__(self, name, (value,) if one else tuple(value))
        for pattern in (*self.unphysical, *([self.require] if self.require else [])):
            try:
                re.compile(pattern)
            except re.error as error:
                msg = f"success: {pattern!r} is no regular expression ({error})"
                raise ConfigError(msg) from None

    def describe(self) -> dict[str, Any]:
        """Return plain types."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def as_success(spec: Success | Mapping[str, Any] | None, default: Success) -> Success:
    """Return the `Success` that a user means; ConfigError for an unknown key."""
    if spec is None:
        return default
    if isinstance(spec, Success):
        return spec
    known = {field.name for field in fields(Success)}
    for key in spec:
        if key not in known:
            msg = f"success: unknown key {key!r}{did_you_mean(key, known)}"
            raise ConfigError(msg)
    return Success(**spec)


def clip(text: str) -> str:
    """Return a message of one line and bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= MESSAGE_LENGTH else f"{line[: MESSAGE_LENGTH - 1]}…"


def last_line(text: str) -> str:
    """Return the last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
