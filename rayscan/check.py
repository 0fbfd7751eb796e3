"""One point through a scan's tools, with everything that happened to it: what ``rayscan check`` shows."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError, RayscanError, ToolError, did_you_mean
from rayscan.problem.constraints import Above, Below, Constraint, Gaussian, Window
from rayscan.problem.joint import Joint
from rayscan.problem.priors import Prior
from rayscan.problem.space import Space
from rayscan.problem.statement import Problem
from rayscan.tools.base import Outcomes, Points, Stage, Status
from rayscan.tools.chain import Chain
from rayscan.tools.command import Command

Details = dict[str, Any]
Array = NDArray[np.float64]
DRAWS = 10_000
"""Points of which the one is taken that is closest to the middle."""


def point_of(space: Space, given: Mapping[str, float]) -> Array:
    """Return a physical point ``(1, p)``: the given values, the middle of the prior for the others.

    Where a condition does not hold in the middle, the others are as close to it as one of some draws comes.

    Raises
    ------
    ConfigError
        For a value out of its range, a name that is not scanned, or values with which no point was found.
    """
    for name, value in given.items():
        if name not in space.free:
            kind = "is not scanned, so it cannot be set" if name in space.names else "is no parameter"
            msg = f"--point {name}={value:g}: {name!r} {kind}{did_you_mean(name, space.free)}"
            raise ConfigError(msg)
        prior, (low, high) = space[name], space.bounds(name)
        inside = low <= value <= high
        if not isinstance(prior, Joint):
            assert isinstance(prior, Prior)
            inside = 0 <= float(prior.to_unit(np.array([value]))[0]) <= 1
        if not inside:
            msg = f"--point {name}={value:g}: expected a value in the range of {name!r}, {low:g} to {high:g}"
            raise ConfigError(msg)
    middle = _with(space, np.full((1, space.d), 0.5), given)
    if space.admits(middle)[0]:
        return middle
    u = space.domain.draw(DRAWS, np.random.default_rng(0))
    apart = [axis for axis, name in enumerate(space.free) if not isinstance(space[name], Joint)]
    u[:, [axis for axis in apart if axis not in space.domain.axes]] = 0.5
    x = _with(space, u[np.argsort(((u - 0.5) ** 2).sum(axis=1))], given)
    admitted = np.flatnonzero(space.admits(x))
    if not len(admitted):
        told = " ".join(f"{name}={value:g}" for name, value in given.items())
        joint = ", ".join(dict.fromkeys(str(space[name]) for name in given if isinstance(space[name], Joint)))
        rule = f"with {joint}" if space.hold(middle)[0] else f"that satisfy {space.broken(middle[0])!r}"
        msg = f"--point {told}: expected values {rule}; none of {DRAWS:,} draws of the other parameters goes with these"
        raise ConfigError(msg)
    return x[admitted[:1]]


def _with(space: Space, u: Array, given: Mapping[str, float]) -> Array:
    """Return the points at places ``(n, d)``, with the given values in place of some of theirs."""
    x = space.to_physical(u)
    # The middle of a logarithmic range is 1000, not the 1000.0000000000007 that logarithms make of it.
    columns = [np.full(len(x), given[name]) if name in given else _rounded(x[:, space.names.index(name)])
               for name in space.free]  # fmt: skip
    return space.complete(np.column_stack(columns))


def _rounded(values: Array) -> Array:
    """Return numbers without the digits that only rounding errors have."""
    return np.array([float(f"{value:.12g}") for value in values.tolist()])


def check_point(problem: Problem, given: Mapping[str, float], scratch: str | None = None) -> Details:
    """Evaluate one point in this process and tell all about it.

    Parameters
    ----------
    problem : Problem
    given : mapping of str to float
        Values of scanned parameters; the others are in the middle of their priors.
    scratch : str, optional
        Root of the scratch directories.

    Returns
    -------
    dict
        ``point``, ``status``, ``message``, ``observables``, ``constraints``, ``valid``, ``likelihood``, ``penalty`` and
        ``stages``, in plain types that JSON can hold.

    Raises
    ------
    ConfigError
        Whatever is wrong before the point is run.
    ToolError
        The tool could not be opened: a package cannot be imported, a data set not read.
    """
    from pathlib import Path

    from rayscan.engine.evaluator import Evaluator

    x = point_of(problem.space, given)
    try:
        evaluator = Evaluator(
            problem.tool,
            problem.space.names,
            run_id=f"check-{secrets.token_hex(4)}",
            scratch=Path(scratch) if scratch else None,
            verbose=True,
        )
    except RayscanError:
        raise
    except Exception as error:
        # Opening runs code of packages and of users, which may raise anything.
        msg = f"{problem.tool.name} cannot be opened: {type(error).__name__}: {error}"
        raise ToolError(msg) from error
    try:
        points = Points(np.zeros(1, dtype=np.int64), x, np.ones(1, dtype=np.int32))
        outcome = next(iter(evaluator.evaluate(points)))
    finally:
        evaluator.close()
    return _details(problem, x, outcome)


def _details(problem: Problem, x: np.ndarray[Any, np.dtype[np.float64]], outcome: Outcomes) -> Details:
    observables = problem.complete(x, outcome.observables)
    judgement = problem.judge(x, observables)
    status = Status(int(outcome.status[0]))
    values = dict(zip(problem.observables, map(float, observables[0]), strict=True))
    seconds = float(outcome.ended[0] - outcome.started[0])
    stages = outcome.stages[0] or (Stage(problem.tool.name, status, seconds, _read(problem, outcome)),)
    return {
        "point": dict(zip(problem.space.names, map(float, x[0]), strict=True)),
        "status": status.label,
        "message": outcome.message[0],
        "seconds": seconds,
        "stages": [
            {
                "name": stage.name,
                "status": "skipped" if stage.status is None else stage.status.label,
                "seconds": stage.seconds,
                **stage.details,
            }
            for stage in stages
        ],
        "observables": {name: _number(value) for name, value in values.items()},
        "constraints": _constraints(problem, values),
        "valid": bool(judgement.valid[0]) and status is Status.OK,
        "likelihood": _number(float(judgement.likelihood[0])),
        "penalty": _number(float(judgement.penalty[0])),
    }


def _read(problem: Problem, outcome: Outcomes) -> Details:
    """Tell what a tool gave that keeps no record of its stages."""
    given = zip(problem.tool.outputs, map(float, outcome.observables[0]), strict=True)
    return {"read": {name: {"value": _number(value)} for name, value in given}}


def preflight(problem: Problem, scratch: str | None = None) -> str:
    """Try a scan's programs on one point, before the scan starts anything.

    The point is the middle of every prior. Functions and packages are not tried, because each evaluator opens them
    anyway, nor tools that are warmed up, which is a trial in itself.

    Parameters
    ----------
    problem : Problem
    scratch : str, optional
        Root of the scratch directories.

    Returns
    -------
    str
        Why no point is likely to work; empty when the programs ran, whatever they said of the point.
    """
    tool = problem.tool
    if tool.needs_warm_up or not isinstance(tool, Command | Chain):
        return ""
    details = check_point(problem, {}, scratch)
    return details["message"] if details["status"] == Status.TOOL_ERROR.label else ""


def _constraints(problem: Problem, values: Mapping[str, float]) -> dict[str, Details]:
    told: dict[str, Details] = {}
    for name, constraint in problem.target.constraints.items():
        value = values[name]
        distance = float(constraint.distance(np.array([value]))[0]) if math.isfinite(value) else math.nan
        told[name] = {"wants": _demand(constraint), "value": _number(value), "distance": _number(distance)}
    if problem.target.labels is not None:
        value = values[problem.target.labels]
        told[problem.target.labels] = {
            "wants": "a label above 0.5",
            "value": _number(value),
            "distance": _number(math.nan if math.isnan(value) else float(value <= 0.5)),
        }
    return told


def _demand(constraint: Constraint) -> str:
    match constraint:
        case Window(lo, hi):
            return f"[{lo:g}, {hi:g}]"
        case Gaussian(value, (minus, plus)):
            return f"{value:g} ± {plus:g}" if minus == plus else f"{value:g} +{plus:g} -{minus:g}"
        case Below(limit, sigma) | Above(limit, sigma):
            sign = "<" if isinstance(constraint, Below) else ">"
            return f"{sign} {limit:g}" + (f" (sigma {sigma:g})" if sigma is not None else "")
    return str(constraint)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def text_of(details: Details) -> str:
    """Return what `check_point` found as text for a terminal."""
    return "\n".join(
        [
            "Point",
            *(f"  {name} = {value!r}" for name, value in details["point"].items()),
            *(line for number, stage in enumerate(details["stages"], 1) for line in _stage(number, stage)),
            *_verdict(details),
        ]
    )


def _stage(number: int, stage: Details) -> Iterator[str]:
    yield ""
    yield f"Stage {number}: {stage['name']}   {stage['status']}   {stage['seconds']:.3g} s"
    for name, file in stage.get("written", {}).items():
        yield f"  written  {name}, {file['bytes']:,} bytes, made from {file['source']}"
        for change in file["changes"]:
            line = f"line {change['line']}" if change["line"] else "added"
            what = f"{change['address']}: {change['old'] or '(nothing)'} → {change['new']}"
            yield f"             {line}   {what}   ({change['parameter'] or 'fixed'})"
    yield from _run(stage)
    for name, reading in stage.get("read", {}).items():
        if not isinstance(reading, dict):
            continue
        value = "missing" if reading.get("value") is None else repr(reading["value"])
        problem = f"   {reading['problem']}" if reading.get("problem") else ""
        # What is missing says itself where it was looked for.
        where = f"   from {reading['where']}" if reading.get("where") and not problem else ""
        yield f"  read     {name} = {value}{where}{problem}"


def _run(stage: Details) -> Iterator[str]:
    command = stage.get("command")
    if command:
        for words in command if isinstance(command[0], list) else [command]:
            yield f"  run      {_shell(words)}"
        yield f"  in       {stage['directory']} (removed afterwards)"
        ending = "time-out" if stage.get("timed_out") else f"exit code {stage['exit']}"
        if stage.get("signal") is not None:
            ending += f", signal {stage['signal']}"
        yield f"  ended    {ending}"
    for stream in ("stdout", "stderr"):
        said = (stage.get(stream) or "").strip("\n")
        if said:
            yield f"  {stream}"
            yield from (f"    | {line}" for line in said.splitlines())


def _verdict(details: Details) -> Iterator[str]:
    yield ""
    yield f"Result: {details['status']}{': ' + details['message'] if details['message'] else ''}"
    for name, value in details["observables"].items():
        if name not in details["constraints"]:
            yield f"  {name} = {'missing' if value is None else repr(value)}"
    for name, told in details["constraints"].items():
        value = "missing" if told["value"] is None else repr(told["value"])
        distance = told["distance"]
        judged = "not known" if distance is None else "holds" if distance == 0 else f"{distance:.4g} away"
        yield f"  {name} = {value}   wants {told['wants']}: {judged}"
    likelihood = details["likelihood"]
    yield (
        ("Valid" if details["valid"] else "Not valid")
        + (f": likelihood {likelihood:.4g}" if likelihood is not None else "")
        + (f", penalty {details['penalty']:.4g}" if details["penalty"] is not None else "")
    )


def _shell(words: Sequence[str]) -> str:
    import shlex

    return shlex.join(words)
