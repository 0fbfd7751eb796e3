"""A best fit: where four measurements of the CMSSM Higgs sector meet: ``python examples/best_fit.py``.

Constraints that are measurements give each point a likelihood. A point is valid where it exceeds `threshold`; the best
fit is the point where it is largest, and the profile likelihood says how well that is known. The formulas are crude.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import rayscan as rs

SPACE = rs.Space(m0=rs.Log(200, 10_000), m12=rs.Log(200, 5000), a0=(-3, 3), tanb=(3, 55))
MEASURED = {
    "mh": rs.Gaussian(125.2, 1.0),  # GeV; the error is that of a calculation
    "gmuon": rs.Gaussian(1.5, 1.0),  # 1e-10, beyond the Standard Model
    "bsg": rs.Gaussian(3.32, 0.25),  # 1e-4
    "gluino": rs.Above(2.2, sigma=0.2),  # TeV
}
LABELS = {"m0": "$m_0$", "m12": "$m_{1/2}$", "a0": "$A_0 / m_0$", "tanb": r"$\tan\beta$", "mh": "$m_h$"}


def model(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the four observables of points ``(n, 4)``."""
    m0, m12, a0, tanb = x.T
    stop2 = 0.3 * m0**2 + 4.5 * m12**2
    mixing2 = (a0 * m0 - 1.8 * m12) ** 2 / stop2
    tree = 91.19**2 * ((tanb**2 - 1) / (tanb**2 + 1)) ** 2
    loops = 3 * 172.6**4 / (4 * np.pi**2 * 174**2) * (np.log(stop2 / 172.6**2) + mixing2 * (1 - mixing2 / 12))
    mh = np.sqrt(np.maximum(tree + 0.75 * loops, 0))
    gmuon = 13 * tanb * 1e4 / (0.5 * m12**2 + m0**2) / 10
    bsg = 3.4 - 0.9 * tanb * np.sign(a0 * m0 - 1.8 * m12) * np.sqrt(mixing2) * (500**2 / stop2) / 10
    return np.column_stack([mh, gmuon, bsg, 2.3e-3 * m12])


def make(out: Path, evaluators: int | None = None) -> rs.Scan:
    """Return the scan: valid is where chi-squared is below 6."""
    tool = rs.Function(model, outputs=list(MEASURED), vectorized=True)
    target = rs.Target(**MEASURED, threshold=float(np.exp(-3)))
    units = {"m0": "GeV", "m12": "GeV", "mh": "GeV"}
    return rs.Scan(SPACE, tool, target, out=out, evaluators=evaluators, labels=LABELS, units=units)


def main(argv: list[str] | None = None) -> None:
    """Scan, print the best fit, draw how well two of its parameters are known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/best_fit"))
    parser.add_argument("--valid", type=int, default=2000)
    parser.add_argument("--evaluations", type=int)
    parser.add_argument("--evaluators", type=int)
    parser.add_argument("--picture", type=Path, default=Path("best_fit.png"))
    asked = parser.parse_args(argv)
    result = make(asked.out, asked.evaluators).run(valid=asked.valid, evaluations=asked.evaluations)
    best = result.best
    print(f"best fit: likelihood {best['likelihood']:.3g}")
    for name in (*SPACE.names, *MEASURED):
        print(f"  {name:7s} {best[name]:10.4g}   {MEASURED.get(name, '')}")
    result.plot.profile("m0", "m12", asked.picture)
    print(f"picture: {asked.picture}")


if __name__ == "__main__":
    main()
