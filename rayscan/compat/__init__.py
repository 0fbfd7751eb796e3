"""For those who come from other scanners."""

from __future__ import annotations

import importlib


def __getattr__(name: str) -> object:
    if name != "dlscanner":
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return importlib.import_module(f"{__name__}.{name}")
