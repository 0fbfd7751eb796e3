"""How a parameter gets into an input file: placeholders, labelled lines, ``name value`` lines, SLHA entries."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rayscan.errors import ConfigError, SLHAError, did_you_mean
from rayscan.plain_file import read_plain
from rayscan.slha import Address, Card
from rayscan.tools.input_file import Change, InputFile, TemplateFile, as_write, line_of, read_template
from rayscan.tools.input_lines import Labelled, NameValue
from rayscan.tools.number import format_number

__all__ = [
    "Change",
    "FromStage",
    "InputFile",
    "Labelled",
    "NameValue",
    "SLHAFile",
    "Template",
    "as_input",
    "parse_address",
]

_PLACEHOLDER = re.compile(r"\{\{([A-Za-z_]\w*)\}\}|\{([A-Za-z_]\w*)(?::([^{}\s]*))?\}")
_FEWEST_DIGITS = 10


class Template(TemplateFile):
    r"""A text with ``{name}`` placeholders, one for each parameter, also ``{name:.10e}`` and ``{name:d}``.

    Only braces around a bare name are placeholders: JSON and namelists can be templates. ``{{name}}`` stands for a
    literal ``{name}``. Without a format, values are written with as many digits as it takes to read back the same
    double.

    Parameters
    ----------
    template : path-like or str
        A file to read, or the text itself when it contains a line break or a placeholder.
    base : path-like, optional
        What a relative path is relative to.

    Raises
    ------
    ConfigError
        If the file cannot be read.
    """

    def __init__(self, template: str | Path, *, base: str | Path | None = None) -> None:
        if isinstance(template, str) and _PLACEHOLDER.search(template):
            self.text, self.source = template, "the given text"
        else:
            self.text, self.source = read_template(template, base)
        self._holes = tuple(m for m in _PLACEHOLDER.finditer(self.text) if m[2])

    def __getstate__(self) -> tuple[str, str]:
        return self.text, self.source

    def __setstate__(self, state: tuple[str, str]) -> None:
        self.text, self.source = state
        self._holes = tuple(m for m in _PLACEHOLDER.finditer(self.text) if m[2])

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(hole[2] for hole in self._holes))

    def check(self) -> None:
        for hole in self._holes:
            where = f"{self.source}, line {line_of(self.text, hole.start())}: placeholder {hole[0]}"
            try:
                written = format_number(1.0 if (hole[3] or "").endswith("d") else 1.2345678912345e-7, hole[3] or "")
            except ValueError as error:
                msg = f"{where}: {hole[3]!r} is no format of a number ({error}); write for example {{{hole[2]}:.10e}}"
                raise ConfigError(msg) from None
            digits = len(re.sub(r"[eE].*|^[-+0.]+|\D", "", written))
            if not (hole[3] or "").endswith("d") and digits < _FEWEST_DIGITS:
                msg = (
                    f"{where} keeps too few digits: 1.2345678912345e-07 would be written as {written}, while the table "
                    f"stores the full value; expected at least {_FEWEST_DIGITS} digits, such as {{{hole[2]}:.10e}}"
                )
                raise ConfigError(msg)

    def render(self, point: Mapping[str, float]) -> str:
        return _PLACEHOLDER.sub(
            lambda hole: format_number(point[hole[2]], hole[3] or "") if hole[2] else f"{{{hole[1]}}}", self.text
        )

    def changes(self, point: Mapping[str, float]) -> list[Change]:
        return [
            Change(
                hole[2],
                hole[0],
                line_of(self.text, hole.start()),
                hole[0],
                format_number(point[hole[2]], hole[3] or ""),
            )
            for hole in self._holes
        ]


class SLHAFile(TemplateFile):
    """An SLHA card in which entries are replaced by block and indices; layout, comments and order stay.

    Parameters
    ----------
    card : path-like
    write : mapping of str to str or sequence of str
        Parameter to address, such as ``"MINPAR 1"`` or ``"MSQ2IN 3 3"``, or to several: ``["EXTPAR 31", "EXTPAR 32"]``.
    fixed : mapping of str to float, optional
        Address to value: switches to set in the card for this scan.
    add : bool
        Whether an entry that the card lacks is appended to its block.
    base : path-like, optional

    Raises
    ------
    ConfigError
        If the card cannot be read, an address is not one, or nothing is to be written.
    """

    def __init__(
        self,
        card: str | Path,
        write: Mapping[str, str | Sequence[str]],
        *,
        fixed: Mapping[str, float] | None = None,
        add: bool = False,
        base: str | Path | None = None,
    ) -> None:
        self.text, self.source = read_template(card, base)
        self.card = Card.parse(self.text)
        self.add = add
        self.write = [
            (parameter, parse_address(address, f"parameter {parameter!r}"))
            for parameter, given in as_write(self.source, write, "an address").items()
            for address in ([given] if isinstance(given, str) else given)
        ]
        self.fixed = {parse_address(a, f"{self.source}: fixed entry"): value for a, value in (fixed or {}).items()}

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(parameter for parameter, _ in self.write))

    def check(self) -> None:
        by_address: dict[Address, str] = {}
        for parameter, address in [*self.write, *((f"fixed entry {a}", a) for a in self.fixed)]:
            if address in by_address:
                msg = (
                    f"{self.source}: {by_address[address]!r} and {parameter!r} are both written to {address}; "
                    "give each its own entry"
                )
                raise ConfigError(msg)
            by_address[address] = parameter
        try:
            if not self.add:
                self.card.require([*(address for _, address in self.write), *self.fixed])
            rendered = self.card.render(self._values(dict.fromkeys(self.parameters, 1.0)), add=self.add)
        except SLHAError as error:
            msg = f"{self.source}: {error}"
            raise ConfigError(msg) from None
        for number, line in enumerate(rendered.splitlines(), start=1):
            left = _PLACEHOLDER.search(line.partition("#")[0])
            if left:
                msg = f"{self.source}, line {number}: nothing is written in place of {left[0]}; add its entry to write="
                raise ConfigError(msg)

    def _values(self, point: Mapping[str, float]) -> dict[Address, float]:
        return {**self.fixed, **{address: float(point[parameter]) for parameter, address in self.write}}

    def render(self, point: Mapping[str, float]) -> str:
        return self.card.render(self._values(point), add=self.add)

    def changes(self, point: Mapping[str, float]) -> list[Change]:
        after = Card.parse(self.render(point))
        lines = {entry.address: entry.line for entry in after.entries()}
        names = {address: parameter for parameter, address in self.write}
        changes = []
        for address in [*names, *self.fixed]:
            old = _text_at(self.card, address)
            changes.append(
                Change(names.get(address, ""), str(address), lines.get(address, 0), old, _text_at(after, address))
            )
        return changes

    def describe(self) -> dict[str, Any]:
        places = {p: [str(address) for name, address in self.write if name == p] for p in self.parameters}
        return {
            **super().describe(),
            "write": {p: addresses if len(addresses) > 1 else addresses[0] for p, addresses in places.items()},
            "fixed": {str(address): value for address, value in self.fixed.items()},
            "add": self.add,
        }


class FromStage(InputFile):
    """A copy, under another name, of a file that an earlier stage of a chain left in the point's directory.

    Parameters
    ----------
    name : str
        Its name in the point's directory.
    """

    def __init__(self, name: str) -> None:
        self.source = name

    @property
    def parameters(self) -> tuple[str, ...]:
        return ()

    def check(self) -> None:
        """Do nothing: whether the file is there shows when the earlier stage has run."""

    def content(self, point: Mapping[str, float], directory: Path) -> bytes:  # noqa: ARG002 - a plain copy
        return read_plain(directory / self.source)

    def changes(self, point: Mapping[str, float]) -> list[Change]:  # noqa: ARG002 - a plain copy
        return []

    def describe(self) -> dict[str, Any]:
        return {"kind": "fromstage", "name": self.source}


def as_input(name: str, spec: object, base: str | Path | None = None) -> InputFile:
    """Return the input file that a user's entry of ``files`` means.

    Parameters
    ----------
    name : str
        The file's name in the point's directory, for messages.
    spec : InputFile, str, path or mapping
        A path or text is a `Template`. A mapping, as in TOML, names the kind by its key: ``template``, ``slha``,
        ``labels``, ``names`` (each a path) or ``stage``, beside ``write``, ``fixed``, ``add`` and ``comment``.
    base : path-like, optional
        What relative paths are relative to.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    if isinstance(spec, InputFile):
        return spec
    if isinstance(spec, str | Path):
        return Template(spec, base=base)
    kinds: dict[str, Callable[..., InputFile]] = {
        "template": lambda path, **_: Template(path, base=base),
        "slha": lambda path, **more: SLHAFile(path, base=base, **more),
        "labels": lambda path, **more: Labelled(path, base=base, **more),
        "names": lambda path, **more: NameValue(path, base=base, **more),
        "stage": lambda path, **_: FromStage(path),
    }
    if isinstance(spec, Mapping):
        options = dict(spec)
        kind = [key for key in options if key in kinds]
        allowed = {"write", "fixed", "add", "comment"}
        unknown = [key for key in options if key not in kinds and key not in allowed]
        if unknown:
            msg = f"file {name!r}: unknown key {unknown[0]!r}{did_you_mean(unknown[0], {*kinds, *allowed})}"
            raise ConfigError(msg)
        if len(kind) == 1:
            path = options.pop(kind[0])
            try:
                return kinds[kind[0]](path, **options)
            except TypeError as error:
                msg = f"file {name!r}: {kind[0]} = {path!r} does not go with these keys ({error})"
                raise ConfigError(msg) from None
    msg = (
        f"file {name!r}: expected a template (path or text with {{name}}), or one of {', '.join(sorted(kinds))} "
        f"with its path; got {spec!r}"
    )
    raise ConfigError(msg)


def parse_address(text: str, where: str) -> Address:
    """Return an SLHA address; ConfigError naming the place where the user wrote it."""
    try:
        return Address.parse(text)
    except SLHAError as error:
        msg = f"{where}: {error}"
        raise ConfigError(msg) from None


def _text_at(card: Card, address: Address) -> str:
    try:
        return card.text(address) if address.is_plain else repr(card.value(address))
    except SLHAError:
        return ""
