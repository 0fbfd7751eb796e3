"""How long, how large and how loud one run of a program may be."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from rayscan.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run of a program may use; None means no limit of ours.

    Attributes
    ----------
    timeout : float or None
        Wall time in seconds, after which the whole process tree is ended.
    cpu_seconds : int or None
        CPU seconds of each process of the tree (``RLIMIT_CPU``; ends it by ``SIGXCPU``).
    memory_bytes : int or None
        Address space of each process (``RLIMIT_AS``).
    file_bytes : int or None
        Size of any one file that it writes (``RLIMIT_FSIZE``; ends it by ``SIGXFSZ``).
    stack_bytes : int or None
        Stack of each process (``RLIMIT_STACK``); None gives as much as the system allows, which Fortran programs with
        large local arrays need.
    output_bytes : int or None
        How much of stdout and of stderr is kept. A program that prints more is not ended: its output loses the middle.
    grace : float
        Seconds between ``SIGTERM`` and ``SIGKILL``.

    Raises
    ------
    ConfigError
        For a limit that is not a positive number.
    """

    timeout: float | None = None
    cpu_seconds: int | None = None
    memory_bytes: int | None = None
    file_bytes: int | None = None
    stack_bytes: int | None = None
    output_bytes: int | None = 16 * 2**20
    grace: float = 2.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value is None and entry.name != "grace":
                continue
            lowest = 0 if entry.name == "grace" else math.ulp(0.0)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not lowest <= value < math.inf:
                msg = f"limit {entry.name} = {value!r}; expected a positive number, or None for no limit"
                raise ConfigError(msg)
