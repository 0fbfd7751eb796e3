"""Hosts that are namespaces of this machine: own network, processes, name, ``/tmp`` and home, and an ssh server.

They share the other directories, as machines with a file system in common do. Needs root, iproute2, util-linux, openssh
and, for ``ray up``, rsync.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

NETWORK = "10.177.0"
BRIDGE = "rayscan0"
HOME = "/run/home"
NEEDED = ("ip", "unshare", "ssh", "ssh-keygen", "rsync", "/usr/sbin/sshd")


def missing() -> str:
    """Return why there can be no hosts here, empty if there can."""
    if os.getuid() != 0:
        return "only root can make network namespaces"
    lacking = [name for name in NEEDED if shutil.which(name) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)} (Debian: iproute2 openssh-client openssh-server rsync)"
    return ""


class Hosts:
    """Up to a hundred hosts on a bridge; use it in a ``with``.

    Attributes
    ----------
    shared : Path
        A directory that all of them see.
    key : Path
        The key that lets into each.
    """

    def __init__(self) -> None:
        # Not /tmp, of which each host has its own.
        self.shared = Path(tempfile.mkdtemp(prefix="rayscan-hosts-", dir="/var/tmp"))
        self.key = self.shared / "key"
        self._names: list[str] = []
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self._write_environment()
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
            shutil.copy(f"{self.key}.pub", self.shared / "authorized_keys")
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.shared / "host_key"))
            (self.shared / "sshd_config").write_text(
                f"HostKey {self.shared}/host_key\nAuthorizedKeysFile {self.shared}/authorized_keys\n"
                "StrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\nPrintMotd no\nMaxStartups 100\n"
            )
            # A home of each host's own; Python itself may lie in the real one.
            users = Path("/etc/passwd").read_text().splitlines()
            own = [line.replace(":/root:", f":{HOME}:") if line.startswith("root:") else line for line in users]
            (self.shared / "passwd").write_text("\n".join(own) + "\n")
            _run("ip", "link", "add", BRIDGE, "type", "bridge")
            _run("ip", "addr", "add", f"{NETWORK}.254/24", "dev", BRIDGE)
            _run("ip", "link", "set", BRIDGE, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _write_environment(self) -> None:
        """Say where each shell on a host finds programs, and the token that lets into the cluster."""
        programs = self.shared / "bin"
        programs.mkdir()
        for name, module in (("ray", "ray.scripts.scripts"), ("rayscan", "rayscan.cli")):
            (programs / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m {module} "$@"\n')
            (programs / name).chmod(0o755)
        token = self.shared / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        values = {
            "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(Path.cwd()), "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1",
            "RAYSCAN_CACHE": f"{HOME}/cache",
        }  # fmt: skip
        lines = (f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
        (self.shared / "environment").write_text("".join(lines))

    def add(self, number: int) -> str:
        """Start a host; return its address."""
        name, address = f"host{number}", f"{NETWORK}.{number}"
        _run("ip", "netns", "add", name)
        self._names.append(name)
        _run("ip", "link", "add", f"rs{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        _run("ip", "link", "set", f"rs{number}", "master", BRIDGE, "up")
        inside = ("ip", "-n", name)
        _run(*inside, "addr", "add", f"{address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _run(*inside, "link", "set", device, "up")
        places = ("/tmp", "/run", "/dev/shm")
        script = "; ".join(
            (
                f"hostname {name}",
                *(f"mount -t tmpfs -o mode=1777 tmpfs {place}" for place in places),
                f"mkdir /run/sshd {HOME}",
                f"cp {self.shared}/environment {HOME}/.bashrc",
                f"mount --bind {self.shared}/passwd /etc/passwd",
                f"exec /usr/sbin/sshd -D -e -f {self.shared}/sshd_config",
            )
        )
        with (self.shared / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                ["ip", "netns", "exec", name, "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child",
                 "--mount-proc", "sh", "-ec", script],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        end = time.monotonic() + 10
        while self.ssh(number, "true", check=False) and time.monotonic() < end:
            time.sleep(0.2)
        return address

    def ssh(self, number: int, command: str, *, check: bool = True, log: str = "") -> int:
        """Run a command on a host; return its exit code."""
        words = self.ssh_words(number, command)
        with (self.shared / log).open("ab") if log else contextlib.nullcontext(subprocess.DEVNULL) as out:
            code = subprocess.run(words, stdout=out, stderr=out, stdin=subprocess.DEVNULL, check=False).returncode
        if check and code:
            said = (self.shared / log).read_text(errors="replace")[-2000:] if log else ""
            msg = f"host{number}: {command!r} ended with {code}\n{said}"
            raise RuntimeError(msg)
        return code

    def ssh_words(self, number: int, command: str) -> list[str]:
        """Return the words that run a command on a host."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=3")
        flags = [word for option in options for word in ("-o", option)]
        return ["ssh", "-i", str(self.key), *flags, f"root@{NETWORK}.{number}", command]

    def cut(self, number: int) -> None:
        """Cut a host off, as if its cable were pulled: nothing ends there, and nothing comes out."""
        _run("ip", "link", "set", f"rs{number}", "down")

    def kill(self, number: int) -> None:
        """End a host with all that runs there, as a loss of power does."""
        process = self._processes.pop(f"host{number}")
        process.kill()
        process.wait()

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()
        for name in self._names:
            _run("ip", "link", "del", name.replace("host", "rs"), check=False)
            _run("ip", "netns", "del", name, check=False)
        _run("ip", "link", "del", BRIDGE, check=False)
        if "RAYSCAN_KEEP" in os.environ:
            print(f"kept: {self.shared}")
        else:
            shutil.rmtree(self.shared, ignore_errors=True)


def _run(*words: str, check: bool = True) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if check and done.returncode:
        msg = f"{shlex.join(words)}: {done.stderr.strip() or done.returncode}"
        raise RuntimeError(msg)
