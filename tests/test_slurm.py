"""The script of ``rayscan slurm``, run by bash with stand-ins for Slurm and for the scan."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rayscan.cli import app
from rayscan.commands.slurm import write_script
from rayscan.ending import End

CONFIG = """
parameters.x = [0, 1]
target.y = [2, 3]
goal.valid = 10
[tool]
kind = "function"
f = "math:sqrt"
outputs = ["y"]
"""
# Stands in for Python: `ray start` listens, `run` ends as it is told, `status` says what the test wants.
PYTHON = """#!/bin/bash
if [ "$1" = -c ]; then exec python3 "$@"; fi
case "$2 $3" in
    "ray.scripts.scripts start")
        [ "$4" = --head ] || exec sleep 30
        echo "${#RAY_AUTH_TOKEN} $RAY_AUTH_MODE" > token
        exec python3 -c "import os, socket, time
s = socket.create_server(('', int(os.environ['port'])))
time.sleep(30)" ;;
    "rayscan.cli status") cat status ;;
    "rayscan.cli run")
        echo "$RAY_ADDRESS" > address
        trap 'echo drained > drained; cp after status; exit 3' USR1
        if [ "$WARN" ]; then kill -USR1 "$PPID"; for i in $(seq 100); do sleep 0.1; done; fi
        cp after status
        exit "$CODE" ;;
esac
"""
STUBS = {
    "python": PYTHON,
    "sbatch": '#!/bin/bash\necho "$@" "${RAY_AUTH_TOKEN:-no token}" >> submitted\n',
    "scontrol": "#!/bin/bash\necho localhost\n",
    "srun": '#!/bin/bash\nwhile [[ "$1" == --* ]]; do shift; done\nSLURM_PROCID=0 exec "$@"\n',
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scan with a goal, in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scan.toml").write_text(CONFIG)
    return tmp_path / "scan.toml"


def run_script(
    where: Path, code: int, state: str, *, warn: bool = False, after: int = 7
) -> subprocess.CompletedProcess[str]:
    """Run a written script as a batch job whose scan ends like this."""
    for name, text in STUBS.items():
        (where / name).write_text(text)
        (where / name).chmod(0o755)
    (where / "status").write_text('{"evaluations": 5}')
    (where / "after").write_text(f'{{"evaluations": {after}, "state": "{state}"}}')
    script = where / "job.sh"
    script.write_text(write_script("scan.toml", "runs/a", 1, "1:00:00", python=str(where / "python")))
    environment = os.environ | {
        "PATH": f"{where}:{os.environ['PATH']}", "SLURM_JOB_NODELIST": "localhost", "SLURM_JOB_NUM_NODES": "1",
        "SLURM_JOB_ID": str(os.getpid()), "SLURM_CPUS_ON_NODE": "2", "CODE": str(code), "WARN": "yes" if warn else "",
    }  # fmt: skip
    return subprocess.run(
        ["bash", str(script)], cwd=where, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_script_asks_for_what_was_said(config: Path) -> None:
    """Nodes, time, partition, a warning before the limit and further options are sbatch's; bash can read it."""
    arguments = ["slurm", str(config), "--nodes", "4", "--time", "12:00:00", "--partition", "long"]
    answer = CliRunner().invoke(app, [*arguments, "--", "-A", "hep", "--signal=B:USR1@300"])
    assert answer.exit_code == 0, answer.output
    text = Path("slurm.sh").read_text()
    options = re.findall(r"^#SBATCH (.*)$", text, re.MULTILINE)
    assert {"--nodes=4", "--time=12:00:00", "--partition=long", "-A hep", "--signal=B:USR1@300"} <= set(options)
    assert sum(option.startswith("--signal") for option in options) == 1
    assert not re.search(r"@[A-Z_]+@", text)
    subprocess.run(["bash", "-n", "slurm.sh"], check=True)


def test_a_script_that_is_there_is_kept(config: Path) -> None:
    """A script that the user may have changed is replaced only when that is asked for."""
    Path("slurm.sh").write_text("mine")
    command = ["slurm", str(config), "--time", "60"]
    answer = CliRunner().invoke(app, command)
    assert (answer.exit_code, Path("slurm.sh").read_text()) == (2, "mine")
    assert CliRunner().invoke(app, [*command, "--overwrite"]).exit_code == 0
    assert Path("slurm.sh").read_text().startswith("#!/bin/bash")


@pytest.mark.parametrize("wrong", [["--time", "12h"], ["--time", "60", "--", "hep"]])
def test_what_sbatch_would_refuse_is_refused(config: Path, wrong: list[str]) -> None:
    """A time or option that sbatch would not take is found before a script is written."""
    assert CliRunner().invoke(app, ["slurm", str(config), *wrong]).exit_code == 2
    assert not Path("slurm.sh").exists()


@pytest.mark.parametrize(
    ("end", "submitted"),
    [(End.REACHED, False), (End.FAILED, False), (End.STOPPED, False), (End.JOB_OVER, True)],
)
def test_it_is_submitted_again_when_the_job_was_over(tmp_path: Path, end: End, *, submitted: bool) -> None:
    """The next job comes if the scan ended by the job's limit: not by its goal, a failure or `rayscan stop`."""
    answer = run_script(tmp_path, end.code, end.words)
    assert (tmp_path / "submitted").exists() == submitted, answer.stderr
    assert answer.returncode == (0 if submitted else end.code)
    assert (tmp_path / "token").read_text() == "64 token\n"


def test_the_warning_drains_the_scan_and_the_next_job_comes(tmp_path: Path) -> None:
    """Slurm's warning signal reaches the scan, which saves; the same script is submitted, without this job's token."""
    answer = run_script(tmp_path, 0, End.STOPPED.words, warn=True)
    assert (tmp_path / "drained").exists()
    assert (tmp_path / "submitted").read_text() == f"{tmp_path / 'job.sh'} no token\n", answer.stderr


def test_jobs_too_short_for_one_point_do_not_go_on_for_ever(tmp_path: Path) -> None:
    """A job in which nothing was evaluated is not followed by another like it."""
    answer = run_script(tmp_path, End.JOB_OVER.code, End.JOB_OVER.words, after=5)
    assert not (tmp_path / "submitted").exists()
    assert "more time" in answer.stderr
