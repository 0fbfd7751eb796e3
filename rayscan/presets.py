"""The settings of published scans, as keyword arguments of `rayscan.Scan`.

``rs.Scan(space, tool, target, **rs.presets.paper_mssm)``, or ``preset = "paper_mssm"`` in a ``scan.toml``; any of them
can be changed: ``**{**rs.presets.paper_mssm, "surrogate": "classifier"}``.

References
----------
A. Hammad, R. Ramos, A. Chakraborty, P. Ko, S. Moretti, "DLScanner", arXiv:2412.19675, §6 and Table 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_PAPER: dict[str, Any] = {
    "surrogate": "similarity",
    "proposal": "vegas",
    "selection": "paper",
    "random_share": 0.1,
    "map_share": 0.5,
    "confident": 0.75,
    "threshold": 0.9,
    "learning_rate": 1e-3,
    "ninc": 100,
    "nitn": 5,
    "alpha": 1.0,
    "hidden": (100, 100, 100, 100),
    "encoder": (100, 100, 100),
    "embedding": 500,
    "head": 100,
}

paper_mssm: Mapping[str, Any] = MappingProxyType({**_PAPER, "K": 300, "L": 50_000, "initial": 100, "epochs": 500})
"""The five-parameter MSSM of Fig. 5 and Table 2, scanned until 10 000 valid points."""

paper_3d: Mapping[str, Any] = MappingProxyType(
    {**_PAPER, "K": 10_000, "L": 1_000_000, "initial": 10_000, "epochs": 1000}
)
"""The three-dimensional test function of Eq. 14 and 15 in Fig. 3: 8 steps."""
