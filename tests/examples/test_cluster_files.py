"""The examples of clusters, checked by what reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rayscan.commands.slurm import write_script

CLUSTER = Path(__file__).parents[2] / "examples" / "cluster"
FILES = ["local.yaml", "aws.yaml", "gcp.yaml"]


def read(name: str) -> dict[str, Any]:
    """Return a cluster's configuration."""
    yaml = pytest.importorskip("yaml")
    loaded: dict[str, Any] = yaml.safe_load((CLUSTER / name).read_text())
    return loaded


@pytest.mark.parametrize("name", FILES)
def test_ray_accepts_it(name: str) -> None:
    """`ray up` reads the file: nothing is unknown or of the wrong kind, and the head's type is there."""
    util = pytest.importorskip("ray.autoscaler._private.util")
    pytest.importorskip("jsonschema")
    util.validate_config(util.prepare_config(read(name)))


@pytest.mark.parametrize("name", FILES)
def test_it_asks_for_a_token(name: str) -> None:
    """Each node gets the token and starts Ray with it, and the dashboard is not open to the network."""
    config = read(name)
    assert "~/.ray/auth_token" in config["file_mounts"]
    starts = [
        one for key in ("head_start_ray_commands", "worker_start_ray_commands") for one in config[key]
        if "ray start" in one
    ]  # fmt: skip
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in one for one in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]


def test_the_slurm_script_is_what_the_command_writes() -> None:
    """`slurm.sh` does not fall behind `rayscan slurm`."""
    shared = "/shared/me"
    assert (CLUSTER / "slurm.sh").read_text() == write_script(
        f"{shared}/scan.toml", f"{shared}/runs/mssm", 4, "12:00:00", partition="long",
        python=f"{shared}/rayscan-env/bin/python", name="mssm",
    )  # fmt: skip
