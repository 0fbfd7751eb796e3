"""A configuration file from somebody else: it can name programs, and nothing else in it does anything."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import rayscan as rs
from rayscan.config import load_config
from rayscan.errors import ConfigError, ExpressionError, RayscanError
from rayscan.problem.expression import Expression
from rayscan.store.run_directory import kept_name

TEMPLATE = """
parameters.x = [0, 1]
parameters.y = {{ derived = {derived} }}
target.z = [0, 1]
target.derive.z = {observable}
[tool]
kind = "command"
command = ["cat", "{{input}}"]
files.in = "{{x}} {{y}}"
read.a = "column:1"
"""
ATTACKS = [
    "__import__('os').system('touch pwned')",
    "().__class__.__bases__[0].__subclasses__()",
    "x.__class__",
    "(lambda: open('pwned', 'w'))()",
    "[open('pwned', 'w') for i in (1,)]",
    "exec('import os')",
    "eval('1')",
    "open('pwned')",
    "f'{x}'",
    "x if x else x",
    "x and open('pwned')",
    "x := 1",
    "'a' * 10**9",
    "globals()",
    "x[0]",
    "sqrt.__self__",
    "x; x",
    "x\nimport os",
    "$(touch pwned)",
    "`touch pwned`",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_no_expression_runs_code(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is not arithmetic is refused while the file is read, in parameters and observables alike."""
    monkeypatch.chdir(tmp_path)
    for derived, observable in ((text, "a"), ("x", text)):
        source = TEMPLATE.format(derived=_quoted(derived), observable=_quoted(observable))
        (tmp_path / "scan.toml").write_text(source)
        with pytest.raises(ConfigError, match=r"scan\.toml"):
            load_config(tmp_path / "scan.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["scan.toml"]


def _quoted(text: str) -> str:
    import json

    return json.dumps(text)


@pytest.mark.parametrize(
    "text", ["9**9**9", "9**9**9**9", "-9**9**9 * x", "1e308 * 1e308", "2**99999999", "exp(exp(exp(x + 9)))"]
)
def test_huge_powers_cost_nothing(text: str) -> None:
    """All numbers are doubles: a tower of powers is infinite at once, and no memory is asked for."""
    start = time.perf_counter()
    value = Expression(text)({"x": np.ones(1000)})
    assert np.isinf(value).all()
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize(
    "text",
    [
        "(" * 900 + "x" + ")" * 900,
        "-" * 1900 + "x",
        "+".join(["x"] * 990),
        "abs(" * 300 + "x" + ")" * 300,
        "x**" * 400 + "x",
        "x" * 3000,
        "1" + "0" * 1900,
        "9" * 1999,
    ],
)
def test_long_and_deep_expressions_are_refused_or_work(text: str) -> None:
    """Neither the parser's nor the evaluator's stack gives way, also where it is deep already."""

    def deep(levels: int) -> Any:
        if levels:
            return deep(levels - 1)
        try:
            expression = Expression(text)
        except ExpressionError:
            return None
        return expression({"x": 1.0})

    value = deep(sys.getrecursionlimit() - 700)
    assert value is None or math.isfinite(float(value))


@given(st.text(max_size=60))
@example("0x7fffffffffffffffffffffffff")
@example("1_000")
@example("\x00")
def test_no_text_is_evaluated_to_anything_but_numbers(text: str) -> None:
    """An expression is refused with our error, or gives numbers."""
    try:
        expression = Expression(text)
    except ExpressionError:
        return
    value = expression(dict.fromkeys(expression.names, 1.5))
    assert value.dtype == np.float64


NAMES = [
    "../x",
    "a/b",
    "/etc/passwd",
    "..",
    "a\nb",
    "a\0b",
    "$(touch pwned)",
    "x;rm",
    "\x1b[31mred",
    "[bold]x",
    "",
    "a b",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_quantities_are_plain_words(name: str) -> None:
    """No quantity can be called anything that means something to a shell, a path or a terminal."""
    for make in (
        lambda: rs.Space({name: (0, 1)}),
        lambda: rs.Target(**{name: (0, 1)}),
        lambda: rs.Target(y=(0, 1), derive={name: "y"}),
        lambda: rs.Target(labels=name),
        lambda: rs.Function(lambda x: x, outputs=[name]),
        lambda: rs.Command(["cat"], read={name: "column:1"}),
    ):
        with pytest.raises(ConfigError, match="expected a name of letters, digits and underscores"):
            make()


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out", "", "out\0", ".."])
@pytest.mark.parametrize("key", ["files", "output", "keep_files", "read", "stdin"])
def test_file_names_stay_inside_the_directory_of_the_point(key: str, name: str) -> None:
    """Every name of a file that a program reads or writes is checked before anything runs."""
    options: dict[str, Any] = {"read": {"y": "regex:(.+)"}}
    match key:
        case "files":
            options["files"] = {name: "{x}"}
        case "read":
            options["read"] = {"y": {"regex": "(.+)", "file": name}}
        case "keep_files":
            options["keep_files"] = [name]
        case _:
            options[key] = name
    if not name and key in {"output", "stdin", "read"}:
        pytest.skip("none given")
    with pytest.raises(ConfigError, match="expected a name inside the point's directory"):
        rs.Command(["cat", "{x}"], **options).check(["x"])


@pytest.mark.parametrize("key", ["../../pwned", "/tmp/pwned", "a b", ""])
def test_private_directories_are_copied_into_scratch_only(key: str, tmp_path: Path) -> None:
    """The name of a private directory is a word, so that its copy cannot be put elsewhere."""
    tool = rs.Command(["cat", "{x}"], read={"y": "regex:(.+)"}, private={key: tmp_path})
    with pytest.raises(ConfigError, match="private directory"):
        tool.check(["x"])


def test_a_parameter_cannot_choose_the_program() -> None:
    """The program is known before the scan starts; only its arguments depend on the point."""
    tool = rs.Command(["{x}"], read={"y": "regex:(.+)"})
    with pytest.raises(ConfigError, match="cannot choose the program"):
        tool.check(["x"])


@given(st.text(min_size=1, max_size=300))
@example("../../.bashrc")
@example("a\n\x1b[31m")
@example(".." * 100)
def test_kept_files_stay_in_their_folder(name: str) -> None:
    """Whatever a kept file is called, its name in the run directory is harmless and short."""
    kept = kept_name(7, name)
    assert "/" not in kept
    assert kept.startswith("7-")
    assert kept.isascii()
    assert kept.isprintable()
    assert len(kept) < 128


def test_shell_characters_reach_the_program_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shell sees an argument, a stage's name or an environment variable."""
    monkeypatch.chdir(tmp_path)
    words = ["$(touch pwned)", "`touch pwned`", "; touch pwned", "| touch pwned", "&& touch pwned", "> pwned", "*"]
    tool = rs.Command(
        [sys.executable, "-c", "import sys; print(len(sys.argv), float({x}))", *words],
        read={"n": r"regex:^(\d+)\s"}, name="$(touch pwned)", env={"TRAP": "$(touch pwned)"},
    )  # fmt: skip
    scan = rs.Scan(rs.Space(x=(0, 1)), tool, rs.Target(n=(7.5, 8.5)), out=tmp_path / "run", evaluators=0, initial=3)
    assert scan.run(evaluations=2, progress=None).valid.num_rows == 2
    assert not list(tmp_path.rglob("pwned*"))


def test_a_format_of_a_billion_digits_is_refused() -> None:
    """A placeholder's format cannot ask for all memory."""
    from rayscan.tools.number import format_number

    for spec in ("999999999.9f", ".999999999f", "0999999999d"):
        with pytest.raises(ValueError, match="wider than any input file"):
            format_number(1.0, spec)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full", "/dev/null", "/dev/tty0", "/proc/self/mem"])
def test_a_device_is_no_configuration_and_no_card(device: str) -> None:
    """Files without end, and what is no file at all, are refused at once."""
    start = time.perf_counter()
    with pytest.raises(RayscanError):
        load_config(device)
    with pytest.raises(ConfigError):
        rs.Command(["cat", "{input}"], read={"y": "column:1"}, files={"in": {"template": device}}).check(["x"])
    assert time.perf_counter() - start < 5
