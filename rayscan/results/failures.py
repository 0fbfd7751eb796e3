"""What went wrong, by kind: messages that differ in numbers alone are one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eEdD][-+]?\d+)?")
LONGEST = 160


@dataclass(frozen=True, slots=True)
class Failure:
    """One kind of failure.

    Attributes
    ----------
    status : str
    count : int
        Points that failed so.
    example : str
        The first line of the first one's message.
    point_id : int
        Of the example.
    """

    status: str
    count: int
    example: str
    point_id: int


class Failures:
    """Counts failures by kind, in the order in which they come."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], list[int]] = {}
        self._example: dict[tuple[str, str], tuple[str, int]] = {}
        self._known: dict[tuple[str, str], tuple[str, str]] = {}

    def add(self, statuses: Iterable[object], messages: Iterable[object], point_ids: Iterable[int]) -> None:
        """Count points that failed: ``n`` statuses, messages and ids."""
        for status, message, point_id in zip(statuses, messages, point_ids, strict=True):
            said = (str(status), str(message))
            if said not in self._known:
                if len(self._known) > 10_000:
                    self._known.clear()
                line = first_line(said[1])
                self._known[said] = (said[0], _NUMBER.sub("#", line))
                self._example.setdefault(self._known[said], (line, int(point_id)))
            self._kinds.setdefault(self._known[said], [0])[0] += 1

    def most_common(self, n: int) -> list[Failure]:
        """Return the `n` kinds with most points, the first seen first among equals."""
        ordered = sorted(self._kinds.items(), key=lambda kind: -kind[1][0])[:n]
        return [Failure(kind[0], count[0], *self._example[kind]) for kind, count in ordered]


def first_line(message: str) -> str:
    """Return the first line of a message, of a length that fits a table."""
    return (message.splitlines() or ["(no message)"])[0][:LONGEST]
