"""A run directory from somebody else: reading it executes nothing, and writing into it writes nowhere else."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from typer.testing import CliRunner, Result

import rayscan as rs
from rayscan.cli import app
from rayscan.errors import RayscanError, StoreError
from rayscan.store import checkpoint
from rayscan.store.run_directory import CHECKPOINT

SECONDS = 60.0


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.trace),)


def make(out: Path, **options: Any) -> rs.Scan:
    tool = rs.Command(
        ["python", "-c", "print('y = {x}', file=open('out', 'w'))"], read={"y": r"regex:y = (\S+)"}, output="out",
        keep="all", keep_files=["out"], name="echo",
    )  # fmt: skip
    return rs.Scan(
        rs.Space(x=(0, 1)), tool, rs.Target(y=(0, 0.5)), out=out, evaluators=0, initial=50, keep="all", **options
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("others") / "run"
    make(path).run(evaluations=3, progress=None)
    return path


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of a small run to do mischief in."""
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def cli(*arguments: str | Path) -> Result:
    start = time.monotonic()
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert time.monotonic() - start < SECONDS
    return done


def framed(header: bytes, blob: bytes) -> bytes:
    digest = hashlib.sha256(header + blob).digest()
    return checkpoint.MAGIC + len(header).to_bytes(8, "big") + digest + header + blob


def zipped(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


BLOBS: dict[str, Callable[[Path], bytes]] = {
    "a pickle": lambda trace: pickle.dumps(Bomb(trace)),
    "a pickle in torch's clothes": lambda trace: zipped({"told": 3, "state": Bomb(trace), "ready": None}),
    "a whole module": lambda trace: zipped(torch.nn.Linear(1, 1)),
    "plain nonsense": lambda trace: zipped({"told": "three"}),
    "a list": lambda trace: zipped([1, 2]),
    "another learner": lambda trace: zipped({"told": 3, "state": {"map": [1.0]}, "ready": None}),
    "other proposals": lambda trace: zipped({"told": 3, "state": None, "ready": {"u": 5}}),
    "nothing": lambda trace: b"",
    "noise": lambda trace: os.urandom(10_000),
}


@pytest.mark.parametrize("kind", BLOBS)
def test_a_checkpoint_executes_nothing(run: Path, tmp_path: Path, kind: str) -> None:
    """A checkpoint with code in it is refused with the way to go on without it, and the rows are used."""
    meta = checkpoint.load(run / CHECKPOINT)[1]  # type: ignore[index]
    checkpoint.save(run / CHECKPOINT, BLOBS[kind](tmp_path / "pwned"), meta)
    assert rs.open_run(run).table.num_rows == 3
    with pytest.raises(StoreError, match=r"the checkpoint cannot be read .*delete the directory 'checkpoint'"):
        make(run).run(evaluations=5, progress=None)
    assert not (tmp_path / "pwned").exists()
    shutil.rmtree(run / CHECKPOINT)
    assert make(run).run(evaluations=5, progress=None).table["point_id"].to_pylist() == list(range(5))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0" * 1000, checkpoint.MAGIC, framed(b"not json", b"x"), framed(b"[" * 5000, b"x"), framed(b"[]", b"x"),
        checkpoint.MAGIC + b"\xff" * 8 + hashlib.sha256(b"").digest(),
        framed(b"{}", b"x")[:-1],
        checkpoint.MAGIC + (2**62).to_bytes(8, "big") + hashlib.sha256(b"{}").digest() + b"{}",
    ],
)  # fmt: skip
def test_a_damaged_checkpoint_is_named(run: Path, content: bytes) -> None:
    """Truncated, oversized, garbled: refused with the folder to remove, whatever is in it."""
    for name in (checkpoint.CURRENT, checkpoint.PREVIOUS):
        (run / CHECKPOINT / name).write_bytes(content)
    with pytest.raises(StoreError, match="expected a whole checkpoint, got a damaged one; remove the folder"):
        make(run).run(evaluations=5, progress=None)


def test_a_checkpoint_without_end_is_not_read(run: Path) -> None:
    """A sparse file of a terabyte costs neither memory nor time."""
    for name in (checkpoint.CURRENT, checkpoint.PREVIOUS):
        with (run / CHECKPOINT / name).open("wb") as file:
            file.truncate(2**40)
    with pytest.raises(StoreError, match="damaged"):
        make(run).run(evaluations=5, progress=None)


def test_metadata_of_arrow_files_execute_nothing(run: Path, tmp_path: Path) -> None:
    """Extension types and pandas metadata with pickles in them stay what they are: bytes."""
    bomb = pickle.dumps(Bomb(tmp_path / "pwned"))
    for path in run.glob("points-*.parquet"):
        table = pq.read_table(path)
        fields = [
            field.with_metadata({
                b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": bomb,
            }) if pa.types.is_floating(field.type) else field
            for field in table.schema
        ]  # fmt: skip
        metadata = {**table.schema.metadata, b"pandas": bomb, b"rayscan.configuration": bomb, b"pickle": bomb}
        pq.write_table(table.cast(pa.schema(fields, metadata=metadata)), path)
    result = rs.open_run(run)
    assert len(result.table.to_pandas()) == 3
    result.report()
    assert make(run).run(evaluations=4, progress=None).table.num_rows == 4
    assert not (tmp_path / "pwned").exists()


NAMES = [
    "run.json", "lock", "log", "scan.toml", "progress.json", "progress.part", "report.txt", "corner.png", "kept",
    "checkpoint", "checkpoint/state", "checkpoint/state.part", "points-000001.parquet", "points-000009.arrows",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_written_through_a_link(run: Path, tmp_path: Path, name: str) -> None:
    """A run with a link in it is not written into; what the link leads to keeps its content."""
    place = run / name
    victim = tmp_path / "victim"
    if place.is_dir():
        place.rename(victim)
    elif place.exists():
        shutil.move(place, victim)
    else:
        victim.write_text("precious")
    before = victim.read_bytes() if victim.is_file() else sorted(path.name for path in victim.iterdir())
    place.symlink_to(victim)
    with pytest.raises(StoreError, match="a link"):
        make(run).run(evaluations=5, progress=None)
    for command in ("status", "report", "stop", "plot"):
        assert cli(command, run).exit_code in {0, 1}
    after = victim.read_bytes() if victim.is_file() else sorted(path.name for path in victim.iterdir())
    assert after == before


def test_a_kept_file_is_new_where_a_link_was_planted(run: Path, tmp_path: Path) -> None:
    """The spectrum of the next point goes into the run directory, not where a link of its name leads."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for point in range(3, 6):
        (run / "kept" / f"{point}-out").symlink_to(victim)
    make(run).run(evaluations=6, progress=None)
    assert victim.read_text() == "precious"
    for point in range(3, 6):
        assert not (run / "kept" / f"{point}-out").is_symlink()
        assert (run / "kept" / f"{point}-out").read_text().startswith("y = ")


@pytest.mark.parametrize("name", ["run.json", "lock", "progress.json", "points-000001.parquet", "points-000002.arrows"])
def test_a_pipe_in_a_run_directory_holds_nobody_up(run: Path, name: str) -> None:
    """Every command ends, with a message where the pipe stands for something that it needs."""
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    for command in ("status", "report", "stop"):
        assert cli(command, run).exit_code in {0, 1}
    start = time.monotonic()
    with pytest.raises(StoreError):
        make(run).run(evaluations=5, progress=None)
    assert time.monotonic() - start < SECONDS


@pytest.mark.parametrize("garbage", [b"", b"\0" * 4096, b"PAR1" + b"\xff" * 200 + b"PAR1", b"\xff" * 4096])
@pytest.mark.parametrize("pattern", ["run.json", "lock", "progress.json", "points-*", "issued-*"])
def test_garbage_in_any_file_is_a_message(run: Path, pattern: str, garbage: bytes) -> None:
    """Reading and resuming a garbled run succeed or fail with our own error, whatever file is garbled."""
    for path in run.glob(pattern):
        path.write_bytes(garbage)
    for command in ("status", "report"):
        done = cli(command, run)
        assert done.exit_code in {0, 1}
    with contextlib.suppress(RayscanError):
        make(run).run(evaluations=5, progress=None)


ENTRIES: list[dict[str, Any]] = [
    {"schema": {"parameters": ["x"], "observables": ["y"], "d": 10**12, "metadata": {}, "units": {}}},
    {"schema": {"parameters": [], "observables": [], "d": -1, "metadata": {}, "units": {}}},
    {"schema": []}, {"description": []}, {"description": {"space": 7, "tool": None}}, {"details": {"parent": 7}},
    {"details": {"parent": {"path": "x"}}}, {"details": []}, {"versions": 5}, {"created": {}}, {"fingerprint": None},
]  # fmt: skip


@pytest.mark.parametrize("entries", ENTRIES, ids=json.dumps)
def test_a_description_that_makes_no_sense_is_refused(run: Path, entries: dict[str, Any]) -> None:
    """Every entry of run.json is checked: no command ends in a traceback."""
    path = run / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))
    for command in ("status", "report"):
        assert cli(command, run).exit_code in {0, 1}
    with pytest.raises(RayscanError):
        make(run).run(evaluations=5, progress=None)
