"""Parallel active-learning scans of new-physics parameter spaces, on Ray.

Public names are loaded on first use: ``import rayscan`` starts no Ray and imports no torch.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_HOME = {
    "Above": "problem.constraints",
    "Ball": "problem.joint",
    "Below": "problem.constraints",
    "Chain": "tools.chain",
    "Choice": "problem.priors",
    "Command": "tools.command",
    "Derived": "problem.priors",
    "Fixed": "problem.priors",
    "Function": "tools.function",
    "Gaussian": "problem.constraints",
    "HiggsBounds": "tools.higgs",
    "HiggsSignals": "tools.higgs",
    "HiggsTools": "tools.higgs",
    "Log": "problem.priors",
    "MicrOMEGAs": "tools.micromegas",
    "Normal": "problem.priors",
    "Ordered": "problem.joint",
    "PriorTransform": "problem.prior_transform",
    "SPheno": "tools.spheno",
    "Scan": "scan",
    "Simplex": "problem.joint",
    "Space": "problem.space",
    "SymLog": "problem.priors",
    "Target": "problem.target",
    "Tool": "tools.base",
    "Uniform": "problem.priors",
    "Window": "problem.constraints",
    "open_run": "results.result",
    "presets": "",
}
_COMPAT = "compat"
"""Not of this package's own making, and so not among its names: what eases the way from other scanners."""

__all__ = sorted(_HOME)  # noqa: PLE0605 - the table above is the one list of public names


def __getattr__(name: str) -> object:
    if name == _COMPAT:
        return importlib.import_module(f"rayscan.{name}")
    if name not in _HOME:
        msg = f"module 'rayscan' has no attribute {name!r}"
        raise AttributeError(msg)
    if not _HOME[name]:
        return importlib.import_module(f"rayscan.{name}")
    return getattr(importlib.import_module(f"rayscan.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
