"""What ``rayscan check`` shows of one program on one point: written, run, read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rayscan.tools.inputs import InputFile
from rayscan.tools.readers import Reader, Reading

if TYPE_CHECKING:
    from rayscan.sandbox.sandbox import Completed

_TAIL_LINES = 20


def report_written(files: Mapping[str, InputFile], point: Mapping[str, float], directory: Path) -> dict[str, Any]:
    """Return, for each input file, what it is made from and every value that was put in.

    Returns
    -------
    dict
        File name to ``source``, ``bytes`` and ``changes``: a list of ``parameter, address, line, old, new``.
    """
    return {
        name: {
            "source": spec.source,
            "bytes": (directory / name).stat().st_size,
            "changes": [
                {"parameter": c.parameter, "address": c.where, "line": c.line, "old": c.old, "new": c.new}
                for c in spec.changes(point)
            ],
        }
        for name, spec in files.items()
    }


def report_run(runs: Sequence[Completed], directory: Path) -> dict[str, Any]:
    """Return commands, directory, how the last one ended, seconds, and the tails of what was printed."""
    last = runs[-1]
    commands = [list(map(str, run.command)) for run in runs]
    return {
        "command": commands[0] if len(commands) == 1 else commands,
        "directory": str(directory),
        "exit": last.exit_code,
        "signal": last.signal,
        "timed_out": last.timed_out,
        "seconds": sum(run.seconds for run in runs),
        "stdout": last.tail("stdout", _TAIL_LINES),
        "stderr": last.tail("stderr", _TAIL_LINES),
    }


def report_read(readers: Mapping[str, Reader], readings: Mapping[str, Reading]) -> dict[str, Any]:
    """Return, for each observable, where it was looked for, the raw text, the value and what is wrong with it."""
    return {
        name: {
            "where": reading.where,
            "text": reading.text,
            "value": reading.value if math.isfinite(reading.value) else None,
            "problem": reading.problem,
            "optional": readers[name].is_optional,
        }
        for name, reading in readings.items()
    }
