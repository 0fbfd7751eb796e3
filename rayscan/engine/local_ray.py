"""The Ray that a scan starts for itself, on this machine and for this process alone."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import secrets
import signal
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import psutil
import ray
from ray._private import ray_constants, services, utils, worker

from rayscan.errors import ClusterError

LONGEST_SOCKET = 107
"""Bytes that the path of a socket may have on Linux; a few less elsewhere."""
BELOW = len("/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store") + 10
"""Bytes that Ray's own names take of that, and some to spare."""
SHORT = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - these very places are meant, for want of a shorter TMPDIR
_MANY_NODES = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE")


def start(cpus: int) -> None:
    """Start Ray: on the loopback address, with a token that exists only in this process.

    Parameters
    ----------
    cpus : int
        Logical CPUs, for driver and evaluators.
    """
    home_token = Path("~/.ray/auth_token").expanduser()
    if not any(os.environ.get(name) for name in _TOKEN_VARIABLES) and not home_token.exists():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    begin = functools.partial(
        ray.init,
        address="local",
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=512 * 2**20,
        _node_ip_address="127.0.0.1",
        _temp_dir=temporary(),
    )
    with _loopback(), _own_group():
        if threading.current_thread() is threading.main_thread():
            begin()
        else:
            _in_a_thread_that_lasts(begin)


def _in_a_thread_that_lasts(begin: Callable[[], object]) -> None:
    """Call a function whose child processes, on Linux, end with the thread that started them."""
    begun: Future[object] = Future()

    def last() -> None:
        try:
            begun.set_result(begin())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            begun.set_exception(error)
        else:
            threading.Event().wait()

    threading.Thread(target=last, name="rayscan-ray", daemon=True).start()
    begun.result()


def temporary() -> str | None:
    """Return where Ray's sockets and logs go; None where it chooses a place that is short enough by itself.

    Raises
    ------
    ClusterError
        ``TMPDIR`` is too long for sockets, and there is no short place that this user may write to.
    """
    chosen = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    if len(os.fsencode(Path(chosen).absolute())) + BELOW <= LONGEST_SOCKET:
        return None
    for root in SHORT:
        folder = Path(root) / f"ray-{os.getuid()}"
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            state = folder.lstat()
            if stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and os.access(folder, os.W_OK | os.X_OK):
                return str(folder)
    msg = (
        f"TMPDIR={chosen} is too long for Ray's sockets, whose paths may have {LONGEST_SOCKET} bytes, and none of "
        f"{', '.join(SHORT)} can be written to; set RAY_TMPDIR to a short directory"
    )
    raise ClusterError(msg)


@contextlib.contextmanager
def handlers_kept() -> Iterator[None]:
    """Put this process' signal handlers back: Ray, when it starts, sets one of its own, which ends it on SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def silence(*, always: bool) -> None:
    """Keep what Ray says of dead nodes and workers out of the user's terminal: the scan says it, and goes on.

    Ray prints it on standard output, whatever was asked for, with the last lines of a dead node's own log.

    Parameters
    ----------
    always : bool
        Whatever Ray prints; if not, its lines on worker processes alone: a user's own Ray may have more to say.
    """
    show = getattr(worker, "print_to_stdstream", None)
    if show is None or isinstance(show, _Quiet):
        return
    worker.print_to_stdstream = _Quiet(show, always=always)


class _Quiet:
    """What prints Ray's lines, without some."""

    def __init__(self, show: Any, *, always: bool) -> None:
        self._show, self._always = show, always

    def __call__(self, data: Any, *arguments: Any, **options: Any) -> None:
        of_a_worker = data.get("pid") == "raylet" and any("worker" in str(line) for line in data.get("lines", ()))
        if not self._always and not of_a_worker:
            self._show(data, *arguments, **options)


def processes() -> list[psutil.Process]:
    """Return Ray's processes below this one, evaluators included; none where it was started by somebody else."""
    node = getattr(worker, "_global_node", None)
    found: list[psutil.Process] = []
    for entries in dict(getattr(node, "all_processes", None) or {}).values():
        for entry in entries:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(entry.process.pid)
                found += [process, *filter(_of_ray, process.children(recursive=True))]
    return found


def _of_ray(process: psutil.Process) -> bool:
    """Whether it is Ray's own, rather than a program or a reaper, which ends by itself and tidies up before."""
    try:
        return bool(process.cmdline()[0].startswith("ray::"))
    except (psutil.Error, IndexError):
        return False


def end(family: Sequence[psutil.Process]) -> None:
    """End Ray and what it left behind: without its head, its processes hold on for a minute."""
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.kill()
    ray.shutdown()


def answers(address: str, timeout: float = 2.0) -> bool:
    """Return whether Ray's head still listens. Asking Ray itself would end this process if it does not.

    Parameters
    ----------
    address : str
        Empty where it is reached by a way of the user's: it is taken to listen.
    timeout : float
        Seconds.
    """
    if not address:
        return True
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout).close()
    except (OSError, ValueError):
        return False
    return True


@contextlib.contextmanager
def _own_group() -> Iterator[None]:
    """Start Ray's servers in process groups of their own.

    A shell's ``kill %1`` and ``timeout`` end a whole group; the scan has to finish what is under way then, and cannot
    without Ray. On Linux its servers end with this process all the same.
    """
    name = "ConsolePopen"
    popen = getattr(services, name, None)
    if popen is None or not utils.detect_fate_sharing_support():  # type: ignore[no-untyped-call]
        yield
        return
    setattr(services, name, functools.partial(popen, process_group=0))
    try:
        yield
    finally:
        setattr(services, name, popen)


@contextlib.contextmanager
def _loopback() -> Iterator[None]:
    """Have the Ray that is started listen on the loopback address alone.

    Asking for ``127.0.0.1`` is not enough: on Linux, Ray puts the machine's own address in its place, and its servers
    then listen on every interface. This switch is what keeps it local on laptops with a firewall. Ray's processes
    inherit it, so that it need not stay; one that stayed would be in the way of a cluster that is joined later.
    """
    before = os.environ.get(_MANY_NODES)
    constant = getattr(ray_constants, "ENABLE_RAY_CLUSTER", True)
    os.environ[_MANY_NODES] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = constant
        if before is None:
            del os.environ[_MANY_NODES]
        else:
            os.environ[_MANY_NODES] = before
