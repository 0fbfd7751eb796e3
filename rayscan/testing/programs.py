"""Fake programs that behave as badly as real ones do: ``python -m rayscan.testing.programs MODE ...``.

Standard library only and no package import of weight, so that one starts in the time of a bare interpreter. Where a
mode takes IN and OUT, IN is text with numbers in it and OUT gets one line ``sum = <their sum>``.

==============================  =======================================================================================
mode                            what it does
==============================  =======================================================================================
``sum IN OUT``                  the good one: reads numbers, writes their sum, prints ``done``
``sleep SECONDS [IN OUT]``      sleeps, then does the same
``spin``                        uses the processor for ever
``exit CODE [IN OUT]``          ends with this code, after the good work if there are files
``signal NAME``                 ends itself by a signal, such as SIGKILL
``segfault``                    reads address 0
``fork [PIDS]``                 starts a child and hangs; both ignore SIGTERM; process ids go to the file PIDS
``escape [PIDS]``               starts a child that leaves the session and ignores SIGTERM, and hangs itself
``daemon [PIDS]``               leaves such a child behind and ends with 0
``garbage OUT``                 writes bytes that are no text, and ends with 0
``nan IN OUT``                  writes ``sum = NaN``, and ends with 0
``nothing``                     prints nothing, writes nothing, ends with 0
``empty OUT``                   writes an empty file, ends with 0
``stale IN OUT MEMORY``         writes OUT in its first run (there is no MEMORY yet), later leaves OUT as it is
``loud BYTES``                  prints so many bytes on stdout
``fill BYTES FILE``             writes a file of so many bytes, and says on stderr when it may not
``memory BYTES``                takes so much memory
``flaky SHARE SEED IN OUT``     fails for this share of the inputs (exit code, signal or no output), the same for a seed
``environment``                 prints its environment, one ``NAME=value`` a line
==============================  =======================================================================================
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable

NUMBER = re.compile(rb"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")
LONG = 3600.0
"""How long a hanging program hangs; a test that fails must not leave it for ever."""


def command(*words: str) -> list[str]:
    """Return the command line that runs a mode, whether or not rayscan is installed where it runs."""
    return [sys.executable, "-I", "-S", __file__, *words]


def main(arguments: list[str]) -> int:
    """Run one mode; return the exit code."""
    mode, *rest = arguments or [""]
    if mode not in MODES:
        sys.stderr.write(f"unknown mode {mode!r}; known: {', '.join(sorted(MODES))}\n")
        return 2
    return MODES[mode](*rest)


def _add(source: str, target: str) -> int:
    with open(source, "rb") as file:  # noqa: PTH123 - pathlib takes longer to import than this takes to run
        total = sum(float(number) for number in NUMBER.findall(file.read()))
    _write(target, f"sum = {total!r}\n".encode())
    print("done")  # noqa: T201
    return 0


def _sleep(seconds: str, *files: str) -> int:
    time.sleep(float(seconds))
    return _add(*files) if files else 0


def _spin() -> int:
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        pass
    return 0


def _leave(code: str, *files: str) -> int:
    if files:
        _add(*files)
    return int(code)


def _die(name: str) -> int:
    os.kill(os.getpid(), signal.Signals[name])
    time.sleep(LONG)
    return 0


def _segfault() -> int:
    import ctypes

    ctypes.string_at(0)
    return 0


def _fork(pids: str = os.devnull) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = os.fork()
    if child:
        _write(pids, f"{os.getpid()} {child}\n".encode())
    time.sleep(LONG)
    return 0


def _escape(pids: str = os.devnull) -> int:
    _start_daemon(pids)
    time.sleep(LONG)
    return 0


def _daemon(pids: str = os.devnull) -> int:
    _start_daemon(pids)
    return 0


def _garbage(target: str) -> int:
    block = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(256))
    _write(target, block)
    sys.stdout.buffer.write(block)
    return 0


def _nan(source: str, target: str) -> int:  # noqa: ARG001 - takes the same arguments as a good program
    _write(target, b"sum = NaN\n")
    return 0


def _nothing(*_: str) -> int:
    return 0


def _empty(target: str) -> int:
    _write(target, b"")
    return 0


def _stale(source: str, target: str, memory: str) -> int:
    if os.path.exists(memory):  # noqa: PTH110
        return 0
    _write(memory, b"ran once\n")
    return _add(source, target)


def _loud(count: str) -> int:
    line = b"all work and no play makes jack a dull boy\n"
    left = int(count)
    while left > 0:
        left -= sys.stdout.buffer.write((line * 1500)[:left])
    return 0


def _fill(count: str, target: str) -> int:
    left = int(count)
    try:
        with open(target, "wb", buffering=0) as file:  # noqa: PTH123
            while left > 0:
                left -= file.write(bytes(min(left, 1 << 20)))
    except OSError as error:
        sys.stderr.write(f"cannot write {target}: {error.strerror}\n")
        return 1
    return 0


def _memory(count: str) -> int:
    taken = bytearray(int(count))
    return 0 if taken else 1


def _flaky(share: str, seed: str, source: str, target: str) -> int:
    with open(source, "rb") as file:  # noqa: PTH123
        digest = hashlib.sha256(seed.encode() + b"\0" + file.read()).digest()
    if int.from_bytes(digest[:7], "big") / 2**56 >= float(share):
        return _add(source, target)
    return (lambda: _leave("3"), lambda: _die("SIGABRT"), _nothing)[digest[7] % 3]()


def _environment() -> int:
    for name, value in sorted(os.environ.items()):
        print(f"{name}={value}")  # noqa: T201
    return 0


def _start_daemon(pids: str) -> None:
    ready, say = os.pipe()
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        daemon_pid = os.read(ready, 32).decode()
        _write(pids, f"{os.getpid()} {daemon_pid}\n".encode())
        return
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork():
        os._exit(0)
    os.write(say, str(os.getpid()).encode())
    time.sleep(LONG)
    os._exit(0)


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(content)


MODES: dict[str, Callable[..., int]] = {
    "sum": _add, "sleep": _sleep, "spin": _spin, "exit": _leave, "signal": _die, "segfault": _segfault, "fork": _fork,
    "escape": _escape, "daemon": _daemon, "garbage": _garbage, "nan": _nan, "nothing": _nothing, "empty": _empty,
    "stale": _stale, "loud": _loud, "fill": _fill, "memory": _memory, "flaky": _flaky, "environment": _environment,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
