"""Any program as a tool, described by configuration: what it is given, what is read, when it has succeeded."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import math
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from rayscan.errors import ConfigError, ToolError
from rayscan.plain_file import read_plain, write_new
from rayscan.problem.space import check_name
from rayscan.sandbox.limits import Limits
from rayscan.slha.address import DECAY_KEYWORDS
from rayscan.slha.symbols import Symbol, symbol
from rayscan.tools.base import Outcome, Stage, Status, Tool
from rayscan.tools.input_file import absolute
from rayscan.tools.inputs import SLHAFile, as_input
from rayscan.tools.outputs import STREAMS, Outputs, Stamp, stamp
from rayscan.tools.program import CommandLine, check_placeholders, fill, placeholders
from rayscan.tools.readers import ExitCode, Reader, Reading, SLHAEntry, as_reader, read_all
from rayscan.tools.report import report_read, report_run, report_written
from rayscan.tools.verdict import Success, Verdict, as_success, clip, last_line

if TYPE_CHECKING:
    from rayscan.sandbox.sandbox import Completed, Sandbox

Keep = Literal["valid", "all", "never"]
_RESERVED = ("input", "output", "directory")
_LARGEST_KEPT = 2**30
CRASHED = " (a data file that is missing, a stack that is too small? `rayscan check` shows the command to run by hand)"


class Command(Tool):
    r"""A program, or several in a row, that reads files and writes files.

    Each point has a fresh directory. The input files are written into it, the commands run in it one after another,
    and the observables are read from what they wrote; what was there before a command ran is never read as its output.

    Parameters
    ----------
    command : sequence of str, or sequence of such sequences
        Program and arguments. In arguments, ``{input}`` is the first entry of `files`, ``{output}`` is `output`,
        ``{directory}`` the point's directory, ``{name}`` a parameter. ``python`` is the Python that runs rayscan.
    files : mapping of str to InputFile, path, text or mapping
        Name in the point's directory to how it is made, see `rayscan.tools.inputs.as_input`.
    read : mapping of str to Reader, str, mapping or callable
        Observable to where it is found, see `rayscan.tools.readers.as_reader`.
    output : str, optional
        The file that readers without a ``file`` read. Default: ``output`` when ``{output}`` is used, else stdout.
    stdin : str, optional
        The file in the point's directory (or ``{input}``) that the last command reads as standard input.
    env : mapping of str to str, optional
        Environment variables beside the standard ones.
    timeout : float or "auto"
        Seconds for all commands of a point together. By default a scan learns what is usual: a point that takes many
        times as long as the slowest so far is put off, and tried again later with the program's usual limit. A number
        here or in `limits` is final.
    limits : Limits, optional
        CPU, memory, file size and captured output.
    success : Success or mapping, optional
        What exit codes and words mean; see `Success`.
    private : mapping of str to path, optional
        Directories that are copied once for each evaluator, for programs that work only inside their own installation
        (a MadGraph process directory). ``{name}`` in arguments, `env` and `cwd` is the copy's path.
    cwd : str, optional
        Where the commands run, such as ``{name}`` of a private directory; the point's directory by default.
    keep : {"valid", "all", "never"}, optional
        Of which points `keep_files` are offered to the scan, whose own ``keep`` decides: by default of those that ended
        ok.
    keep_files : sequence of str
        The files of a point that the scan may keep.
    unused : sequence of str
        Parameters that are deliberately given to no program, for example because others are derived from them.
    name : str, optional
        The stage's name; that of the program by default.
    base : path-like, optional
        What relative paths are relative to: the directory of a configuration file.

    Raises
    ------
    ConfigError
        For an unreadable template and anything else that shows on construction; the rest is found by `check`.

    Examples
    --------
    >>> tool = Command(
    ...     ["python", "-c", "x = {x}; print('y =', x * x)"], read={"y": r"regex:y = (\S+)"}, name="square", timeout=10
    ... )
    >>> tool.outputs
    ('y',)
    """

    usual_limits = Limits()

    def __init__(
        self,
        command: Sequence[str] | Sequence[Sequence[str]],
        *,
        files: Mapping[str, Any] | None = None,
        read: Mapping[str, Any],
        output: str | None = None,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | Literal["auto"] = "auto",
        limits: Limits | None = None,
        success: Success | Mapping[str, Any] | None = None,
        private: Mapping[str, str | Path] | None = None,
        cwd: str | None = None,
        keep: Keep | None = None,
        keep_files: Sequence[str] = (),
        unused: Sequence[str] = (),
        name: str | None = None,
        base: str | Path | None = None,
    ) -> None:
        self.commands = _command_lines(command, base)
        self.name = name or _stage_name(self.commands[-1])
        self.files = {file: as_input(file, spec, base) for file, spec in (files or {}).items()}
        self.read: dict[str, Reader] = {
            check_name("observable", observable): self.reader(observable, spec) for observable, spec in read.items()
        }
        self.outputs = tuple(self.read)
        self.output = output or ("output" if self._uses("output") else "stdout")
        self.stdin = next(iter(self.files), None) if stdin == "{input}" else stdin
        self.env = dict(env or {})
        self.limits = limits or self.usual_limits
        # A limit that somebody has set is the last word on it.
        self._strict = timeout != "auto" or (limits is not None and limits.timeout is not None)
        self._hurry: float | None = None
        if timeout != "auto":
            self.limits = dataclasses.replace(self.limits, timeout=timeout)
        self.success = as_success(success, self._default_success())
        self.private = {key: absolute(path, base) for key, path in (private or {}).items()}
        self.cwd = cwd
        self.keep = keep
        self.keep_files = tuple(keep_files)
        self.unused = tuple(unused)
        self._copies: dict[str, str] = {}

    def reader(self, observable: str, spec: object) -> Reader:
        """Return the reader that an entry of ``read`` means for this tool."""
        return as_reader(observable, spec)

    def _default_success(self) -> Success:
        judged_by_user = any(isinstance(reader, ExitCode) for reader in self.read.values())
        return Success(exit_codes=None if judged_by_user else (0,))

    @property
    def timeout(self) -> float | None:
        """Seconds for all commands of a point together."""
        limits = [limit for limit in (self.limits.timeout, self._hurry) if limit is not None]
        return min(limits, default=None)

    @functools.cached_property
    def needs(self) -> frozenset[str]:
        """The parameters that reach the program."""
        written = {name for file in self.files.values() for name in file.parameters}
        words = [word for line in self.commands for word in line.words] + [*self.env.values(), self.cwd or ""]
        return frozenset(
            written | {name for word in words for name in placeholders(word)} - {*_RESERVED, *self.private}
        )

    def check(self, parameters: Sequence[str]) -> None:
        self.check_stage(parameters)
        for name in parameters:
            if name not in self.needs and name not in self.unused:
                msg = (
                    f"{self.name}: parameter {name!r} is written nowhere, so it cannot change the result; expected an "
                    f"entry in write= or a placeholder {{{name}}}, or unused=[{name!r}] if others are derived from it"
                )
                raise ConfigError(msg)

    def check_stage(self, known: Sequence[str]) -> None:
        """Check all but that every parameter is used, which is a chain's to check for its stages together.

        Parameters
        ----------
        known : sequence of str
            The parameters, and in a chain the observables of earlier stages.
        """
        if not self.read:
            msg = f"{self.name}: nothing is read; expected at least one observable in read="
            raise ConfigError(msg)
        if self.keep not in (None, "valid", "all", "never"):
            msg = f"{self.name}: keep = {self.keep!r}; expected 'valid', 'all' or 'never'"
            raise ConfigError(msg)
        read_files = (getattr(reader, "file", None) for reader in self.read.values())
        for file in (
            *self.files,
            *(f for f in read_files if f),
            self.output,
            *self.keep_files,
            *filter(None, [self.stdin]),
        ):
            _check_inside(self.name, file)
        self._check_placeholders(known)
        for line in self.commands:
            line.check(self.files, self._originals)
        for file, spec in self.files.items():
            check_placeholders(f"{self.name}: file {file!r} ({spec.source})", spec.parameters, known)
            spec.check()
        for key, path in self.private.items():
            if not key.isidentifier():
                msg = f"{self.name}: private directory {key!r}: expected a name of letters, digits and underscores"
                raise ConfigError(msg)
            if not path.is_dir():
                msg = f"{self.name}: private directory {key!r}: {path} is not a directory"
                raise ConfigError(msg)

    @property
    def _originals(self) -> dict[str, str]:
        return {key: str(path) for key, path in self.private.items()}

    def _check_placeholders(self, known: Sequence[str]) -> None:
        ours = {"output", "directory", *self.private, *(("input",) if self.files else ())}
        for line in self.commands:
            check_placeholders(f"{self.name}: command {list(line.words)}", line.placeholders, {*ours, *known})
        for where, word in [*self.env.items(), ("cwd", self.cwd or "")]:
            check_placeholders(f"{self.name}: {where} = {word!r}", placeholders(word), {*ours, *known})

    def describe(self) -> dict[str, Any]:
        return {
            "tool": type(self).__name__,
            "outputs": list(self.outputs),
            "command": [list(line.words) for line in self.commands],
            "programs": [line.fingerprint(self._originals) for line in self.commands],
            "files": {file: spec.describe() for file, spec in self.files.items()},
            "read": {observable: reader.describe() for observable, reader in self.read.items()},
            "output": self.output,
            "stdin": self.stdin,
            "env": dict(self.env),
            "success": self.success.describe(),
            "private": self._originals,
        }

    def symbols(self) -> dict[str, Symbol]:
        # Of a parameter that is written to several entries the first says what it is.
        written = (reversed(file.write) for file in self.files.values() if isinstance(file, SLHAFile))
        read = ((name, reader.parsed) for name, reader in self.read.items() if isinstance(reader, SLHAEntry))
        return {name: symbol(address) for name, address in (*itertools.chain(*written), *read)}

    def hasten(self, limits: Mapping[str, float]) -> None:
        self._hurry = None if self._strict else limits.get(self.name)

    def open(self, scratch: Path) -> None:
        for key, source in self.private.items():
            copy = Path(scratch) / key
            shutil.copytree(source, copy, symlinks=True)
            self._copies[key] = str(copy)

    def close(self) -> None:
        for copy in self._copies.values():
            shutil.rmtree(copy, ignore_errors=True)
        self._copies.clear()

    def evaluate(self, point: Mapping[str, float], sandbox: Sandbox) -> Outcome:
        started = time.perf_counter()
        details: dict[str, Any] = {}
        written = self._write(point, sandbox, details)
        if written is not None:
            stage = Stage(self.name, written.status, time.perf_counter() - started, details)
            return Outcome(written.status, message=clip(written.message), stages=(stage,))
        before = self._clear(sandbox.directory)
        try:
            runs = self._run(point, sandbox)
        except ToolError as error:
            stage = Stage(self.name, Status.TOOL_ERROR, time.perf_counter() - started, details)
            return Outcome(Status.TOOL_ERROR, message=clip(str(error)), stages=(stage,))
        last = runs[-1]
        streams = {"stdout": [run.stdout for run in runs], "stderr": [run.stderr for run in runs]}
        outputs = Outputs(sandbox.directory, streams, last.exit_code, before)
        verdict = self._judge_run(last, outputs)
        readings: dict[str, Reading] = {}
        if verdict is None or sandbox.verbose:
            readings = read_all(self.read, outputs, self.output)
        if verdict is None:
            verdict = self.judge_readings(readings, outputs)
        if sandbox.verbose:
            details.update(report_run(runs, sandbox.directory))
            details["read"] = report_read(self.read, readings)
        observables = {name: reading.value for name, reading in readings.items() if not math.isnan(reading.value)}
        stage = Stage(self.name, verdict.status, time.perf_counter() - started, details)
        return Outcome(
            verdict.status, observables if verdict.status is Status.OK else {}, clip(verdict.message), last.exit_code,
            last.signal, (stage,), self._kept(verdict.status, outputs),
        )  # fmt: skip

    def _write(self, point: Mapping[str, float], sandbox: Sandbox, details: dict[str, Any]) -> Verdict | None:
        """Write the input files; a value that cannot be written is the point's fault."""
        for name in self.needs:
            if not math.isfinite(point[name]):
                return Verdict(Status.UNPHYSICAL, f"{self.name}: {name} is {point[name]}, so the program was not run")
        for file, spec in self.files.items():
            path = sandbox.path(file)
            try:
                content = spec.content(point, sandbox.directory)
                if len(PurePosixPath(file).parts) > 1:
                    path.parent.mkdir(parents=True, exist_ok=True)
                write_new(path, content)
            except ValueError as error:
                return Verdict(Status.TOOL_ERROR, f"{self.name}: input file {file}: {error}")
            except OSError as error:
                return Verdict(Status.TOOL_ERROR, f"{self.name}: cannot write input file {file}: {error}")
        if sandbox.verbose:
            details["written"] = report_written(self.files, point, sandbox.directory)
        return None

    def _clear(self, directory: Path) -> dict[str, Stamp]:
        """Remove what earlier stages left where this one will write, and return the stamps of what stays."""
        names = {reader.file_or(self.output) for reader in self.read.values() if reader.in_file} | {
            self.output,
            *self.written,
        }
        stamps: dict[str, Stamp] = {}
        # In a fresh directory there is hardly anything: looking once is cheaper than trying every name.
        there = set(os.listdir(directory))  # noqa: PTH208 - path objects a point are slower
        for name in names.difference(STREAMS):
            if name in there or "/" in name:
                path = directory / name
                found = stamp(path)
                if name not in self.files and name not in self.inputs_from_stages:
                    path.unlink(missing_ok=True)
                elif found is not None:
                    stamps[name] = found
        return stamps

    #: Files, besides those read, that the program writes under fixed names and that must be its own.
    written: tuple[str, ...] = ()
    #: Files of earlier stages that the program takes as input and may add to.
    inputs_from_stages: tuple[str, ...] = ()

    def _run(self, point: Mapping[str, float], sandbox: Sandbox) -> list[Completed]:
        """Run the commands in order, up to the first that fails."""
        ours = {"input": next(iter(self.files), ""), "output": self.output, "directory": str(sandbox.directory)}
        names = {**ours, **self._copies}
        env = {key: fill(value, names, point) for key, value in self.env.items()}
        cwd = Path(fill(self.cwd, names, point)) if self.cwd else None
        ends = None if self.timeout is None else time.monotonic() + self.timeout
        runs: list[Completed] = []
        for number, line in enumerate(self.commands, start=1):
            final = number == len(self.commands)
            left = None if ends is None else max(ends - time.monotonic(), 0.001)
            run = sandbox.run(
                line.argv(names, point),
                limits=dataclasses.replace(self.limits, timeout=left),
                stdin=self.stdin if final else None,
                env={**line.environment, **env},
                cwd=cwd,
                name=self.name if len(self.commands) == 1 else f"{self.name}-{number}",
            )
            runs.append(run)
            allowed = self.success.exit_codes
            if run.timed_out or run.signal is not None or (allowed is not None and run.exit_code not in allowed):
                break
        return runs

    def _judge_run(self, run: Completed, outputs: Outputs) -> Verdict | None:
        """Judge by how the program ended and by what it said; None when its output is worth reading."""
        program = os.path.basename(run.command[0])  # noqa: PTH119 - a path object a point is slower
        if run.timed_out:
            return Verdict(
                Status.TIMEOUT, f"{program} was ended after {run.seconds:.3g} s (timeout {self.timeout:g} s)"
            )
        if run.signal is not None:
            status = Status.TIMEOUT if run.signal == signal.SIGXCPU else Status.TOOL_ERROR
            hint = CRASHED if run.signal == signal.SIGSEGV else ""
            return Verdict(status, _with_tail(f"{program} was ended by {run.ending}{hint}", outputs))
        return self.refusal(outputs) or self._judge_exit(program, run.exit_code, outputs)

    def _judge_exit(self, program: str, code: int | None, outputs: Outputs) -> Verdict | None:
        if code in self.success.unphysical_exit:
            return Verdict(Status.UNPHYSICAL, _with_tail(f"{program}: exit code {code}", outputs))
        if self.success.exit_codes is not None and code not in self.success.exit_codes:
            return Verdict(Status.TOOL_ERROR, _with_tail(f"{program}: exit code {code}", outputs))
        if self.success.require and not _search(self.success.require, outputs.text("stdout")):
            message = f"{program}: standard output lacks {self.success.require!r}"
            return Verdict(Status.TOOL_ERROR, _with_tail(message, outputs))
        return None

    def refusal(self, outputs: Outputs) -> Verdict | None:
        """Return why the program itself refused the point, None when it did not."""
        for file in self._slha_files():
            for entry, texts in self.forbidden(file, outputs):
                return Verdict(Status.UNPHYSICAL, f"{entry}: {'; '.join(texts)}")
        if self.success.unphysical:
            said = outputs.text("stdout") + outputs.text("stderr")
            for pattern in self.success.unphysical:
                found = _search(pattern, said)
                if found:
                    return Verdict(Status.UNPHYSICAL, found)
        return None

    def forbidden(self, file: str, outputs: Outputs) -> Iterator[tuple[str, list[str]]]:
        """Yield the entries by which a file says that it is not to be used, such as ``SPINFO 4``, with their texts.

        Where decays are read from it, ``DCINFO`` speaks for the program that calculated them.
        """
        for entry in (f"{block} {code}" for block in self._info_blocks(file) for code in self.success.forbid):
            texts = outputs.texts(file, entry)
            if texts:
                yield entry, texts

    def _info_blocks(self, file: str) -> tuple[str, ...]:
        readers = (one for one in self.read.values() if isinstance(one, SLHAEntry) and one.file_or(self.output) == file)
        decays = any(one.parsed.block in DECAY_KEYWORDS for one in readers)
        return ("SPINFO", "DCINFO") if decays else ("SPINFO",)

    def judge_readings(self, readings: Mapping[str, Reading], outputs: Outputs) -> Verdict:
        """Judge by what was read: every required observable must be there and finite."""
        problems = {name: r for name, r in readings.items() if r.problem and not self.read[name].is_optional}
        if not problems:
            return Verdict(Status.OK, self.remark(outputs))
        status = Status.TOOL_ERROR if any(r.missing for r in problems.values()) else Status.UNPHYSICAL
        listed = "; ".join(f"observable {name!r}: {r.problem}" for name, r in list(problems.items())[:3])
        return Verdict(status, _with_tail(listed, outputs) if status is Status.TOOL_ERROR else listed)

    def remark(self, outputs: Outputs) -> str:
        """Return what the program warned of at a point that is ok."""
        entries = [(file, f"{block} 3") for file in self._slha_files() for block in self._info_blocks(file)]
        texts = [text for file, entry in entries for text in outputs.texts(file, entry)]
        return f"warning: {'; '.join(texts)}" if texts else ""

    def _slha_files(self) -> list[str]:
        readers = (reader for reader in self.read.values() if isinstance(reader, SLHAEntry))
        return list(dict.fromkeys(reader.file_or(self.output) for reader in readers))

    def _kept(self, status: Status, outputs: Outputs) -> dict[str, bytes]:
        policy = self.keep or "valid"
        if policy == "never" or (policy == "valid" and status is not Status.OK):
            return {}
        kept = {}
        for name in self.keep_files:
            with contextlib.suppress(OSError):
                kept[name] = read_plain(outputs.directory / name, _LARGEST_KEPT)
        return kept

    def _uses(self, name: str) -> bool:
        return any(name in line.placeholders for line in self.commands)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, reads {', '.join(self.outputs)})"


def _command_lines(command: Any, base: str | Path | None) -> tuple[CommandLine, ...]:
    """Return the commands: one list of words, or a list of lists."""
    several = not isinstance(command, str) and len(command) > 0 and not isinstance(command[0], str | os.PathLike)
    return tuple(CommandLine(words, base) for words in (command if several else [command]))


def _stage_name(line: CommandLine) -> str:
    """Return the program's file name; for an interpreter, that of what it runs."""
    words = [word for word in line.words[1:] if not word.startswith("-") and "{" not in word and "-c" not in line.words]
    first = PurePosixPath(line.words[0]).name
    chosen = words[0] if first.startswith("python") and words else first
    stem = PurePosixPath(chosen).name.removesuffix(".py").rpartition(".")[2] or first
    return "".join(c if c.isalnum() or c in "_-" else "_" for c in stem)[:40]


def _check_inside(stage: str, name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        msg = f"{stage}: file {name!r}: expected a name inside the point's directory, without '/' in front or '..'"
        raise ConfigError(msg)


def _search(pattern: str, text: str) -> str:
    """Return the line in which a pattern matches, empty when none does."""
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        return ""
    start, end = text.rfind("\n", 0, found.start()) + 1, text.find("\n", found.end())
    return text[start : end if end >= 0 else len(text)].strip() or found[0]


def _with_tail(message: str, outputs: Outputs) -> str:
    """Return a message with the last words of standard error, or of standard output."""
    said = last_line(outputs.text("stderr")) or last_line(outputs.text("stdout"))
    return f"{message}; last words: {said}" if said else message
