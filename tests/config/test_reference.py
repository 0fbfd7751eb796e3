"""The reference of every key: complete, explained, and TOML."""

from __future__ import annotations

import tomllib

import pytest

from rayscan.config.knobs import scan_table
from rayscan.config.reference import reference, sections
from rayscan.config.tools import kinds, tool_table
from rayscan.errors import ConfigError
from rayscan.learn.options import LearnOptions
from rayscan.options import ScanOptions
from rayscan.problem.expression import FUNCTIONS


def test_whole_reference_is_toml() -> None:
    """The reference as printed parses, and so does each of its parts."""
    document = tomllib.loads(reference())
    assert document["scan"]["K"] == LearnOptions.K
    assert [stage["kind"] for stage in document["stages"] if "kind" in stage] == list(kinds())
    for section in sections():
        tomllib.loads(reference(section))


@pytest.mark.parametrize("kind", kinds())
def test_every_key_of_a_tool_is_there_and_explained(kind: str) -> None:
    """Each key of each kind of tool stands in its part of the reference, with a description."""
    text = reference(kind)
    for key, field in tool_table(kind).model_fields.items():
        assert f"\n{key} = " in text or f"\n# {key} =" in text
        assert field.description, f"{kind}: {key}"


def test_every_knob_of_the_scan_is_there_and_explained() -> None:
    """[scan] has every field of the options of learning and engine, each with a description and its default."""
    text = reference("scan")
    table = scan_table().model_fields
    assert set(table) == {"preset", *LearnOptions.__dataclass_fields__, *ScanOptions.__dataclass_fields__} - {"learn"}
    for key, field in table.items():
        assert f"\n{key} = " in text or f"\n# {key} =" in text
        assert field.description, key
    defaults = tomllib.loads(text)["scan"]
    assert defaults["hidden"] == list(LearnOptions.hidden)
    assert defaults["keep"] == ScanOptions.keep


def test_the_language_of_expressions_is_explained() -> None:
    """Every function that an expression may use is named."""
    text = reference("space").replace("\n# ", " ")
    assert all(f" {name}" in text for name in ("and", "or", "not", "pi", *FUNCTIONS))


def test_unknown_section_is_refused_with_the_nearest() -> None:
    """Asking for a part that does not exist names the one that was probably meant."""
    with pytest.raises(ConfigError, match="did you mean 'spheno'"):
        reference("sphemo")
