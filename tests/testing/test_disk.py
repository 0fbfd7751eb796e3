"""Sick disks are sick where they should be, and nowhere else."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from rayscan.errors import ConfigError
from rayscan.testing.disk import OPERATIONS, sick_disk, small_disk


def write(path: Path, data: bytes = b"data") -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.pwrite(handle, data, 0)
        os.fsync(handle)
    finally:
        os.close(handle)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_can_be_refused_alone(tmp_path, operation):
    """What is named is refused with the code, what is not goes on."""
    steps = {
        "open": lambda: os.close(os.open(tmp_path / "a", os.O_WRONLY | os.O_CREAT)),
        "write": lambda: (tmp_path / "b").write_text("text"),
        "fsync": lambda: write(tmp_path / "c"),
        "rename": lambda: (tmp_path / "d").replace(tmp_path / "e"),
    }
    # To write is to open first, and what is synced was written.
    others = {"open": ["rename"], "write": ["open", "rename"], "fsync": ["open", "write", "rename"]}
    (tmp_path / "d").touch()
    with sick_disk(tmp_path, errno.EIO, on=[operation]) as disk:
        with pytest.raises(OSError, match="Input/output error") as caught:
            steps[operation]()
        assert caught.value.errno == errno.EIO
        assert set(disk.refused) == {operation}
        for name in others.get(operation, ["open", "write", "fsync"]):
            steps[name]()


def test_other_directories_and_readers_are_left_alone(tmp_path):
    """Only writers below the directory suffer."""
    (tmp_path / "sick").mkdir()
    (tmp_path / "sick" / "old").write_text("old")
    with sick_disk(tmp_path / "sick", on=OPERATIONS) as disk:
        write(tmp_path / "well")
        (tmp_path / "well too").write_text("text")
        assert (tmp_path / "sick" / "old").read_text() == "old"
    assert not disk.refused
    assert (tmp_path / "well").read_bytes() == b"data"


def test_a_disk_gets_well(tmp_path):
    """Cleared, or left, nothing is refused; and files have what they should."""
    with sick_disk(tmp_path, on=OPERATIONS) as disk:
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path / "a")
        disk.clear()
        write(tmp_path / "a")
        disk.set()
        with pytest.raises(OSError, match="No space left"), (tmp_path / "b").open("w"):
            pass
    write(tmp_path / "c")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes() == b"data"


def test_a_small_disk_fills_up(tmp_path):
    """The write that finds too little room writes what fits; freed space can be used."""
    with sick_disk(tmp_path, room=10) as disk:
        handle = os.open(tmp_path / "a", os.O_WRONLY | os.O_CREAT, 0o644)
        assert os.pwrite(handle, b"12345678", 0) == 8
        assert os.pwrite(handle, b"12345678", 8) == 2
        with pytest.raises(OSError, match="No space left"):
            os.pwrite(handle, b"345678", 10)
        disk.room = 100
        assert os.write(handle, b"more") == 4
        os.close(handle)
        assert disk.refused == {"write": 1}


@pytest.mark.parametrize("mode", ["w", "wb", "x", "ab", "w+", "r+b"])
def test_files_work_as_usual_where_nothing_is_refused(tmp_path, mode):
    """Text or bytes, new or old, read back: the file is what it would be."""
    data = b"one\ntwo\n" if "b" in mode else "one\ntwo\n"
    contents = []
    for name, limits in (("well", {"probability": 0.0}), ("small", {"room": 10_000})):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "file"
        if mode == "r+b":
            path.write_bytes(b"0123456789")
        with sick_disk(tmp_path / "small", **limits), path.open(mode) as file:
            file.write(data)
            if "+" in mode:
                file.seek(0)
                assert file.read(3) in {"one", b"one"}
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]


def test_chance_is_seeded(tmp_path):
    """The same seed refuses the same writes; the share is about the probability."""

    def refusals(seed: int) -> list[bool]:
        seen = []
        with sick_disk(tmp_path, errno.EIO, on=["write"], probability=0.3, seed=seed):
            handle = os.open(tmp_path / "a", os.O_WRONLY | os.O_CREAT, 0o644)
            for _ in range(200):
                try:
                    os.pwrite(handle, b"x", 0)
                    seen.append(False)
                except OSError:
                    seen.append(True)
            os.close(handle)
        return seen

    assert refusals(1) == refusals(1) != refusals(2)
    assert 40 <= sum(refusals(1)) <= 80


def test_trouble_lasts(tmp_path):
    """Once something was refused, everything is, for as long as was asked."""
    with sick_disk(tmp_path, errno.ESTALE, on=["write"], probability=0.5, lasting=0.3, seed=3):
        start, first, last = time.monotonic(), None, None
        while time.monotonic() - start < 3.0 and (first is None or time.monotonic() - first < 0.25):
            try:
                (tmp_path / "a").write_text("text")
                assert first is None, "well again too soon"
            except OSError:
                first = first or time.monotonic()
                last = time.monotonic()
    assert first is not None
    assert last - first > 0.1


def test_a_slow_disk_is_slow(tmp_path):
    """Each operation waits, none is refused."""
    with sick_disk(tmp_path, latency=0.05) as disk:
        start = time.monotonic()
        write(tmp_path / "a")
        assert time.monotonic() - start >= 0.15
    assert not disk.refused


def test_mistakes_are_named(tmp_path):
    """An unknown operation or an impossible probability is an error at once."""
    with (
        pytest.raises(ConfigError, match=r"on = 'read'; expected operations among open, write"),
        sick_disk(tmp_path, on=["read"]),
    ):
        pass
    with pytest.raises(ConfigError, match=r"probability = 2"), sick_disk(tmp_path, probability=2):
        pass


def test_a_small_file_system_is_small():
    """A real one: programs find it full, too, and it is gone afterwards."""
    try:
        with small_disk(2**20) as place:
            (place / "a").write_bytes(bytes(2**19))
            with pytest.raises(OSError, match="No space left"):
                (place / "b").write_bytes(bytes(2**20))
    except PermissionError as error:
        pytest.skip(str(error))
    assert not place.exists()
