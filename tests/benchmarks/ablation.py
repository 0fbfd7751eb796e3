"""What each ingredient of the default method is worth: ``python -m tests.benchmarks.ablation``.

Runs the default without one ingredient at a time, by replacing that part of it for the run, until 5,000 valid points or
the budget. An ingredient that the method no longer has ends with an error here, not with a figure.

    python -m tests.benchmarks.ablation --problems cos3 mhiggs5 eggbox4 --out ablation
    python -m tests.benchmarks.ablation --problems cos3 --labels --out ablation

The second line runs problems whose points say only whether they are valid.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from rayscan.learn.coverage import candidates, method, sampler
from rayscan.learn.coverage.exploration import Exploration
from rayscan.learn.data import Array
from rayscan.learn.islands import Islands
from rayscan.learn.moves import copies
from rayscan.learn.moves import hops as hopping
from rayscan.learn.moves.growth import Growth
from rayscan.learn.moves.hops import Hops
from rayscan.learn.moves.transplants import Transplants
from rayscan.learn.population.blocks import Blocks
from rayscan.learn.population.moves import Moves
from rayscan.learn.population.population import Population
from rayscan.learn.surrogates import contest, interpolator
from rayscan.learn.surrogates.contest import Contest
from rayscan.learn.surrogates.interpolator import Interpolator
from rayscan.learn.surrogates.labels import alignment, jury
from rayscan.learn.surrogates.labels.alike import Alike
from rayscan.learn.surrogates.labels.jury import Jury
from rayscan.learn.surrogates.ladder import Ladder
from rayscan.learn.surrogates.second_look import SecondLook
from tests.benchmarks import methods
from tests.benchmarks.efficiency import ALL as SUITE
from tests.benchmarks.labels_only import labelled
from tests.benchmarks.many import MANY
from tests.benchmarks.results import Result, assess

ALL = {**SUITE, **MANY}
GOALS = (1000, 5000)


@dataclass(frozen=True)
class Ablation:
    """The default without something.

    Attributes
    ----------
    without : str
        What is missing, for readers.
    parts : tuple of (owner, name, replacement)
        What is replaced.
    options : dict
        Changed learning options.
    """

    without: str
    parts: tuple[tuple[Any, str, Any], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Replace the parts for a while; an AttributeError says that the method has no such part."""
        with contextlib.ExitStack() as stack:
            for owner, name, replacement in self.parts:
                stack.enter_context(patch.object(owner, name, replacement))
            yield


_update, _train, _sizes = Ladder.update, Contest.train, Contest._sizes


def update_without_levels(self: Ladder, *arguments: Any) -> bool:
    """Tighten the scale, but aim at the target itself from the start."""
    changed = _update(self, *arguments)
    self.level = self.goal.copy()
    return changed


def train_from_scratch(self: Contest, *arguments: Any) -> None:
    """Train new networks at each refit; what is known of errors stays."""
    self.networks = []
    _train(self, *arguments)


def losing(*surrogates: int) -> tuple[Any, str, Any]:
    """Return the replacement by which some surrogates are behind whatever they do."""

    def sizes(self: Contest) -> Array:
        answer = _sizes(self)
        for k in surrogates:
            answer[k, np.isfinite(answer[k])] = 1e9
        return answer

    return Contest, "_sizes", sizes


def unlearned(self: Interpolator, u: Array, t: Array, *arguments: Any) -> Array:
    """Interpolate nothing."""
    return np.full(t.shape, np.nan)


def all_together(self: Contest, u: object) -> Blocks:
    """Return one block."""
    return Blocks.whole(self.features.d)


def nothing(*_: object, **__: object) -> None:
    """Do nothing."""


def any_width(self: Contest) -> Array:
    """Return the width of which nothing is known."""
    return np.full(len(self.ladder.goal), contest.NEUTRAL)


def the_same(places: Array, *_: object) -> Array:
    """Return a middle, or several places, unmoved."""
    return places


def no_copies(islands: Islands, count: int, rng: np.random.Generator) -> Array:
    """Return no point."""
    return np.empty((0, islands.u.shape[1]))


NETWORKS = (contest.PLAIN, contest.WAVES)
ABLATIONS: dict[str, Ablation] = {
    "default": Ablation("nothing"),
    "waves": Ablation("the network with plane waves", (losing(contest.WAVES),)),
    "plain": Ablation("the network without plane waves", (losing(contest.PLAIN),)),
    "points": Ablation("the Gaussian process", ((Interpolator, "train", unlearned),)),
    "networks": Ablation("networks that may drive", (losing(*NETWORKS),)),
    "level": Ablation("provisional levels", ((Ladder, "update", update_without_levels),)),
    "cold": Ablation("warm starts: trained from scratch", ((Contest, "train", train_from_scratch),)),
    "width": Ablation("width from errors of predictions", ((Contest, "_uncertainty", any_width),)),
    "mixing": Ablation("linear maps: a length for each parameter only", ((interpolator, "GOOD", np.inf),)),
    "leap": Ablation("leaps to the target where predictions are precise", ((Ladder, "leap", nothing),)),
    "difference": Ablation("moves along differences", ((Moves, "_difference", nothing),)),
    "exchange": Ablation("exchanges of blocks", ((Moves, "_exchange", nothing),)),
    "redraw": Ablation("redraws of a parameter", ((Moves, "_redraw", nothing),)),
    "blocks": Ablation(
        "blocks: all parameters together", ((Contest, "blocks", lambda self, u: Blocks.whole(self.features.d)),)
    ),
    "settle": Ablation("particles at sparse places", ((Population, "settle", nothing),)),
    "farthest": Ablation("the farthest-point share", ((candidates, "SPREAD", 0.0),)),
    "crowded": Ablation("leaving out near repetitions", ((candidates, "CROWDED", 0.0),)),
    "look": Ablation("the second look", ((SecondLook, "ready", False),)),
    "steps": Ablation("growth along known regions", ((Growth, "share", 0.0),)),
    "surface": Ablation("the quadratic surface", (losing(contest.SURFACE),)),
    "hops": Ablation("hops", ((Hops, "share", 0.0),)),
    "islands": Ablation("hops of whole islands", ((hopping, "copies", no_copies),)),
    "crossings": Ablation("copies to where no known way leads", ((copies, "CROSSED", 0.0),)),
    "probes": Ablation("probes", ((method, "PROBE_SHARE", 0.0),)),
    "uniform": Ablation("the uniform share", options={"random_share": 0.0}),
    "alike": Ablation("islands alike", ((Alike, "train", lambda *arguments, **options: None),)),
    "search": Ablation("the search for middles of fragments", ((alignment, "_sought", the_same),)),
    "transplants": Ablation("transplants", ((Transplants, "share", 0.0),)),
    "climbs": Ablation("climbs", ((sampler, "climbed", the_same),)),
    "members": Ablation("ensembles: one network of each kind", ((jury, "MEMBERS", 1),)),
    "doubtful": Ablation("walks in doubtful places", ((Jury, "level", lambda *_: 1.0),)),
    "growth": Ablation("growth for longer than with observables", ((method, "LABELS_ENOUGH", method.ENOUGH),)),
    "surprises": Ablation("blind points beyond the uniform share", ((Exploration, "share", 0.0),)),
}
OF_LABELS = ("alike", "search", "transplants", "climbs", "members", "doubtful", "growth", "surprises")
"""What labels alone are run without, unless told otherwise, and what others are not."""


def run(name: str, ablation: str, seed: int, budget: int, *, labels: bool) -> Result:
    """Run one problem without one ingredient."""
    problem, without = ALL[name](), ABLATIONS[ablation]
    if labels:
        problem = replace(labelled(problem), name=f"{name}, labels")
    with without.applied():
        trace = methods.trace(problem, "default", seed, budget, GOALS[-1], **without.options)
    return assess(problem, ablation, seed, trace, goals=GOALS, at_end=True)


def line(found: Mapping[str, Any]) -> str:
    """Return one run as a row of a Markdown table."""
    reached = [f"{n:,}" if (n := found["evaluations"].get(str(goal))) else "-" for goal in GOALS]
    last = max(found["coverage"], key=int, default=None)
    quality = "| | | "
    if last:
        c = found["coverage"][last]
        quality = f"| {c['share']:.3f}/{c['uniform']:.3f} | {c['islands']} | {c['auc']:.3f} "
    return (
        f"| {found['problem']} | {ABLATIONS[found['method']].without} | {reached[0]} | {reached[1]} "
        f"| {found['valid']:,} at {found['total']:,} {quality}| {np.median(found['seconds']):.2f} |"
    )


def table(folder: Path) -> list[str]:
    """Return all runs in a directory as a Markdown table."""
    found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    order, problems = list(ABLATIONS), [*ALL, *(f"{name}, labels" for name in ALL)]
    found.sort(key=lambda run: (problems.index(run["problem"]), order.index(run["method"]), run["seed"]))
    return [
        "| problem | without | to 1,000 | to 5,000 | valid | cov a/b | islands | AUC | CPU s a batch |",
        "|---|---|---|---|---|---|---|---|---|",
        *map(line, found),
    ]


def main(argv: list[str] | None = None) -> int:
    """Make the table, or part of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", choices=list(ALL), default=["cos3", "mhiggs5", "eggbox4"])
    parser.add_argument("--labels", action="store_true", help="tell only whether points are valid")
    parser.add_argument("--without", nargs="+", choices=list(ABLATIONS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--budget", type=int, default=12_000)
    parser.add_argument("--out", type=Path, required=True, help="directory of the runs; those there are not repeated")
    options = parser.parse_args(argv)
    import torch

    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    usual = ["default", *OF_LABELS] if options.labels else [name for name in ABLATIONS if name not in OF_LABELS]
    for name in options.problems:
        for ablation in options.without or usual:
            for seed in options.seeds:
                path = options.out / f"{name}{'-labels' if options.labels else ''}-{ablation}-{seed}.json"
                if not path.exists():
                    result = run(name, ablation, seed, options.budget, labels=options.labels)
                    path.write_text(json.dumps(asdict(result), indent=1))
    print(*table(options.out), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
