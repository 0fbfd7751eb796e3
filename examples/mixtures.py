"""Fractions that sum to 1, masses in order, and a perturbative coupling: ``python examples/mixtures.py``.

A mediator is heavier than the dark matter into which it decays, and may be no heavier than 3 times as much; dark
matter annihilates into 11 final states. Wanted are all mixtures of final states and masses with a given yield of
photons and a cross section that leaves the right relic density. The formulas are crude on purpose.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import rayscan as rs

STATES = ("ee", "mm", "tt", "uu", "dd", "ss", "cc", "bb", "gg", "ww", "zz")
PHOTONS = np.array([0.1, 0.2, 3.0, 11.0, 11.0, 11.5, 13.0, 16.0, 15.0, 13.0, 14.0])
"""Photons in each annihilation to these states, about."""

SPACE = rs.Space(
    rs.Simplex(*(f"f_{state}" for state in STATES)),
    rs.Ordered("m_chi", "m_med", of=rs.Log(10, 3000)),
    g_chi=rs.Log(1e-2, 4),
    g_sm=rs.Log(1e-3, 4),
    # Perturbative, no long-lived mediator, and hadrons dominate.
    where=["g_chi**2 + g_sm**2 < 4*pi", "2*m_chi < m_med < 3*m_chi", "f_ee + f_mm + f_tt < 0.5"],
)
"""The conditions leave 11 % of the prior; no other point is ever evaluated."""


def model(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return photons for each annihilation, and the cross section in 10⁻²⁶ cm³/s, of points ``(n, 15)``."""
    fractions, (m_chi, m_med, g_chi, g_sm) = x[:, : len(STATES)], x[:, len(STATES) :].T
    cross_section = 3.5e8 * (g_chi * g_sm * m_chi) ** 2 / ((m_med**2 - 4 * m_chi**2) ** 2 + (0.1 * m_med**2) ** 2)
    return np.column_stack([fractions @ PHOTONS, cross_section])


def make(out: Path, batch: int = 300) -> rs.Scan:
    """Return the scan, of so many points at a time."""
    tool = rs.Function(model, outputs=["photons", "sigma_v"], vectorized=True)
    target = rs.Target(photons=(11.5, 12.0), sigma_v=(2.0, 3.0))
    return rs.Scan(SPACE, tool, target, out=out, K=batch, evaluators=0)


def main(argv: list[str] | None = None) -> None:
    """Scan, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/mixtures"))
    parser.add_argument("--valid", type=int, default=2000)
    options = parser.parse_args(argv)
    result = make(options.out).run(valid=options.valid)
    print(f"valid points: {len(result.valid):,} of {len(result.table):,}")
    print(f"volume: {result.volume()}")
    result.plot.corner(options.out / "corner.png", columns=["f_bb", "f_gg", "m_chi", "m_med", "g_chi", "g_sm"])


if __name__ == "__main__":
    main()
