"""Mistakes of a file that are collected, so that all of them are told at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rayscan.errors import ConfigError

T = TypeVar("T")


class Mistakes:
    """The errors of parts that do not depend on each other."""

    def __init__(self) -> None:
        self._found: list[ConfigError] = []

    def of(self, make: Callable[..., T], *arguments: object) -> T | None:
        """Return what `make` makes of `arguments`, or None after keeping its ConfigError."""
        try:
            return make(*arguments)
        except ConfigError as error:
            self._found.append(error)
            return None

    def tell(self) -> None:
        """Raise what was found.

        Raises
        ------
        ConfigError
            The only one as it is, or one that says what all of them say, in the order of the file's sections.
        """
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise ConfigError("\n".join(dict.fromkeys(str(error) for error in self._found)))
