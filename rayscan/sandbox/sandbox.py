"""A directory for one point and the way to run programs in it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal as signals
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from rayscan.errors import ConfigError, ToolError
from rayscan.plain_file import open_plain
from rayscan.sandbox.lifeline import COOKIE
from rayscan.sandbox.limits import Limits

__all__ = ["Completed", "Limits", "Sandbox", "check_return_codes"]

TAIL_BYTES = 64 * 1024
HINTS = {
    "SIGXCPU": "its CPU-time limit",
    "SIGXFSZ": "its file-size limit",
    "SIGKILL": "often the kernel, for want of memory",
}
Runner = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended, with all it started.

    Attributes
    ----------
    command : tuple of str
    directory : Path
        Where it ran.
    exit_code : int or None
        None when a signal ended it.
    signal : int or None
        The signal that ended it.
    timed_out : bool
        Whether it ran past its time-out and was ended for that.
    seconds : float
        Wall time.
    stdout, stderr : Path
        Files with its output; they go with the sandbox.
    cut : int
        Bytes of output left out of the middle of these files, because there was more than the limit.
    left_behind : int
        Processes that it left running in the background; they were ended.
    """

    command: tuple[str, ...]
    directory: Path
    exit_code: int | None
    signal: int | None
    timed_out: bool
    seconds: float
    stdout: Path
    stderr: Path
    cut: int = 0
    left_behind: int = 0

    def tail(self, stream: str = "stderr", lines: int = 20) -> str:
        """Return the last lines of ``"stdout"`` or ``"stderr"``; bytes that are no text show in hexadecimal."""
        path = {"stdout": self.stdout, "stderr": self.stderr}[stream]
        try:
            with open_plain(path) as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - TAIL_BYTES))
                text = file.read().decode("utf-8", "backslashreplace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:]) if lines > 0 else ""

    @property
    def ending(self) -> str:
        """How it ended, in words: ``exit code 1``, ``SIGSEGV (signal 11)``, ``timed out after 5 s``."""
        if self.timed_out:
            return f"timed out after {self.seconds:.3g} s"
        if self.signal is None:
            return f"exit code {self.exit_code}"
        try:
            name = signals.Signals(self.signal).name
        except ValueError:
            name = "an unnamed signal"
        hint = f"; {HINTS[name]}" if name in HINTS else ""
        return f"{name} (signal {self.signal}{hint})"

    def describe(self) -> str:
        """Return command, directory, ending and the last 20 lines of stderr (of stdout, when stderr is empty)."""
        words = " ".join(map(repr, self.command))
        parts = [f"command: {words}", f"directory: {self.directory}", f"ended: {self.ending}"]
        if self.left_behind:
            parts.append(f"left behind: {self.left_behind} background process(es), ended")
        if self.cut:
            parts.append(f"output: {self.cut} bytes left out")
        for stream in ("stderr", "stdout"):
            if tail := self.tail(stream):
                return "\n".join([*parts, f"last lines of {stream}:", tail])
        return "\n".join([*parts, "it printed nothing"])


class Sandbox:
    """A new, empty directory for one attempt at one point. Made by `Workshop.sandbox`, removed with its content.

    Attributes
    ----------
    directory : Path
    verbose : bool
        Whether a tool should fill `Stage.details`.
    environment : dict of str to str
        The chosen list of variables that every program gets.
    """

    __slots__ = ("_run", "directory", "environment", "verbose")

    def __init__(self, directory: Path, run: Runner, environment: Mapping[str, str], *, verbose: bool = False) -> None:
        self.directory = directory
        self.environment = environment
        self.verbose = verbose
        self._run = run

    def path(self, name: str) -> Path:
        """Return a path inside the directory.

        Raises
        ------
        ConfigError
            For an absolute name, one with ``..`` in it, or none at all: it would lie outside.
        """
        parts = PurePath(name).parts
        if not parts or parts[0] == os.sep or ".." in parts or "\0" in name:
            msg = f"file name {name!r} in a sandbox; expected a relative path that stays inside the sandbox"
            raise ConfigError(msg)
        return self.directory / name

    def run(
        self,
        command: Sequence[str],
        *,
        limits: Limits | None = None,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        name: str = "run",
    ) -> Completed:
        """Run a program to its end and that of everything it started. No shell is involved.

        Parameters
        ----------
        command : sequence of str
            Program and arguments. A program without ``/`` is looked up in ``PATH``, one with it relative to `cwd`.
        limits : Limits, optional
        stdin : str, optional
            A file of the sandbox; else the program reads an empty input.
        env : mapping of str to str, optional
            On top of the chosen list (`rayscan.sandbox.lifeline.PASSED`). ``TMPDIR`` is the sandbox, and one thread the
            rule.
        cwd : Path, optional
            The sandbox by default.
        name : str
            Its output goes to ``<name>.stdout`` and ``<name>.stderr`` in the sandbox.

        Returns
        -------
        Completed

        Raises
        ------
        ToolError
            When the program cannot be started at all.
        """
        limits = limits or Limits()
        place = Path(cwd) if cwd is not None else self.directory
        own = {"TMPDIR": str(self.directory), **(env or {}), COOKIE: str(self.directory)}
        environment = {**self.environment, **own}
        program = find_program(command, place, environment["PATH"])
        stem = re.sub(r"[^\w.+-]", "_", name)[:80] or "run"
        stdout, stderr = self.directory / f"{stem}.stdout", self.directory / f"{stem}.stderr"
        for path in (stdout, stderr):
            _make_way(path)
        answer = self._run(
            {
                "command": [os.fsencode(word) for word in command],
                "path": os.fsencode(program),
                "env": {os.fsencode(key): os.fsencode(value) for key, value in environment.items()},
                "cwd": os.fsencode(place),
                "stdin": os.fsencode(self.path(stdin) if stdin is not None else os.devnull),
                "captured": [os.fsencode(stdout), os.fsencode(stderr)],
                "timeout": limits.timeout,
                "grace": limits.grace,
                "cpu": _whole(limits.cpu_seconds),
                "memory": _whole(limits.memory_bytes),
                "file": _whole(limits.file_bytes),
                "stack": _whole(limits.stack_bytes),
                "cap": _whole(limits.output_bytes),
            }
        )
        if "error" in answer:
            raise ToolError(_cannot_start(program, place, answer))
        status = answer["status"]
        exit_code = None if status is None or os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        number = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None
        return Completed(
            tuple(command), place, exit_code, number, answer["timed_out"], answer["seconds"], stdout, stderr,
            answer["cut"], answer["left"],
        )  # fmt: skip


def _make_way(path: Path) -> None:
    """Remove a pipe that an earlier program left where output is to be captured: it would swallow that or block."""
    with contextlib.suppress(OSError):
        if stat.S_ISFIFO(path.lstat().st_mode):
            path.unlink()


def find_program(command: Sequence[str], cwd: Path, search: str) -> str:
    """Return the path of a command's program.

    Raises
    ------
    ToolError
        When there is no such program, or a word of the command is no text that a program can get.
    """
    for word in command:
        given: object = word
        if not isinstance(given, str) or "\0" in given:
            msg = f"command {list(command)!r}: {word!r}; expected text without NUL characters"
            raise ToolError(msg)
    if not command or not command[0]:
        msg = f"command {list(command)!r} is empty; expected a program and its arguments"
        raise ToolError(msg)
    if os.sep in command[0]:
        return os.path.join(cwd, command[0])  # noqa: PTH118 - Path would drop the "./" that some programs look at
    found = shutil.which(command[0], path=search)
    if found is None:
        msg = f"program {command[0]!r} is not in PATH ({search}); install it or give its full path"
        raise ToolError(msg)
    return found


def check_return_codes() -> None:
    """Make sure that this process sees how its children end.

    Ray can make a worker ignore SIGCHLD; then every program seems to end with code 0, crashed ones too. Called once in
    each evaluator, in its main thread if the default handling has to be restored.

    Raises
    ------
    ToolError
        When ``false`` does not return 1.
    """
    if threading.current_thread() is threading.main_thread() and signals.getsignal(signals.SIGCHLD) in {
        signals.SIG_DFL,
        signals.SIG_IGN,
    }:
        # Always: Python's own record says "default" even where a library below it has said "ignore".
        signals.signal(signals.SIGCHLD, signals.SIG_DFL)
    program = shutil.which("false") or "/bin/false"
    pid = os.posix_spawn(program, ["false"], {})
    try:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        code = None
    if code != 1:
        msg = (
            f"return codes of programs cannot be trusted here: {program} gave {code}, expected 1; SIGCHLD is ignored "
            "in this process (call check_return_codes() in the main thread, or start Ray without its child subreaper)"
        )
        raise ToolError(msg)


def _whole(limit: float | None) -> int | None:
    return None if limit is None else max(1, int(limit))


def _cannot_start(program: str, cwd: Path, answer: Mapping[str, Any]) -> str:
    hint = ""
    if not cwd.is_dir():
        hint = f"; the directory {cwd} does not exist"
    elif not Path(program).exists():
        hint = "; there is no such file"
    elif answer["errno"] == 8:
        hint = "; it is neither a program for this machine nor a script with #! in its first line"
    elif answer["errno"] == 2:
        hint = "; the interpreter in its first line, or its dynamic loader, does not exist"
    return f"cannot start {program!r} in {cwd}: {answer['error']}{hint}"
