"""How a scan is run: everything that is neither the problem nor the goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rayscan.errors import ConfigError
from rayscan.learn.options import LearnOptions

KEEP = ("never", "valid", "all")


@dataclass(frozen=True)
class ScanOptions:
    """The knobs of the engine.

    Attributes
    ----------
    learn : LearnOptions
    evaluators : int, (int, int) or None
        Evaluators at work; two numbers are the least and the most. None means as many as the cluster has room for, by
        the tool's cores and memory, also of nodes that join later; 0 means one in this process and no Ray.
    seed : int
        Of every random number.
    deterministic : bool
        Rounds of ``K`` in fixed order: same seed, same points, whatever the machine's load. Evaluators wait for each
        other and for the network.
    keep : {"never", "valid", "all"}
        Whose output files are kept in the run directory, when the tool offers any.
    max_tool_errors : float
        The scan stops when more than this share of recent points ended in a technical failure.
    scratch : str or None
        Root of the scratch directories; None chooses memory-backed storage where there is room.
    drain : float
        Seconds that points under way get to finish when a scan is interrupted.
    labels : mapping of str to str or None
        What parameters and observables are called in figures, in TeX, such as ``{"mh": "$m_h$"}``. Those that are read
        from or written to well-known SLHA entries have labels of their own.
    units : mapping of str to str or None
        Their units, such as ``{"omega": "pb"}``.
    """

    learn: LearnOptions = field(default_factory=LearnOptions)
    evaluators: int | tuple[int, ...] | None = None
    seed: int = 0
    deterministic: bool = False
    keep: str = "never"
    max_tool_errors: float = 0.5
    scratch: str | None = None
    drain: float = 30.0
    labels: dict[str, str] | None = None
    units: dict[str, str] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.evaluators, list | tuple):
            object.__setattr__(self, "evaluators", _least_and_most(self.evaluators))
        elif self.evaluators is not None and (not isinstance(self.evaluators, int) or self.evaluators < 0):
            msg = f"evaluators = {self.evaluators!r}; expected a number >= 0 (0: in this process, without Ray)"
            raise ConfigError(msg)
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            msg = f"seed = {self.seed!r}; expected a whole number >= 0"
            raise ConfigError(msg)
        if self.keep not in KEEP:
            msg = f"keep = {self.keep!r}; expected one of {', '.join(KEEP)}"
            raise ConfigError(msg)
        if not 0 < self.max_tool_errors <= 1:
            msg = f"max_tool_errors = {self.max_tool_errors!r}; expected a share in (0, 1]"
            raise ConfigError(msg)
        if self.scratch is not None and not self.scratch.startswith("~"):
            # Evaluators start in other directories than the user, and homes may differ from node to node.
            object.__setattr__(self, "scratch", str(Path(self.scratch).absolute()))

    def to_dict(self) -> dict[str, Any]:
        """Describe the options in plain types, as saved with the data."""
        plain = {name: value for name, value in vars(self).items() if name != "learn"}
        return {"learn": self.learn.to_dict(), **plain}


def _least_and_most(given: Sequence[Any]) -> tuple[int, ...]:
    """Return the bounds of an elastic pool."""
    if len(given) != 2 or not all(isinstance(one, int) for one in given) or not 1 <= given[0] <= given[1]:
        msg = f"evaluators = {list(given)!r}; expected the least and the most, with 1 <= least <= most: [4, 100]"
        raise ConfigError(msg)
    return (given[0], given[1])
