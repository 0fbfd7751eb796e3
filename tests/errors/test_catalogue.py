"""Every message says what, where, expected, got and the next step, and comes before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from rayscan.errors import RayscanError, printable
from tests.errors.catalogue import CASES, PAGE, Case, message_of, page

OURS = {"run.json", "lock", "scan.toml", "checkpoint", "kept"}


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_the_message_says_all_that_is_needed(one: Case, tmp_path: Path) -> None:
    """The mistake is named with its place, what was expected and what to do; no run directory is begun for it."""
    message = message_of(one, tmp_path)
    assert [part for part in one.says if part not in message] == []
    assert message == printable(message)
    if not one.leaves:
        begun = {path.name for path in tmp_path.rglob("*")} & OURS
        assert begun <= {"scan.toml"}
        assert not list(tmp_path.rglob("points-*"))


def test_every_error_is_also_the_built_in_that_a_caller_expects() -> None:
    """ValueError for wrong input, OSError for the disk, RuntimeError for what happens on the way."""
    for one in CASES:
        assert issubclass(one.error, RayscanError)
        assert issubclass(one.error, (ValueError, OSError, RuntimeError))


def test_the_page_shows_the_messages_as_they_are() -> None:
    """The page of messages is what the catalogue writes; ``python -m tests.errors.catalogue`` makes it anew."""
    assert PAGE.read_text(encoding="utf-8") == page()
