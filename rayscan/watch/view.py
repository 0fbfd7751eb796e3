"""What there is to see of a run at one moment, as plain numbers and texts that JSON can hold."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from rayscan.progress import Progress, clock
from rayscan.results.failures import Failure


@dataclass(frozen=True, slots=True)
class Goal:
    """How far a scan is on its way to one of its goals.

    Attributes
    ----------
    name : str
    text : str
        Where it is, and where it is going.
    share : float
        In [0, 1].
    """

    name: str
    text: str
    share: float


@dataclass(frozen=True, slots=True)
class Origin:
    """How the points of one origin fare.

    Attributes
    ----------
    name : str
    points, valid : int
    recent : float or None
        The valid share of its part of the last thousand points; None where there is none among them.
    """

    name: str
    points: int
    valid: int
    recent: float | None


@dataclass(frozen=True, slots=True)
class Worker:
    """One evaluator, by the points that it has answered.

    Attributes
    ----------
    name : str
        With its host.
    points : int
    busy : float
        Share of the last minute spent on points that are finished, in [0, 1].
    quiet : float
        Seconds since its last answer; in a run that has ended, until its last point.
    """

    name: str
    points: int
    busy: float
    quiet: float


@dataclass(frozen=True, slots=True)
class Marginal:
    """The histogram of the valid points in one column.

    Attributes
    ----------
    name, unit : str
    low, high : float
        The ends of the axis.
    scale : str
        Of the axis: of a parameter its prior, in which unweighted draws of the prior are flat; ``"linear"`` of an
        observable.
    counts : tuple of int
    """

    name: str
    unit: str
    low: float
    high: float
    scale: str
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A point that was issued and has no row yet.

    Attributes
    ----------
    point_id : int
    seconds : float
        Since it was issued.
    origin : str
    """

    point_id: int
    seconds: float
    origin: str


@dataclass(frozen=True, slots=True)
class View:
    """A run at one moment.

    Attributes
    ----------
    path : str
    state : str
        In words, with the age of the news.
    live : bool
        Whether a scan writes into it.
    progress : Progress or None
        What the scan last said; None of one that has said nothing yet.
    line : str
        The same as one line.
    evaluations, valid : int
        Rows on the disk, which may be a second behind.
    acceptance : float
        The valid share of the last thousand rows.
    goals : tuple of Goal
    statuses : dict of str to int
    origins : tuple of Origin
    crew : dict of str to int
        Evaluators by what they do.
    workers : tuple of Worker
        The longest quiet first.
    failures : tuple of Failure
    marginals : tuple of Marginal
    under_way : int
        Points that were issued and have no row.
    slowest : tuple of UnderWay
        The oldest of them.
    messages : tuple of str
        The last lines of the log.
    """

    path: str
    state: str
    live: bool
    progress: Progress | None
    line: str
    evaluations: int
    valid: int
    acceptance: float
    goals: tuple[Goal, ...]
    statuses: dict[str, int]
    origins: tuple[Origin, ...]
    crew: dict[str, int]
    workers: tuple[Worker, ...]
    failures: tuple[Failure, ...]
    marginals: tuple[Marginal, ...]
    under_way: int
    slowest: tuple[UnderWay, ...]
    messages: tuple[str, ...]

    @property
    def facts(self) -> list[str]:
        """How it is going in numbers, a few words each."""
        facts = [f"{self.valid:,} valid of {self.evaluations:,}", f"acceptance {self.acceptance:.1%}"]
        if self.live and (now := self.progress) is not None:
            facts += [f"{now.rate:.3g} points/s", f"busy {now.busy:.0%}"]
            facts += [f"lag {now.lag:,} ({now.refit_seconds:.1f} s)"]
            facts += [f"ETA {clock(now.eta)}" if now.eta is not None else f"elapsed {clock(now.elapsed)}"]
        return facts + [f"{status} {count:,}" for status, count in self.statuses.items() if status != "ok"]


def as_dict(view: View) -> dict[str, Any]:
    """Return a view as lists, texts and finite numbers, with its `facts`."""
    return dataclasses.asdict(dataclasses.replace(view, progress=None)) | {"facts": view.facts}


def goals(progress: Progress, evaluations: int = 0, valid: int = 0) -> tuple[Goal, ...]:
    """Return how far a scan is with each of its goals; the counts may be newer than those of `progress`."""
    found, goal = [], progress.goal
    for name, now, end in (
        ("valid points", max(valid, progress.valid), goal.valid),
        ("evaluations", max(evaluations, progress.evaluations), goal.evaluations),
    ):
        if end is not None:
            found.append(Goal(name, f"{now:,} / {end:,}", min(now / max(end, 1), 1.0)))
    if goal.seconds is not None:
        text = f"{clock(progress.elapsed)} / {clock(goal.seconds)}"
        found.append(Goal("time", text, min(progress.elapsed / max(goal.seconds, 1e-9), 1.0)))
    if goal.coverage is not None:
        known = progress.coverage if progress.coverage is not None else 0.0
        text = f"{known:.1%} / {goal.coverage:.1%}" if progress.coverage is not None else f"? / {goal.coverage:.1%}"
        found.append(Goal("coverage", text, min(known / goal.coverage, 1.0)))
    if goal.volume_error is not None:
        error = progress.volume_error
        text = f"{error:.1%} → {goal.volume_error:.1%}" if error is not None else f"? → {goal.volume_error:.1%}"
        # Errors fall with the square root of the work.
        share = (goal.volume_error / error) ** 2 if error else 0.0
        found.append(Goal("volume error", text, min(share, 1.0)))
    return tuple(found)
