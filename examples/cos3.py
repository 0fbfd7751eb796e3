"""The three-dimensional test function of arXiv:2412.19675 (Eq. 14 and 15), in the size of its Fig. 3.

    python examples/cos3.py                                          three networks, with and without the map
    python examples/cos3.py --surrogate similarity --proposal vegas  one of them
    python examples/cos3.py --selection paper                        the paper's choice of K among L

Prints how many points of each step are in target, and draws the counts and the points.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np

import rayscan as rs

mpl.use("Agg")
import matplotlib.pyplot as plt

SURROGATES = ("similarity", "classifier", "regressor")
PROPOSALS = ("vegas", "random")


def cos3(x: np.ndarray) -> np.ndarray:
    """Eq. 14: map points of shape (n, 3) to values of shape (n,)."""
    return (2 + np.prod(np.cos(x / 7), axis=1)) ** 5


def scan(surrogate: str, proposal: str, arguments: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, float]:
    """Run one method; return its valid points (n, 3), the in-target count of each step, and the seconds it took."""
    edge = 10 * math.pi
    settings = {
        **rs.presets.paper_cos3,
        "surrogate": surrogate,
        "proposal": proposal,
        "selection": arguments.selection,
        "K": arguments.K,
        "L": arguments.L,
        "initial": arguments.K,
    }
    problem = rs.Scan(
        space=rs.Space(x1=(-edge, edge), x2=(-edge, edge), x3=(-edge, edge)),
        tool=rs.Function(cos3, outputs=["f"], vectorized=True),
        target=rs.Target(f=rs.Gaussian(150, 5), threshold=0.5),  # Eq. 15
        evaluators=0,  # a function this cheap needs no pool
        seed=arguments.seed,
        deterministic=True,
        **settings,
    )
    start = time.perf_counter()
    result = problem.run(steps=arguments.steps, progress=None)
    seconds = time.perf_counter() - start
    valid = result.table["valid"].to_numpy()
    counts = valid.reshape(-1, arguments.K).sum(axis=1)
    return problem.samples, counts, seconds


def draw(results: dict[str, tuple[np.ndarray, np.ndarray]], arguments: argparse.Namespace) -> None:
    """Draw the counts of each step, and the points of the best method in the plane of the first two parameters."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), constrained_layout=True)
    for name, (_, counts) in results.items():
        style = "-" if "vegas" in name else "--"
        left.plot(range(len(counts)), counts / arguments.K, style, marker="o", ms=4, label=name)
    left.set(xlabel="step", ylabel="share of K in target", ylim=(0, 1))
    left.legend(frameon=False, fontsize=8)
    name, (points, _) = max(results.items(), key=lambda item: len(item[1][0]))
    right.scatter(points[:, 0], points[:, 1], c=points[:, 2], s=1, cmap="viridis", rasterized=True)
    right.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal", title=f"{len(points):,} points in target, {name}")
    figure.savefig(arguments.picture, dpi=150)
    plt.close(figure)


def main() -> None:
    """Compare the methods."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--surrogate", choices=SURROGATES, action="append")
    parser.add_argument("--proposal", choices=PROPOSALS, action="append")
    parser.add_argument("--selection", choices=("default", "paper"), default="default")
    parser.add_argument("--K", type=int, default=10_000, help="points a step")
    parser.add_argument("--L", type=int, default=1_000_000, help="candidates a step")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--picture", type=Path, default=Path("cos3.png"))
    arguments = parser.parse_args()

    results = {}
    print(f"in target of K = {arguments.K:,}, at the start and in each of {arguments.steps} steps")
    for surrogate in arguments.surrogate or SURROGATES:
        for proposal in arguments.proposal or PROPOSALS:
            name = f"{surrogate}, {proposal}"
            points, counts, seconds = scan(surrogate, proposal, arguments)
            results[name] = points, counts
            last = counts[-1] / arguments.K
            print(f"{name:20s} {' '.join(f'{n:6d}' for n in counts)}   last {last:.0%}   {seconds:.0f} s", flush=True)
    draw(results, arguments)
    print(f"picture: {arguments.picture}")


if __name__ == "__main__":
    main()
