"""What a tool brings along: described by content, packed, unpacked elsewhere as it was."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

import rayscan as rs
from rayscan.errors import ConfigError, ToolError
from rayscan.tools import parcel
from rayscan.tools.parcel import pack, parcel_of, unpack


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A directory with a program, data and links, as HEP programs have them."""
    top = tmp_path / "Prog-1.0"
    (top / "bin").mkdir(parents=True)
    (top / "bin" / "prog").write_text("#!/bin/sh\necho y = 1\n")
    (top / "bin" / "prog").chmod(0o750)
    (top / "data").mkdir()
    (top / "data" / "table.dat").write_text("1 2 3\n")
    (top / "latest").symlink_to("data/table.dat")
    (top / "absolute").symlink_to(top / "data")
    return top


def test_what_is_unpacked_is_what_was_packed(program: Path, tmp_path: Path) -> None:
    """Contents, executable bits and links within; an absolute link within leads to the copy, not to the original."""
    there = tmp_path / "there"
    there.mkdir()
    unpack(pack(parcel_of(program)), there)
    copy = there / "Prog-1.0"
    assert (copy / "bin/prog").read_bytes() == (program / "bin/prog").read_bytes()
    assert os.access(copy / "bin/prog", os.X_OK)
    assert not os.access(copy / "data/table.dat", os.X_OK)
    assert (copy / "latest").readlink() == Path("data/table.dat")
    assert (copy / "absolute").resolve() == (copy / "data").resolve()
    assert parcel_of(copy).digest == parcel_of(program).digest


def test_the_digest_is_of_content_alone(program: Path) -> None:
    """Times and what version control keeps do not count; a byte, a name, and whether a file runs do."""
    first = parcel_of(program).digest
    os.utime(program / "data/table.dat", (1, 1))
    (program / ".git").mkdir()
    (program / ".git" / "index").write_text("x")
    assert parcel_of(program).digest == first
    (program / "data/table.dat").chmod(0o755)
    second = parcel_of(program).digest
    (program / "data/table.dat").write_text("1 2 4\n")
    third = parcel_of(program).digest
    (program / "data/table.dat").rename(program / "data/table.txt")
    assert len({first, second, third, parcel_of(program).digest}) == 4


def test_a_link_to_a_directory_and_a_single_file_are_shipped(program: Path, tmp_path: Path) -> None:
    """What a link at the top leads to comes under the link's name."""
    (tmp_path / "Prog").symlink_to("Prog-1.0")
    unpack(pack(parcel_of(tmp_path / "Prog")), _new(tmp_path / "a"))
    assert (tmp_path / "a/Prog/data/table.dat").read_text() == "1 2 3\n"
    unpack(pack(parcel_of(program / "data/table.dat")), _new(tmp_path / "b"))
    assert (tmp_path / "b/table.dat").read_text() == "1 2 3\n"


def _new(path: Path) -> Path:
    path.mkdir()
    return path


def test_what_cannot_be_shipped_is_told_in_words(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing there, a link that leads out, a pipe, too much; one that changes in between is noticed."""
    with pytest.raises(ConfigError, match=r"nowhere does not exist"):
        parcel_of(program / "nowhere")
    described = parcel_of(program)
    (program / "out").symlink_to("/etc/hostname")
    with pytest.raises(ConfigError, match=r"out is a link to /etc/hostname, which is not in"):
        parcel_of(program)
    (program / "out").unlink()
    os.mkfifo(program / "pipe")
    with pytest.raises(ConfigError, match="pipe is a pipe"):
        parcel_of(program)
    (program / "pipe").unlink()
    (program / "data/table.dat").write_text("other\n")
    with pytest.raises(ConfigError, match="has changed since the scan was described"):
        pack(described)
    monkeypatch.setattr(parcel, "LARGEST", 10)
    with pytest.raises(ConfigError, match=r"more than the .* GiB that may be shipped; ship only what"):
        parcel_of(program)


@pytest.mark.parametrize(("name", "link"), [("../escaped", ""), ("/escaped", ""), ("inside", "../../escaped")])
def test_an_archive_that_leads_out_is_refused(tmp_path: Path, name: str, link: str) -> None:
    """Nothing is written outside of the directory, whatever names an archive holds."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo(name)
        if link:
            member.type, member.linkname = tarfile.SYMTYPE, link
        archive.addfile(member)
    there = _new(tmp_path / "there")
    if name.startswith("/"):
        # The filter makes an absolute name relative, which is as safe.
        unpack(stream.getvalue(), there)
        assert (there / "escaped").exists()
    else:
        with pytest.raises(ToolError, match="cannot be unpacked"):
            unpack(stream.getvalue(), there)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_requirements_are_checked_and_kept(program: Path) -> None:
    """Numbers that make no sense are refused; of several stages the largest counts, and all parcels travel."""
    tool = rs.Function(lambda x: x, outputs=["y"])
    for bad in ({"cores": 0}, {"cores": 1.5}, {"memory": -1}, {"resources": {"a": float("nan")}}):
        with pytest.raises(ConfigError, match="expected"):
            tool.require(**bad)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="CPU is not a custom one"):
        tool.require(resources={"CPU": 2})
    assert tool.require(cores=2, ship=["data"], base=program) is tool
    other = rs.Function(lambda x: x, outputs=["z"], name="other").require(
        cores=4, memory=1e9, resources={"spheno": 1}, ship=[program]
    )
    chain = rs.Chain([tool, other])
    assert (chain.cores, chain.memory, chain.resources) == (4, 1e9, {"spheno": 1.0})
    assert [one.source for one in chain.parcels] == [str(program / "data"), str(program)]


def test_what_is_shipped_is_part_of_the_problem(program: Path) -> None:
    """A run knows the content that its rows come from; what is missing is told before anything starts."""
    from rayscan.problem.statement import Problem

    def problem() -> Problem:
        tool = rs.Function(lambda x: x, outputs=["y"]).require(ship=[program])
        return Problem(rs.Space(x=(0, 1)), tool, rs.Target(y=(0, 1)))

    before = problem().describe()["shipped"]
    (program / "data/table.dat").write_text("another version\n")
    after = problem().describe()["shipped"]
    assert before.keys() == after.keys() == {str(program)}
    assert before != after
    with pytest.raises(ConfigError, match="missing does not exist"):
        rs.Scan(
            rs.Space(x=(0, 1)),
            rs.Function(lambda x: x, outputs=["y"]).require(ship=[program / "missing"]),
            rs.Target(y=(0, 1)),
        )
