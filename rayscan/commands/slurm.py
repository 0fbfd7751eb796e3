"""``rayscan slurm``: a batch script that starts Ray on the nodes of a job, scans there, and goes on in a next job."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from rayscan.commands.outcome import ConfigFile, say, tells
from rayscan.ending import End
from rayscan.errors import ConfigError

WARNING = 120
"""Seconds before the limit at which Slurm is asked to say so; it may do it a minute earlier."""
TIME = re.compile(r"\d+|\d+:\d\d|\d+:\d\d:\d\d|\d+-\d+(:\d\d){0,2}")
"""The times that sbatch understands."""
SHORT = {
    "-N": "--nodes", "-t": "--time", "-p": "--partition", "-J": "--job-name", "-c": "--cpus-per-task",
    "-o": "--output",
}  # fmt: skip

SCRIPT = r"""#!/bin/bash
# Written by `rayscan slurm`, yours to change: `sbatch` it. It starts Ray on all nodes of the job, scans there, and
# submits itself again as long as the scan ends by the job's limit (not by its goal, a failure or `rayscan stop`).
@OPTIONS@

python=@PYTHON@
config=@CONFIG@
out=@OUT@

# Slurm says that the limit is near: finish the points under way and save.
warned= scan=
trap 'warned=yes; [ -z "$scan" ] || kill -USR1 "$scan"' USR1
trap '[ -n "$scan" ] || exit 143; kill -TERM "$scan"' TERM

# Only who has the token may use the nodes; it lives in the environment of this job.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_USAGE_STATS_ENABLED=0 python

# Ray on each node, its head on the first, where this script runs. Plain `ray start`, since `ray symmetric-run` does
# not pass Slurm's warning on to the scan.
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
ip=$({ getent ahostsv4 "$head"; hostname -I | tr ' ' '\n'; } |
    awk '$1 ~ /^[0-9.]+$/ && $1 !~ /^127\./ { print $1; exit }')
export ip port=$((20000 + SLURM_JOB_ID % 10000)) files=/tmp/rayscan-$SLURM_JOB_ID
export cpus=${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}
each=(srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --overlap)
"${each[@]}" --cpus-per-task="$cpus" bash -c '
    if [ "$SLURM_PROCID" = 0 ]; then
        exec "$python" -m ray.scripts.scripts start --head --node-ip-address="$ip" --port="$port" --num-cpus="$cpus" \
            --temp-dir="$files" --include-dashboard=false --block
    fi
    until (exec 3<>"/dev/tcp/$ip/$port") 2>/dev/null; do sleep 1; done
    exec "$python" -m ray.scripts.scripts start --address="$ip:$port" --num-cpus="$cpus" --block
' &
ray=$!
until (exec 3<>"/dev/tcp/$ip/$port") 2>/dev/null; do
    kill -0 "$ray" 2>/dev/null || { echo "Ray did not start on $head: see above" >&2; exit 1; }
    sleep 1
done

# How many points there are, and how the scan ended.
said() { "$python" -m rayscan.cli status "$out" --json 2>/dev/null | "$python" -c '
import json, sys
try:
    print(json.load(sys.stdin).get(sys.argv[1], ""))
except ValueError:
    print("")' "$1"; }

before=$(said evaluations)
RAY_ADDRESS="$ip:$port" "$python" -m rayscan.cli run "$config" --out "$out" &
scan=$!
wait "$scan"; code=$?
while [ "$code" -gt 128 ] && kill -0 "$scan" 2>/dev/null; do wait "$scan"; code=$?; done
[ "$code" -gt 128 ] && { wait "$scan"; code=$?; }
trap '' USR1

kill "$ray" 2>/dev/null
if [ "$code" -eq @STOPPED@ ]; then
    case $warned$(said state) in
        yes* | *'@JOB_OVER@'*)
            if [ "$(said evaluations)" = "$before" ]; then
                echo "the job ended before one point was evaluated: not submitted again; give it more time" >&2
            elif (unset RAY_AUTH_TOKEN RAY_AUTH_MODE; sbatch "$0"); then
                code=0
            else
                echo "the next job could not be submitted; sbatch this script again to go on" >&2
            fi ;;
    esac
fi
wait "$ray" 2>/dev/null
"${each[@]}" rm -rf -- "$files"
exit "$code"
"""


def write_script(
    config: str, out: str, nodes: int, time: str, *, partition: str | None = None, more: tuple[str, ...] = (),
    python: str = sys.executable, name: str = "scan",
) -> str:  # fmt: skip
    """Return the text of a batch script.

    Parameters
    ----------
    config, out : str
        The ``scan.toml`` and the run directory or its URI, as the nodes see them.
    nodes : int
    time : str
        Limit of each job, as sbatch writes it.
    partition : str, optional
    more : tuple of str
        Further options of sbatch; one that the script would set itself takes the place of its own.
    python : str
        The Python with rayscan, the same path on all nodes.
    name : str
        Name of the job.

    Raises
    ------
    ConfigError
        A time or an option that sbatch would not understand.
    """
    if not TIME.fullmatch(time):
        msg = f"--time {time}: expected minutes, H:MM:SS or D-HH:MM:SS, such as 12:00:00 or 2-00"
        raise ConfigError(msg)
    theirs: list[list[str]] = []
    for word in more:
        if word.startswith("-"):
            theirs.append([word])
        elif theirs and len(theirs[-1]) == 1:
            theirs[-1].append(word)
        else:
            msg = f"{word!r}: expected an option of sbatch after --, such as --account=hep"
            raise ConfigError(msg)
    if any("\n" in word for word in more):
        msg = "options of sbatch are of one line each"
        raise ConfigError(msg)
    ours = {
        "--job-name": name, "--nodes": str(nodes), "--ntasks-per-node": "1", "--exclusive": "", "--time": time,
        "--partition": partition or "", "--signal": f"B:USR1@{WARNING}", "--output": f"{name}-%j.log",
    }  # fmt: skip
    given = {SHORT.get(option, option) for option in (words[0].partition("=")[0] for words in theirs)}
    if "--cpus-per-task" in given:
        given.add("--exclusive")
    if not partition:
        given.add("--partition")
    lines = [
        f"#SBATCH {option}" + (f"={shlex.quote(value)}" if value else "")
        for option, value in ours.items()
        if option not in given
    ]
    lines += [f"#SBATCH {shlex.join(words)}" for words in theirs]
    text = SCRIPT
    for key, value in {
        "OPTIONS": "\n".join(lines), "PYTHON": shlex.quote(python), "CONFIG": shlex.quote(config),
        "OUT": shlex.quote(out), "STOPPED": str(End.JOB_OVER.code), "JOB_OVER": End.JOB_OVER.words,
    }.items():  # fmt: skip
        text = text.replace(f"@{key}@", value)
    return text


@tells
def slurm(
    config: ConfigFile,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[-- SBATCH OPTIONS]", help="Further options of sbatch.")
    ] = None,
    *,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes of the job.")] = 1,
    time: Annotated[str, typer.Option(help="Limit of each job, as sbatch writes it: 12:00:00, 2-00.")],
    partition: Annotated[str | None, typer.Option(help="Slurm's partition.")] = None,
    out: Annotated[
        str | None, typer.Option(metavar="PATH", help="Run directory, or its place in an object store.")
    ] = None,
    script: Annotated[Path, typer.Option(metavar="FILE", help="The script to write.")] = Path("slurm.sh"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a script that is there.")] = False,
) -> None:
    """Write a Slurm script that scans on several nodes and submits itself again until the goal is reached."""
    from rayscan.commands.run import default_out, goal_of
    from rayscan.config import load_config

    configuration = load_config(config)
    goal_of(configuration, {})
    path = configuration.path.absolute()
    where = str(out or configuration.out or default_out(configuration.path))
    place = where if "://" in where else str(Path(where).expanduser().absolute())
    text = write_script(
        str(path), place, nodes, time, partition=partition, more=tuple(more or ()), name=Path(place).name
    )
    try:
        with script.open("w" if overwrite else "x", encoding="utf-8") as file:
            file.write(text)
        script.chmod(0o755)
    except FileExistsError:
        msg = f"{script} is there already and was left as it is; --script names another file, --overwrite replaces it"
        raise ConfigError(msg) from None
    except OSError as error:
        msg = f"{script}: cannot be written ({error.strerror}); --script names another file"
        raise ConfigError(msg) from None
    say(f"{script}: nodes: {nodes}, limit of a job: {time}, results in {place}")
    say(f"`sbatch {script}` starts it; programs must be on all nodes, or [tool] ship in {config} copies them")
