"""How finely the Higgs mass is tuned against the top squarks, from the spectrum that another program wrote."""

import math
import sys
from pathlib import Path

CUTOFF, YUKAWA = 20_000.0, 0.94  # GeV; top Yukawa coupling


def masses(spectrum: str) -> dict[int, float]:
    """Return the block MASS of an SLHA file, by particle."""
    inside, found = False, {}
    for line in spectrum.splitlines():
        words = line.split("#")[0].split()
        if words and words[0].lower() == "block":
            inside = words[1].lower() == "mass"
        elif inside and len(words) == 2:
            found[int(words[0])] = float(words[1])
    return found


mass = masses(Path(sys.argv[1]).read_text())
higgs, light, heavy = mass[25], abs(mass[1000006]), abs(mass[2000006])
shift = 3 * YUKAWA**2 / (8 * math.pi**2) * (light**2 + heavy**2) * math.log(CUTOFF / math.sqrt(light * heavy))
print("tuning =", 2 * shift / higgs**2)
