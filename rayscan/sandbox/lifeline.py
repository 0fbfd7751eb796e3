"""The evaluator's end of its reaper: start it, have it run programs, and see it off."""

from __future__ import annotations

import contextlib
import fcntl
import marshal
import os
import select
import signal
import struct
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from rayscan.errors import ToolError
from rayscan.sandbox import reaper

COOKIE = "RAYSCAN_SANDBOX"
"""Every program gets its sandbox's path in this variable and hands it on to its own children; so they can be found."""
START_SECONDS = 30.0
SLACK_SECONDS = 30.0
"""What a reaper may take beyond time-out and grace before it is taken for dead."""
PASSED = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH",
)  # fmt: skip
"""The variables of the user's environment that programs see, with every ``LC_*``; tokens and passwords stay here."""


THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""One evaluator is one processor's worth of work unless the tool's configuration says otherwise."""


def chosen_environment() -> dict[str, str]:
    """Return the environment that programs get: part of this process's, and the number of threads."""
    chosen = {name: value for name, value in os.environ.items() if name in PASSED or name.startswith("LC_")}
    return {"PATH": os.defpath, **chosen, **THREADS}


class Lifeline:
    """A running reaper, and the pipe whose end ends it.

    Parameters
    ----------
    directory : Path
        What it removes when this process is gone or `close` is called.
    lock : Path
        The lock file of that directory, removed with it.
    held : int
        The descriptor that holds the lock; the reaper keeps it until it has cleaned up.

    Raises
    ------
    ToolError
        When the reaper cannot be started.
    """

    def __init__(self, directory: Path, lock: Path, held: int) -> None:
        self.directory = directory
        self.pid = 0
        self._received = b""
        self._sending = threading.RLock()
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        # Above 9, so that placing one at 0, 1 or 3 in the child overwrites none of the others.
        high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10) for descriptor in (requests, answers, held)]
        command = [sys.executable, "-I", "-S", "-E", reaper.__file__, str(directory), str(lock), str(os.getpid())]
        places = [(os.POSIX_SPAWN_DUP2, descriptor, place) for descriptor, place in zip(high, (0, 1, 3), strict=True)]
        try:
            started = os.posix_spawn(sys.executable, command, chosen_environment(), file_actions=places)
        except OSError as error:
            os.close(self._requests)
            os.close(self._answers)
            msg = f"cannot start {sys.executable}: {error.strerror}; programs cannot be run without it"
            raise ToolError(msg) from error
        finally:
            for descriptor in (requests, answers, *high):
                os.close(descriptor)
        # It forks and leaves at once; where SIGCHLD is ignored, the kernel has already collected it.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(started, 0)
        greeting = self._receive(START_SECONDS)
        if greeting is None:
            self.close()
            msg = f"the reaper did not start within {START_SECONDS:g} s: {' '.join(command)}"
            raise ToolError(msg)
        self.pid = int(greeting["pid"])

    def run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Have a program run; return what became of it.

        Blocks until the program and all it started have ended, without using the processor. An exception here (Ctrl-C)
        ends the program first.

        Raises
        ------
        ToolError
            When the reaper was killed; what it was running is ended.
        """
        timeout = request["timeout"]
        limit = None if timeout is None else timeout + request["grace"] + reaper.PATIENCE + SLACK_SECONDS
        sent = False
        try:
            sent = self._send(request)
            answer = self._receive(limit)
        except OSError:
            answer = None
        except BaseException:
            self.stop()
            if sent and self._receive(request["grace"] + reaper.PATIENCE) is None:
                self.abandon(request["env"])
            raise
        if answer is None:
            self.abandon(request["env"])
            msg = "the reaper, which runs the programs of this evaluator, was killed; the point can be tried again"
            raise ToolError(msg)
        return answer

    @property
    def usable(self) -> bool:
        """Whether it can still be asked to run something."""
        return self._requests >= 0

    def stop(self) -> None:
        """Ask for the running program's end, from any thread; nothing happens when none runs."""
        with contextlib.suppress(OSError):
            self._send({"stop": True})

    def abandon(self, environment: Mapping[bytes, bytes]) -> None:
        """Give up on the reaper and end what it was running."""
        if self.pid:
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)
            self.pid = 0
        self._close_pipes()
        end_processes(os.fsdecode(environment[COOKIE.encode()]))

    def close(self, seconds: float = reaper.PATIENCE) -> bool:
        """End everything, directory included, and wait for it; return whether that is done."""
        if self._requests >= 0:
            os.close(self._requests)
            self._requests = -1
        done = self._answers < 0 or self._receive(seconds) is None
        self._close_pipes()
        return done and not self.directory.exists()

    def _close_pipes(self) -> None:
        for descriptor in (self._requests, self._answers):
            if descriptor >= 0:
                os.close(descriptor)
        self._requests = self._answers = -1

    def _send(self, request: Mapping[str, Any]) -> bool:
        body = marshal.dumps(dict(request))
        message = memoryview(struct.pack("<I", len(body)) + body)
        with self._sending:
            while message:
                message = message[os.write(self._requests, message) :]
        return True

    def _receive(self, seconds: float | None) -> dict[str, Any] | None:
        """Return the next answer; None at the reaper's end or after so many seconds."""
        deadline = None if seconds is None else time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        while len(self._received) < 4 or len(self._received) < 4 + struct.unpack_from("<I", self._received)[0]:
            left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            if not poll.poll(left):
                return None
            piece = os.read(self._answers, 1 << 16)
            if not piece:
                return None
            self._received += piece
        end = 4 + struct.unpack_from("<I", self._received)[0]
        answer: dict[str, Any] = marshal.loads(self._received[4:end])  # noqa: S302 - a private pipe from our own reaper
        self._received = self._received[end:]
        return answer


def end_processes(below: str) -> int:
    """Kill every process of this user that was started for a sandbox at or below a directory; return how many."""
    killed: set[int] = set()
    for _ in range(100):
        found = [process for process in psutil.process_iter() if _belongs(process, below)]
        if not found:
            break
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
                killed.add(process.pid)
        psutil.wait_procs(found, timeout=0.1)
    return len(killed)


def _belongs(process: psutil.Process, below: str) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        if process.uids().real != os.getuid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        place: str = process.environ().get(COOKIE, "")
    except (psutil.Error, OSError):
        return False
    return place == below or place.startswith(below.rstrip("/") + "/")
