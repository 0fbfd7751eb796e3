"""What a function does, in a few characters: by it a resumed run sees that one was edited."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any


def fingerprint_function(function: Callable[..., Any]) -> str:
    """Return a function's name and a hash of what it does, so that an edited function is seen on resume."""
    code = getattr(function, "__code__", None)
    constants = [_plain(constant) for constant in code.co_consts if not hasattr(constant, "co_code")] if code else []
    body = repr((code.co_code, code.co_names, constants)) if code else ""
    return f"{name_of(function)}#{hashlib.sha256(body.encode()).hexdigest()[:12]}"


def _plain(constant: object) -> str:
    """Return a constant as text; that of a set must not depend on the process, which orders its strings at random."""
    return str(sorted(map(repr, constant))) if isinstance(constant, frozenset) else str(constant)


def name_of(function: Callable[..., Any]) -> str:
    """Return what a function is called where it is defined."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))
