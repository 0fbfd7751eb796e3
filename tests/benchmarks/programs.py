"""Real programs as problems: five parameters of the MSSM, 124 < m_h < 126 GeV, by the demo program and by SPheno."""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from rayscan.demo import mssm_higgs as demo
from rayscan.problem.target import Target
from rayscan.sandbox.workshop import Workshop
from rayscan.tools.spheno import SPheno
from tests.benchmarks.problem import Array, Problem, rejection

ROOT = Path(__file__).parents[2]
CARD = ROOT / "examples" / "mssm_higgs" / "LesHouches.in"
SAMPLE = ROOT.parent / "shared" / "hep" / "mssm5_spheno.parquet"
"""Uniform points evaluated by SPheno, outside the repository."""
WRITE = {"tanb": "EXTPAR 25", "MA": "EXTPAR 26", "At": "EXTPAR 11", "mQ3": "EXTPAR 43", "mU3": "EXTPAR 46"}
LOW = np.array([2.0, 200.0, -6000.0, 300.0, 300.0])
HIGH = np.array([50.0, 3000.0, 6000.0, 5000.0, 5000.0])
WORKERS = 2


def sign_of_at(u: Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Label points by the sign of the trilinear coupling."""
    return (u[:, 2] > 0.5).astype(np.int64)


@cache
def card() -> tuple[dict[int, float], dict[int, float]]:
    """Return the EXTPAR and SMINPUTS entries of the card."""
    return demo.point_of(demo.read_card(str(CARD)))


def demo_mh(x: Array) -> Array:
    """Return m_h in GeV ``(n, 1)`` of points ``(n, 5)``, as the demo program writes it, NaN for tachyons."""
    extpar, sm = card()
    addresses = [int(address.split()[1]) for address in WRITE.values()]
    answer = np.full((len(x), 1), np.nan)
    for row, point in enumerate(x.tolist()):
        try:
            result = demo.solve({**extpar, **dict(zip(addresses, point, strict=True))}, sm)
        except (demo.UnphysicalPointError, OverflowError):
            continue
        answer[row] = float(f"{result['mh']:18.10E}")
    return answer


def demo5() -> Problem:
    """Return the five-parameter MSSM of the demo program, called in this process."""
    target = Target(mh=(124, 126))

    def evaluate(u: Array) -> Array:
        return demo_mh(LOW + (HIGH - LOW) * u)

    draw = rejection(5, evaluate, target, ("mh",), 20_000)
    return Problem("demo5", 5, ("mh",), target, 0.1255, 2, evaluate, sign_of_at, draw)


class Program:
    """A spectrum generator, run for several points at a time.

    Parameters
    ----------
    tool : SPheno
    """

    def __init__(self, tool: SPheno) -> None:
        self.tool = tool
        self.count = 0
        self.scratch = tempfile.TemporaryDirectory()
        self.workshops = [Workshop(run_id="benchmark") for _ in range(WORKERS)]
        tool.check(list(WRITE))
        tool.open(Path(self.scratch.name))
        self.pool = ThreadPoolExecutor(WORKERS)
        atexit.register(self.close)

    def __call__(self, x: Array) -> Array:
        """Return m_h in GeV ``(n, 1)`` of points ``(n, 5)``, NaN where there is no spectrum."""
        parts = [np.arange(k, len(x), WORKERS) for k in range(WORKERS)]
        answer = np.full((len(x), 1), np.nan)
        for rows, values in zip(parts, self.pool.map(self._some, self.workshops, [x[p] for p in parts]), strict=True):
            answer[rows, 0] = values
        return answer

    def _some(self, workshop: Workshop, x: Array) -> list[float]:
        values = []
        for point in x.tolist():
            self.count += 1
            with workshop.sandbox(self.count) as sandbox:
                outcome = self.tool.evaluate(dict(zip(WRITE, point, strict=True)), sandbox)
            values.append(outcome.observables.get("mh", np.nan))
        return values

    def close(self) -> None:
        """Remove what it made."""
        self.pool.shutdown()
        self.tool.close()
        for workshop in self.workshops:
            workshop.close()
        self.scratch.cleanup()


def spheno5() -> Problem:
    """Return the same with a real SPheno, compared with a stock of uniform points that it evaluated before."""
    run = Program(SPheno(os.environ["RAYSCAN_SPHENO"], CARD, write=WRITE, read={"mh": "MASS 25"}, keep="never"))
    target = Target(mh=(124, 126))
    table = pq.read_table(SAMPLE, columns=[*WRITE, "mh"])
    known = (np.column_stack([table[name].to_numpy() for name in WRITE]) - LOW) / (HIGH - LOW)
    uniform = known[target.judge({"mh": table["mh"].to_numpy()}).valid]

    def draw(n: int, rng: np.random.Generator) -> Array:
        return uniform[rng.choice(len(uniform), n, replace=False)]

    return Problem(
        "spheno5", 5, ("mh",), target, len(uniform) / len(known), 2, lambda u: run(LOW + (HIGH - LOW) * u),
        sign_of_at, draw, len(uniform),
    )  # fmt: skip


PROGRAMS: dict[str, Callable[[], Problem]] = {"demo5": demo5, "spheno5": spheno5}


def missing(problem: str) -> str:
    """Return why a problem cannot be run here, or nothing."""
    if problem != "spheno5":
        return ""
    if not os.environ.get("RAYSCAN_SPHENO"):
        return "RAYSCAN_SPHENO does not name a SPheno"
    return "" if SAMPLE.exists() else f"there is no uniform sample to compare with at {SAMPLE}"
