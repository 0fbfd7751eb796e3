"""What is looked at on a node before it gets evaluators."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import rayscan as rs
from rayscan.engine.node_report import NodeReport, clock_complaint, fingerprint, inspect_here, table_of
from rayscan.errors import ConfigError


def tool() -> rs.Function:
    return rs.Function(lambda x: x, outputs=["y"])


def test_a_node_where_everything_is_in_place_has_no_complaint(tmp_path: Path) -> None:
    """The tool's mark, the place for scratch and the room there are told; nothing stays behind."""
    report = inspect_here(tool(), ("x",), str(tmp_path), fingerprint(tool()), "here")
    assert report.complaint == ""
    assert fingerprint(tool()).startswith(report.program)
    assert report.scratch.startswith(str(tmp_path))
    assert report.free > 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_another_version_of_the_programs_is_named(tmp_path: Path) -> None:
    """Points of one scan come from one version of the programs."""
    report = inspect_here(tool(), ("x",), str(tmp_path), "0" * 64, "there")
    assert "another version of the tool" in report.complaint
    assert report.program in report.complaint


def test_what_the_tool_complains_of_there_is_passed_on(tmp_path: Path) -> None:
    """A tool that cannot work on a node says there what it would say at home."""
    unfit = rs.Function(lambda z: z, outputs=["y"])
    with pytest.raises(ConfigError) as said:
        unfit.check(("x",))
    assert inspect_here(unfit, ("x",), str(tmp_path), "", "there").complaint == str(said.value)


@pytest.mark.parametrize(("there", "word"), [(100.3, ""), (100.9, ""), (103.0, "ahead"), (95.0, "behind")])
def test_a_wrong_clock_is_told_from_a_slow_message(there: float, word: str) -> None:
    """A clock is wrong if no delay of question or answer explains what it shows."""
    ahead, complaint = clock_complaint(100.0, there, 100.6)
    assert ahead == pytest.approx(there - 100.3)
    assert word in complaint
    assert bool(word) == bool(complaint)


def test_the_table_says_who_is_left_out_and_why() -> None:
    """One line a node, by name, with the complaint at the end."""
    good = NodeReport("alpha", "", "12345678", "/tmp/scratch", 3 * 2**30, 0.001)
    lines = table_of([NodeReport("beta", "SPheno is missing"), good]).splitlines()
    assert len(lines) == 3
    assert re.fullmatch(r"alpha .*3\.0 GiB.* ok", lines[1])
    assert re.fullmatch(r"beta .* LEFT OUT: SPheno is missing", lines[2])
