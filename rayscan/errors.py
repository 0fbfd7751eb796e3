"""The errors rayscan raises on purpose.

Each class is also the built-in a caller would expect, and each message says what, where, expected, got and the next
step. Anything else that escapes is a bug of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RayscanError(Exception):
    """Base of every error that rayscan raises on purpose."""


class ConfigError(RayscanError, ValueError):
    """The description of a scan (space, target, tool, options, configuration file) is wrong."""


class ExpressionError(ConfigError):
    """An arithmetic expression cannot be parsed or names something unknown."""


class SLHAError(RayscanError, ValueError):
    """An SLHA address, card or spectrum cannot be used as asked."""


class ToolError(RayscanError, RuntimeError):
    """A program could not be run or its output could not be read."""


class FailureRateError(ToolError):
    """Too large a share of the recent evaluations failed for technical reasons."""


class StoreError(RayscanError, OSError):
    """A run directory cannot be read or written. ``errno`` is set where the operating system gave one."""

    def __str__(self) -> str:
        # The message says it in words; the number is for programs.
        return str(self.args[-1]) if self.args else ""


class RunLockedError(StoreError):
    """Another live scan holds the run directory."""


class ResumeMismatchError(ConfigError):
    """The run directory holds a different problem from the one that was asked for."""


class ClusterError(RayscanError, RuntimeError):
    """Ray could not be started, found or used."""


_NOT_SHOWN = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    """Return a text whose control characters are spelt out, so that no program's words can steer a terminal."""
    return text.translate(_NOT_SHOWN)


def did_you_mean(name: str, options: Iterable[str], *, listed: bool = False) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest of `options`, or the sorted options, or nothing.

    With `listed` the message names the options already.
    """
    known = sorted(options)
    folded = {option.casefold(): option for option in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {folded[close[0]]!r}?"
    return f"; known: {', '.join(known)}" if known and not listed else ""
