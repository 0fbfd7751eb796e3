"""When a batch job ends, as Slurm, PBS, Torque and LSF say it."""

from __future__ import annotations

import datetime as dt
import logging
import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from rayscan.engine.batch_job import cores, job_end
from rayscan.errors import ConfigError


@pytest.fixture
def says(tmp_path: Path, monkeypatch: Any) -> Any:
    """Put a program on the path that prints a text, in place of a batch system's."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def put(name: str, text: str, code: int = 0) -> None:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {code}\n")
        program.chmod(0o755)

    return put


def test_outside_of_a_job_there_is_no_end() -> None:
    """A laptop's scan knows no deadline."""
    assert job_end({}) is None


def test_the_users_word_comes_first() -> None:
    """Where the batch system is not known here, the user's script says when the job ends."""
    assert job_end({"RAYSCAN_JOB_END": "1800000000", "SLURM_JOB_ID": "1", "SLURM_JOB_END_TIME": "5"}) == 1.8e9
    with pytest.raises(ConfigError, match="unix seconds"):
        job_end({"RAYSCAN_JOB_END": "tomorrow"})


def test_slurm_says_it_in_the_environment() -> None:
    """Slurm 22.05 and later."""
    end = int(time.time()) + 3600
    assert job_end({"SLURM_JOB_ID": "7", "SLURM_JOB_END_TIME": str(end)}) == end


@pytest.mark.parametrize(("left", "seconds"), [("1-02:03:04", 93784), ("5:06", 306), ("0:07", 7), ("10:00:00", 36000)])
def test_older_slurm_is_asked(says: Any, left: str, seconds: int) -> None:
    """``squeue`` prints what is left as days-hours:minutes:seconds."""
    says("squeue", left)
    assert job_end({"SLURM_JOB_ID": "7"}) == pytest.approx(time.time() + seconds, abs=30)


def test_a_slurm_job_that_was_extended_is_asked_again(says: Any) -> None:
    """Who is there after the end that the environment names has got more time."""
    says("squeue", "1:00:00")
    end = job_end({"SLURM_JOB_ID": "7", "SLURM_JOB_END_TIME": "1700000000"})
    assert end == pytest.approx(time.time() + 3600, abs=30)


def test_htcondor_says_it_in_the_jobs_description(tmp_path: Path) -> None:
    """Only where the job was submitted with a longest duration."""
    job = tmp_path / ".job.ad"
    job.write_text('Owner = "x"\nJobCurrentStartDate = 1764200000\nAllowedJobDuration = 7200\n')
    assert job_end({"_CONDOR_JOB_AD": str(job)}) == 1_764_207_200.0
    job.write_text("JobCurrentStartDate = 1764200000\n")
    assert job_end({"_CONDOR_JOB_AD": str(job)}) is None


def test_a_job_has_its_own_cores_and_not_the_machines(tmp_path: Path) -> None:
    """Whatever the batch system says it in; more than this process may use there are not."""
    allowed = cores({})
    assert 1 <= allowed <= (os.cpu_count() or 1)
    assert cores({"SLURM_CPUS_ON_NODE": "1"}) == 1
    assert cores({"SLURM_CPUS_ON_NODE": "100000"}) == allowed
    assert cores({"NCPUS": "many"}) == allowed
    machine = tmp_path / ".machine.ad"
    machine.write_text('Machine = "node7"\nCpus = 1\nMemory = 2048\n')
    assert cores({"_CONDOR_MACHINE_AD": str(machine)}) == 1


def test_a_job_without_limit_has_no_end(says: Any) -> None:
    """``UNLIMITED`` of Slurm and ``-`` of LSF."""
    says("squeue", "UNLIMITED")
    says("bjobs", "-")
    assert job_end({"SLURM_JOB_ID": "7"}) is None
    assert job_end({"LSB_JOBID": "7"}) is None


def test_pbs_pro_says_when_it_began(says: Any) -> None:
    """Its used time lags behind, so the end is the start and the walltime."""
    began = dt.datetime(2026, 3, 4, 5, 6, 7).astimezone()
    says("qstat", f"Job Id: 12.server\n    Resource_List.walltime = 02:00:00\n"
         f"    resources_used.walltime = 00:00:10\n    stime = {began:%a %b %d %H:%M:%S %Y}\n"
         "    Variable_List = PBS_O_HOME=/home/x,\n\tPBS_O_LANG=C")  # fmt: skip
    assert job_end({"PBS_JOBID": "12.server"}) == began.timestamp() + 7200


def test_torque_says_what_is_left(says: Any) -> None:
    """``Walltime.Remaining``, in seconds."""
    says("qstat", "Job Id: 12\n    Resource_List.walltime = 02:00:00\n    Walltime.Remaining = 4000")
    assert job_end({"PBS_JOBID": "12"}) == pytest.approx(time.time() + 4000, abs=30)


def test_torque_without_its_server(says: Any) -> None:
    """Where ``qstat`` does not answer, the walltime counts from the job's first process."""
    says("qstat", "cannot connect", code=1)
    end = job_end({"PBS_JOBID": "12", "PBS_WALLTIME": "3600"})
    assert end == psutil.Process().create_time() + 3600


def test_lsf_says_minutes(says: Any) -> None:
    """Rounded to the safe side."""
    says("bjobs", "1:30 L")
    assert job_end({"LSB_JOBID": "3"}) == pytest.approx(time.time() + 5340, abs=30)


@pytest.mark.parametrize("text", ["nonsense", "", "1:x"])
def test_an_end_that_cannot_be_found_out_is_said(says: Any, caplog: Any, text: str) -> None:
    """The scan goes on without a deadline, and the user learns how to say it."""
    says("squeue", text)
    with caplog.at_level(logging.WARNING, logger="rayscan"):
        assert job_end({"SLURM_JOB_ID": "7"}) is None
    assert "SLURM_JOB_ID=7" in caplog.text
    assert "RAYSCAN_JOB_END" in caplog.text
