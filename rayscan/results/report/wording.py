"""Numbers and descriptions in the words of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def share(part: int, whole: int) -> str:
    """Return a share with its binomial standard error."""
    value = part / whole
    return f"{value:.2%} ± {math.sqrt(value * (1 - value) / whole):.2%}"


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < 0.1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 120:
        return f"{minutes:.1f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"


def digits(value: float | None, number: int = 10) -> str:
    """Return a number, or a dash where there is none."""
    return "-" if value is None else f"{value:.{number}g}"


def inline(value: object) -> str:
    """Return a nested description on one line."""
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key} ({inline(entry)})" if isinstance(entry, Mapping) else f"{key} = {inline(entry)}"
            for key, entry in value.items()
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(inline(entry) for entry in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def listed(description: Mapping[str, Any]) -> list[list[str]]:
    """Return one row for each entry of a description, and of a mapping in it one for each of its own; none of None."""
    rows = []
    for name, value in description.items():
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        rows += [[f"{name} {key}".strip(), inline(_said(entry))] for key, entry in inner if entry is not None]
    return rows


def _said(value: object) -> object:
    return {key: entry for key, entry in value.items() if entry is not None} if isinstance(value, Mapping) else value


def between(lo: float, hi: float) -> str:
    """Return a range in words; either end may be open."""
    if math.isinf(lo) and math.isinf(hi):
        return "anything"
    if math.isinf(hi):
        return f"at least {lo:g}"
    return f"at most {hi:g}" if math.isinf(lo) else f"{lo:g} to {hi:g}"
