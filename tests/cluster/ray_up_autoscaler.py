"""A cluster that an autoscaler makes larger when a scan begins and smaller before it ends.

.. code-block:: console

    $ python -m tests.cluster.ray_up_autoscaler

Ray's provider for tests (``fake_multinode``: nodes are processes of one host) starts nodes that have the custom
resource ``square``, which the scan's tool asks for; the head has none. The last point takes 45 s, in which the other
nodes go.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster.hosts import Hosts, missing
from tests.cluster.outcome import check, hosts_of, say, wait_for

HEAD, ROWS, NODES = 10, 400, 3
HEAD_ID = f"{'f' * 51}00000"
"""What the provider calls the head."""
PREPARE = (
    "import sys; from pathlib import Path; from tests.cluster.outcome import SCAN, make_program;"
    " home = Path.home() / 'square-1.0'; make_program(home, sys.argv[1]);"
    " text = SCAN.format(home=home, more='resources = { square = 1 }');"
    " Path('scan.toml').write_text(text + f'evaluators = [{sys.argv[2]}, {sys.argv[2]}]\\n')"
)
ALIVE = (
    "import ray; ray.init(address='auto', log_to_driver=False, logging_level='error');"
    " print(sum(node['Alive'] for node in ray.nodes()))"
)
AUTOSCALER = {
    "cluster_name": "rayscan-fake",
    "max_workers": NODES,
    "idle_timeout_minutes": 0.1,
    "upscaling_speed": 10,
    "provider": {
        "type": "external",
        "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
        "foreground_node_launch": True,
        "launch_multiple": True,
        "head_node_id": HEAD_ID,
    },
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 1}, "node_config": {}, "max_workers": 0},
        "square": {"resources": {"CPU": 1, "square": 1}, "node_config": {}, "min_workers": 0, "max_workers": NODES},
    },
    "head_node_type": "ray.head.default",
    "auth": {},
    "docker": {},
    "initialization_commands": [],
    "setup_commands": [],
    "head_setup_commands": [],
    "worker_setup_commands": [],
    "head_start_ray_commands": [],
    "worker_start_ray_commands": [],
    "file_mounts": {},
    "cluster_synced_files": [],
    "file_mounts_sync_continuously": False,
    "rsync_exclude": [],
    "rsync_filter": [],
}


def main() -> int:
    """Run it; return the exit code."""
    why = missing()
    if why:
        say(f"SKIPPED: {why}")
        return 0
    with Hosts() as hosts:
        hosts.add(HEAD)
        config, slow, out = hosts.shared / "fake.json", hosts.shared / "slow", hosts.shared / "run"
        config.write_text(json.dumps(AUTOSCALER))
        hosts.ssh(HEAD, shlex.join([sys.executable, "-c", PREPARE, str(slow), str(NODES)]), log="prepare.log")
        settings = (
            "AUTOSCALER_UPDATE_INTERVAL_S=1 RAY_FAKE_CLUSTER=1 RAY_enable_autoscaler_v2=1 "
            f"RAY_CLOUD_INSTANCE_ID={HEAD_ID} RAY_OVERRIDE_NODE_ID_FOR_TESTING={HEAD_ID}"
        )
        start = (
            f"{settings} ray start --head --port=6379 --node-ip-address=127.0.0.1 --num-cpus=1 "
            f"--object-store-memory=150000000 --include-dashboard=false --autoscaling-config={config}"
        )
        hosts.ssh(HEAD, start, log="start.log")
        say(f"the head is up: {_alive(hosts)} node")
        command = f"RAY_ADDRESS=127.0.0.1:6379 rayscan run scan.toml --out {out} --evaluations {ROWS} --no-plot"
        try:
            _scan(hosts, command, slow, out)
        finally:
            hosts.ssh(HEAD, "cat /tmp/ray/session_latest/logs/monitor*", check=False, log="monitor.log")
    return 0


def _scan(hosts: Hosts, command: str, slow: Path, out: Path) -> None:
    with (hosts.shared / "scan.log").open("wb") as log:
        scan = subprocess.Popen(hosts.ssh_words(HEAD, command), stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def going() -> bool:
        if scan.poll() is not None:
            raise RuntimeError((hosts.shared / "scan.log").read_text(errors="replace")[-4000:])
        return True

    seconds = wait_for("nodes", lambda: going() and _alive(hosts) == 1 + NODES, 120)
    say(f"up: {NODES} nodes with the resource were asked for, and are there {seconds:.0f} s after the scan began")
    wait_for("most rows", lambda: going() and hosts_of(out).total() >= ROWS - 40, 200)
    slow.mkdir()
    seconds = wait_for("fewer nodes", lambda: _alive(hosts) < 1 + NODES, 80)
    if scan.poll() is not None:
        msg = "the cluster was to shrink before the scan's end"
        raise RuntimeError(msg)
    say(f"down: {_alive(hosts)} nodes are left while the last point runs")
    code = scan.wait()
    say(f"rayscan run ended with {code}")
    if code:
        raise RuntimeError((hosts.shared / "scan.log").read_text(errors="replace")[-4000:])
    wait_for("the head alone", lambda: _alive(hosts) == 1, 60)
    say("the head is alone again")
    for line in (out / "log").read_text().splitlines():
        if " node " in line:
            say(f"   log: {line}")
    check(out, ROWS)


def _alive(hosts: Hosts) -> int:
    """Return how many nodes the cluster has."""
    words = hosts.ssh_words(HEAD, shlex.join([sys.executable, "-c", ALIVE]))
    said = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    time.sleep(1)
    return int(said.stdout.split()[-1]) if said.stdout.split() else 0


if __name__ == "__main__":
    sys.exit(main())
