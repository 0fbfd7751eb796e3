"""``ray up`` for real on this machine: three hosts by ssh, a fourth that joins, one that is cut off.

.. code-block:: console

    $ python -m tests.cluster.ray_up

The hosts are namespaces (`tests.cluster.hosts`), the cluster is Ray's provider ``local`` with token authentication, and
the program lies on the head alone, in a home that no other host sees: it is shipped.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster.hosts import NETWORK, Hosts, missing
from tests.cluster.outcome import PREPARE, check, hosts_of, say, wait_for

HEAD, WORKERS, LATE = 10, (11, 12), 13
ROWS = 1200
# Ray 2.60's newer autoscaler launches one worker of a provider `local`, whatever their number.
CLUSTER = """
cluster_name: rayscan-hosts
provider:
  type: local
  head_ip: {head}
  worker_ips: [{workers}]
auth:
  ssh_user: root
  ssh_private_key: {key}
head_start_ray_commands:
  - ray stop --force
  - RAY_enable_autoscaler_v2=0 ray start --head --port=6379 --node-ip-address={head} --num-cpus=2 {common}
    --autoscaling-config=~/ray_bootstrap_config.yaml
worker_start_ray_commands:
  - ray stop --force
  - {start_worker}
"""
COMMON = "--object-store-memory=150000000 --disable-usage-stats"


def main() -> int:
    """Run it; return the exit code."""
    why = missing()
    if why:
        say(f"SKIPPED: {why}")
        return 0
    with Hosts() as hosts:
        for number in (HEAD, *WORKERS, LATE):
            hosts.add(number)
        say(f"hosts {NETWORK}.{HEAD} to .{LATE} listen, each with its own /tmp and home")
        start_worker = f"ray start --address={NETWORK}.{HEAD}:6379 --num-cpus=1 {COMMON}"
        config = hosts.shared / "cluster.yaml"
        config.write_text(
            CLUSTER.format(
                head=f"{NETWORK}.{HEAD}",
                workers=", ".join(f"{NETWORK}.{one}" for one in WORKERS),
                key=hosts.key,
                common=f"--include-dashboard=false {COMMON}",
                start_worker=start_worker,
            )
        )
        _ray(hosts.shared, "up", "-y", "--no-config-cache", str(config))
        say("ray up: done")
        try:
            _scan(hosts, start_worker)
        finally:
            _ray(hosts.shared, "down", "-y", str(config))
            say("ray down: done")
    return 0


def _scan(hosts: Hosts, start_worker: str) -> None:
    hosts.ssh(HEAD, shlex.join([sys.executable, "-c", PREPARE]), log="prepare.log")
    out = hosts.shared / "run"
    address = f"RAY_ADDRESS={NETWORK}.{HEAD}:6379"
    command = f"{address} rayscan run scan.toml --out {out} --evaluations {ROWS} --no-plot"
    with (hosts.shared / "scan.log").open("wb") as log:
        scan = subprocess.Popen(hosts.ssh_words(HEAD, command), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _drama(hosts, scan, out, start_worker)
    finally:
        if scan.poll() is None:
            scan.kill()
        hosts.ssh(HEAD, "cat /tmp/ray/session_latest/logs/monitor*", check=False, log="monitor.log")
    code = scan.returncode
    said = (hosts.shared / "scan.log").read_text(errors="replace")
    noise = [line for line in said.splitlines() if "(raylet" in line or "pid=" in line or " WARNING " in line]
    say(f"rayscan run ended with {code}; lines of Ray on the terminal: {len(noise)}")
    if code or noise:
        raise RuntimeError(said[-4000:])
    for line in (out / "log").read_text().splitlines():
        if " node " in line:
            say(f"   log: {line}")
    check(out, ROWS)


def _drama(hosts: Hosts, scan: subprocess.Popen[bytes], out: Path, join: str) -> None:
    everywhere = {f"host{number}" for number in (HEAD, *WORKERS)}

    def works(*names: str) -> bool:
        if scan.poll() is not None:
            raise RuntimeError((hosts.shared / "scan.log").read_text(errors="replace")[-4000:])
        return set(names) <= set(hosts_of(out))

    seconds = wait_for("work on three hosts", lambda: works(*everywhere), 60)
    say(f"all three hosts have work {seconds:.1f} s after the start: {dict(hosts_of(out))}")
    hosts.ssh(LATE, join, log="join.log")
    seconds = wait_for("work on the fourth", lambda: works(f"host{LATE}"), 60)
    say(f"a fourth host joined, and has a finished point {seconds:.1f} s after `ray start` came back")
    if seconds > 15:
        msg = "the fourth host was to have work within 15 s"
        raise RuntimeError(msg)
    before = hosts_of(out)[f"host{WORKERS[0]}"]
    hosts.cut(WORKERS[0])
    cut = time.monotonic()
    say(f"host{WORKERS[0]} is cut off, after {before} points there")
    wait_for("the end of the scan", lambda: scan.poll() is not None, 400)
    say(f"the scan ended {time.monotonic() - cut:.1f} s later")


def _ray(shared: Path, *words: str) -> None:
    ray = str(shared / "bin" / "ray")
    with (shared / "ray.log").open("ab") as log:
        done = subprocess.run([ray, *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False, timeout=300)
    if done.returncode:
        said = (shared / "ray.log").read_text(errors="replace")[-4000:]
        msg = f"ray {' '.join(words)} ended with {done.returncode}\n{said}"
        raise RuntimeError(msg)


if __name__ == "__main__":
    sys.exit(main())
