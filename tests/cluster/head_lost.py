"""The head node of a cluster is lost in mid-run, with the driver on it: another machine goes on from the object store.

.. code-block:: console

    $ python -m tests.cluster.head_lost

The hosts are namespaces (`tests.cluster.hosts`), the object store is moto's server. The head's processes (Ray's head,
its raylet, the driver, the user's command) are all killed at once, and its disk is gone with it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time

import pyarrow.fs

import rayscan as rs
from rayscan.errors import StoreError
from tests.cluster.hosts import NETWORK, Hosts, missing
from tests.cluster.outcome import PREPARE, check, say, wait_for

HEAD, WORKER, NEXT = 10, 11, 12
ROWS, BEFORE = 900, 300
COMMON = "--object-store-memory=150000000 --disable-usage-stats"
SECRETS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}


def main() -> int:
    """Run it; return the exit code."""
    why = missing()
    if not why:
        try:
            from moto.server import ThreadedMotoServer
        except ImportError:
            why = "moto is not installed: pip install 'rayscan[test]'"
    if why:
        say(f"SKIPPED: {why}")
        return 0
    os.environ.update(SECRETS)
    with Hosts() as hosts:
        os.environ["RAYSCAN_CACHE"] = str(hosts.shared / "reader")
        for number in (HEAD, WORKER, NEXT):
            hosts.add(number)
        server = ThreadedMotoServer(ip_address=f"{NETWORK}.254", port=0, verbose=False)
        server.start()
        try:
            store = f"endpoint_override={NETWORK}.254:{server.get_host_and_port()[1]}&scheme=http&region=us-east-1"
            system, _ = pyarrow.fs.FileSystem.from_uri(f"s3://runs/x?{store}&allow_bucket_creation=true")
            system.create_dir("runs")
            _scan(hosts, f"s3://runs/square?{store}")
        finally:
            server.stop()
    return 0


def _scan(hosts: Hosts, uri: str) -> None:
    _begin(hosts, HEAD)
    hosts.ssh(WORKER, f"ray start --address={NETWORK}.{HEAD}:6379 --num-cpus=1 {COMMON}", log="worker.log")
    command = _command(HEAD, uri)
    with (hosts.shared / "first.log").open("wb") as log:
        first = subprocess.Popen(hosts.ssh_words(HEAD, command), stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def shipped() -> int:
        if first.poll() is not None:
            raise RuntimeError((hosts.shared / "first.log").read_text(errors="replace")[-4000:])
        try:
            return len(rs.open_run(uri))
        except StoreError:
            return 0

    seconds = wait_for(f"{BEFORE} rows in the object store", lambda: shipped() >= BEFORE, 180)
    say(f"{shipped()} rows are in the object store {seconds:.1f} s after the start")
    # In between two shipments, so that something is lost.
    time.sleep(7)
    hosts.kill(HEAD)
    killed = time.monotonic()
    first.wait()
    table = rs.open_run(uri).table
    known = dict(zip(table["point_id"].to_pylist(), table["x"].to_pylist(), strict=True))
    say(f"the head is lost, and the driver with it; {len(known)} rows survive in the object store")
    _begin(hosts, NEXT)
    code, tries = 1, 0
    while code:
        tries += 1
        log = f"next-{tries}.log"
        code = hosts.ssh(NEXT, _command(NEXT, uri), check=False, log=log)
        said = (hosts.shared / log).read_text(errors="replace")
        if code and "is scanning into it" not in said:
            raise RuntimeError(said[-4000:])
        if code:
            say(f"the next machine is refused while the dead one may live: {said.strip().splitlines()[-1][:150]}")
            if time.monotonic() - killed > 200:
                msg = "the dead machine is still taken for one that lives"
                raise RuntimeError(msg)
            time.sleep(20)
    say(f"another machine has finished the scan, {time.monotonic() - killed:.0f} s after the first was lost")
    result = rs.open_run(uri)
    for line in (result.path / "log").read_text().splitlines():
        if " opened: " in line:
            say(f"   log: {line}")
    check(uri, ROWS)
    table = result.table
    after = dict(zip(table["point_id"].to_pylist(), table["x"].to_pylist(), strict=True))
    kept = all(after[one] == x for one, x in known.items())
    say(f"every row that was in the object store is there as it was: {kept}")
    if not kept:
        msg = "rows have changed"
        raise RuntimeError(msg)


def _begin(hosts: Hosts, number: int) -> None:
    """Start Ray's head on a host, and put program and file there, in its own home."""
    secrets = " ".join(f"{name}={value}" for name, value in SECRETS.items())
    start = f"ray start --head --port=6379 --node-ip-address={NETWORK}.{number} --num-cpus=2 --include-dashboard=false"
    hosts.ssh(number, shlex.join([sys.executable, "-c", PREPARE]), log="prepare.log")
    hosts.ssh(number, f"{secrets} {start} {COMMON}", log=f"start-{number}.log")


def _command(number: int, uri: str) -> str:
    secrets = " ".join(f"{name}={value}" for name, value in SECRETS.items())
    run = f"rayscan run scan.toml --out {shlex.quote(uri)} --evaluations {ROWS} --no-plot"
    return f"{secrets} RAY_ADDRESS={NETWORK}.{number}:6379 {run}"


if __name__ == "__main__":
    sys.exit(main())
