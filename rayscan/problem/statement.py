"""The problem: what is scanned, through what, for what. Its description decides whether a run may be resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError, did_you_mean
from rayscan.problem.space import Space, check_name
from rayscan.problem.target import Judgement, Target
from rayscan.tools.base import Tool

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """Space, tool and target, checked against each other.

    Attributes
    ----------
    space : Space
    tool : Tool
    target : Target
    """

    space: Space
    tool: Tool
    target: Target

    def __post_init__(self) -> None:
        for kind, value, expected in (
            ("space", self.space, Space),
            ("tool", self.tool, Tool),
            ("target", self.target, Target),
        ):
            if not isinstance(value, expected):
                msg = f"{kind}: expected a {expected.__name__}, got {value!r}"
                raise ConfigError(msg)

    @property
    def observables(self) -> tuple[str, ...]:
        """The observable columns: what the tool gives, then what the target derives. Length ``m``."""
        return (*self.tool.outputs, *self.target.derived)

    def written(self, labels: Mapping[str, str] | None, units: Mapping[str, str] | None) -> dict[str, dict[str, str]]:
        """Return ``labels`` and ``units`` of all that is known of: a user's, and for the rest the tool's.

        Raises
        ------
        ConfigError
            One of the user's is of no parameter or observable.
        """
        symbols = self.tool.symbols()
        known = (*self.space.names, *self.observables)
        answer = {
            "labels": {name: symbols[name].label for name in known if name in symbols and symbols[name].label},
            "units": {name: symbols[name].unit for name in known if name in symbols and symbols[name].unit},
        }
        for kind, given in (("labels", labels), ("units", units)):
            for name, text in (given or {}).items():
                if name not in known:
                    msg = f"{kind}: {name!r} is no parameter or observable{did_you_mean(name, known)}"
                    raise ConfigError(msg)
                answer[kind][name] = text
        return answer

    def check_keep(self, keep: str) -> None:
        """Refuse files that a tool is told to keep of some points by a scan that keeps those of none."""
        for tool in getattr(self.tool, "stages", (self.tool,)):
            asked = getattr(tool, "keep", None)
            if keep == "never" and asked in ("valid", "all"):
                msg = (
                    f"{tool.name}: keep = {asked!r} keeps nothing, for the scan's own keep is 'never'; expected keep = "
                    f"{asked!r} of the scan (under [scan]), and none of the tool"
                )
                raise ConfigError(msg)

    def check(self) -> None:
        """Find every mistake that can be found before anything starts.

        Raises
        ------
        ConfigError
        """
        for name in self.tool.outputs:
            check_name("observable", name)
            if name in self.space.names:
                msg = f"observable {name!r} has the name of a parameter; rename one of them"
                raise ConfigError(msg)
        self.target.check(self.tool.outputs, self.space.names)
        self.tool.bind(self.target, self.space.serving)
        self.tool.check(self.space.names)
        # Not by the tool: what is shipped is looked at where it comes from, not where it goes.
        _ = self.tool.parcels

    def complete(self, x: Array, outputs: Array) -> Array:
        """Append derived observables.

        Parameters
        ----------
        x : ndarray, shape (n, p)
        outputs : ndarray, shape (n, len(tool.outputs))

        Returns
        -------
        ndarray, shape (n, m)
        """
        if not self.target.derived:
            return outputs
        derived = self.target.derive(self._by_name(x, outputs, self.tool.outputs))
        return np.column_stack([outputs, *(np.broadcast_to(column, len(x)) for column in derived.values())])

    def judge(self, x: Array, observables: Array) -> Judgement:
        """Judge points ``(n, p)`` with observables ``(n, m)``."""
        return self.target.judge(self._by_name(x, observables, self.observables))

    def _by_name(self, x: Array, values: Array, names: tuple[str, ...]) -> dict[str, Array]:
        return {
            **{name: x[:, column] for column, name in enumerate(self.space.names)},
            **{name: values[:, column] for column, name in enumerate(names)},
        }

    def describe(self) -> dict[str, Any]:
        """Return what defines the problem, in plain types that JSON can hold."""
        description: dict[str, Any] = {
            "space": self.space.to_dict(),
            "target": self.target.to_dict(),
            "tool": self.tool.describe(),
        }
        if self.tool.parcels:
            description["shipped"] = {parcel.source: {"sha256": parcel.digest} for parcel in self.tool.parcels}
        if self.space.conditions:
            description["where"] = list(self.space.conditions)
        plain: dict[str, Any] = json.loads(json.dumps(description, default=str))
        return plain
