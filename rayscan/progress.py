"""How a scan is getting on, as numbers and as one line."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rayscan.errors import ConfigError
from rayscan.plain_file import read_plain

if TYPE_CHECKING:
    from rayscan.learn.options import LearnOptions

PROGRESS_FILE = "progress.json"
"""Where in its run directory a running scan says how it is getting on."""
PROGRESS_BYTES = 4096
"""Its size: a block of the disk, that always has room for what a scan in trouble has to say."""
_COUNTS = ("valid", "evaluations", "steps")
"""Goals that are counted, of which a half would be a slip of the hand."""


@dataclass(frozen=True, slots=True)
class Goal:
    """When a scan ends: at whichever comes first. Totals count what the run directory already holds.

    Attributes
    ----------
    valid : int or None
        Points in target.
    evaluations : int or None
        Points issued.
    seconds : float or None
        Wall time of this session; the points under way are finished.
    coverage : float or None
        The share of the valid region that is within reach of the points found, in (0, 1), which the estimate exceeds by
        its error; see `rayscan.results.saturation.estimate_coverage`.
    volume_error : float or None
        The relative standard error of the valid volume; see `rayscan.results.volume.estimate_volume`.
    ends : float or None
        Unix time at which the batch job of this session ends: no goal, but by then everything is saved.
    """

    valid: int | None = None
    evaluations: int | None = None
    seconds: float | None = None
    coverage: float | None = None
    volume_error: float | None = None
    ends: float | None = None

    @property
    def probed(self) -> bool:
        """Whether it depends on points of known density."""
        return self.coverage is not None or self.volume_error is not None

    def later(self, seconds: float) -> Goal:
        """Return the same goal so many seconds later."""
        return self if self.seconds is None else replace(self, seconds=max(self.seconds - seconds, 0.0))


def make_goal(
    valid: int | None,
    evaluations: int | None,
    seconds: float | None,
    steps: int | None,
    coverage: float | None = None,
    volume_error: float | None = None,
) -> Goal:
    """Return the goal that a user asked for.

    Raises
    ------
    ConfigError
        There is none; a number is not positive; a count is not whole; a share is not below 1.
    """
    given: dict[str, float | None] = {
        "valid": valid, "evaluations": evaluations, "time_limit": seconds, "steps": steps, "coverage": coverage,
        "volume_error": volume_error,
    }  # fmt: skip
    if all(value is None for value in given.values()):
        msg = f"the scan has no goal; expected at least one of {', '.join(f'{name}=' for name in given)}"
        raise ConfigError(msg)
    for name, value in given.items():
        if value is None:
            continue
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not number or not value > 0:
            msg = f"{name} = {value!r}; expected a positive number"
            raise ConfigError(msg)
        if name in _COUNTS and value != value // 1:
            msg = f"{name} = {value!r}; expected a whole number of {'steps' if name == 'steps' else 'points'}"
            raise ConfigError(msg)
    for name in ("coverage", "volume_error"):
        share = given[name]
        if share is not None and not share < 1:
            msg = f"{name} = {share!r}; expected a share between 0 and 1, such as 0.95 or 0.05"
            raise ConfigError(msg)
    return Goal(whole(valid), whole(evaluations), seconds, coverage, volume_error)


def require_measurable(goal: Goal, learn: LearnOptions, d: int) -> None:
    """Refuse a goal that cannot be measured, before anything is started.

    Raises
    ------
    ConfigError
    """
    from rayscan.learn.data import NEAR
    from rayscan.learn.proposer import draws_probes

    if goal.coverage is not None and d > NEAR:
        msg = f"coverage = {goal.coverage:g}: distances tell coverage in up to {NEAR} parameters, got {d}; expected "
        msg += "another goal (valid, evaluations, volume_error)"
        raise ConfigError(msg)
    if goal.probed and not draws_probes(learn):
        msg = (
            f"goals of coverage and volume_error are measured by points of known density, and a scan with surrogate = "
            f"{learn.surrogate!r} and selection = {learn.selection!r} chooses all its points by score; expected the "
            "default method (surrogate = 'auto', selection = 'default'), or other goals"
        )
        raise ConfigError(msg)


def whole(count: float | None) -> int | None:
    """Return a count that may have been written as a float, as 1e4."""
    return None if count is None else int(count)


@dataclass(frozen=True, slots=True)
class Progress:
    """A snapshot of a running scan.

    Attributes
    ----------
    state : str
        ``starting``, ``scanning``, ``draining``, ``paused: …`` or, in the end, what `rayscan.ending.Ending` says.
    evaluations, issued, valid : int
        Rows so far, points issued so far (rows and points under way), rows in target.
    statuses : dict of str to int
        Rows by status.
    acceptance : float
        Valid share of the last thousand rows.
    rate : float
        Rows a second, over the last minute or so.
    busy : float
        Share of the evaluators' time spent on points since the first was issued in this session.
    lag : int
        Rows that the current proposals were made without.
    generation : int
        Refits behind the current proposals.
    refit_seconds : float
        What the last round of learning took.
    elapsed : float
        Seconds of this session.
    goal : Goal
    evaluators, wanted, left_out, lost : int
        Evaluators at work, how many there should be, nodes that cannot run the tool, and points issued again because an
        evaluator died.
    coverage, coverage_error : float or None
        The share of the valid region within reach, and its standard error, where the goal asks for it and it is known.
    volume_error : float or None
        The relative error of the valid volume, likewise.
    ending : str
        In the end, the name of its `rayscan.ending.End`; empty before.
    crew : dict of str to int
        Evaluators by what they do: ``working``, ``waiting``, ``starting``, ``away``.
    """

    state: str
    evaluations: int = 0
    issued: int = 0
    valid: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    acceptance: float = 0.0
    rate: float = 0.0
    busy: float = 0.0
    lag: int = 0
    generation: int = 0
    refit_seconds: float = 0.0
    elapsed: float = 0.0
    goal: Goal = Goal()
    evaluators: int = 0
    lost: int = 0
    wanted: int = 0
    left_out: int = 0
    coverage: float | None = None
    coverage_error: float | None = None
    volume_error: float | None = None
    ending: str = ""
    crew: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, published: Mapping[str, Any]) -> Progress:
        """Return what `published` read, without what another version added."""
        goal = published.get("goal", {})
        known = {name: published[name] for name in cls.__dataclass_fields__ if name in published}
        return cls(**known | {"goal": Goal(**{name: goal[name] for name in Goal.__dataclass_fields__ if name in goal})})

    @property
    def eta(self) -> float | None:
        """Seconds left at the present rate and acceptance, or None when that cannot be said."""
        left: list[float] = []
        if self.goal.valid is not None and self.rate * self.acceptance > 0:
            left.append((self.goal.valid - self.valid) / (self.rate * self.acceptance))
        if self.goal.evaluations is not None and self.rate > 0:
            left.append((self.goal.evaluations - self.evaluations) / self.rate)
        if self.goal.seconds is not None:
            left.append(self.goal.seconds - self.elapsed)
        return max(0.0, min(left)) if left else None

    def line(self) -> str:
        """Return one line: valid/goal, evaluations, acceptance, points/s, busy share, refit lag, time left."""
        valid = f"{self.valid:,}/{self.goal.valid:,}" if self.goal.valid is not None else f"{self.valid:,}"
        total = (
            f"{self.evaluations:,}/{self.goal.evaluations:,}"
            if self.goal.evaluations is not None
            else f"{self.evaluations:,}"
        )
        failed = self.evaluations - self.statuses.get("ok", 0)
        parts = [
            f"valid {valid}",
            f"evaluations {total}",
            f"acceptance {self.acceptance:.1%}",
            f"{self.rate:.3g} points/s",
            f"busy {self.busy:.0%}",
            f"lag {self.lag:,} ({self.refit_seconds:.1f} s)",
        ]
        if self.wanted > 1 or self.evaluators != self.wanted:
            parts.append(f"evaluators {self.evaluators:,}/{self.wanted:,}")
        if self.left_out:
            parts.append(f"nodes left out {self.left_out} (see the log)")
        parts += self._probed()
        if failed:
            parts.append(f"not ok {failed:,}")
        if self.lost:
            parts.append(f"re-issued {self.lost:,}")
        parts.append(f"ETA {clock(self.eta)}" if self.eta is not None else f"elapsed {clock(self.elapsed)}")
        if self.goal.ends is not None and not self.ending:
            parts.append(f"job ends in {clock(max(0.0, self.goal.ends - time.time()))}")
        line = " · ".join(parts)
        return line if self.state == "scanning" else f"{line} · {self.state}"

    def _probed(self) -> list[str]:
        """Return what the goal asks of unbiased points, and how far it is."""
        parts = []
        if self.goal.coverage is not None:
            known = self.coverage is not None and self.coverage_error is not None
            now = f"{self.coverage:.1%} ± {self.coverage_error:.1%}" if known else "?"
            parts.append(f"covered {now}/{100 * self.goal.coverage:g}%")
        if self.goal.volume_error is not None:
            now = f"{self.volume_error:.1%}" if self.volume_error is not None else "?"
            parts.append(f"volume error {now}/{100 * self.goal.volume_error:g}%")
        return parts


def publish(run: Path, progress: Progress) -> None:
    """Write how a scan is getting on into its run directory.

    Raises
    ------
    OSError
        It cannot be written.
    """
    path = run / PROGRESS_FILE
    part = path.with_suffix(".part")
    text = json.dumps({**asdict(progress), "time": time.time()}).ljust(PROGRESS_BYTES)
    try:
        part.write_text(text)
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        # On a full disk what is there can still be written over.
        with path.open("r+") as file:
            file.write(text)


def published(run: Path) -> dict[str, Any] | None:
    """Return what a scan last wrote into its run directory of its progress, with the ``time``, or None."""
    try:
        found = json.loads(read_plain(run.expanduser() / PROGRESS_FILE))
    except (OSError, ValueError):
        return None
    whole = isinstance(found, dict) and isinstance(found.get("state"), str) and isinstance(found.get("goal", {}), dict)
    return found if whole else None


def in_words(goal: Goal) -> str:
    """Return a goal as a phrase, empty where there is none."""
    parts = [
        f"{count:,} {what}"
        for count, what in ((goal.valid, "valid points"), (goal.evaluations, "evaluations"))
        if count is not None
    ]
    if goal.seconds is not None:
        parts.append(f"{clock(goal.seconds)} of wall time")
    if goal.coverage is not None:
        parts.append(f"{goal.coverage:.1%} of the valid region covered")
    if goal.volume_error is not None:
        parts.append(f"the valid volume known to {goal.volume_error:.1%}")
    return ", or ".join(parts)


def clock(seconds: float) -> str:
    """Format a duration as ``1:02:03`` or ``2:03``."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
