"""Secrets of the user's environment reach no program and no file; Ray listens to this machine alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rayscan.sandbox.lifeline import PASSED, THREADS

ROOT = Path(__file__).parents[2]
SECRETS = {
    name: f"hush-{name}-hush"
    for name in (
        "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "SSH_AUTH_SOCK", "DATABASE_PASSWORD", "API_KEY",
        "OPENAI_API_KEY", "KRB5CCNAME", "X509_USER_PROXY", "SLURM_JWT",
    )
}  # fmt: skip
TOKEN = "0123456789abcdef" * 4
OWN = {"TMPDIR", "RAYSCAN_SANDBOX", "PYTHONPATH", "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE", "MODEL"}
SCAN = """
import json, os, sys
import rayscan as rs

def ports():
    import psutil
    found = []
    ours = psutil.Process()
    for process in [ours, *ours.children(recursive=True)]:
        try:
            connections = getattr(process, "net_connections", getattr(process, "connections", None))(kind="inet")
            found += [connection.laddr.ip for connection in connections if connection.status == "LISTEN"]
        except psutil.Error:
            pass
    return sorted(set(found))

tool = rs.Command(
    ["python", "-c", "import json, os; json.dump(dict(os.environ), open('env', 'w')); print('y = {x}')"],
    read={"y": r"regex:y = (\\S+)"}, keep="all", keep_files=["env"], env={"MODEL": "MSSM"},
)
scan = rs.Scan(
    rs.Space(x=(0, 1)), tool, rs.Target(y=(0, 1)), out="run", evaluators=int(sys.argv[1]), initial=20, keep="all"
)
scan.run(evaluations=4, progress=None)
answer = {"token": os.environ.get("RAY_AUTH_TOKEN", "")}
if sys.argv[1] != "0":
    import ray
    # The cluster is ours and still runs: it ends with this process.
    answer["listening"] = ports()
    answer["dashboard"] = ray._private.worker._global_node.webui_url
print("ANSWER", json.dumps(answer))
"""


def run(tmp_path: Path, evaluators: int, **environment: str) -> dict[str, Any]:
    """Run a scan in a process with secrets in its environment and an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", SCAN, str(evaluators)], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=250, env={**kept, **SECRETS, "HOME": str(home), "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for secret in (*SECRETS.values(), TOKEN):
        assert secret not in done.stdout.partition("ANSWER")[0]
        assert secret not in done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.partition("ANSWER")[2])
    return answer


def check_files(tmp_path: Path) -> None:
    """What programs saw is the chosen list, and no file of the run holds a secret."""
    kept = sorted((tmp_path / "run" / "kept").iterdir())
    assert len(kept) == 4
    for path in kept:
        seen = json.loads(path.read_text())
        unexpected = {name for name in seen if name not in {*PASSED, *THREADS, *OWN} and not name.startswith("LC_")}
        assert not unexpected
        assert seen["MODEL"] == "MSSM"
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                table = pq.read_table(path)
                content += str(table.to_pylist()).encode() + str(table.schema.metadata).encode()
            for secret in (*SECRETS.values(), TOKEN):
                assert secret.encode() not in content, path


def test_programs_and_files_get_no_secret(tmp_path: Path) -> None:
    """Without Ray: tokens and passwords stay in the process that has them."""
    run(tmp_path, 0, RAY_AUTH_TOKEN=TOKEN)
    check_files(tmp_path)
    assert not list((tmp_path / "home").iterdir())


@pytest.mark.ray
@pytest.mark.slow
def test_with_ray_neither_and_nothing_outside_can_reach_it(tmp_path: Path) -> None:
    """A Ray of our own: a token in this process only, loopback only, no dashboard, nothing in the home directory."""
    answer = run(tmp_path, 1)
    check_files(tmp_path)
    assert len(answer["token"]) >= 32
    assert set(answer["listening"]) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert answer["listening"]
    assert not answer["dashboard"]
    assert not list((tmp_path / "home").rglob("*"))
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or answer["token"].encode() not in path.read_bytes()
