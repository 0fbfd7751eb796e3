"""The figures of ``docs/method.md`` and ``docs/running.md``, from small scans: ``python -m docs.figures``."""

from __future__ import annotations

import argparse
import io
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import KDTree

from rayscan.learn.coverage.method import CoverageProposer
from rayscan.learn.coverage.sampler import BELIEVED
from rayscan.learn.data import Rows
from rayscan.learn.islands import Islands
from rayscan.learn.moves.climbs import climbed
from rayscan.learn.moves.spread import farthest_points, nearest_distance
from rayscan.learn.options import LearnOptions
from rayscan.problem.constraints import Above, Window
from rayscan.problem.target import Target
from rayscan.results.diagnostics import diagnose
from rayscan.results.saturation import estimate_coverage, reach
from rayscan.results.volume import estimate_volume
from tests.benchmarks.labels_only import labelled
from tests.benchmarks.loop import rounds
from tests.benchmarks.many import MANY
from tests.benchmarks.problem import Problem, one_island, rejection
from tests.benchmarks.problems import PROBLEMS
from tests.results.invented import GRADED, drawn
from tests.results.invented import figures as invented_figures

Array = NDArray[np.float64]
LARGE = 20
"""Inches from which a picture is drawn smaller."""
WHERE = Path(__file__).parent / "figures"
BLUE, ORANGE, GREEN, PINK, SKY, GREY, DARK = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#B8B8B8", "#333333",
)  # fmt: skip
SURROGATES = ((BLUE, "plain network"), (ORANGE, "with plane waves"), (PINK, "Gaussian process"))


def band() -> Problem:
    """Return a closed band in two dimensions: a window of Himmelblau's function, 5 % of the square."""

    def evaluate(u: Array) -> Array:
        x, y = 12 * u.T - 6
        return np.asarray(((x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2)[:, None])

    target = Target(y=Window(150, 180))
    return Problem("band", 2, ("y",), target, math.nan, 1, evaluate, one_island, rejection(2, evaluate, target, ("y",)))


def eggbox() -> Problem:
    """Return 85 small islands on a lattice in two dimensions, 0.4 % of the square."""

    def evaluate(u: Array) -> Array:
        return np.asarray((2 + np.cos((26 * u - 1) * math.pi / 2).prod(1, keepdims=True)) ** 5)

    target = Target(y=Above(2.98**5))
    return Problem("egg", 2, ("y",), target, math.nan, 85, evaluate, one_island, rejection(2, evaluate, target, ("y",)))


def rings() -> Problem:
    """Return six thin rings in two dimensions, 6 % of the square, of which only labels are told."""
    centres = np.array([[0.17, 0.2], [0.5, 0.17], [0.82, 0.33], [0.3, 0.53], [0.65, 0.63], [0.25, 0.83]])

    def evaluate(u: Array) -> Array:
        gap = np.linalg.norm(u[:, None] - centres, axis=2).min(axis=1, keepdims=True) - 0.11
        return np.asarray(np.abs(gap) < 0.007, dtype=np.float64)

    target = Target(labels="y")
    return Problem(
        "rings", 2, ("y",), target, math.nan, 6, evaluate, one_island, rejection(2, evaluate, target, ("y",))
    )


class Followed:
    """A scan by the default method in a plain loop, with what it was like after each batch.

    Parameters
    ----------
    problem : Problem
    batches : int
    size : int
        Points a batch.
    seed : int
    note : callable, optional
        What to keep of the method after each batch.
    """

    def __init__(
        self,
        problem: Problem,
        batches: int,
        size: int = 300,
        seed: int = 0,
        note: Callable[[CoverageProposer], object] | None = None,
    ) -> None:
        self.problem = problem
        self.method = CoverageProposer(
            problem.d, problem.target, problem.observables, LearnOptions(K=size, device="cpu"), seed
        )
        parts, self.notes = [], []
        for rows, _ in rounds(problem, self.method, size):
            parts.append(rows)
            self.notes.append(note(self.method) if note is not None else None)
            if len(parts) == batches:
                break
        self.rows = Rows.concatenate(parts)
        self.evaluations = size * np.arange(1, batches + 1)


def ladder() -> Figure:
    """Draw what the scan aims at while the target is out of reach."""
    scan = Followed(PROBLEMS["shell7"](), 12, note=lambda method: float(method.ladder.level[0, 0]))
    figure, (upper, lower) = _panels(2, 1, (6.2, 4.6), sharex=True)
    aimed = -np.array(scan.notes, dtype=np.float64)
    upper.step(scan.evaluations, aimed, where="post", color=BLUE, lw=2, label="aimed at")
    order = -scan.rows.observables[:, 0]
    upper.plot(np.arange(len(order)), order, ".", ms=2, color=GREY, zorder=0, rasterized=True, label="evaluated")
    upper.axhline(0.5, color=GREEN, lw=1.5, label="target")
    upper.set(yscale="log", ylim=(0.05, 3e4), ylabel=r"$-\ln L$")
    upper.legend(frameon=False, fontsize=9, ncols=3, loc="upper right")
    lower.plot(np.cumsum(scan.rows.valid), color=GREEN, lw=2)
    lower.set(xlabel="evaluations", ylabel="valid points", ylim=(0, None), xlim=(0, len(order)))
    return figure


def population(scan: Followed) -> Figure:
    """Draw the population on what the surrogate believes, beside what is true; and what they fill."""
    figure, (left, middle, right) = _panels(1, 3, (9.6, 3.4))
    method, rng = scan.method, np.random.default_rng(1)
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 161)] * 2), -1).reshape(-1, 2)
    believed = np.exp(method.belief.log_p(grid, goal=True)).reshape(161, 161)
    left.imshow(believed, origin="lower", extent=(0, 1, 0, 1), cmap="Blues", vmin=0, vmax=1.3, aspect="auto")
    particles = method.sampler.population.u[rng.permutation(len(method.sampler.population.u))[:400]]
    left.plot(*particles.T, ".", ms=2, color=PINK)
    left.set_title("the population on the believed probability", fontsize=10)
    method.ask(30, np.empty((0, 2)))
    candidates = method.sampler.candidates.u
    known = scan.rows.u[scan.rows.valid]
    plain = candidates[rng.choice(len(candidates), 50, replace=False)]
    spread = candidates[farthest_points(candidates, nearest_distance(candidates, known), 50)]
    reference = scan.problem.draw(4000, rng)
    for axes, chosen, name in ((middle, plain, "drawn as they come"), (right, spread, "farthest first")):
        axes.plot(*known.T, ".", ms=4, color=GREY)
        axes.plot(*chosen.T, ".", ms=5, color=BLUE)
        hole = np.quantile(KDTree(np.concatenate([known, chosen])).query(reference)[0], 0.99)
        axes.set_title(f"50 {name}: holes up to {hole:.3f}", fontsize=10)
    for axes in (left, middle, right):
        _region(axes, scan.problem)
    return figure


def arms() -> Figure:
    """Draw how many of the arms of a region in 20 dimensions have a point, and how evenly, against evaluations."""
    problem = MANY["arms20"]()
    scan = Followed(problem, 14)
    of, at = problem.island(scan.rows.u[scan.rows.valid]), np.flatnonzero(scan.rows.valid)
    count = (np.arange(problem.islands) == of[:, None]).cumsum(axis=0)
    figure, (left, right) = _panels(1, 2, (8.2, 3.2))
    left.step(at + 1, (count > 0).sum(axis=1), where="post", color=BLUE, lw=2)
    left.axhline(problem.islands, color=GREEN, lw=1.5)
    left.set(xlabel="evaluations", ylabel="arms with a point", ylim=(0, None), xlim=(250, 1000))
    some = count.sum(axis=1) >= problem.islands
    share = count[some].max(axis=1) / count[some].sum(axis=1)
    right.plot(at[some] + 1, share, color=BLUE, lw=2, label="largest of the arms")
    right.axhline(1 / problem.islands, color=GREEN, lw=1.5, label="all alike")
    right.set(xlabel="evaluations", ylabel="share of the valid points", ylim=(0, None))
    right.legend(frameon=False, fontsize=9)
    return figure


def pulls(path: Path) -> Figure:
    """Draw how volumes of many scans deviate from the truth, in units of their errors."""
    found = json.loads(path.read_text())
    names = list(dict.fromkeys(one["problem"] for one in found))
    figure, (left, right) = _panels(1, 2, (8.2, 3.2))
    known = [one for one in found if one["error"] is not None]
    deviation = [(one["value"] - one["fraction"]) / one["error"] for one in known]
    edges = np.linspace(-4, 4, 17)
    left.hist(deviation, edges, color=SKY, edgecolor="white", label=f"{len(known)} of {len(found)} scans")
    x = np.linspace(-4, 4, 201)
    left.plot(x, len(known) * 0.5 * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi), color=DARK, lw=1.5, label="normal")
    left.set(xlabel="(estimate - truth) / error", ylabel="scans")
    left.legend(frameon=False, fontsize=8)
    for k, name in enumerate(names):
        of = [one for one in known if one["problem"] == name]
        ratio, error = (np.array([one[key] / one["fraction"] for one in of]) for key in ("value", "error"))
        right.errorbar(k + np.linspace(-0.3, 0.3, len(of)), ratio, error, fmt=".", color=BLUE, ms=4, lw=1)
    right.axhline(1, color=GREEN, lw=1.5)
    right.set_xticks(range(len(names)), names, rotation=30)
    right.set(ylabel="estimate / truth", ylim=(0.4, 1.8))
    return figure


def hops() -> Figure:
    """Draw jumps from the known islands to others."""
    problem = eggbox()
    scan = Followed(problem, 6, 250, seed=2)
    figure, (axes,) = _panels(1, 1, (4.6, 4.4))
    known = scan.rows.u[scan.rows.valid]
    jumps = scan.method.hops.propose(Islands(known), np.empty((0, 2)), 120, np.random.default_rng(0))
    hit = problem.valid(jumps)
    _region(axes, problem, 401)
    axes.plot(*known.T, ".", ms=5, color=BLUE, label="known valid points")
    axes.plot(*jumps[~hit].T, "x", ms=4, color=GREY, label=f"hops: {(~hit).sum()} not valid")
    axes.plot(*jumps[hit].T, "*", ms=9, color=ORANGE, label=f"hops: {hit.sum()} in new territory")
    axes.legend(fontsize=8, loc="upper left", framealpha=0.9)
    return figure


def surrogates(scans: dict[str, Followed]) -> Figure:
    """Draw the errors of the surrogates on points that they had not seen."""
    figure, panels = _panels(1, 2, (7.6, 3.2))
    for axes, (name, scan) in zip(panels, scans.items(), strict=True):
        errors = np.array(scan.notes, dtype=np.float64)
        for k, (colour, label) in enumerate(SURROGATES):
            axes.plot(scan.evaluations, errors[:, k], "o-", ms=4, color=colour, label=label)
        axes.set(yscale="log", xlabel="evaluations", title=name)
        axes.set_ylabel("median error before evaluation")
        axes.legend(frameon=False, fontsize=9)
    return figure


def alike() -> Figure:
    """Draw islands where they are, and laid on top of each other by the middles that were learned."""
    problem = rings()
    scan = Followed(problem, 15, 200, seed=1)
    jury = scan.method.belief.jury
    assert jury is not None
    middle = jury.alike.middle
    known, failed = scan.rows.u[scan.rows.valid], scan.rows.u[~scan.rows.valid]
    figure, (left, right) = _panels(1, 2, (7.6, 3.7))
    _region(left, problem, 601)
    left.plot(*known.T, ".", ms=4, color=BLUE)
    left.plot(*middle.T, "+", ms=9, mew=1.6, color=ORANGE, label="middles, as learned")
    left.legend(fontsize=8, loc="lower right", framealpha=0.9)
    for points, colour, label in ((failed, GREY, "not valid"), (known, BLUE, "valid")):
        gap, nearest = KDTree(middle).query(points)
        near = gap < 0.18
        right.plot(*(points - middle[nearest])[near].T, ".", ms=3, color=colour, label=label)
    right.set(xlim=(-0.18, 0.18), ylim=(-0.18, 0.18), xticks=[0], yticks=[0], title="all islands, from their middles")
    left.set_title(f"{len(known)} of {len(scan.rows)} points valid")
    right.legend(fontsize=8, loc="lower right", framealpha=0.9)
    return figure


def climbs(scan: Followed) -> Figure:
    """Draw where candidates climb to, on one of the rings, and what that is worth on a region of five dimensions."""
    flat, rng = Followed(rings(), 4, 200, seed=1), np.random.default_rng(1)
    figure, (left, right) = _panels(1, 2, (7.6, 3.7))
    _region(left, flat.problem, 601)
    visited, moved = _climbed(flat.method, 600, 0.03, rng)
    for one, other in zip(visited, moved, strict=True):
        left.plot(*np.transpose([one, other]), "-", lw=0.6, color=SKY, zorder=1)
    left.plot(*visited.T, ".", ms=3, color=GREY, label="visited")
    left.plot(*moved.T, ".", ms=4, color=BLUE, label="after the climb")
    left.set(xlim=(0.34, 0.66), ylim=(0.01, 0.33), xticks=[], yticks=[], title="one of six rings")
    left.legend(fontsize=8, loc="center", framealpha=0.9)
    belief, problem = scan.method.belief, scan.problem
    visited, moved = _climbed(scan.method, 12_000, 0.05, rng)
    for colour, label, places in ((GREY, "visited", visited), (BLUE, "after the climb", moved)):
        kept = problem.valid(places)
        p, ends = np.exp(belief.log_p(places)), (0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97)
        _promises(right, p, kept, ends, 40, color=colour, label=f"{label}: {kept.mean():.2f} valid")
    right.set_title(problem.name)
    right.legend(fontsize=8, loc="lower right", frameon=False)
    return figure


def _climbed(method: CoverageProposer, count: int, reach: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return places ``(count, d)`` that particles visit, and where these climb to."""
    visited = method.sampler.visit(count, rng)[:count]
    return visited, climbed(visited, method.belief.log_p, math.log(BELIEVED), reach, rng)


def second_look(scan: Followed) -> Figure:
    """Draw what places that particles visit are promised, and what is kept, at the first and at the second look."""
    method, rng = scan.method, np.random.default_rng(1)
    assert method.belief.second_look is not None
    visited = method.sampler.visit(6000, rng)
    kept = scan.problem.valid(visited)
    figure, (left, right) = _panels(1, 2, (7.6, 3.3))
    looks = (
        (BLUE, "the driver's word", method.belief.log_p(visited, goal=True)),
        (ORANGE, "at the second look", method.belief.second_look.log_p(visited)),
    )
    share = np.arange(1, len(visited) + 1) / len(visited)
    for colour, label, log_p in looks:
        order = np.argsort(-log_p, kind="stable")
        _promises(left, np.exp(log_p), kept, (0.2, 0.4, 0.6, 0.8, 0.9, 0.97), 15, color=colour, label=label)
        right.plot(share, np.cumsum(kept[order]) / np.arange(1, len(order) + 1), color=colour, lw=1.8)
    left.set_title(scan.problem.name)
    left.legend(frameon=False, fontsize=9)
    right.set(xlabel="of the places visited, surest first", ylabel="share found valid", xlim=(0.3, 1), ylim=(0.9, 1))
    return figure


def volume(flat: Followed, scan: Followed) -> Figure:
    """Draw probes around a region, and how a volume estimate converges."""
    figure, (left, right) = _panels(1, 2, (8.2, 3.5))
    _region(left, flat.problem)
    known = flat.rows.u[flat.rows.valid]
    left.plot(*known.T, ".", ms=4, color=GREY, label="known valid points")
    left.plot(
        *flat.method.sampler.population.draw(250, np.random.default_rng(0)).T, ".", ms=4, color=SKY, label="probes"
    )
    left.legend(fontsize=8, loc="upper right", framealpha=0.9)
    at = np.unique(np.geomspace(300, len(scan.rows), 40).astype(int))
    known_by = ("origin", "density", "valid", "generation")
    seen = [estimate_volume(*(getattr(scan.rows, name)[:n] for name in known_by)) for n in at]
    value, error = (np.array([getattr(one, name) for one in seen]) for name in ("value", "error"))
    right.fill_between(at, value - error, value + error, color=SKY, alpha=0.5, lw=0, label="estimate ± its error")
    right.plot(at, value, color=BLUE, lw=1.8)
    right.axhline(scan.problem.fraction, color=GREEN, lw=1.5, label="true")
    right.set(xlabel="evaluations", ylabel="valid share of the prior", title=scan.problem.name, xlim=(at[0], at[-1]))
    right.set_ylim(0, 2.2 * scan.problem.fraction)
    right.legend(frameon=False, fontsize=9)
    return figure


def saturation(scan: Followed) -> Figure:
    """Draw the coverage that probes see, the true one, and how much of the late finds is new."""
    figure, (left, right) = _panels(1, 2, (8.2, 3.3))
    rows = scan.rows
    at = np.arange(900, len(rows) + 1, 300)
    seen = [estimate_coverage(rows.u[:n], rows.origin[:n], rows.density[:n], rows.valid[:n]) for n in at]
    share, error = (np.array([getattr(one, name) for one in seen]) for name in ("share", "error"))
    left.fill_between(at, share - error, np.minimum(share + error, 1), color=SKY, alpha=0.5, lw=0, label="probes")
    left.plot(at, share, color=BLUE, lw=1.8)
    reference = scan.problem.draw(3000, np.random.default_rng(3))
    exact = []
    for n in at:
        tree = KDTree(rows.u[: 3 * n // 4][rows.valid[: 3 * n // 4]])
        exact.append(np.mean(tree.query(reference)[0] <= reach(tree)) if tree.n > 2 else np.nan)
    left.plot(at, exact, color=GREEN, lw=1.5, ls="--", label="exact")
    left.set(xlabel="evaluations", ylabel="share within reach", ylim=(0.5, 1.01), title=scan.problem.name)
    left.legend(frameon=False, fontsize=9, loc="lower right")
    told = diagnose(rows.u, rows.origin, rows.density, rows.valid)
    right.plot(*np.array(told.saturation).T, "o-", ms=4, color=BLUE)
    right.axhline(0.05, color=GREY, lw=1, ls="--")
    right.set(xlabel="evaluations", ylabel="of new valid points beyond\nthe reach of earlier ones", ylim=(0, None))
    right.set_title(f'"{told.verdict}"', fontsize=10)
    return figure


def _panels(rows: int, columns: int, size: tuple[float, float], **shared: bool) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=size, layout="constrained")
    panels: list[Axes] = figure.subplots(rows, columns, squeeze=False, **shared).ravel().tolist()
    for axes in panels:
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.tick_params(labelsize=8)
    return figure, panels


def _region(axes: Axes, problem: Problem, points: int = 241) -> None:
    """Outline the true region of a problem in two dimensions."""
    line = np.linspace(0, 1, points)
    grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    axes.contour(line, line, problem.valid(grid).reshape(points, points), [0.5], colors=GREEN, linewidths=0.8)
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 1], yticks=[0, 1])


def _promises(axes: Axes, p: Array, kept: Array, ends: Sequence[float], least: int, *, color: str, label: str) -> None:
    """Draw what share of places was found valid over the probability promised, between `ends`, if `least` are there."""
    bins = np.searchsorted(ends, p)
    parts = [part for k in range(len(ends) + 1) if len(part := np.flatnonzero(bins == k)) >= least]
    promised, held = np.array([[p[part].mean(), kept[part].mean()] for part in parts]).T
    axes.plot(promised, held, "o-", ms=4, color=color, label=label)
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--", zorder=0)
    axes.set(xlabel="probability promised", ylabel="share found valid")


def _errors(method: CoverageProposer) -> list[float]:
    """Return how much each surrogate errs, NaN while that is not known."""
    errors = method.belief.contest.errors
    return [float(np.median(error, axis=0).sum()) if len(error) >= 50 else math.nan for error in errors]


def _save(figure: Figure, path: Path) -> None:
    """Write a picture of few colours, a third of the size of one with all of them."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=100 if figure.get_figwidth() < LARGE else 58, format="png")
    Image.open(drawn).convert("RGB").quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)


def gallery() -> Figure:
    """Draw figures of one run next to each other, of an invented scan of three parameters."""
    whole = Figure(figsize=(21, 14), layout="constrained")
    places = whole.subfigures(3, 3, wspace=0.04, hspace=0.06).ravel()
    kinds = ("scatter", "density", "profile", "region", "evenness", "parallel", "failures", "progress", "timeline")
    for place, kind in zip(places, kinds, strict=True):
        drawn(invented_figures(3, 2000, graded=kind in GRADED), kind, figure=place)
    return whole


def main(argv: list[str] | None = None) -> None:
    """Draw all figures, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        help="some of: gallery ladder population arms second_look hops alike climbs surrogates volume pulls saturation",
    )
    parser.add_argument("--pulls", type=Path, help="what tests.benchmarks.volume_pulls --json wrote")
    options = parser.parse_args(argv)
    wanted = options.names
    started = time.monotonic()
    made: dict[str, Followed] = {}

    def scan(name: str) -> Followed:
        if name not in made:
            batches = {"cos3": 22, "mhiggs5": 10}.get(name)
            problem = PROBLEMS[name]() if batches else band()
            made[name] = Followed(problem, batches or 4, 300 if batches else 60, note=_errors)
        return made[name]

    figures: dict[str, Callable[[], Figure]] = {
        "gallery": gallery,
        "ladder": ladder,
        "population": lambda: population(scan("band")),
        "arms": arms,
        "second_look": lambda: second_look(scan("mhiggs5")),
        "hops": hops,
        "alike": alike,
        "climbs": lambda: climbs(Followed(labelled(PROBLEMS["mhiggs5"]()), 15)),
        "surrogates": lambda: surrogates({name: scan(name) for name in ("cos3", "mhiggs5")}),
        "volume": lambda: volume(scan("band"), scan("cos3")),
        "saturation": lambda: saturation(scan("cos3")),
    }
    if options.pulls is not None:
        figures["pulls"] = lambda: pulls(options.pulls)
    WHERE.mkdir(exist_ok=True)
    for name, draw in figures.items():
        if not wanted or name in wanted:
            path = WHERE / f"{name}.png"
            _save(draw(), path)
            print(
                f"{path.name:16s} {path.stat().st_size / 1000:5.0f} kB  {time.monotonic() - started:4.0f} s", flush=True
            )


if __name__ == "__main__":
    main()
