"""The process that starts an evaluator's programs, and ends them when the evaluator is gone.

Run as a plain script by a bare interpreter (``python -I -S -E reaper.py DIRECTORY LOCK PID``), one per evaluator. It
imports nothing of rayscan, leaves the evaluator's session at once, and lives exactly as long as its standard input:
when that pipe ends, however the evaluator died, it ends every process it started, removes `DIRECTORY` and goes.

Being the parent of the programs has three more uses. A small single-threaded process can put limits on itself, spawn
(no copy of the evaluator's memory) and take them off again, which a process with Ray's and torch's threads must not do.
Return codes are right whatever the evaluator does with SIGCHLD. And on Linux, as a *subreaper*, it inherits every
orphan of a program, also one that left its session by ``setsid``: "I have no children left" then proves that nothing
survived.
Elsewhere only the program's process group is ended; `rayscan.sandbox.scratch.sweep` finds the others.
"""

from __future__ import annotations

import contextlib
import fcntl
import marshal
import os
import resource
import select
import signal
import stat
import struct
import sys
import time
from typing import Any

LINUX = sys.platform.startswith("linux")
TICK = 0.1
"""Seconds between two looks at the size of a running program's output."""
PATIENCE = 10.0
"""Seconds to wait for killed processes to disappear; one stuck in the kernel must not hold up a scan for ever."""
COURTESY = 0.1
"""Seconds that background processes get to end by themselves once the program itself has ended."""
DEAF = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGTSTP", "SIGXCPU", "SIGXFSZ")
"""Ignored here: batch systems warn every process of a job, but the programs must be able to finish."""
DEFAULTS = [getattr(signal, name) for name in (*DEAF, "SIGPIPE", "SIGCHLD")]
CAPTURE = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW
SMALLEST_OWN_MEMORY = 256 * 2**20
"""Below this a memory limit might stop this interpreter itself and is set just after the start instead."""


class Reaper:
    """Runs one program at a time for the evaluator at the other end of two pipes."""

    def __init__(self, lifeline: int, answers: int, evaluator: int) -> None:
        self.lifeline = lifeline
        self.answers = answers
        self.received = b""
        self.orphaned = False
        self.asked_to_stop = False
        self.cut = 0
        self.ended: dict[int, int] = {}
        self.children = False
        self.wake, alarm = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(alarm, False)
        signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.poll = select.poll()
        self.poll.register(self.wake, select.POLLIN)
        self.poll.register(lifeline, select.POLLIN)
        # A plain fork in the evaluator copies the lifeline; its death is then seen by this descriptor only.
        self.witness = -1
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self.witness = os.pidfd_open(evaluator)
                self.poll.register(self.witness, select.POLLIN)

    def serve(self) -> None:
        """Answer requests until the evaluator is gone."""
        self.send({"pid": os.getpid()})
        while (request := self.receive()) is not None:
            if "command" in request:
                self.send(self.run(request))

    def send(self, answer: dict[str, Any]) -> None:
        body = marshal.dumps(answer)
        with contextlib.suppress(BrokenPipeError):
            os.write(self.answers, struct.pack("<I", len(body)) + body)

    def receive(self) -> Any:
        """Return the next request, or None when there will be none."""
        while True:
            request = self.unpack()
            if request is not None:
                return request
            if self.orphaned:
                return None
            self.listen(None)

    def unpack(self) -> Any:
        if len(self.received) < 4:
            return None
        end = 4 + struct.unpack_from("<I", self.received)[0]
        if len(self.received) < end:
            return None
        request = marshal.loads(self.received[4:end])  # noqa: S302 - a private pipe from our own evaluator
        self.received = self.received[end:]
        return request

    def listen(self, seconds: float | None) -> None:
        """Wait for a death or a message, at most so many seconds, and note what happened."""
        for descriptor, _ in self.poll.poll(None if seconds is None else max(0.0, seconds * 1000)):
            if descriptor == self.lifeline:
                received = os.read(self.lifeline, 1 << 20)
                self.received += received
                self.orphaned |= not received
            elif descriptor == self.witness:
                self.orphaned = True
            else:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.wake, 1024)
        if self.orphaned:
            # An ended pipe is always readable: stop looking at it, or the loop would spin.
            with contextlib.suppress(KeyError):
                self.poll.unregister(self.lifeline)
            with contextlib.suppress(KeyError):
                self.poll.unregister(self.witness)
        self.reap()

    def reap(self) -> None:
        """Collect the dead, and note whether any child is left."""
        self.children = True
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.children = False
                return
            if pid == 0:
                return
            self.ended[pid] = status

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run one program to its end and that of all it started."""
        self.ended.clear()
        self.asked_to_stop, self.cut = False, 0
        captured: list[int] = []
        try:
            captured.extend(os.open(path, CAPTURE, 0o600) for path in request["captured"])
            started = time.monotonic()
            pid = spawn(request, captured)
        except (OSError, ValueError, MemoryError) as error:
            for descriptor in captured:
                os.close(descriptor)
            return {"error": getattr(error, "strerror", None) or str(error), "errno": getattr(error, "errno", 0) or 0}
        timed_out = self.watch(pid, request, started, captured)
        seconds = time.monotonic() - started
        left = self.finish(pid, 0.0 if timed_out else request["grace"])
        for descriptor in captured:
            self.cut += cut_middle(descriptor, request["cap"])
            os.close(descriptor)
        return {
            "status": self.ended.get(pid), "timed_out": timed_out, "stopped": self.asked_to_stop, "seconds": seconds,
            "cut": self.cut, "left": left,
        }  # fmt: skip

    def watch(self, pid: int, request: dict[str, Any], started: float, captured: list[int]) -> bool:
        """Wait for the program, or end its tree; return whether it ran past its time."""
        timeout = request["timeout"]
        deadline = None if timeout is None else started + timeout
        tick = TICK if request["cap"] else None
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            self.listen(left if tick is None else tick if left is None else min(left, tick))
            if pid in self.ended:
                return False
            late = deadline is not None and time.monotonic() >= deadline
            self.asked_to_stop = self.unpack() is not None
            if late or self.orphaned or self.asked_to_stop:
                self.end(pid, request["grace"])
                return late
            for descriptor in captured if request["cap"] else ():
                self.cut += cut_middle(descriptor, request["cap"], keep_end=False)

    def finish(self, pid: int, grace: float) -> int:
        """End what the program left running in the background; return how many processes that were."""
        if not LINUX:
            signal_all({-pid}, signal.SIGKILL)
            return 0
        if not self.children:
            return 0
        left = len(descendants())
        self.wait_until_alone(COURTESY)
        if self.children:
            self.end(pid, min(grace, 0.5))
        return left

    def end(self, pid: int, grace: float) -> None:
        """SIGTERM to the whole tree, a grace, SIGKILL."""
        signal_all({-pid} | descendants(), signal.SIGTERM)
        self.wait_until_alone(grace)
        deadline = time.monotonic() + PATIENCE
        while self.children and time.monotonic() < deadline:
            # Again and again: what was forked a moment ago was in no earlier list.
            signal_all({-pid} | descendants(), signal.SIGKILL)
            self.wait_until_alone(0.02)

    def wait_until_alone(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        self.reap()
        while self.children and (left := deadline - time.monotonic()) > 0:
            self.listen(left)


def spawn(request: dict[str, Any], captured: list[int]) -> int:
    """Start the program in a session of its own; return its process id."""
    memory = request["memory"]
    soft = [(resource.RLIMIT_CPU, request["cpu"]), (resource.RLIMIT_FSIZE, request["file"])]
    # As `ulimit -s` of a shell: the hard limit may be less than what is asked for, never more.
    soft.append((resource.RLIMIT_STACK, request["stack"] or resource.getrlimit(resource.RLIMIT_STACK)[1]))
    if memory is not None and memory >= SMALLEST_OWN_MEMORY:
        soft.append((resource.RLIMIT_AS, memory))
    before = {which: resource.getrlimit(which) for which, limit in soft if limit is not None}
    os.chdir(request["cwd"])
    try:
        for which, limit in soft:
            if limit is not None:
                hard = before[which][1]
                bounded = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
                resource.setrlimit(which, (bounded, hard))
        pid = os.posix_spawn(
            request["path"], request["command"], request["env"], setsid=True, setsigmask=[],
            setsigdef=DEFAULTS,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, request["stdin"], os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, captured[0], 1),
                (os.POSIX_SPAWN_DUP2, captured[1], 2),
            ],
        )  # fmt: skip
    finally:
        for which, limits in before.items():
            resource.setrlimit(which, limits)
        os.chdir("/")
    if memory is not None and memory < SMALLEST_OWN_MEMORY and hasattr(resource, "prlimit"):
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_AS, (memory, memory))
    return pid


def signal_all(targets: set[int], number: int) -> None:
    """Send a signal to processes and, by negative numbers, to process groups; the dead don't mind."""
    for target in targets:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(target, number)


def descendants() -> set[int]:
    """Return the living processes below this one; nothing where there is no ``/proc``."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc") if LINUX else ():  # noqa: PTH208 - pathlib costs more than this process starts in
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{entry}/stat", "rb") as file:  # noqa: PTH123
                # The name in parentheses may hold anything, spaces and parentheses included.
                state, parent = file.read().rpartition(b")")[2].split()[:2]
                if state != b"Z":
                    parents[int(entry)] = int(parent)
    below: set[int] = set()
    row = {os.getpid()}
    while row:
        row = {pid for pid, parent in parents.items() if parent in row} - below
        below |= row
    return below


def cut_middle(descriptor: int, cap: int | None, *, keep_end: bool = True) -> int:
    """Keep the first and the last half of `cap` bytes of a file; return how many bytes went.

    While the program still writes (``keep_end=False``) only the first half stays: it appends, so its end comes after.
    """
    size = os.fstat(descriptor).st_size
    if cap is None or size <= cap:
        return 0
    half = cap // 2
    last = os.pread(descriptor, half, size - half) if keep_end else b""
    os.ftruncate(descriptor, half)
    with contextlib.suppress(OSError):
        os.write(descriptor, b"\n[... output cut here ...]\n" + last)
    return size - half - len(last)


def remove_tree(path: str) -> bool:
    """Remove a directory and all below it, following no link; return whether it is gone.

    Sub-directories are moved up to the top before they are emptied, so neither depth nor the length of a path matters,
    and are made writable first.
    """
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            return False
        os.chmod(path, 0o700)  # noqa: PTH101
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        moved = 0
        while True:
            with os.scandir(top) as listing:
                entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in listing]
            removed = 0
            for name, is_directory in entries:
                with contextlib.suppress(OSError):
                    if is_directory:
                        moved = _hollow(top, name, moved)
                        os.rmdir(name, dir_fd=top)
                    else:
                        os.unlink(name, dir_fd=top)
                    removed += 1
            if not removed:
                break
    finally:
        os.close(top)
    with contextlib.suppress(OSError):
        os.rmdir(path)  # noqa: PTH106
        return True
    return False


def _hollow(top: int, name: str, moved: int) -> int:
    """Unlink the files in a directory and move its sub-directories up; return how many were moved so far."""
    os.chmod(name, 0o700, dir_fd=top)
    directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        with os.scandir(directory) as listing:
            entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in listing]
        for inner, is_directory in entries:
            if not is_directory:
                os.unlink(inner, dir_fd=directory)
                continue
            # Moving a directory rewrites its "..", for which it must be writable itself.
            os.chmod(inner, 0o700, dir_fd=directory)
            while True:
                moved += 1
                with contextlib.suppress(FileExistsError, NotADirectoryError):
                    os.rename(inner, f".removed-{moved}", src_dir_fd=directory, dst_dir_fd=top)
                    break
    finally:
        os.close(directory)
    return moved


def remove_lock(lock: str) -> None:
    """Remove a lock file, and the run's and the user's folders when that was the last one in them."""
    run = os.path.dirname(lock)  # noqa: PTH120
    with contextlib.suppress(OSError):
        os.unlink(lock)  # noqa: PTH108
        os.rmdir(run)  # noqa: PTH106
        os.rmdir(os.path.dirname(run))  # noqa: PTH106, PTH120


def become_subreaper() -> None:
    """Have the kernel hand the orphans of our programs to this process."""
    if LINUX:
        import ctypes

        pr_set_child_subreaper = 36
        ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def main() -> None:
    """Detach from the evaluator, serve it, clean up after it."""
    directory, lock, evaluator = sys.argv[1], sys.argv[2], int(sys.argv[3])
    # Whatever else the evaluator lets its children inherit must not reach the programs.
    for descriptor in map(int, os.listdir("/dev/fd")):  # noqa: PTH208
        if descriptor > 3:
            with contextlib.suppress(OSError):
                os.close(descriptor)
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    for name in DEAF:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    # Nobody looks at the core files of ten thousand failed points; the programs inherit this.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    become_subreaper()
    lifeline, answers = (fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10) for descriptor in (0, 1))
    # Descriptor 3 is the evaluator's lock on the directory: held on until the clean-up is done.
    os.set_inheritable(3, False)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    Reaper(lifeline, answers, evaluator).serve()
    if remove_tree(directory):
        remove_lock(lock)


if __name__ == "__main__":
    main()
