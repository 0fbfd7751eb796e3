"""Every key of a configuration file, explained: made from the models, so that it is never out of date."""

from __future__ import annotations

import textwrap
import types
import typing
from collections.abc import Iterator
from typing import Any, Union

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rayscan.config.document import Table, show
from rayscan.config.joint import JOINT
from rayscan.config.knobs import GoalTable, presets, scan_table
from rayscan.config.load import FileTable
from rayscan.config.parameters import PRIORS, DerivedTable
from rayscan.config.space import SpaceTable
from rayscan.config.target import LimitTable, MeasuredTable, TargetTable
from rayscan.config.tools import StageTable, kinds, tool_table
from rayscan.errors import ConfigError, did_you_mean
from rayscan.problem.expression import CONSTANTS, FUNCTIONS

WIDTH = 110
_NAMES = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): ""}
_PARAMETERS = """\
tanb = [2, 60]                                  # uniform between two ends
mu = 500                                        # a constant: given to the tool and stored, but not scanned
"""
_TARGET = """\
mh = [124, 126]                                 # a window; one end may be inf
"""
_LANGUAGE = f"< <= > >= == != (also chained, as in 0 < a < b), and, or, not, {', '.join((*CONSTANTS, *FUNCTIONS))}"
_HEAD = """\
Every key of a rayscan configuration file. A line "# key = …" has no default: give it, or leave it out.
Paths are relative to the file. Nothing in a file is executed but the programs, functions and classes that [tool],
[[stages]] or a transform in [parameters] name; functions and classes come from modules that Python can import, never
from the file's own folder.
"""


def reference(section: str | None = None) -> str:
    """Return the annotated reference as TOML text.

    Parameters
    ----------
    section : str, optional
        One of `sections`; all by default.

    Raises
    ------
    ConfigError
        For an unknown section.
    """
    shown: set[type[BaseModel]] = set()
    if section is None:
        return "\n\n".join([_comment(_HEAD), *(_section(name, shown) for name in sections())]) + "\n"
    if section not in sections():
        msg = f"there is no section {section!r}{did_you_mean(section, sections())}"
        raise ConfigError(msg)
    return _section(section, shown) + "\n"


def sections() -> tuple[str, ...]:
    """Return the names of the parts of the reference."""
    return ("file", "parameters", "space", "target", *kinds(), "stages", "scan", "goal")


def _section(name: str, shown: set[type[BaseModel]]) -> str:
    lines: list[str] = []
    if name == "file":
        fields = FileTable.model_fields
        lines = [_field(key, fields[key], shown) for key in ("out", "base")]
    elif name == "parameters":
        entries = [_entry("name", table) for table in (*PRIORS.values(), DerivedTable)]
        joint = [_entry('"a, b, c"', table) for table in JOINT.values()]
        lines = ["[parameters]", _PARAMETERS, *entries, _comment("Several parameters with a prior in common:"), *joint]
    elif name == "space":
        language = f"Expressions, here and where something is derived, know + - * / ** %, {_LANGUAGE}."
        lines = ["[space]", *_fields(SpaceTable, shown), _comment(language)]
    elif name == "target":
        entries = [_entry("name", table) for table in (MeasuredTable, LimitTable)]
        lines = ["[target]", _TARGET, *entries, "", *_fields(TargetTable, shown)]
    elif name == "stages":
        text = "Several programs in order: each is a table [[stages]] with the keys of its kind, and these:"
        lines = [_comment(text), "[[stages]]", *_fields(StageTable, shown)]
    elif name == "scan":
        known = "Known presets: " + (", ".join(presets()) or "none")
        lines = ["[scan]", _comment(known), *_fields(scan_table(), shown)]
    elif name == "goal":
        lines = ["[goal]", *_fields(GoalTable, shown)]
    else:
        text = f'As [tool], or as one of [[stages]]: kind = "{name}"'
        lines = [_comment(text), "[[stages]]", f'kind = "{name}"', *_fields(tool_table(name), shown)]
    return "\n".join(lines)


def _fields(model: type[BaseModel], shown: set[type[BaseModel]]) -> Iterator[str]:
    for key, field in model.model_fields.items():
        yield _field(key, field, shown)


def _field(key: str, field: FieldInfo, shown: set[type[BaseModel]]) -> str:
    """Explain one key: its description, its type, its default, and the keys of its table unless it was `shown`."""
    kind = describe_type(field.annotation)
    need = "required" if field.is_required() else ""
    notes = ", ".join(note for note in (kind, need) if note)
    lines = [_comment(f"{field.description or ''}{f' ({notes})' if notes else ''}")]
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    value = toml_value(default)
    lines.append(f"{key} = {value}" if value is not None else f"# {key} =")
    nested = _nested(field.annotation)
    if nested is not None and nested not in shown:
        shown.add(nested)
        lines += [
            _comment(f"{key}.{inner}: {f.description} ({describe_type(f.annotation)})", hanging=True)
            for inner, f in nested.model_fields.items()
        ]
    return "\n".join(lines)


def _entry(name: str, model: type[Table]) -> str:
    """Show one form of an entry as an inline table in a comment, with what each key means."""
    keys = ", ".join(_shown(key, field) for key, field in model.model_fields.items())
    lines = [f"# {name} = {{ {keys} }}"]
    lines += [_comment(f"{key}: {f.description}", hanging=True) for key, f in model.model_fields.items()]
    return "\n".join(lines)


def _shown(key: str, field: FieldInfo) -> str:
    choices = typing.get_args(field.annotation) if typing.get_origin(field.annotation) is typing.Literal else ()
    return f'{key} = "{choices[0]}"' if choices else f"{key} = …"


def describe_type(annotation: Any) -> str:
    """Return what a value of a type is called in a file."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _NAMES:
        return _NAMES[annotation]
    if origin is typing.Literal:
        return " or ".join(show(value).replace("'", '"') for value in arguments)
    if origin in {Union, types.UnionType}:
        return " or ".join(dict.fromkeys(filter(None, map(describe_type, arguments))))
    if origin is list:
        return " ".join(filter(None, ["list of", _plural(describe_type(arguments[0]))])) if arguments else "list"
    return "table" if origin is dict or _nested(annotation) is not None else ""


def toml_value(value: Any) -> str | None:
    """Return a value as TOML text; None for one that a file cannot have."""
    import tomlkit

    if isinstance(value, tuple):
        value = list(value)
    if value == {}:
        return "{}"
    if value is None or not isinstance(value, str | int | float | bool | list | dict):
        return None
    text: str = tomlkit.item(value).as_string()
    return text


def _nested(annotation: Any) -> type[BaseModel] | None:
    members = [annotation, *typing.get_args(annotation)]
    return next((m for m in members if isinstance(m, type) and issubclass(m, BaseModel)), None)


def _plural(text: str) -> str:
    return f"{text}s" if text and not text.endswith("s") and " or " not in text and "list" not in text else text


def _comment(text: str, *, hanging: bool = False) -> str:
    prefix = "#     " if hanging else "# "
    more = "#         " if hanging else "# "
    paragraphs = text.strip().replace("`", "").splitlines()
    return "\n".join(
        textwrap.fill(line, WIDTH, initial_indent=prefix, subsequent_indent=more, break_long_words=False)
        for line in paragraphs
    )
