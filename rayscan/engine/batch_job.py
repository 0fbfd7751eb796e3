"""The batch job that this process runs in: when it ends and how many cores are its own."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from rayscan.errors import ConfigError

logger = logging.getLogger("rayscan")

OURS = "RAYSCAN_JOB_END"
"""Unix time at which the machine goes away, for batch systems that are not known here."""
CORES = ("SLURM_CPUS_ON_NODE", "NCPUS", "PBS_NUM_PPN", "LSB_DJOB_NUMPROC")
"""Variables with the cores that a job has on this node."""
PATIENCE = 20.0
"""Seconds that a batch system's command may take: its server may be busy, and a scan can do without."""


def job_end(environ: Mapping[str, str] | None = None) -> float | None:
    """Return when the batch job of this process ends, in unix seconds.

    ``RAYSCAN_JOB_END`` comes first. Slurm says it in ``SLURM_JOB_END_TIME``, older versions by ``squeue``; PBS and
    Torque by ``qstat -f`` or, with ``PBS_WALLTIME``, by the age of the job's first process; LSF by ``bjobs``, to a
    minute; HTCondor in the job's own description, where ``allowed_job_duration`` was asked for.

    Parameters
    ----------
    environ : mapping, optional
        This process' environment by default.

    Returns
    -------
    float or None
        None outside of a batch job, in one without a limit, or (with a warning) where its end cannot be found out.

    Raises
    ------
    ConfigError
        ``RAYSCAN_JOB_END`` is not a unix time.
    """
    known = os.environ if environ is None else environ
    given = known.get(OURS)
    if given:
        try:
            return float(given)
        except ValueError:
            msg = f"{OURS}={given}: expected the end of the job in unix seconds, such as $(date -d '+12 hours' +%s)"
            raise ConfigError(msg) from None
    systems: Mapping[str, Callable[[Mapping[str, str]], float | None]] = {
        "SLURM_JOB_ID": _slurm, "PBS_JOBID": _pbs, "LSB_JOBID": _lsf, "_CONDOR_JOB_AD": _condor,
    }  # fmt: skip
    for name, ask in systems.items():
        if known.get(name):
            try:
                return ask(known)
            except (OSError, KeyError, ValueError, subprocess.SubprocessError) as error:
                logger.warning(
                    "this is the batch job %s=%s, and when it ends could not be found out (%s); a time limit, or %s in "
                    "unix seconds, says it",
                    name, known[name], error, OURS,
                )  # fmt: skip
                return None
    return None


def cores(environ: Mapping[str, str] | None = None) -> int:
    """Return how many processor cores this process may use: its job's, where that has fewer than the machine.

    Parameters
    ----------
    environ : mapping, optional
        This process' environment by default.
    """
    known = os.environ if environ is None else environ
    mask: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    allowed = len(mask(0)) if mask else os.cpu_count() or 1
    given = [known.get(name, "") for name in CORES]
    if "_CONDOR_MACHINE_AD" in known:
        with contextlib.suppress(OSError):
            given.append(_description(known["_CONDOR_MACHINE_AD"]).get("Cpus", ""))
    return min([allowed, *(int(one) for one in given if one.isdecimal() and int(one) > 0)])


def _slurm(known: Mapping[str, str]) -> float | None:
    said = known.get("SLURM_JOB_END_TIME", "")
    # One that is over has been extended since.
    if said.isdecimal() and float(said) > time.time():
        return float(said)
    left = _said_by("squeue", "--noheader", "--jobs", known["SLURM_JOB_ID"], "--format", "%L").strip()
    return None if left in {"UNLIMITED", "NOT_SET"} else time.time() + _seconds(left)


def _pbs(known: Mapping[str, str]) -> float | None:
    try:
        # Long values go on in further lines.
        said = _said_by("qstat", "-f", known["PBS_JOBID"]).replace("\n\t", "")
    except (OSError, subprocess.SubprocessError):
        if not known.get("PBS_WALLTIME", "").isdecimal():
            raise
        return _first_process("PBS_JOBID", known["PBS_JOBID"]) + float(known["PBS_WALLTIME"])
    entries = dict(re.findall(r"^\s*([\w.]+) = (.*)$", said, re.MULTILINE))
    walltime = entries.get("Resource_List.walltime")
    if "Walltime.Remaining" in entries:
        return time.time() + _seconds(entries["Walltime.Remaining"])
    if walltime is None:
        return None
    if "stime" in entries:
        # In the server's local time, which is this node's.
        began = dt.datetime.strptime(entries["stime"].strip(), "%a %b %d %H:%M:%S %Y").astimezone()
        return began.timestamp() + _seconds(walltime)
    return _first_process("PBS_JOBID", known["PBS_JOBID"]) + _seconds(walltime)


def _lsf(known: Mapping[str, str]) -> float | None:
    left = _said_by("bjobs", "-noheader", "-o", "time_left", known["LSB_JOBID"]).split()
    if not left or left[0] == "-":
        return None
    hours, minutes = (int(part) for part in left[0].split(":"))
    # Said in whole minutes.
    return time.time() + max(0.0, 3600.0 * hours + 60.0 * minutes - 60.0)


def _condor(known: Mapping[str, str]) -> float | None:
    entries = _description(known["_CONDOR_JOB_AD"])
    if "AllowedJobDuration" not in entries:
        return None
    return float(entries["JobCurrentStartDate"]) + float(entries["AllowedJobDuration"])


def _description(path: str) -> dict[str, str]:
    """Read a file of HTCondor's."""
    return dict(re.findall(r"^(\w+) = (.*)$", Path(path).read_text(), re.MULTILINE))


def _said_by(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=PATIENCE, stdin=subprocess.DEVNULL
    )
    return done.stdout


def _seconds(text: str) -> float:
    """Read ``[days-][[hours:]minutes:]seconds``."""
    days, _, rest = text.strip().rpartition("-")
    total = 0
    for part in rest.split(":"):
        total = 60 * total + int(part)
    return float(total + 86_400 * int(days or 0))


def _first_process(name: str, job: str) -> float:
    """Return when the oldest ancestor of this process that belongs to the job began, in unix seconds."""
    began: float = psutil.Process().create_time()
    for parent in psutil.Process().parents():
        try:
            if parent.environ().get(name) != job:
                break
            began = parent.create_time()
        except psutil.Error:
            break
    return began
