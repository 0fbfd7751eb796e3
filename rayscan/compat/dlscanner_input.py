"""DLScanner's input files as a ``scan.toml``.

Its SPheno module names entries by the comments of the card and of the spectrum; here every comment is looked up once,
as a whole word, and becomes an address. What is not there exactly once is refused by name.

References
----------
A. Hammad, R. Ramos, A. Chakraborty, P. Ko, S. Moretti, "DLScanner", arXiv:2412.19675.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rayscan.config.space import build_space
from rayscan.config.target import build_target
from rayscan.errors import ConfigError, did_you_mean
from rayscan.problem.space import RESERVED_NAMES, check_name
from rayscan.slha import Card, Entry
from rayscan.tools.input_lines import NameValue

_SPHENO = ("pathS", "Lesh", "SPHENOMODEL")
_MICROMEGAS = ("path_micromegas", "input")
_OTHERS = ("output_dir", "TotVarScanned", "TotTarget")
_VARIABLE = ("VarMin", "VarMax", "VarLabel", "VarNum")
_TARGET = ("TargetMin", "TargetMax", "TargetLabel", "TargetNum", "TargetResNum")
_KEYS = (*_SPHENO, *_MICROMEGAS, *_OTHERS, *_VARIABLE, *_TARGET)
_KEY = re.compile(rf"(?:(?<=\s)|^)({'|'.join(_KEYS)})\s*:")
_ANY_KEY = re.compile(r"\s*([A-Za-z_]\w*)\s*:")
_SPECTRA = ("SPheno.spc.{model}", "SPheno.spc")


@dataclass(frozen=True)
class Group:
    """One scanned parameter, or one constraint.

    Attributes
    ----------
    name : str
        For our columns, made from the label.
    label : str
        The comment, without ``#``.
    low, high : float
    number : int or None
        The entry's number.
    column : int or None
        Which word of the line holds the value, from 0.
    """

    name: str
    label: str
    low: float
    high: float
    number: int | None = None
    column: int | None = None


@dataclass
class InputFile:
    """A DLScanner input file.

    Attributes
    ----------
    path : Path
    settings : dict
        What is given once.
    variables, targets : list of Group
    """

    path: Path
    settings: dict[str, str] = field(default_factory=dict)
    variables: list[Group] = field(default_factory=list)
    targets: list[Group] = field(default_factory=list)

    def setting(self, key: str) -> str:
        """Return what is given once; ConfigError if it is missing."""
        if not self.settings.get(key):
            msg = f"{self.path}: the line '{key}: …' is missing"
            raise ConfigError(msg)
        return self.settings[key]

    def place(self, text: str) -> Path:
        """Return a path of the file; relative ones are relative to its directory."""
        given = Path(text).expanduser()
        return given if given.is_absolute() else self.path.absolute().parent / given


def import_input(path: str | Path) -> str:
    """Turn an input file of DLScanner's SPheno or micrOMEGAs module into the text of a ``scan.toml``.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    str

    Raises
    ------
    ConfigError
        For a file that is none, a card that cannot be read, and a label that is not there exactly once, with the places
        where it is.
    """
    given = read_input(Path(path).expanduser())
    if "path_micromegas" in given.settings:
        tool, notes = _micromegas(given)
    else:
        tool, notes = _spheno(given)
    parameters = {group.name: [group.low, group.high] for group in given.variables}
    target = {group.name: [group.low, group.high] for group in given.targets}
    try:
        build_space(parameters)
        build_target(target)
    except ConfigError as error:
        msg = f"{given.path}: {error}"
        raise ConfigError(msg) from None
    return _text(given, {"parameters": parameters, "tool": tool, "target": target, "goal": {"valid": 1000}}, notes)


def read_input(path: Path) -> InputFile:
    """Read the lines of an input file.

    Raises
    ------
    ConfigError
        For an unknown key, an incomplete group, a value that is no number, or another number of groups than announced.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror or error}); expected an input file of DLScanner"
        raise ConfigError(msg) from None
    given = InputFile(path)
    variables: list[dict[str, str]] = []
    targets: list[dict[str, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        for key, value in _pairs(path, number, line):
            groups = variables if key in _VARIABLE else targets
            if key not in {*_VARIABLE, *_TARGET}:
                given.settings[key] = value
            elif not groups or key in groups[-1]:
                groups.append({key: value})
            else:
                groups[-1][key] = value
    taken: set[str] = set()
    given.variables = [_group(path, "Var", group, taken) for group in variables]
    given.targets = [_group(path, "Target", group, taken) for group in targets]
    for key, count in (("TotVarScanned", len(given.variables)), ("TotTarget", len(given.targets))):
        announced = given.settings.get(key)
        if not count or (announced is not None and announced != str(count)):
            msg = f"{path}: {key} is {announced or 'missing'}, but the file has {count} such groups"
            raise ConfigError(msg)
    return given


def _pairs(path: Path, number: int, line: str) -> list[tuple[str, str]]:
    found = list(_KEY.finditer(line))
    if not found:
        unknown = _ANY_KEY.match(line)
        if unknown:
            msg = f"{path}, line {number}: unknown key {unknown[1]!r}{did_you_mean(unknown[1], _KEYS)}"
            raise ConfigError(msg)
        return []
    ends = [match.start() for match in found[1:]] + [len(line)]
    return [(match[1], line[match.end() : end].strip()) for match, end in zip(found, ends, strict=True)]


def _group(path: Path, kind: str, group: dict[str, str], taken: set[str]) -> Group:
    label = " ".join(group.get(f"{kind}Label", "").lstrip("#").split())
    for key in ("Label", "Min", "Max"):
        if not group.get(kind + key, "").strip("# "):
            msg = f"{path}: the group {group} has no {kind}{key}"
            raise ConfigError(msg)
    low, high = (_number(path, kind + key, group[kind + key], label) for key in ("Min", "Max"))
    whole = {
        key: int(_number(path, kind + key, group[kind + key], label))
        for key in ("Num", "ResNum")
        if kind + key in group
    }
    return Group(_name(label, taken), label, low, high, whole.get("Num"), whole.get("ResNum"))


def _number(path: Path, key: str, text: str, label: str) -> float:
    try:
        return float(text)
    except ValueError:
        msg = f"{path}: {key} of {label!r} is {text!r}; expected a number"
        raise ConfigError(msg) from None


def _name(label: str, taken: set[str]) -> str:
    """Return a name for a column, made from a label: ``Tan(beta)`` becomes ``Tan_beta``."""
    base = re.sub(r"\W+", "_", label, flags=re.ASCII).strip("_") or "x"
    base = base if base[0].isalpha() and base not in RESERVED_NAMES else f"x_{base}"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    taken.add(name)
    return check_name("label", name)


def _spheno(given: InputFile) -> tuple[dict[str, Any], list[str]]:
    folder, model = given.place(given.setting("pathS")), given.setting("SPHENOMODEL")
    card = folder / given.setting("Lesh")
    entries = _read_card(card)
    write = {g.name: _address(g, entries, f"VarLabel {g.label!r}", card, g.number) for g in given.variables}
    spectrum = next((p for p in (folder / name.format(model=model) for name in _SPECTRA) if p.is_file()), None)
    read, notes = {}, []
    for group in given.targets:
        if spectrum is not None:
            where = f"TargetLabel {group.label!r}"
            read[group.name] = _address(group, _read_card(spectrum), where, spectrum, group.number)
        elif group.number is not None and group.column in {None, 1}:
            read[group.name] = f"MASS {group.number}"
            notes.append(
                f"{group.name}: no spectrum in {folder} to look up {group.label!r}; MASS {group.number} is assumed"
            )
        else:
            msg = (
                f"{given.path}: TargetLabel {group.label!r} cannot be looked up: there is no "
                f"{_SPECTRA[0].format(model=model)} in {folder}; run SPheno once, so that it is there"
            )
            raise ConfigError(msg)
    tool = {"kind": "spheno", "path": str(folder), "model": model, "card": str(card), "write": write, "read": read}
    return tool, notes


def _micromegas(given: InputFile) -> tuple[dict[str, Any], list[str]]:
    folder = given.place(given.setting("path_micromegas"))
    parameters = folder / given.setting("input")
    write = {group.name: group.label for group in given.variables}
    # What is not there, or twice, is refused here rather than by the scan.
    NameValue(parameters, write).check()
    read = {group.name: "Omega" if group.label == "Omega" else f"key:{group.label}" for group in given.targets}
    tool = {"kind": "micromegas", "path": str(folder), "parameters": str(parameters), "write": write, "read": read}
    return tool, []


def _read_card(path: Path) -> Card:
    try:
        return Card.parse(path.read_bytes())
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror or error}); expected the SLHA file that the input file names"
        raise ConfigError(msg) from None


def _address(group: Group, card: Card, where: str, path: Path, number: int | None) -> str:
    """Return the address of the one entry with a label; with a number where the file gives one."""
    found = [entry for entry in card.find_comment(group.label) if entry.address.block != "DECAY"]
    if not found:
        labels = {entry.comment for entry in card.entries() if entry.comment}
        msg = f"{where}: no line of {path} has this comment{did_you_mean(group.label, labels)}"
        raise ConfigError(msg)
    meant = [entry for entry in found if number is None or _last_index(entry) == number]
    whole = [entry for entry in meant if " ".join(entry.comment.split()) == group.label]
    meant = whole if len(whole) == 1 else meant
    if not meant:
        msg = f"{where}: expected entry number {number} in {path}, got {_places(found)}"
        raise ConfigError(msg)
    if len(meant) > 1:
        msg = f"{where} is ambiguous: in {path} it stands at {_places(meant)}; make the comment of the one meant unique"
        raise ConfigError(msg)
    return str(meant[0].address)


def _last_index(entry: Entry) -> int | None:
    indices = [column for column in entry.address.columns if isinstance(column, int)]
    return indices[-1] if indices else None


def _places(entries: Sequence[Entry]) -> str:
    return ", ".join(f"{entry.address} (line {entry.line}, '# {entry.comment}')" for entry in entries)


def _text(given: InputFile, sections: dict[str, dict[str, Any]], notes: Sequence[str]) -> str:
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment(f"Made from {given.path.name}, an input file of DLScanner."))
    for note in notes:
        document.add(tomlkit.comment(note))
    if given.settings.get("output_dir"):
        document["out"] = str(given.place(given.settings["output_dir"]))
    for name, section in sections.items():
        table = tomlkit.table()
        for key, value in section.items():
            if isinstance(value, dict):
                inline = tomlkit.inline_table()
                inline.update(value)
                table[key] = inline
            else:
                table[key] = value
        document[name] = table
    return tomlkit.dumps(document)
