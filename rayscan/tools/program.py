"""The words of a command line: which program, which arguments, and what stands in for ``{placeholders}``."""

from __future__ import annotations

import difflib
import functools
import hashlib
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rayscan.errors import ConfigError, did_you_mean
from rayscan.tools.input_file import absolute
from rayscan.tools.number import format_number

_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)(?::([^{}\s]*))?\}")
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)(?=/)")
_PYTHON = ("python", "python3")


class CommandLine:
    """One program and its arguments, never a shell string.

    ``~`` in front of a word is expanded; ``python`` is the Python that runs rayscan; an argument with a ``/`` that
    names an existing file (relative to `base`) becomes an absolute path, since programs run in a directory of their
    own. In a word that begins with ``$NAME/`` this is the environment variable of whichever machine it is
    run on. ``{name}`` becomes a parameter's value, a name of ours (``{input}``, ``{output}``, ``{directory}``), or a
    private directory.

    Parameters
    ----------
    words : sequence of str
    base : path-like, optional
        What relative paths are relative to; the current directory when not given.

    Raises
    ------
    ConfigError
        If it is not a list of words.
    """

    def __init__(self, words: Sequence[str], base: str | Path | None = None) -> None:
        if isinstance(words, str) or not words or not all(isinstance(word, str | os.PathLike) for word in words):
            msg = f"command {words!r}: expected a list of words, such as ['./prog', '{{input}}']; no shell is used"
            raise ConfigError(msg)
        given = [os.fspath(word) for word in words]
        self.base = str(Path(base or ".").expanduser().absolute())
        self.words = (_program(given[0], self.base), *(_argument(word, self.base) for word in given[1:]))

    @property
    def placeholders(self) -> set[str]:
        """The names in braces."""
        return {match[1] for word in self.words for match in _PLACEHOLDER.finditer(word)}

    @property
    def program(self) -> str:
        """The path of the program on this machine; the bare name when it is not found."""
        return _locate(self.words[0])

    def check(self, inputs: Iterable[str], places: Mapping[str, str]) -> None:
        """Refuse a program that is missing or cannot be executed.

        Parameters
        ----------
        inputs : iterable of str
            The files that will be in the point's directory.
        places : mapping of str to str
            The directories that private ones are copied from, by name.

        Raises
        ------
        ConfigError
        """
        for name in sorted(placeholders(self.program) - set(places)):
            msg = (
                f"program {self.program!r}: {{{name}}} cannot choose the program; expected its path, or the {{name}} "
                "of a private directory"
            )
            raise ConfigError(msg)
        for word in (self.program, *self.words[1:]):
            unset = _VARIABLE.match(from_environment(word))
            if unset:
                msg = (
                    f"{word}: there is no environment variable {unset[1]} here; set it (on the nodes of a "
                    "cluster where Ray is started), or give the path"
                )
                raise ConfigError(msg)
        program = fill(self.program, places, {})
        if "/" not in program:
            msg = (
                f"program {program!r} is not on the PATH{_near_program(program)}; give its path, such as './{program}'"
            )
            raise ConfigError(msg)
        path = Path(program)
        if not path.exists():
            near = difflib.get_close_matches(path.name, _listing(path.parent), n=3, cutoff=0.5)
            there = f"; in {path.parent}: {', '.join(near)}" if near else f"; {_first_missing(path)} does not exist"
            msg = f"program {program} does not exist{there}"
            raise ConfigError(msg)
        if path.is_dir():
            msg = f"program {program} is a directory; expected the executable in it"
            raise ConfigError(msg)
        if not os.access(path, os.X_OK):
            msg = (
                f"program {program} cannot be executed; make it executable (chmod +x), or put its interpreter in front"
            )
            raise ConfigError(msg)
        self._check_scripts(set(inputs))

    def _check_scripts(self, inputs: set[str]) -> None:
        for word in self.words[1:]:
            if word.endswith((".py", ".sh", ".pl")) and "/" not in word and word not in inputs:
                there = (Path(self.base) / word).is_file()
                hint = f"write './{word}' for the one in {self.base}" if there else "give its path"
                msg = f"script {word!r} is looked for in the directory of each point, where it will not be; {hint}"
                raise ConfigError(msg)

    def argv(self, names: Mapping[str, str], point: Mapping[str, float]) -> list[str]:
        """Return the words of one run: `names` and values of the point in place of the placeholders."""
        return [fill(from_environment(word), names, point) for word in (self.program, *self.words[1:])]

    @property
    def environment(self) -> dict[str, str]:
        """What the Python that runs rayscan needs to find the modules that rayscan finds; empty for other programs."""
        if self.words[0] not in (*_PYTHON, sys.executable):
            return {}
        ours = str(Path(__file__).resolve().parents[2])
        given = os.environ.get("PYTHONPATH", "")
        return {"PYTHONPATH": os.pathsep.join(part for part in (given, ours) if part)}

    def fingerprint(self, places: Mapping[str, str]) -> dict[str, str]:
        """Return the program's path and a hash of it, and of the Python module it runs."""
        program = fill(self.program, places, {})
        # By the variable's name: nodes of one cluster may have the same program in different places.
        described = {"path": self.words[0] if _VARIABLE.match(self.words[0]) else program}
        digest = hash_file(program)
        if digest:
            described["sha256"] = digest
        for flag, word in zip(self.words[1:], self.words[2:], strict=False):
            if flag == "-m" and self.words[0] in (*_PYTHON, sys.executable):
                described["module"] = word
                digest = hash_file(_module_file(word))
                if digest:
                    described["module_sha256"] = digest
        return described


def check_placeholders(where: str, used: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a placeholder that nothing stands in for; ConfigError with the nearest name."""
    names = set(known)
    for name in sorted(set(used) - names):
        msg = f"{where}: nothing is known as {{{name}}}{did_you_mean(name, names)}"
        raise ConfigError(msg)


def fill(word: str, names: Mapping[str, str], point: Mapping[str, float]) -> str:
    """Return a word with its placeholders replaced."""

    def replace(match: re.Match[str]) -> str:
        name, spec = match[1], match[2] or ""
        return names[name] if name in names else format_number(point[name], spec)

    return _PLACEHOLDER.sub(replace, word) if "{" in word else word


def placeholders(word: str) -> set[str]:
    """Return the names in braces of one word."""
    return {match[1] for match in _PLACEHOLDER.finditer(word)}


def from_environment(word: str) -> str:
    """Return a word with the environment variable that it begins with replaced; as it is where there is none."""
    found = _VARIABLE.match(word)
    value = os.environ.get(found[1]) if found else None
    return word if found is None or not value else value.rstrip("/") + word[found.end() :]


@functools.lru_cache(maxsize=64)
def hash_file(path: str) -> str:
    """Return the SHA-256 of a file, empty when it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _program(word: str, base: str) -> str:
    return str(absolute(word, base)) if "/" in word and "{" not in word and not _VARIABLE.match(word) else word


def _argument(word: str, base: str) -> str:
    if "/" not in word or "{" in word or _VARIABLE.match(word):
        return word
    path = absolute(word, base)
    # Not Path.is_file: that raises for a script of several lines, which is too long for a file's name.
    return str(path) if word.startswith("~") or os.path.isfile(path) else word  # noqa: PTH113


@functools.lru_cache(maxsize=64)
def _locate(word: str) -> str:
    if word in _PYTHON:
        return sys.executable
    word = from_environment(word)
    return word if "/" in word else shutil.which(word) or word


def _module_file(module: str) -> str:
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return ""
    return found.origin or "" if found else ""


def _near_program(name: str) -> str:
    names = {entry for folder in os.get_exec_path() for entry in _listing(Path(folder))}
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _listing(directory: Path) -> list[str]:
    try:
        return [entry.name for entry in directory.iterdir()]
    except OSError:
        return []


def _first_missing(path: Path) -> Path:
    missing = path
    while not missing.parent.exists():
        missing = missing.parent
    return missing
