"""Ten thousand damaged spectra and cards through the SLHA reader and the card writer, each against a slow reader.

Run as ``python -m tests.benchmarks.slha_fuzz [NUMBER OF EACH OF FIVE FILES]`` (about a minute).
"""

from __future__ import annotations

import runpy
import sys
import time
from pathlib import Path

FUZZ = Path(__file__).parent.parent / "tools" / "test_slha_fuzz.py"


def main() -> None:
    """Run the fuzz of the test suite with more seeds; an assertion names the file and seed of a failure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    fuzz = runpy.run_path(str(FUZZ))
    start = time.perf_counter()
    for name in ("spheno_decays.spc", "spheno_two_scales.spc", "softsusy.spc"):
        fuzz["test_damaged_spectra_give_no_error_and_no_wrong_number"](name, count)
        print(f"{name}: {count} damaged spectra read as by the slow reader")
    for name in ("sarah.in", "spheno.in"):
        fuzz["test_damaged_cards_are_refused_or_written_right"](name, count)
        print(f"{name}: {count} damaged cards read as by the slow reader, and refused or written right")
    print(f"{5 * count} files in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
