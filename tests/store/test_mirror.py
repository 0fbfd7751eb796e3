"""A run directory in an object store: shipped as it grows, and gone on with on another machine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rayscan as rs
from rayscan.errors import RunLockedError, StoreError
from rayscan.store import ask_to_stop, live_holder, refresh
from rayscan.store import mirror as mirror_module
from rayscan.store.bucket import Bucket, is_uri
from rayscan.store.manifest import MANIFEST, for_reading, local_place
from rayscan.store.mirror import Mirror


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an object store on this machine that speaks S3."""
    server = pytest.importorskip("moto.server", reason="needs moto: pip install 'rayscan[test]'")
    started = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    host, port = started.get_host_and_port()
    yield f"endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    started.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A place in it that holds nothing yet; copies of this machine go into `tmp_path`."""
    from pyarrow import fs

    for name, value in {
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
        "RAYSCAN_CACHE": str(tmp_path / "here"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    system, _ = fs.FileSystem.from_uri(f"s3://runs/x?{s3}&allow_bucket_creation=true")
    system.create_dir("runs")
    return f"s3://runs/{tmp_path.name}?{s3}"


def scan(out: str, **more: Any) -> rs.Scan:
    tool = rs.Function(lambda x, y: x * x + y * y, outputs=["r2"])
    options: dict[str, Any] = {"evaluators": 0, "K": 50, "initial": 1000, **more}
    return rs.Scan(rs.Space(x=(-1, 1), y=(-1, 1)), tool, rs.Target(r2=(0.2, 0.3)), out=out, **options)


LEARNS: dict[str, Any] = {"initial": 50, "surrogate": "classifier", "proposal": "random", "epochs": 20}
"""A scan that learns, quickly."""


def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Go to a machine that has no copy."""
    monkeypatch.setenv("RAYSCAN_CACHE", str(tmp_path / "there"))


def check(table: Any, rows: int) -> None:
    """Each id once, and values that follow from the parameters."""
    assert table["point_id"].to_pylist() == list(range(rows))
    x, y, r2 = (table[name].to_numpy() for name in ("x", "y", "r2"))
    assert np.array_equal(r2, x * x + y * y)


def test_a_scan_goes_on_elsewhere_and_back_again(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What one machine has evaluated another reads and goes on from; the first then takes up what is newer."""
    scan(bucket, **LEARNS).run(evaluations=150, progress=None)
    here = local_place(bucket)
    elsewhere(monkeypatch, tmp_path)
    check(rs.open_run(bucket).table, 150)
    check(scan(bucket, **LEARNS).run(evaluations=300, progress=None).table, 300)
    assert "it is not used" not in (local_place(bucket) / "log").read_text()
    check(rs.open_run(bucket).table, 300)
    monkeypatch.setenv("RAYSCAN_CACHE", str(tmp_path / "here"))
    check(scan(bucket, **LEARNS).run(evaluations=320, progress=None).table, 320)
    aside = [path for path in here.parent.iterdir() if path not in (here, for_reading(bucket))]
    assert len(aside) == 1, "the older copy is kept"
    check(rs.open_run(aside[0]).table, 150)
    assert "went on elsewhere" in caplog.text
    # The copy that is the newest is used as it is.
    check(scan(bucket, **LEARNS).run(evaluations=330, progress=None).table, 330)
    assert len([path for path in here.parent.iterdir() if path not in (here, for_reading(bucket))]) == 1
    names = {name.rpartition("-")[0] for name in json.loads(Bucket(bucket).read(MANIFEST))["files"] if "-" in name}
    assert names == {"points", "issued"}
    assert Bucket(bucket).read("checkpoint/state") == (here / "checkpoint" / "state").read_bytes()


def test_only_what_is_new_is_shipped(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second session ships no closed segment again, and a reader fetches none again."""
    scan(bucket).run(evaluations=60, progress=None)
    for_reading(bucket)
    written: list[str] = []
    fetched: list[str] = []
    write, fetch = Bucket.write, Bucket.fetch
    monkeypatch.setattr(Bucket, "write", lambda self, name, data: (written.append(name), write(self, name, data))[1])
    monkeypatch.setattr(Bucket, "fetch", lambda self, name, path: (fetched.append(name), fetch(self, name, path))[1])
    scan(bucket).run(evaluations=70, progress=None)
    check(rs.open_run(bucket).table, 70)
    for names in (written, fetched):
        assert "points-000001.parquet" not in names
        assert "points-000002.parquet" in names


def test_a_driver_that_is_killed_costs_what_was_not_shipped_yet(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Open segments are shipped, too; the next machine issues the rest again, with the same ids."""
    script = f"""
import time, rayscan as rs
from rayscan.store import mirror
mirror.PERIOD = mirror.SHARE = 0.1
def r2(x, y):
    time.sleep(0.02)
    return x * x + y * y
rs.Scan(rs.Space(x=(-1, 1), y=(-1, 1)), rs.Function(r2, outputs=["r2"]), rs.Target(r2=(0.2, 0.3)), out={bucket!r},
        evaluators=0, K=50, initial=1000).run(evaluations=900, progress=None)
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    shipped, end = 0, time.monotonic() + 60
    while shipped < 120 and time.monotonic() < end:
        time.sleep(0.3)
        try:
            shipped = rs.open_run(bucket).table.num_rows
        except StoreError:
            continue
    assert live_holder(for_reading(bucket)) is not None
    elsewhere(monkeypatch, tmp_path)
    with pytest.raises(RunLockedError, match="is scanning into it"):
        scan(bucket).run(evaluations=200, progress=None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert live_holder(for_reading(bucket)) is None
    survived = rs.open_run(bucket).table.num_rows
    assert survived >= shipped >= 120
    going_on = scan(bucket)
    going_on.problem.tool.describe = lambda: rs.open_run(bucket)._run.description["tool"]  # type: ignore[method-assign]
    check(going_on.run(evaluations=survived + 80, progress=None).table, survived + 80)


def test_who_is_taken_over_stops_shipping(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that was away for long finds that another goes on, and leaves it alone."""
    monkeypatch.setattr(mirror_module, "PERIOD", 0.05)
    monkeypatch.setattr(mirror_module, "SHARE", 0.0)
    scan(bucket).run(evaluations=60, progress=None)
    mine = Mirror(bucket, local_place(bucket))
    mine.prepare()
    mine.start(lambda text: None)
    other = json.loads(Bucket(bucket).read(MANIFEST)) | {"copy": "another"}
    Bucket(bucket).write(MANIFEST, json.dumps(other).encode())
    end = time.monotonic() + 20
    while not mine.evicted and time.monotonic() < end:
        time.sleep(0.02)
    with pytest.raises(RunLockedError, match="is scanning into it"):
        mine.check()
    mine.close()
    assert json.loads(Bucket(bucket).read(MANIFEST))["copy"] == "another"


def test_an_object_store_that_is_away_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan goes on and says so in its log; at the end it says where the rows are; the next run ships them."""
    monkeypatch.setenv("RAYSCAN_CACHE", str(tmp_path / "here"))
    for name, value in {"PERIOD": 0.02, "SHARE": 0.0, "RETRY": 0.02, "PATIENCE": 0.05}.items():
        monkeypatch.setattr(mirror_module, name, value)
    uri = f"file://{tmp_path}/store/run"
    scan(uri).run(evaluations=60, progress=None)
    write, calls = Bucket.write, [0]

    def refuse(self: Bucket, name: str, data: bytes) -> None:
        calls[0] += 1
        if calls[0] > 6:
            raise StoreError(121, f"cannot write {name}: nobody there")
        write(self, name, data)

    monkeypatch.setattr(Bucket, "write", refuse)
    with pytest.raises(StoreError, match=r"nobody there; all rows are in .*, and the same command"):
        scan(uri).run(evaluations=120, progress=None)
    assert rs.open_run(local_place(uri)).table.num_rows == 120
    monkeypatch.setattr(Bucket, "write", write)
    scan(uri).run(evaluations=120, progress=None)
    check(rs.open_run(uri).table, 120)


def test_a_scan_is_asked_to_stop_and_watched_by_way_of_the_object_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine's request reaches the copy that is written to; a copy for reading follows what is shipped."""
    monkeypatch.setenv("RAYSCAN_CACHE", str(tmp_path / "here"))
    monkeypatch.setattr(mirror_module, "PERIOD", 0.05)
    monkeypatch.setattr(mirror_module, "SHARE", 0.0)
    uri = f"file://{tmp_path}/store/run"
    scan(uri).run(evaluations=60, progress=None)
    read = for_reading(uri)
    assert rs.open_run(read).table.num_rows == 60
    scan(uri).run(evaluations=80, progress=None)
    refresh(read, 0.0)
    refresh(local_place(uri), 0.0)
    assert rs.open_run(read).table.num_rows == 80
    # Of a scan that has ended since: it must not stop the next.
    ask_to_stop(read)
    mine = Mirror(uri, local_place(uri))
    mine.prepare()
    mine.start(lambda text: None)
    assert not (local_place(uri) / "stop").exists()
    ask_to_stop(read)
    end = time.monotonic() + 20
    while not (local_place(uri) / "stop").exists() and time.monotonic() < end:
        time.sleep(0.02)
    mine.close()
    assert (local_place(uri) / "stop").exists()
    assert not (tmp_path / "store" / "run" / "stop").exists()


def test_places_that_cannot_be_used_are_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No such scheme, no folder, nothing there, something else there, a manifest that leads out."""
    monkeypatch.setenv("RAYSCAN_CACHE", str(tmp_path / "cache"))
    assert not is_uri("runs/mssm")
    with pytest.raises(StoreError, match="no file system for it"):
        Bucket("nosuch://bucket/run")
    with pytest.raises(StoreError, match="expected a folder in a bucket"):
        Bucket("file:///")
    uri = f"file://{tmp_path}/store"
    with pytest.raises(StoreError, match="there is no run there"):
        rs.open_run(uri)
    for content in (b"no json", json.dumps({"copy": "a", "files": {"../escaped": [1, "a"]}}).encode()):
        Bucket(uri).write(MANIFEST, content)
        with pytest.raises(StoreError, match="is not one of rayscan"):
            rs.open_run(uri)
