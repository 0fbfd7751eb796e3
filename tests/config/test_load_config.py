"""scan.toml as objects, and what is said of a wrong one."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import numpy as np
import pytest
import tomlkit

import rayscan as rs
from rayscan.config import Configuration, dump_config, load_config
from rayscan.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
GOOD = """
out = "results"

[parameters]
tanb = [2, 60]
m0 = { prior = "log", min = 100, max = 3000 }
At = { prior = "symlog", min = -5e3, max = 5e3, linear = 10 }
mt = { prior = "normal", mean = 173.1, sigma = 0.9, min = 170 }
sign = { prior = "choice", values = [-1, 1] }
mu = 500
mA = { prior = "fixed", value = 1000 }
m0sq = { derived = "m0**2" }

[tool]
kind = "command"
command = ["python", "-c", "print('mh =', {tanb} + {m0} + {At} + {mt} + {sign} + {mu} + {mA} + {m0sq})"]
read = { mh = { regex = 'mh = (\\S+)' } }
timeout = 30
limits = { memory_bytes = 1000000000 }

[target]
mh = [124, 126]
twice = { value = 250, sigma = [1, 2] }
upper = { max = 1e-9 }
lower = { min = 1e-3, sigma = 1e-4 }
threshold = 0.5

[target.derive]
twice = "2 * mh"
upper = "mh - 125"
lower = "mh / 125"

[scan]
K = 50
L = 500
hidden = [32, 32]
initial = 20
evaluators = 0
seed = 7

[goal]
valid = 10
time_limit = "1h 30 min"
coverage = 0.95
"""


def load(tmp_path: Path, text: str = GOOD, *replacements: tuple[str, str]) -> Configuration:
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "scan.toml").write_text(text)
    return load_config(tmp_path / "scan.toml")


def refusal(tmp_path: Path, *replacements: tuple[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD, *replacements)
    return str(caught.value)


def test_every_kind_of_prior_is_read(tmp_path: Path) -> None:
    """Each entry of [parameters] becomes the prior that it names, in the file's order."""
    space = load(tmp_path).space
    assert space == rs.Space(
        tanb=(2, 60),
        m0=rs.Log(100, 3000),
        At=rs.SymLog(-5e3, 5e3, linear=10),
        mt=rs.Normal(173.1, 0.9, 170, math.inf),
        sign=rs.Choice(-1, 1),
        mu=500,
        mA=rs.Fixed(1000),
        m0sq=rs.Derived("m0**2"),
    )


def test_joint_priors_are_read_and_written(tmp_path: Path) -> None:
    """An entry whose key names several parameters is their joint prior, and stands in the file that is written out."""
    entries = """
"f1, f2,f3" = { prior = "simplex" }
"m1, m2" = { prior = "ordered", of = { prior = "log", min = 10, max = 1000 } }
"m3, m4" = { prior = "ordered", of = [0, 1] }
"x, y" = { prior = "ball", radius = [1, 2], center = 3 }
"c, s" = { prior = "transform", transform = "numpy:fliplr", inverse = "numpy:fliplr" }
"""
    used = " + ".join(f"{{{name}}}" for name in ("m0sq", "f1", "m1", "m2", "m3", "m4", "x", "y", "c", "s"))
    configuration = load(tmp_path, GOOD, ("mu = 500", f"mu = 500{entries}"), ("{m0sq}", used))
    (tmp_path / "again.toml").write_text(dump_config(configuration.problem, rs.Scan.from_file(configuration).options))

    space = configuration.space
    assert space.names[6:] == ("f1", "f2", "f3", "m1", "m2", "m3", "m4", "x", "y", "c", "s", "mA", "m0sq")
    assert space["f3"] == rs.Simplex("f1", "f2", "f3")
    assert space["m1"] == rs.Ordered("m1", "m2", of=rs.Log(10, 1000))
    assert space["m4"] == rs.Ordered("m3", "m4", of=(0, 1))
    assert space["x"] == rs.Ball("x", "y", radius=(1, 2), center=3)
    assert space["c"] == rs.PriorTransform("c", "s", transform=np.fliplr, inverse=np.fliplr)
    assert load_config(tmp_path / "again.toml").space == space


def test_a_transform_that_a_file_cannot_name_is_said_to_be_missing() -> None:
    """The file that is written out says that it cannot repeat the scan."""
    space = rs.Space(rs.PriorTransform("a", "b", transform=lambda u: u), x=(0, 1))
    scan = rs.Scan(space, rs.Function(math.hypot, outputs=["h"]), rs.Target(h=(0, 1)))

    assert "# Made in Python, so this file alone cannot repeat it: the prior of a, b" in dump_config(
        scan.problem, scan.options
    )


@pytest.mark.parametrize("where", ["tanb < 50 and m0 + mu > 700", ["tanb < 50", "m0 + mu > 700"]])
def test_conditions_are_read_and_written(tmp_path: Path, where: str | list[str]) -> None:
    """[space] says what must hold between parameters, and stands in the file that is written out."""
    configuration = load(tmp_path, GOOD, ("[tool]", f"[space]\nwhere = {where!r}\n\n[tool]"))
    (tmp_path / "again.toml").write_text(dump_config(configuration.problem, rs.Scan.from_file(configuration).options))

    assert configuration.space.where == ((where,) if isinstance(where, str) else tuple(where))
    assert load_config(tmp_path / "again.toml").space == configuration.space


def test_every_kind_of_constraint_is_read(tmp_path: Path) -> None:
    """Each entry of [target] becomes the constraint that its keys mean."""
    target = load(tmp_path).target
    assert target.constraints == {
        "mh": rs.Window(124, 126),
        "twice": rs.Gaussian(250, (1, 2)),
        "upper": rs.Below(1e-9),
        "lower": rs.Above(1e-3, 1e-4),
    }
    assert target.threshold == 0.5
    assert target.derived["twice"].text == "2 * mh"


def test_options_and_goal_reach_the_scan(tmp_path: Path) -> None:
    """[scan] becomes the options of the Scan, [goal] the arguments of run, times in seconds, overrides win."""
    configuration = load(tmp_path)
    assert configuration.goal.arguments() == {
        "valid": 10, "evaluations": None, "steps": None, "time_limit": 5400.0, "coverage": 0.95, "volume_error": None,
    }  # fmt: skip
    assert configuration.out == tmp_path / "results"
    options = rs.Scan.from_file(configuration, seed=8).options
    assert (options.learn.K, options.learn.L, options.learn.hidden, options.learn.initial) == (50, 500, (32, 32), 20)
    assert (options.evaluators, options.seed) == (0, 8)


def test_limits_of_a_program_become_limits(tmp_path: Path) -> None:
    """A table inside [tool] becomes the dataclass that the constructor takes."""
    tool = load(tmp_path).tool
    assert isinstance(tool, rs.Command)
    assert tool.limits.memory_bytes == 1_000_000_000
    assert tool.limits.timeout == 30


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tanb = [2, 60]", "tanb = [60, 2]", "parameters.tanb: Uniform(60.0, 2.0): expected min < max"),
        ("tanb = [2, 60]", "tanb = [nan, 60]", "parameters.tanb"),
        ("tanb = [2, 60]", 'tanb = ["2", 60]', "parameters.tanb.min: expected a number, got '2'"),
        ("tanb = [2, 60]", "tanb = [2, true]", "parameters.tanb.max: expected a number, got true"),
        ("tanb = [2, 60]", "tanb = [2, 60, 5]", "parameters.tanb: expected a range [min, max]"),
        ("min = 100, max = 3000", "min = -100, max = 3000", "cannot touch or cross zero"),
        ('prior = "log"', 'prior = "logg"', "did you mean 'log'?"),
        ("linear = 10", "linea = 10", "parameters.At: unknown key 'linea'; did you mean 'linear'?"),
        ("mean = 173.1, ", "", "parameters.mt.mean: missing"),
        ('derived = "m0**2"', 'derived = "m0**2 + m1"', "needs 'm1'"),
        ("mu = 500", '"point id" = 500', "parameter 'point id'"),
        ("mu = 500", "'a, b' = [0, 1]", "parameters.a, b: expected a table with prior = one of simplex, ordered"),
        ("mu = 500", "'a, b' = {prior = 'simplx'}", "did you mean 'simplex'?"),
        ("mu = 500", "a = {prior = 'simplex'}", "parameters.a: Simplex('a'): expected 2 parameters or more, got 1"),
        ("mu = 500", "'a, b' = {prior = 'ordered', of = [2, 1]}", "parameters.a, b: of: Uniform(2.0, 1.0): expected"),
        ("mu = 500", "'a, b' = {prior = 'ordered'}", "parameters.a, b.of: missing"),
        ("mu = 500", "'a, tanb' = {prior = 'ball'}", "parameter 'tanb' is given twice"),
        ("mu = 500", "'a, b' = {prior = 'transform', transform = 'mine:f'}", "transform: no module 'mine'"),
        ("[tool]", "[space]\nwhere = 'tanb < m1'\n[tool]", "space.where: 'tanb < m1' needs 'm1', which is not a"),
        ("[tool]", "[space]\nwhere = 'tanb > 70'\n[tool]", "space.where: none of 1,000,000 draws from the prior"),
        ("[tool]", "[space]\nwere = 'tanb > 7'\n[tool]", "space: unknown key 'were'; did you mean 'where'?"),
        ("[tool]", "[space]\nwhere = 7\n[tool]", "space.where: expected a text or a list, got 7"),
        ("mh = [124, 126]", "mh = [126, 124]", "target.mh: Window(126, 124): expected min < max"),
        ("mh = [124, 126]", "mh = [nan, 124]", "target.mh: Window: the lower end is NaN"),
        ("mh = [124, 126]", "mh = { value = 125, sgima = 1 }", "target.mh: unknown key 'sgima'; did you mean 'sigma'?"),
        ("mh = [124, 126]", "mh = { value = 125 }", "target.mh.sigma: missing"),
        ("sigma = [1, 2]", 'sigma = "1"', "target.twice.sigma: expected a number or a list, got '1'"),
        ("mh = [124, 126]", "mh = { }", "target.mh: expected min, max or both"),
        ("mh = [124, 126]", "mH = [124, 126]", "the target constrains 'mH', but the tool gives no such observable"),
        ('twice = "2 * mh"', 'twice = "2 * mh^2"', "write a power as **"),
        ('kind = "command"', 'kind = "comand"', "tool.kind: expected one of"),
        ("timeout = 30", "timeuot = 30", "tool: unknown key 'timeuot'; did you mean 'timeout'?"),
        ("timeout = 30", 'timeout = "30 s"', "tool.timeout: expected a number or 'auto', got '30 s'"),
        ("memory_bytes", "memory_byte", "tool.limits: unknown key 'memory_byte'; did you mean 'memory_bytes'?"),
        ("{ regex = ", "{ regx = ", "tool: observable 'mh'"),
        ("K = 50", "K = 50.5", "scan.K: expected a whole number, got 50.5"),
        ("K = 50", "K = 0", "scan: K = 0; expected a whole number >= 1"),
        ("K = 50", "K = 5000", "scan: L = 500 candidates are fewer"),
        ("seed = 7", "sed = 7", "scan: unknown key 'sed'; did you mean 'seed'?"),
        ("seed = 7", "preset = 'no_such'", "scan.preset: no preset 'no_such'"),
        ("valid = 10", "valid = 0", "goal.valid: expected greater than 0, got 0"),
        ('"1h 30 min"', '"soon"', "goal.time_limit: expected a time such as"),
        ("[goal]", "[gaol]", "unknown key 'gaol'; did you mean 'goal'?"),
        ('out = "results"', "out = 5", "out: expected a text, got 5"),
        ("[tool]", "[[stages]]", ""),
    ],
)
def test_every_mistake_is_named_with_file_key_and_remedy(tmp_path: Path, old: str, new: str, said: str) -> None:
    """A wrong file is refused with its name, the key path, what was expected and what is there."""
    if not said:
        assert isinstance(load(tmp_path, GOOD, (old, new)).tool, rs.Chain)
        return
    message = refusal(tmp_path, (old, new))
    assert message.startswith(f"{tmp_path / 'scan.toml'}: ")
    assert said in message


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """All unknown and missing keys of a section are listed, each on its own line with the file's name."""
    message = refusal(tmp_path, ("K = 50", "KK = 50"), ("seed = 7", "sed = 7"))
    assert [line.split(": ", 1)[1].split(";")[0] for line in message.splitlines()] == [
        "scan: unknown key 'KK'",
        "scan: unknown key 'sed'",
    ]


def test_mistakes_of_all_sections_are_told_at_once(tmp_path: Path) -> None:
    """A file with a mistake in each section is refused once, with a line for each mistake."""
    message = refusal(
        tmp_path,
        ("tanb = [2, 60]", "tanb = [60, 2]"), ("linear = 10", "linea = 10"), ("mh = [124, 126]", "mh = [126, 124]"),
        ("sigma = [1, 2]", 'sigma = "1"'), ("timeout = 30", "timeuot = 30"), ("K = 50", "KK = 50"),
        ("valid = 10", "valid = 1.5"), ('out = "results"', "out = 5"),
    )  # fmt: skip
    lines = message.splitlines()
    assert all(line.startswith(f"{tmp_path / 'scan.toml'}: ") for line in lines)
    assert [line.split(": ")[1] for line in lines] == [
        "out", "parameters.tanb", "parameters.At", "target.mh", "target.twice.sigma", "tool", "scan", "goal.valid",
    ]  # fmt: skip


def test_mistakes_of_every_program_of_a_chain_are_told_at_once(tmp_path: Path) -> None:
    """Two wrong stages are two lines, also where the target is wrong too."""
    (tmp_path / "scan.toml").write_text(
        "[parameters]\nx = [0, 1]\n[target]\ny = [2, 1]\n[[stages]]\nkind = 'comand'\n[[stages]]\nkind = 'sphen'\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "scan.toml")
    places = [
        line.removeprefix(f"{tmp_path / 'scan.toml'}: ").split(": ")[0] for line in str(caught.value).splitlines()
    ]
    assert places == ["target.y", "stages[0].kind", "stages[1].kind"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"K = = 5", "not TOML: Invalid value (at line 1, column 5)"),
        (b"\xff\xfe", "not UTF-8"),
        (b"", "parameters: missing; this key is required"),
        (b"parameters = 3\ntool = 4\ntarget = 5", "parameters: expected a section"),
        (b"a = " + b"[" * 5000, "nested too deeply"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    """Garbage of any kind is a ConfigError that says what is wrong with the file."""
    (tmp_path / "scan.toml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "scan.toml")
    assert said in str(caught.value)


def test_missing_file_is_named_with_a_near_one(tmp_path: Path) -> None:
    """A path without a file says so and suggests a file with a similar name."""
    (tmp_path / "scan.toml").write_text(GOOD)
    with pytest.raises(ConfigError, match=r"no such file; did you mean 'scan\.toml'"):
        load_config(tmp_path / "scn.toml")


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates, cards and the run directory are found from the file's own directory, wherever rayscan is started."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "in.template").write_text("{x}")
    (tmp_path / "sub" / "scan.toml").write_text(
        'out = "run"\nparameters.x = [0, 1]\ntarget.y = [0, 1]\n[tool]\nkind = "command"\n'
        'command = ["cat", "{input}"]\nread.y = "regex:(.+)"\nfiles.in = "in.template"\n'
    )
    monkeypatch.chdir("/")
    configuration = load_config(tmp_path / "sub")
    configuration.problem.check()
    assert configuration.out == tmp_path / "sub" / "run"


def test_a_whole_program_is_not_looked_for_on_loading(tmp_path: Path) -> None:
    """A file for another machine loads; the missing program is refused when a scan is made of it."""
    configuration = load(tmp_path, GOOD, ('"python", "-c"', '"./no/such/program"'))
    with pytest.raises(ConfigError, match=r"scan\.toml: .*no/such/program does not exist"):
        rs.Scan.from_file(configuration)


def test_chain_of_stages_with_when(tmp_path: Path) -> None:
    """[[stages]] become a chain in order, and `when` reaches it."""
    text = (
        "parameters.x = [0, 1]\ntarget.y = [0, 1]\ntarget.z = [0, 1]\n"
        '[[stages]]\nkind = "command"\nname = "one"\ncommand = ["echo", "{x}"]\nread.y = "regex:(.+)"\n'
        '[[stages]]\nkind = "command"\nname = "two"\nwhen = "y"\ncommand = ["echo", "{y}"]\nread.z = "regex:(.+)"\n'
    )
    chain = load(tmp_path, text).tool
    assert isinstance(chain, rs.Chain)
    assert chain.outputs == ("y", "z")
    assert chain.when == {"two": ("y",)}
    chain.check(["x"])
    with pytest.raises(ConfigError, match=r"stages\[1\]\.when: expected a text or a list, got 5"):
        load(tmp_path, text.replace('when = "y"', "when = 5"))
    with pytest.raises(ConfigError, match=r"stages\[1\]: unknown key 'comand'"):
        load(tmp_path, text.replace('when = "y"\ncommand', 'when = "y"\ncomand'))


FUNCTION = (
    'parameters.x = [0, 1]\nparameters.y = [0, 1]\ntarget.h = [0, 1]\n[tool]\nkind = "function"\n'
    'f = "math:hypot"\noutputs = ["h"]\nvectorized = false\n'
)


def test_function_is_taken_from_an_importable_module_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kind = "function" imports what it names from Python's own path, never from the folder of the file."""
    (tmp_path / "beside_the_file.py").write_text("def f(x, y):\n    return x + y\n")
    monkeypatch.chdir(tmp_path)
    text = FUNCTION.replace("math:hypot", "beside_the_file:f")
    with pytest.raises(
        ConfigError, match=r"tool\.f: no module 'beside_the_file' where Python imports from.*PYTHONPATH"
    ):
        load(tmp_path, text)
    monkeypatch.syspath_prepend(tmp_path)
    assert load(tmp_path, text).tool.f(1, 2) == 3
    with pytest.raises(ConfigError, match="nothing is called 'g' in 'beside_the_file'"):
        load(tmp_path, text.replace(":f", ":g"))
    for bad in ("math.hypot", "os:system('x')", ":f", "math:", "__import__('os'):x"):
        with pytest.raises(ConfigError, match="expected 'module:function'"):
            load(tmp_path, FUNCTION.replace("math:hypot", bad))


def test_tool_class_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kind = "python" makes a Tool subclass with the arguments of the file, and refuses any other class."""
    (tmp_path / "own_tool.py").write_text(
        "import rayscan as rs\nclass Own(rs.Tool):\n    outputs = ('y',)\n"
        "    def __init__(self, power): self.power = power\n    def evaluate(self, point, sandbox): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    tool = '[tool]\nkind = "python"\ntool = "own_tool:Own"\narguments.power = 3\n'
    text = f"parameters.x = [0, 1]\ntarget.y = [0, 1]\n{tool}"
    assert load(tmp_path, text).tool.power == 3
    with pytest.raises(ConfigError, match=r"subclass of rayscan\.Tool"):
        load(tmp_path, text.replace("own_tool:Own", "pathlib:Path"))
    with pytest.raises(ConfigError, match="do not make a tool"):
        load(tmp_path, text.replace("power = 3", "pwer = 3"))


def test_file_with_every_line_deleted_in_turn_never_crashes(tmp_path: Path) -> None:
    """Whatever line is missing, the file loads or is refused with a ConfigError."""
    lines = GOOD.splitlines()
    for number in range(len(lines)):
        text = "\n".join(lines[:number] + lines[number + 1 :])
        with contextlib.suppress(ConfigError):
            load(tmp_path, text)


def test_example_describes_a_scan_that_can_start() -> None:
    """The example's program, card, addresses and target fit together."""
    path = ROOT / "examples" / "mssm_higgs" / "scan.toml"
    scan = rs.Scan.from_file(path, evaluators=0)
    assert scan.problem.space.free == ("tanb", "mA", "At", "mQ3", "mU3")
    assert tomlkit.parse(path.read_text())["goal"]["valid"] == 1000


def test_example_with_one_line_changed_runs_real_spheno(tmp_path: Path) -> None:
    """Only `path` names the program: with another one in its place everything else stays."""
    folder = ROOT / "examples" / "mssm_higgs"
    text = (folder / "scan.toml").read_text().replace('"demo:mssm_higgs"', '"~/SPheno-4.0.5/bin/SPheno"')
    (tmp_path / "scan.toml").write_text(text)
    (tmp_path / "LesHouches.in").write_text((folder / "LesHouches.in").read_text())
    tool = load_config(tmp_path / "scan.toml").tool
    assert isinstance(tool, rs.SPheno)
    assert tool.commands[0].program == str(Path("~/SPheno-4.0.5/bin/SPheno").expanduser())


def test_unknown_demonstration_program_is_refused(tmp_path: Path) -> None:
    """demo: knows the programs that come with rayscan and no other file."""
    folder = ROOT / "examples" / "mssm_higgs"
    for name in ("mssm_higs", "../cli", "__init__"):
        text = (folder / "scan.toml").read_text().replace("demo:mssm_higgs", f"demo:{name}")
        (tmp_path / "scan.toml").write_text(text)
        with pytest.raises(ConfigError, match="no demonstration program"):
            load_config(tmp_path / "scan.toml")


def test_preset_is_the_starting_point_of_the_options(tmp_path: Path) -> None:
    """A preset gives its settings, and the other keys of the section change them."""
    learn = rs.Scan.from_file(
        load(tmp_path, GOOD, ("seed = 7", "preset = 'paper_mssm'"), ("L = 500\n", ""))
    ).options.learn
    assert (learn.surrogate, learn.selection, learn.L, learn.K) == ("similarity", "paper", 50_000, 50)
    with pytest.raises(ConfigError, match="no preset 'paper_msm'; did you mean 'paper_mssm'"):
        load(tmp_path, GOOD, ("seed = 7", "preset = 'paper_msm'"))


def test_what_a_tool_asks_of_nodes_is_read(tmp_path: Path) -> None:
    """Any kind of tool says how much it takes of a node and what comes along; of stages the largest and all."""
    (tmp_path / "prog").mkdir()
    file = tmp_path / "scan.toml"
    text = """
[parameters]
x = [0, 1]
[target]
y = [0, 1]
[[stages]]
kind = "command"
command = ["python", "-c", "print({x})"]
read = { y = "column:1" }
name = "first"
cores = 2
memory = 1e9
[[stages]]
kind = "command"
command = ["python", "-c", "print({x})"]
read = { z = "column:1" }
name = "second"
resources = { spheno = 1 }
ship = ["prog"]
"""
    file.write_text(text)
    tool = load_config(file).tool
    assert (tool.cores, tool.memory, tool.resources) == (2, 1e9, {"spheno": 1.0})
    assert tool.ship == (str(tmp_path / "prog"),)
    file.write_text(text.replace("cores = 2", "cores = 0"))
    with pytest.raises(ConfigError, match=r"stages\[0\]: cores = 0; expected a whole number"):
        load_config(file)
    file.write_text(text.replace("ship =", "shp ="))
    with pytest.raises(ConfigError, match=r"unknown key 'shp'.*did you mean 'ship'"):
        load_config(file)
