"""Models made from what already says what it takes: the fields of a dataclass, the arguments of a constructor.

The keys of the file are then those of the Python interface, and their explanations those of its docstrings.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import inspect
import re
import types
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Union

from pydantic import Field, create_model

import rayscan
from rayscan.config.document import Table

_ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \w+)*)(?: : (.+))?$")
_HEADINGS = ("Parameters", "Attributes")
_AS_FOR = re.compile(r"As for `?(\w+)`?\.")
_SAID_BY_THE_NAME = {
    "keep_files": "The names of those files.",
    "observables": "The set of observables: latestresults, or one of the user's.",
}
Name = Annotated[str, "the name of a function"]
"""What stands in a file for a function: ``module:function``."""


@functools.cache
def explain(cls: type) -> dict[str, str]:
    """Return what a class' numpydoc docstring says of each parameter and attribute."""
    texts: dict[str, str] = {}
    lines = inspect.cleandoc(cls.__doc__ or "").splitlines()
    heading = ""
    names: list[str] = []
    body: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if following and not following.strip("-") and len(following) >= len(line) > 0:
            heading, names = line, []
        elif heading in _HEADINGS:
            entry = _ENTRY.match(line)
            if entry:
                names, body = entry[1].split(", "), []
            elif line.startswith("    ") and names:
                body.append(line.strip())
                texts |= dict.fromkeys(names, " ".join(body))
    return texts


@functools.cache
def model_of(cls: type) -> type[Table]:
    """Return the table whose keys are the fields of a dataclass."""
    hints = typing.get_type_hints(cls)
    fields = {field.name: (hints[field.name], _default(field)) for field in dataclasses.fields(cls) if field.init}
    model = make(cls.__name__, fields, explain(cls))
    model.made_from = cls
    return model


def model_of_constructor(cls: type, without: Collection[str] = (), more: type[Table] | None = None) -> type[Table]:
    """Return the table whose keys are the arguments of a class' constructor but `without`, and those of `more`."""
    hints = typing.get_type_hints(cls.__init__)  # type: ignore[misc]
    fields = {
        name: (hints.get(name, Any), ... if argument.default is argument.empty else argument.default)
        for name, argument in inspect.signature(cls).parameters.items()
        if name not in without and argument.kind in {argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY}
    }
    texts = {name: explain_argument(cls, name) for name in fields}
    for name, field in more.model_fields.items() if more is not None else ():
        fields[name], texts[name] = (field.annotation, field.default), field.description or ""
    return make(cls.__name__, fields, texts)


def explain_argument(cls: type, name: str) -> str:
    """Return what a docstring says of one argument; ``As for `Other`.`` is looked up there."""
    text = next((texts[name] for texts in map(explain, cls.__mro__) if name in texts), "")
    text = text or _SAID_BY_THE_NAME.get(name, "")
    other = _AS_FOR.match(text)
    if other is None:
        return text
    found = explain_argument(getattr(rayscan, other[1]), name)
    return " ".join(filter(None, [found, text[other.end() :].strip()]))


def functions_of(cls: type) -> list[str]:
    """Return the arguments of a class' constructor that are functions."""
    hints = typing.get_type_hints(cls.__init__, include_extras=True)  # type: ignore[misc]
    return [name for name, kind in hints.items() if Name in {in_file(kind), *typing.get_args(in_file(kind))}]


def make(name: str, fields: Mapping[str, tuple[Any, Any]], texts: Mapping[str, str]) -> type[Table]:
    """Return a table of fields: name to type and default (``...`` when required)."""
    definitions: dict[str, Any] = {
        key: (in_file(kind), Field(default, description=texts.get(key, ""))) for key, (kind, default) in fields.items()
    }
    model: type[Table] = create_model(f"{name}Table", __base__=Table, **definitions)
    return model


def in_file(kind: Any) -> Any:
    """Return the type that a value has in a file, for the type that it has in Python."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {Union, types.UnionType}:
        # A file cannot hold an object of a class of ours, only what stands for it.
        members = [member for member in dict.fromkeys(map(in_file, arguments)) if member is not Any]
        return Union[tuple(members)] if members else Any  # noqa: UP007 - made at run time
    if origin in {collections.abc.Mapping, dict}:
        return dict[str, in_file(arguments[1])]  # type: ignore[misc]
    if origin in {collections.abc.Sequence, collections.abc.Collection, list, tuple}:
        return list[in_file(arguments[0])]  # type: ignore[misc]
    if origin is collections.abc.Callable:
        return Name
    if origin is typing.Literal or kind in {int, float, str, bool, type(None)}:
        return kind
    return _in_file_class(kind) if isinstance(kind, type) else Any


def _in_file_class(cls: type) -> Any:
    if dataclasses.is_dataclass(cls):
        return model_of(cls)
    return str if issubclass(cls, Path) else Any


def in_python(value: Any) -> Any:
    """Return the value that a constructor takes, for the one that was read: tables of dataclasses become these."""
    made_from = getattr(type(value), "made_from", None)
    if made_from is not None:
        return made_from(**{key: in_python(getattr(value, key)) for key in value.model_fields_set})
    return value


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return ... if field.default is dataclasses.MISSING else field.default
