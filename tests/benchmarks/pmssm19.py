"""A real scan: SPheno, 19 parameters of the MSSM, 13 constraints, of which (g-2) of the muon is the narrow one.

Run ``RAYSCAN_SPHENO=/path/to/SPheno python -m tests.benchmarks.pmssm19 --seeds 2``: evaluations to 100, 300, 1,000 …
valid points, what the surrogate promised of its proposals and how much came true, and the AUC of a classifier between
the valid points of two seeds (.5: they are the same).
"""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path

import numpy as np

import rayscan as rs
from rayscan.results.result import ScanResult
from tests.benchmarks.metrics import separability

CARD = Path(__file__).with_suffix(".in")
INF = float("inf")
SPACE = rs.Space(
    M1=(-3000, 3000), M2=(-3000, 3000), M3=(500, 4000), At=(-7000, 7000), Ab=(-7000, 7000), Atau=(-7000, 7000),
    mu=(-3000, 3000), tanb=(2, 60), MA=(100, 4000), mL12=(100, 4000), mL3=(100, 4000), mE12=(100, 4000),
    mE3=(100, 4000), mQ12=(500, 4000), mQ3=(200, 4000), mU12=(500, 4000), mU3=(200, 4000), mD12=(500, 4000),
    mD3=(200, 4000),
)  # fmt: skip
READ = {
    "mh": "MASS 25", "mstop": "MASS 1000006", "mglu": "MASS 1000021", "mn1": "MASS 1000022", "mc1": "MASS 1000024",
    "mstau": "MASS 1000015", "msm": "MASS 2000013", "mw": "MASS 24", "bsg": "SPhenoLowEnergy 1",
    "bsmm": "SPhenoLowEnergy 8", "btn": "SPhenoLowEnergy 11", "gm2": "SPhenoLowEnergy 21", "drho": "SPhenoLowEnergy 39",
}  # fmt: skip
TARGET = rs.Target(
    mh=(123, 127), bsg=(3.0e-4, 3.6e-4), bsmm=(2.0e-9, 3.6e-9), gm2=(1e-9, 3.5e-9), btn=(0.9, 1.1), mglu=(2200, INF),
    mstop=(1000, INF), mc1=(105, INF), mstau=(90, INF), msm=(100, 1500), mn1=(-800, 800), drho=(-1e-3, 6e-4),
    mw=(80.35, 80.41),
)  # fmt: skip
GOALS = (1, 100, 300, 1_000, 3_000, 10_000)


def run(seed: int, evaluations: int, evaluators: int, out: Path) -> ScanResult:
    """Scan, or go on with a scan, and return what it found."""
    tool = rs.SPheno(os.environ["RAYSCAN_SPHENO"], card=CARD, read=READ, keep="never")
    scan = rs.Scan(space=SPACE, tool=tool, target=TARGET, out=out / f"seed{seed}", seed=seed, evaluators=evaluators)
    return scan.run(evaluations=evaluations)


def line(seed: int, result: ScanResult) -> str:
    """Return a run as one line."""
    table = result.table
    valid = table["valid"].to_numpy()
    found = np.cumsum(valid)
    reached = ", ".join(f"{goal:,} at {np.argmax(found >= goal) + 1:,}" for goal in GOALS if found[-1] >= goal)
    late = np.arange(len(table)) >= len(table) // 2
    proposed = (np.array(table["origin"].to_pylist()) == "population") & late
    promised, came = table["score"].to_numpy()[proposed].mean(), valid[proposed].mean()
    return (
        f"seed {seed}: {valid.sum():,} valid of {len(table):,} ({reached}); of proposals in the second half "
        f"{promised:.2f} promised, {came:.2f} came true"
    )


def main(argv: list[str] | None = None) -> int:
    """Run the seeds and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--evaluations", type=int, default=12_000)
    parser.add_argument("--evaluators", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/pmssm19"), help="a run that is there goes on")
    args = parser.parse_args(argv)
    samples = []
    for seed in range(1, args.seeds + 1):
        result = run(seed, args.evaluations, args.evaluators, args.out)
        print(line(seed, result), flush=True)
        samples.append(np.array(result.valid["u"].to_pylist()))
    for (a, first), (b, second) in itertools.combinations(enumerate(samples, 1), 2):
        print(f"AUC between seeds {a} and {b}: {separability(first, second):.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
