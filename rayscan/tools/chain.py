"""Several tools on one point, one after another, stopping as soon as the point is lost."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rayscan.errors import ConfigError, did_you_mean
from rayscan.tools.base import Outcome, Stage, Status, Tool
from rayscan.tools.command import Command, Keep
from rayscan.tools.verdict import clip

if TYPE_CHECKING:
    from rayscan.problem.target import Target
    from rayscan.sandbox.sandbox import Sandbox
    from rayscan.slha.symbols import Symbol

ALL = "all"


class Chain(Tool):
    """Stages that share a point's directory: what one writes, the next may read.

    Every stage gets the parameters and the observables of the stages before it. A stage that is not ok ends the chain
    and gives the point its status. Before a stage named in `when`, the constraints named there are looked at: if one
    already fails, the chain ends there with the point still ok, since nothing went wrong; the observables of the stages
    that did not run are NaN, so that the point is never valid, and their `Stage.status` is None.

    Parameters
    ----------
    stages : sequence of Tool
        Cheap ones first. Their names and their observables must differ.
    when : mapping of str to str or sequence of str, optional
        Stage to the constraint or constraints of the target that must hold before it is run; ``"all"`` means all those
        whose observables are known by then.
    target : Target, optional
        Where the constraints are. `bind` sets it, too, which a scan does.
    unused : sequence of str
        Parameters that are deliberately given to no stage.
    name : str

    Raises
    ------
    ConfigError
        For no stages, the same name or observable twice, or a stage in `when` that is not there.

    Notes
    -----
    A constraint on a measured value (`Gaussian`, or a limit with a tail) counts as failed when those named together
    already make the point's likelihood too low, whatever the later ones say.
    """

    def __init__(
        self,
        stages: Sequence[Tool],
        *,
        when: Mapping[str, str | Sequence[str]] | None = None,
        target: Target | None = None,
        unused: Sequence[str] = (),
        name: str = "chain",
    ) -> None:
        self.stages = tuple(stages)
        self.name = name
        self.unused = tuple(unused)
        self.target = target
        names = [stage.name for stage in self.stages]
        if not names:
            msg = "Chain([]): expected at least one tool"
            raise ConfigError(msg)
        _refuse_twice("stage", names, "give one of them another name=")
        self.outputs = tuple(output for stage in self.stages for output in stage.outputs)
        _refuse_twice("observable", self.outputs, "read it in one stage only, or rename one")
        self.when = {stage: (held,) if isinstance(held, str) else tuple(held) for stage, held in (when or {}).items()}
        for stage in self.when:
            if stage not in names:
                msg = f"when: there is no stage {stage!r}{did_you_mean(stage, names)}"
                raise ConfigError(msg)
        self.cores = max(stage.cores for stage in self.stages)
        self.memory = max(stage.memory for stage in self.stages)
        needs = {name for stage in self.stages for name in stage.resources}
        self.resources = {name: max(stage.resources.get(name, 0.0) for stage in self.stages) for name in needs}
        self.ship = tuple(dict.fromkeys(path for stage in self.stages for path in stage.ship))
        self.needs_warm_up = any(stage.needs_warm_up for stage in self.stages)

    def bind(self, target: Target, serving: Sequence[str] = ()) -> None:
        """Hear which constraints `when` speaks of."""
        super().bind(target, serving)
        self.target = target

    @property
    def keep(self) -> Keep:
        """The most generous of the stages' policies."""
        policies = {getattr(stage, "keep", "never") or "valid" for stage in self.stages}
        return "all" if "all" in policies else "valid" if "valid" in policies else "never"

    @property
    def deadline(self) -> float | None:  # type: ignore[override]
        """The stages' deadlines and time-outs together; None when one has neither."""
        budgets = [stage.deadline or getattr(stage, "timeout", None) for stage in self.stages]
        if not any(stage.deadline for stage in self.stages) or None in budgets:
            return None
        return math.fsum(budget for budget in budgets if budget is not None)

    def check(self, parameters: Sequence[str]) -> None:
        known = list(parameters)
        for stage in self.stages:
            self._check_when(stage.name, known)
            if isinstance(stage, Command):
                stage.check_stage(known)
            else:
                stage.check(list(parameters) if stage.vectorized else known)
            known += stage.outputs
        self._check_used(parameters)

    def _check_used(self, parameters: Sequence[str]) -> None:
        """Refuse a parameter that reaches no program; a Python stage may use any."""
        commands = [stage for stage in self.stages if isinstance(stage, Command)]
        if len(commands) < len(self.stages):
            return
        used = {*self.unused, *(name for stage in commands for name in (*stage.needs, *stage.unused))}
        for name in parameters:
            if name not in used:
                msg = (
                    f"{self.name}: parameter {name!r} is written by no stage, so it cannot change the result; expected "
                    f"it in the write= of one of {', '.join(s.name for s in self.stages)}, or unused=[{name!r}]"
                )
                raise ConfigError(msg)

    def _check_when(self, stage: str, known: Sequence[str]) -> None:
        held = self.when.get(stage, ())
        if not held:
            return
        if self.target is None:
            msg = (
                f"stage {stage!r} has when = {list(held)}, but the chain knows no target; call bind(target), or target="
            )
            raise ConfigError(msg)
        if held == (ALL,):
            if not self._constraints(stage, known):
                msg = f"stage {stage!r} has when = 'all', but no constraint of the target is known before it"
                raise ConfigError(msg)
            return
        for name in held:
            if name not in self.target.constraints:
                hint = did_you_mean(name, self.target.constraints)
                msg = f"stage {stage!r}: when = {name!r} is no constraint of the target{hint}"
                raise ConfigError(msg)
            if not self._is_known(name, known):
                msg = (
                    f"stage {stage!r}: when = {name!r} is not known before it runs; put the stage that gives it earlier"
                )
                raise ConfigError(msg)

    def describe(self) -> dict[str, Any]:
        return {
            "tool": "Chain",
            "outputs": list(self.outputs),
            "stages": [{"name": stage.name, **stage.describe()} for stage in self.stages],
            "when": {stage: list(held) for stage, held in self.when.items()},
        }

    def symbols(self) -> dict[str, Symbol]:
        return {name: symbol for stage in reversed(self.stages) for name, symbol in stage.symbols().items()}

    def hasten(self, limits: Mapping[str, float]) -> None:
        for stage in self.stages:
            stage.hasten(limits)

    def open(self, scratch: Path) -> None:
        for number, stage in enumerate(self.stages):
            place = Path(scratch) / f"stage-{number}"
            place.mkdir(parents=True, exist_ok=True)
            stage.open(place)

    def close(self) -> None:
        for stage in self.stages:
            stage.close()

    def evaluate(self, point: Mapping[str, float], sandbox: Sandbox) -> Outcome:
        return self._go(point, sandbox, warm_up=False)

    def warm_up(self, point: Mapping[str, float], sandbox: Sandbox) -> Outcome:
        """Run every stage on one point, whatever the constraints say, so that first uses are over."""
        return self._go(point, sandbox, warm_up=True)

    def _go(self, point: Mapping[str, float], sandbox: Sandbox, *, warm_up: bool) -> Outcome:
        values = dict(point)
        observables: dict[str, float] = {}
        records: list[Stage] = []
        kept: dict[str, bytes] = {}
        notes: list[str] = []
        last = Outcome(Status.OK)
        for number, stage in enumerate(self.stages):
            lost = "" if warm_up else self._lost(stage.name, values)
            if lost:
                notes.append(lost)
            else:
                last = self._stage(stage, point if stage.vectorized else values, sandbox, records, warm_up=warm_up)
                observables.update(last.observables)
                values.update({name: last.observables.get(name, math.nan) for name in stage.outputs})
                notes += [last.message] if last.message else []
                for name, content in last.kept.items():
                    kept[name if name not in kept else f"{stage.name}-{name}"] = content
            if lost or last.status is not Status.OK:
                records += [Stage(s.name, None, 0.0) for s in self.stages[number if lost else number + 1 :]]
                break
        return Outcome(
            last.status, observables, clip("; ".join(notes)), last.exit_code, last.signal, tuple(records), kept
        )

    def _stage(
        self, stage: Tool, point: Mapping[str, float], sandbox: Sandbox, records: list[Stage], *, warm_up: bool
    ) -> Outcome:
        """Run one stage and append its record; what it raises is a failure that keeps the earlier observables."""
        started = time.perf_counter()
        try:
            warm = getattr(stage, "warm_up", None) if warm_up else None
            outcome: Outcome = warm(point, sandbox) if warm is not None else stage.evaluate(point, sandbox)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a bug of one stage must not lose what the others found
            message = f"stage {stage.name!r} raised {type(error).__name__}: {error}"
            outcome = Outcome(Status.TOOL_ERROR, message=clip(message))
        seconds = time.perf_counter() - started
        if outcome.stages:
            records += outcome.stages
        else:
            details = {"read": {n: {"value": v} for n, v in outcome.observables.items()}} if sandbox.verbose else {}
            records.append(Stage(stage.name, outcome.status, seconds, details))
        return outcome

    def _lost(self, stage: str, values: Mapping[str, float]) -> str:
        """Return which constraint already fails before a stage, empty when none does."""
        if stage not in self.when:
            return ""
        assert self.target is not None
        soft = 0.0
        for name in self._constraints(stage, list(values)):
            constraint = self.target.constraints[name]
            value = self._value(name, values)
            if math.isnan(value):
                return f"stopped before {stage!r}: {name} is missing"
            if math.isinf(value):
                return f"stopped before {stage!r}: {name} = {value} fulfils no constraint"
            chi2 = float(constraint.chi2(np.array([value]))[0])
            soft += 0.0 if constraint.hard else chi2
            if (constraint.hard and chi2 > 0) or math.exp(-soft / 2) <= self.target.threshold:
                return f"stopped before {stage!r}: {name} = {value:.10g} is out of target"
        return ""

    def _constraints(self, stage: str, known: Sequence[str]) -> list[str]:
        """Return the constraints that `when` names for a stage."""
        held = self.when[stage]
        assert self.target is not None
        return (
            [name for name in self.target.constraints if self._is_known(name, known)] if held == (ALL,) else list(held)
        )

    def _is_known(self, name: str, known: Sequence[str]) -> bool:
        """Whether an observable is given, or can be derived from what is given."""
        assert self.target is not None
        if name in known:
            return True
        expression = self.target.derived.get(name)
        return expression is not None and all(self._is_known(needed, known) for needed in expression.names)

    def _value(self, name: str, values: Mapping[str, float]) -> float:
        assert self.target is not None
        if name in values:
            return values[name]
        expression = self.target.derived[name]
        needed = {other: np.array([self._value(other, values)]) for other in expression.names}
        return float(np.broadcast_to(expression(needed), 1)[0])


def _refuse_twice(kind: str, names: Sequence[str], advice: str) -> None:
    for name in names:
        if names.count(name) > 1:
            msg = f"Chain: {kind} {name!r} is there twice; {advice}"
            raise ConfigError(msg)
