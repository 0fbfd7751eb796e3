"""Singlet dark matter: the masses and couplings that leave the right relic density: ``python examples/singlet_dm.py``.

The Standard Model and a real scalar S with L = -laSH S² |H|². Where the variable RAYSCAN_MICROMEGAS names the compiled
``main`` of micrOMEGAs' SingletDM (with CDM_NUCLEON), that program is run. Without it a stand-in answers: the formulas
of Cline, Kainulainen, Scott and Weniger (arXiv:1306.4710) at tree level, without W and Z off their mass shells, and
with freeze-out in one step. At 20 points it gives the cross section of micrOMEGAs to 1 %, and 0.5 to 5.5 times its
relic density: a toy to try rayscan with, not for publications.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from scipy.special import kve

import rayscan as rs

V, MH, WIDTH, PLANCK, NUCLEON, SHARE = 246.2, 125.2, 4.07e-3, 1.22e19, 0.939, 0.30  # GeV; Higgs couplings of a nucleon
FERMIONS = {2.8: 3, 0.62: 3, 1.777: 1, 172.6: 3}
"""Masses at the scale of the Higgs in GeV, and colours: b, c, tau, t."""
TO_PB = 3.894e8
"""1 / GeV² in pb."""


def width(m: float) -> float:
    """Return the width in GeV of a Higgs boson of mass `m` into the Standard Model."""
    total = 0.0
    for mass, colours in FERMIONS.items():
        if m > 2 * mass:
            total += colours * mass**2 * m / (8 * np.pi * V**2) * (1 - 4 * mass**2 / m**2) ** 1.5
    for mass, equal in ((80.38, 1), (91.19, 2)):
        if m > 2 * mass:
            x = mass**2 / m**2
            total += m**3 / (16 * equal * np.pi * V**2) * np.sqrt(1 - 4 * x) * (1 - 4 * x + 12 * x**2)
    return total


def annihilation(m: float, coupling: float, s: float) -> float:
    """Return the cross section times velocity in 1/GeV² for two S that meet with energy `s` squared."""
    unseen = coupling**2 * V**2 / (8 * np.pi * MH) * np.sqrt(max(0.0, 1 - 4 * m**2 / MH**2))
    total = 8 * coupling**2 * V**2 / np.sqrt(s) * width(np.sqrt(s)) / ((s - MH**2) ** 2 + MH**2 * (WIDTH + unseen) ** 2)
    if s > 4 * MH**2:
        total += coupling**2 * (1 + 3 * MH**2 / (s - MH**2)) ** 2 * np.sqrt(1 - 4 * MH**2 / s) / (4 * np.pi * s)
    return float(total)


def singlet(mS: float, laSH: float) -> tuple[float, float]:  # noqa: N803 - the names of the field
    """Return the relic density Omega h², and the cross section on a proton in pb."""
    x = 22.0  # mass over temperature when they lose each other
    energy = 2 + np.linspace(1e-3, 1.5, 150) ** 2  # of a pair, in units of the mass
    if 2 * mS < MH:
        energy = np.unique(np.concatenate([energy, MH / mS + 1e-4 * np.sinh(np.linspace(-9, 9, 150))]))
        energy = energy[energy > 2]
    # Gondolo and Gelmini's average (Nucl. Phys. B 360 (1991) 145, Eq. 3.8), with scaled Bessel functions.
    often = energy**3 * np.sqrt(energy**2 - 4) * kve(1, energy * x) * np.exp(-(energy - 2) * x)
    rate = [annihilation(mS, laSH, (mS * one) ** 2) for one in energy]
    mean = x / (8 * kve(2, x) ** 2) * np.trapezoid(often * rate, energy)
    omega = 1.07e9 * x / (np.sqrt(86.0) * PLANCK * mean)
    reduced = mS * NUCLEON / (mS + NUCLEON)
    proton = laSH**2 * SHARE**2 * reduced**2 * NUCLEON**2 / (np.pi * MH**4 * mS**2) * TO_PB
    return float(omega), float(proton)


def tool() -> rs.Tool:
    """Return micrOMEGAs where there is one, else the stand-in."""
    program = os.environ.get("RAYSCAN_MICROMEGAS")
    if program:
        return rs.MicrOMEGAs(
            program, parameters={"Q": 14.0, "Mh": MH, "laS": 0.1}, write={"mS": "Mdm1", "laSH": "laSH"},
            read={"omega": "Omega", "proton_SI": "proton_SI"},
        )  # fmt: skip
    return rs.Function(singlet, outputs=["omega", "proton_SI"])


def make(out: Path, evaluators: int | None = None) -> rs.Scan:
    """Return the scan: dark matter is all S, and LZ (arXiv:2410.17036) would not have seen it, about."""
    space = rs.Space(mS=rs.Log(45, 20_000), laSH=rs.Log(1e-4, 10))
    target = rs.Target(
        omega=(0.108, 0.132), unseen=rs.Below(1.0), derive={"unseen": "proton_SI / (2.2e-12 * max(1, mS / 40))"}
    )
    labels = {"mS": "$m_S$", "laSH": r"$\lambda_{SH}$", "proton_SI": r"$\sigma_{SI}$", "omega": r"$\Omega h^2$"}
    return rs.Scan(
        space, tool(), target, out=out, evaluators=evaluators, labels=labels, units={"mS": "GeV", "proton_SI": "pb"}
    )


def main(argv: list[str] | None = None) -> None:
    """Scan and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/singlet"))
    parser.add_argument("--valid", type=int, default=500)
    parser.add_argument("--evaluations", type=int)
    parser.add_argument("--evaluators", type=int)
    parser.add_argument("--picture", type=Path, default=Path("singlet_dm.png"))
    asked = parser.parse_args(argv)
    scan = make(asked.out, asked.evaluators)
    print("micrOMEGAs" if os.environ.get("RAYSCAN_MICROMEGAS") else "a stand-in by formulas; no micrOMEGAs was named")
    result = scan.run(valid=asked.valid, evaluations=asked.evaluations)
    print(f"valid points: {len(result.valid):,} of {len(result.table):,}")
    result.plot.scatter("mS", "laSH", colour="proton_SI", path=asked.picture)
    print(f"picture: {asked.picture}")


if __name__ == "__main__":
    main()
