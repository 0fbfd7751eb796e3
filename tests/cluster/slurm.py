"""Slurm for real on this machine: a job that its limit ends, and the next, which it submits, that goes on.

.. code-block:: console

    $ python -m tests.cluster.slurm

Takes root and Debian's ``slurmctld slurmd slurm-client munge``: one controller and two nodes, each with its own slurmd.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.cluster.outcome import SCAN, check, make_program, say, wait_for

ROWS = 1000
CONF = """
ClusterName=rayscan
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=26817
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
SlurmUser=root
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port=26818 CPUs=2 RealMemory=4000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port=26819 CPUs=2 RealMemory=4000
PartitionName=short Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def main() -> int:
    """Run it; return the exit code."""
    lacking = [name for name in ("slurmctld", "slurmd", "sbatch", "munged") if not shutil.which(name)]
    if lacking or os.geteuid():
        say(f"SKIPPED: takes root and Debian's slurmctld slurmd slurm-client munge (lacking: {lacking})")
        return 0
    root = Path(tempfile.mkdtemp(prefix="rayscan-slurm-"))
    os.environ["SLURM_CONF"] = str(root / "slurm.conf")
    (root / "slurm.conf").write_text(CONF.format(host=socket.gethostname(), root=root))
    (root / "munge.key").write_bytes(os.urandom(128))
    (root / "munge.key").chmod(0o600)
    for folder in ("state", "spool-n1", "spool-n2"):
        (root / folder).mkdir()
    places = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    munge = [f"--{option}={root}/munge.{end}" for option, end in places.items()]
    services = []
    try:
        for words in (
            ["munged", "--foreground", "--force", *munge],
            ["slurmctld", "-D", "-c"],
            ["slurmd", "-D", "-N", "n1"],
            ["slurmd", "-D", "-N", "n2"],
        ):
            with (root / f"{words[0]}.out").open("ab") as out:
                services.append(subprocess.Popen(words, stdout=out, stderr=out, stdin=subprocess.DEVNULL))
            if words[0] == "munged":
                wait_for("munged", (root / "munge.socket").exists, 20)
        wait_for("two nodes", lambda: _ask("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "2", 60)
        say("slurmctld and two slurmd are up")
        _jobs(root)
    finally:
        subprocess.run(["scancel", "--full", "--user=root"], check=False)
        for service in reversed(services):
            service.terminate()
            service.wait(30)
        if not os.environ.get("RAYSCAN_KEEP"):
            shutil.rmtree(root, ignore_errors=True)
    return 0


def _jobs(root: Path) -> None:
    home, out, script = root / "square-1.0", root / "run", root / "slurm.sh"
    make_program(home)
    (root / "scan.toml").write_text(SCAN.format(home=home, more="") + f"[goal]\nevaluations = {ROWS}\n")
    write = [sys.executable, "-m", "rayscan.cli", "slurm", str(root / "scan.toml"), "--nodes", "2", "--time", "2"]
    more = ["--out", str(out), "--script", str(script), "--", "--signal=B:USR1@60", f"--output={root}/job-%j.log"]
    subprocess.run([*write, *more], check=True)
    subprocess.run(["sbatch", str(script)], check=True, cwd=root)
    seconds = wait_for("the end of all jobs", lambda: not _ask("squeue", "-h").strip(), 600)
    logs = sorted(root.glob("job-*.log"))
    for log in logs:
        told = re.findall(r"^valid: .*|^stopped before.*|^Submitted.*|.*not submitted.*", log.read_text(), re.MULTILINE)
        say(f"{log.name}: {'; '.join(told)}")
    say(f"{len(logs)} jobs in {seconds:.0f} s")
    if len(logs) < 2 or "stopped before the goal" not in logs[0].read_text():
        raise RuntimeError(logs[0].read_text()[-4000:])
    check(out, ROWS)


def _ask(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


if __name__ == "__main__":
    sys.exit(main())
