"""What makes two runs the same problem, and how two problems differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

SHORT = 60


def canonical(value: object) -> str:
    """Return `value` as JSON that depends on nothing but its content.

    Parameters
    ----------
    value : object
        Mappings, sequences, strings, numbers, booleans and None; anything else is represented by its ``str``. A number
        is itself however it is written: 2 and 2.0 and NumPy's 2 are the same.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def fingerprint(description: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a problem's description, as 64 hexadecimal digits.

    The order of keys does not matter; a tuple equals a list, and 2 equals 2.0.
    """
    return hashlib.sha256(canonical(description).encode()).hexdigest()


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return how two descriptions differ, one readable line for each difference.

    Parameters
    ----------
    old, new : mapping
        Nested mappings and sequences, as given to `fingerprint`.

    Returns
    -------
    list of str
        Empty if they are the same problem.

    Examples
    --------
    >>> compare({"space": {"tanb": {"lo": 2, "hi": 50}}}, {"space": {"tanb": {"lo": 2, "hi": 60}}})
    ['space.tanb.hi: 50 → 60']
    >>> compare({"tool": {"card": {"sha256": "a" * 64}}}, {"tool": {"card": {"sha256": "b" * 64}}})
    ['tool.card: sha256 changed']
    """
    lines: list[str] = []
    # A round trip through JSON makes what was loaded from a run directory comparable with what a script has just built.
    _walk("", json.loads(canonical(old)), json.loads(canonical(new)), lines)
    return lines


def _walk(path: str, old: Any, new: Any, lines: list[str]) -> None:
    if canonical(old) == canonical(new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            below = f"{path}.{key}" if path else str(key)
            if key not in new:
                lines.append(f"{below}: removed (was {_short(old[key])})")
            elif key not in old:
                lines.append(f"{below}: added ({_short(new[key])})")
            else:
                _walk(below, old[key], new[key], lines)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            _walk(f"{path}[{index}]", before, after, lines)
    elif _is_hash(old) and _is_hash(new):
        where, _, kind = path.rpartition(".")
        lines.append(f"{where}: {kind} changed" if where else f"{kind} changed")
    else:
        lines.append(f"{path}: {_short(old)} → {_short(new)}")


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and len(value) >= 32 and all(c in "0123456789abcdef" for c in value)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"
