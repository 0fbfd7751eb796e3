"""What was scanned, from the description that is saved with the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from rayscan.results.report.section import Section
from rayscan.results.report.wording import between, inline

_TOLD = {"tool", "name", "outputs", "stages", "when", "command", "programs", "files", "read"}
"""What the rows of a tool say in words of their own."""


def problem_sections(description: Mapping[str, Any], units: Mapping[str, str]) -> list[Section]:
    """Return the tables of parameters, target and tool.

    Parameters
    ----------
    description : mapping
        Of a `rayscan.store.RunDirectory`. Entries that this version does not know are shown as they are.
    units : mapping of str to str
        Column to its unit.
    """
    space, target = description.get("space", {}), description.get("target", {})
    tool = description.get("tool", {})
    shown = {"space", "target", "tool", "where"}
    rest = [[name, inline(value)] for name, value in description.items() if name not in shown]
    return [
        Section("Parameters", _parameters(space, units), ("parameter", "prior", "range", "unit")),
        Section("Conditions between parameters", [["", inline(text)] for text in _listed(description, "where")]),
        Section("Target", _target(target, units), ("", "valid where", "unit")),
        Section("Tool", _tool(tool) if isinstance(tool, Mapping) else [["tool", inline(tool)]]),
        Section("Further description", rest),
    ]


def _listed(description: Mapping[str, Any], key: str) -> list[Any]:
    found = description.get(key)
    return found if isinstance(found, list) else []


def stages_of(tool: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the descriptions of the programs of a tool: those of a chain, or its own."""
    stages = tool.get("stages")
    if not isinstance(stages, Sequence) or isinstance(stages, str):
        return [tool]
    return [part for stage in stages if isinstance(stage, Mapping) for part in stages_of(stage)]


def _parameters(space: Mapping[str, Any], units: Mapping[str, str]) -> list[list[str]]:
    rows = []
    for name, given in space.items():
        known = dict(given) if isinstance(given, Mapping) else {"": given}
        prior = str(known.pop("prior", ""))
        words = []
        if "lo" in known and "hi" in known:
            ends = float(known.pop("lo")), float(known.pop("hi"))
            words += [between(*ends)] if ends != (-math.inf, math.inf) else []
        if not known.pop("scanned", True):
            words.append("what the others leave")
        joint = known.pop("names", [name])
        if isinstance(joint, list) and len(joint) > 1:
            # What they have in common is said once, with the first of them.
            first = name == joint[0]
            words.append(f"with {', '.join(map(str, joint[1:])) if first else joint[0]}")
            known = known if first else {}
        if prior in {"fixed", "derived"} and len(known) == 1:
            words.append(inline(known.popitem()[1]))
        words += [inline(known)] if known else []
        rows.append([name, prior, ", ".join(words), units.get(name, "")])
    return rows


def _target(target: Mapping[str, Any], units: Mapping[str, str]) -> list[list[str]]:
    constraints = {name: given for name, given in target.items() if isinstance(given, Mapping) and "kind" in given}
    rows = [[name, _constraint(dict(given)), units.get(name, "")] for name, given in constraints.items()]
    hard = all(given["kind"] == "window" for given in constraints.values())
    for name, given in target.items():
        # Windows alone are met or not: the threshold of the joint likelihood says nothing then.
        if name not in constraints and not (name == "threshold" and hard and constraints):
            words = f"the joint likelihood exceeds {given:g}" if name == "threshold" else inline(given)
            rows.append([name, words, ""])
    return rows


def _constraint(given: dict[str, Any]) -> str:
    kind = given.pop("kind")
    if kind == "window" and {"lo", "hi"} <= set(given):
        return between(float(given["lo"]), float(given["hi"]))
    if kind == "gaussian" and set(given) == {"value", "sigma"}:
        minus, plus = given["sigma"]
        spread = f"± {plus:g}" if minus == plus else f"+{plus:g} -{minus:g}"
        return f"measured: {given['value']:g} {spread}"
    if kind in {"below", "above"} and set(given) == {"limit", "sigma"}:
        return f"{kind} {given['limit']:g}" + (f", softly: ± {given['sigma']:g}" if given["sigma"] else "")
    return f"{kind}: {inline({name: value for name, value in given.items() if value is not None})}"


def _tool(tool: Mapping[str, Any]) -> list[list[str]]:
    if tool.get("tool") != "Chain":
        return _program(tool)
    rows = [["tool", "Chain of " + ", ".join(str(stage.get("name", "?")) for stage in tool.get("stages", ()))]]
    when = tool.get("when") or {}
    for stage in tool.get("stages", ()):
        name = str(stage.get("name", "?"))
        held = inline(when[name]) if when.get(name) else ""
        rows += [[f"{name}: {row[0]}", row[1]] for row in _tool(stage)]
        rows += [[f"{name}: only where these hold", held]] if held else []
    return rows


def _program(tool: Mapping[str, Any]) -> list[list[str]]:
    rows = [["tool", str(tool.get("tool", "?"))]]
    rows += [["command", " ".join(map(str, command))] for command in _list(tool.get("command"))]
    for program in _list(tool.get("programs")):
        path = str(program.get("path", "?"))
        rows.append(["program", f"{PurePath(path).name} (sha256 {str(program.get('sha256', '?'))[:12]}…)"])
    files = tool.get("files") or {}
    for name, made in files.items() if isinstance(files, Mapping) else ():
        written = made.get("write") if isinstance(made, Mapping) else None
        words = ", ".join(f"{key} to {inline(place)}" for key, place in written.items()) if written else inline(made)
        rows.append([f"writes {name}", words])
    read = tool.get("read") or {}
    if isinstance(read, Mapping) and read:
        rows.append(["reads", ", ".join(f"{name} from {_place(place)}" for name, place in read.items())])
    elif tool.get("outputs"):
        rows.append(["outputs", ", ".join(map(str, tool["outputs"]))])
    for name, value in tool.items():
        if name not in _TOLD and _says_something(value):
            shown = {key: entry for key, entry in value.items() if entry} if isinstance(value, Mapping) else value
            rows.append([name.replace("_", " "), inline(shown)])
    return rows


def _place(place: object) -> str:
    if isinstance(place, Mapping) and "address" in place:
        file = place.get("file")
        return f"{place['address']} of {file}" if file else str(place["address"])
    return inline({key: value for key, value in place.items() if value}) if isinstance(place, Mapping) else str(place)


def _says_something(value: object) -> bool:
    return any(map(_says_something, value.values())) if isinstance(value, Mapping) else bool(value)


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
