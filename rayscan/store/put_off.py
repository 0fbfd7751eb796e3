"""Points that were ended because they took suspiciously long, to be tried again later: a record for each time."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

FILE = "put-off.jsonl"
"""In a run directory: one record a line, in the order in which points were ended."""
_LOGGED = re.compile(r"put off after ([\d.]+) s: point (\d+) \((.*)\); by hand: rayscan check scan\.toml ?(.*)")
"""The line of the log that was the only record in runs of earlier versions."""


@dataclass(frozen=True)
class PutOff:
    """One point that was ended.

    Parameters
    ----------
    point_id : int
    seconds : float
        What its evaluator had spent on it.
    message : str
        Which program was ended, and at which limit.
    point : mapping of str to float
        Its parameters that a point by hand needs.
    """

    point_id: int
    seconds: float
    message: str
    point: Mapping[str, float] = field(default_factory=dict)

    @property
    def by_hand(self) -> str:
        """The point, and the command that runs it alone."""
        point = " ".join(f"--point {name}={value:.10g}" for name, value in self.point.items())
        return f"point {self.point_id} ({self.message}); by hand: rayscan check scan.toml {point}"

    def __str__(self) -> str:
        return f"put off after {self.seconds:.2f} s: {self.by_hand}"

    def to_json(self) -> str:
        """Return the record as a line of the file."""
        return json.dumps({**asdict(self), "point": dict(self.point)})

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Return the record that a line holds; ValueError, TypeError or KeyError where it holds none."""
        known: dict[str, Any] = json.loads(line)
        point = {str(name): float(value) for name, value in known["point"].items()}
        return cls(int(known["point_id"]), float(known["seconds"]), str(known["message"]), point)

    @classmethod
    def from_log(cls, line: str) -> Self | None:
        """Return what a line of the log of an earlier version tells, None if it tells of something else."""
        found = _LOGGED.match(line)
        if found is None:
            return None
        pairs = [part.split("=", 1) for part in found[4].split() if "=" in part]
        try:
            return cls(int(found[2]), float(found[1]), found[3], {name: float(value) for name, value in pairs})
        except ValueError:
            return None


def parse(lines: list[str]) -> list[PutOff]:
    """Return the records of a file's lines; a torn last line, as a crash leaves it, is none."""
    found = []
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            found.append(PutOff.from_json(line))
    return found
