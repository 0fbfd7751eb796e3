"""What a user can get wrong, one case each: how to get the message, what it must say, and the way out.

``python -m tests.errors.catalogue`` writes ``docs/errors.md`` from it; a test compares the two. Mistakes inside a
configuration file have a longer table in ``tests/config/test_load_config.py``, spaces, targets and expressions in
their own tests, and what can be wrong with a program's card or output in ``tests/tools/``: here is one of each kind,
as a user meets it.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import rayscan as rs
from rayscan.errors import (
    ConfigError,
    ExpressionError,
    FailureRateError,
    RayscanError,
    ResumeMismatchError,
    RunLockedError,
    StoreError,
)

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
Act = Callable[[Path], Any]


@dataclass(frozen=True)
class Case:
    """A mistake.

    Attributes
    ----------
    section, cause, remedy : str
        For the page.
    act : callable
        Takes an empty directory and makes the mistake.
    error : type
        What is raised.
    says : tuple of str
        What the message must hold: what is wrong, where, what was expected, what came, what to do.
    leaves : bool
        Whether the directory may change: it shows only while the scan runs.
    """

    section: str
    cause: str
    remedy: str
    act: Act
    error: type[RayscanError]
    says: tuple[str, ...]
    leaves: bool = False

    @property
    def name(self) -> str:
        """Words for the test's name."""
        return re.sub(r"\W+", "-", f"{self.section}: {self.cause}").strip("-").lower()


CASES: list[Case] = []


def case(
    section: str,
    cause: str,
    remedy: str,
    says: tuple[str, ...],
    error: type[RayscanError] = ConfigError,
    *,
    leaves: bool = False,
) -> Callable[[Act], Act]:
    """Register a mistake."""

    def register(act: Act) -> Act:
        CASES.append(Case(section, cause, remedy, act, error, says, leaves))
        return act

    return register


def message_of(one: Case, folder: Path) -> str:
    """Make the mistake and return the message, with the directory's name taken out."""
    with pytest.raises(one.error) as caught:
        one.act(folder)
    assert caught.type is one.error
    return str(caught.value).replace(str(folder.resolve()), "/home/me").replace(str(folder), "/home/me")


# What the mistakes are made with -----------------------------------------------------------------------------------

CONFIG = """\
[parameters]
m0 = [100, 3000]
tanb = [2, 60]

[tool]
kind = "command"
command = ["cat", "{input}"]
files.in = "m0 = {m0}\\ntanb = {tanb}\\n"
read.mh = "label:m0"
timeout = 60

[target]
mh = [124, 126]

[goal]
valid = 10
"""


def file(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write a scan.toml with some changes, and return its path."""
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "scan.toml").write_text(text)
    return folder / "scan.toml"


def load(*changes: tuple[str, str]) -> Act:
    return lambda folder: rs.Scan.from_file(file(folder, *changes))


SPACE = rs.Space(m0=(100, 3000), tanb=(2, 60))


def mass(m0: float, tanb: float) -> float:
    return m0 + tanb


def scan(folder: Path, **changes: Any) -> rs.Scan:
    """Make a small scan of a function."""
    tool = rs.Function(mass, outputs=["mh"])
    arguments: dict[str, Any] = {
        "space": SPACE, "tool": tool, "target": rs.Target(mh=(124, 126)), "out": folder / "run", "evaluators": 0,
        "initial": 500, **changes,
    }  # fmt: skip
    return rs.Scan(**arguments)


def run(folder: Path, n: int = 3, **changes: Any) -> rs.Scan:
    made = scan(folder, **changes)
    made.run(evaluations=n, progress=None)
    return made


def command(folder: Path, words: list[str], **options: Any) -> rs.Scan:
    options = {"read": {"mh": "label:mh"}, "files": {"in": "m0 = {m0}\ntanb = {tanb}\n"}, "base": folder, **options}
    return scan(folder, tool=rs.Command(words, **options))


CARD = "BLOCK MINPAR\n 1  125.0  # m0\n 3  10.0  # tanb\n"


def card(folder: Path, write: dict[str, str], text: str = CARD, kind: str = "slha") -> rs.Scan:
    (folder / "card.in").write_text(text)
    return command(folder, ["cat", "{input}"], files={"in": {kind: "card.in", "write": write}})


# Configuration files -----------------------------------------------------------------------------------------------

FILE = "Configuration files"
case(
    FILE, "There is no such file", "Give the path of the file, or of the directory that holds a `scan.toml`.",
    ("/home/me/scan.tml", "there is no such file", "did you mean 'scan.toml'"),
)(lambda folder: (file(folder), rs.Scan.from_file(folder / "scan.tml")))  # fmt: skip
case(
    FILE, "The file is no TOML", "Mend the line that is named; texts stand in quotes, lists in brackets.",
    ("scan.toml: not TOML", "line 3, column 9"),
)(load(("tanb = [2, 60]", "tanb = 2, 60")))  # fmt: skip
case(
    FILE, "A key that nobody knows", "Take the name that is suggested; `rayscan explain` lists all.",
    ("scan.toml: tool: unknown key 'timeuot'", "did you mean 'timeout'?"),
)(load(("timeout = 60", "timeuot = 60")))  # fmt: skip
case(
    FILE, "A value of the wrong type", "Numbers stand without quotes; times of a program are in seconds.",
    ("scan.toml: tool.timeout: expected a number or 'auto', got '60 s'",),
)(load(("timeout = 60", 'timeout = "60 s"')))  # fmt: skip
case(
    FILE, "A required key is missing", "Add it; `rayscan explain tool` shows every key with its meaning.",
    ("scan.toml: tool.command: missing; this key is required",),
)(load(('command = ["cat", "{input}"]\n', "")))  # fmt: skip
case(
    FILE, "A module that Python cannot import", "Install it, or name its folder in `PYTHONPATH`.",
    ("scan.toml: tool.f: no module 'my_model' where Python imports from", "PYTHONPATH=/path/to/folder rayscan run"),
)(lambda folder: rs.Scan.from_file(_own_function(folder)))  # fmt: skip
case(
    FILE, "The scan has no goal", "Say when it shall end: `--valid N` or `[goal] valid = N`.",
    ("the scan has no goal", "evaluations=", "valid="),
)(lambda folder: scan(folder).run())  # fmt: skip
case(
    FILE, "A goal that is no number of points", "Goals are positive.", ("valid = 0", "expected a positive number"),
)(lambda folder: scan(folder).run(valid=0))  # fmt: skip


def _own_function(folder: Path) -> Path:
    text = CONFIG[: CONFIG.index("[tool]")] + '[tool]\nkind = "function"\nf = "my_model:mh"\noutputs = ["mh"]\n'
    (folder / "scan.toml").write_text(text + CONFIG[CONFIG.index("\n[target]") :])
    return folder / "scan.toml"


# Spaces ------------------------------------------------------------------------------------------------------------

RANGES = "Parameters and ranges"
case(RANGES, "The ends of a range are swapped", "Write the smaller end first.",
     ("parameter 'tanb'", "Uniform(60, 2)", "expected min < max", "swap them"))(
    lambda folder: rs.Space(tanb=(60, 2)))  # fmt: skip
case(RANGES, "A range without extent", "A constant is a plain number, or `rs.Fixed`.",
     ("parameter 'tanb'", "expected min < max", "use Fixed for a constant"))(
    lambda folder: rs.Space(tanb=(10, 10)))  # fmt: skip
case(RANGES, "A logarithmic range that touches zero", "Start above zero, or use `rs.SymLog`.",
     ("Log(0, 100)", "cannot touch or cross zero", "use SymLog"))(
    lambda folder: rs.Space(mu=rs.Log(0, 100)))  # fmt: skip
case(RANGES, "A range with NaN or an infinite end", "Both ends are finite; a normal prior may have open ends.",
     ("parameter 'mu'", "Uniform(nan, 100)", "must be finite"))(
    lambda folder: rs.Space(mu=(float("nan"), 100)))  # fmt: skip
case(RANGES, "Nothing to scan", "Give at least one parameter a range.",
     ("the space has no parameter to scan", "such as m0=(100, 3000)"))(
    lambda folder: rs.Space(m0=500))  # fmt: skip
case(RANGES, "A name that cannot name a column", "Letters, digits and underscores, a letter first.",
     ("parameter 'tan beta'", "expected a name of letters, digits and underscores"))(
    lambda folder: rs.Space({"tan beta": (2, 60)}))  # fmt: skip
case(RANGES, "A name that the table uses itself", "Choose another, such as the one suggested.",
     ("parameter 'status'", "column of the result table", "'status_'"))(
    lambda folder: rs.Space(status=(0, 1)))  # fmt: skip
case(RANGES, "A derived parameter of something unknown", "Name parameters of the space only.",
     ("parameter 'm0sq' = 'mO**2' needs 'mO'", "known: m0"))(
    lambda folder: rs.Space(m0=(1, 2), m0sq=rs.Derived("mO**2")))  # fmt: skip
case(RANGES, "An expression that is no arithmetic", "Powers are `**`; only the functions of `rayscan explain` exist.",
     ("expression 'm0^2'", "column 1", "write a power as **"), ExpressionError)(
    lambda folder: rs.Derived("m0^2"))  # fmt: skip
case(RANGES, "Conditions that cannot hold", "Mend the condition, or the ranges.",
     ("where", "none of 1,000,000 draws", "'m1 > 80 and m2 < 50 and m1 < m2'", "alone", "'m1 < m2' 49.9 %"))(
    lambda folder: rs.Space(m1=(0, 100), m2=(0, 100), where="m1 > 80 and m2 < 50 and m1 < m2"))  # fmt: skip
case(RANGES, "First points outside the ranges", "Leave them out, or widen the range.",
     ("initial", "point 1", "tanb = 70", "2 to 60"))(
    lambda folder: scan(folder, initial=[[500.0, 10.0], [500.0, 70.0]]))  # fmt: skip

# Targets -----------------------------------------------------------------------------------------------------------

TARGET = "Targets"
case(TARGET, "An empty target", "Give at least one constraint.",
     ("the target is empty", "such as mh=(124, 126)"))(lambda folder: rs.Target())  # fmt: skip
case(TARGET, "A window with its ends swapped", "Write the smaller end first.",
     ("observable 'mh'", "Window(126, 124)", "expected min < max"))(
    lambda folder: rs.Target(mh=(126, 124)))  # fmt: skip
case(TARGET, "A limit that is NaN", "Use `inf` for an open end.",
     ("observable 'mh'", "NaN", "inf for an open end"))(
    lambda folder: rs.Target(mh=(float("nan"), 126)))  # fmt: skip
case(TARGET, "An observable that no program gives", "Read it, derive it, or mend its name.",
     ("the target constrains 'mH'", "the tool gives no such observable", "did you mean 'mh'?"))(
    lambda folder: scan(folder, target=rs.Target(mH=(124, 126))))  # fmt: skip
case(TARGET, "A target function that answers nonsense", "Return a bool, or a likelihood from 0 to 1.",
     ("target function good returned 7", "expected a bool or a likelihood in [0, 1]"), leaves=True)(
    lambda folder: run(folder, target=rs.Target(_named("good", lambda mh: 7))))  # fmt: skip
case(TARGET, "A target function that fails", "Mend it; what was evaluated is saved, and the scan goes on.",
     ("target function good raised ZeroDivisionError", "mh = ", "mend it", "fork="), leaves=True)(
    lambda folder: run(folder, target=rs.Target(_named("good", lambda mh: 1 / 0))))  # fmt: skip


def _named(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    return function


# Functions ---------------------------------------------------------------------------------------------------------

FUNCTION = "Python functions as tools"
case(FUNCTION, "An argument that is no parameter", "Arguments are parameters by name.",
     ("function f needs 'tan_beta'", "not a parameter of the space", "did you mean 'tanb'?"))(
    lambda folder: scan(folder, tool=rs.Function(_named("f", lambda m0, tan_beta: 0), outputs=["mh"])))  # fmt: skip
case(FUNCTION, "A function that wants a block, or does not", "`vectorized=True` means one array `(n, d)`.",
     ("function f is vectorised", "expected one argument, the (n, d) array", "['m0', 'tanb']"))(
    lambda folder: scan(folder, tool=rs.Function(_named("f", lambda m0, tanb: 0), ["mh"], True)))  # fmt: skip
case(FUNCTION, "Outputs that are one text", "Give a list of names.",
     ("function mass: outputs = 'mh'", "expected a list of names such as ['mh']"))(
    lambda folder: rs.Function(mass, outputs="mh"))  # fmt: skip
case(FUNCTION, "An output with the name of a parameter", "Rename one of the two.",
     ("observable 'm0' has the name of a parameter", "rename one of them"))(
    lambda folder: scan(folder, tool=rs.Function(mass, outputs=["m0"]), target=rs.Target(m0=(1, 2))))  # fmt: skip
for cause, returned, said in (
    ("The wrong number of values", lambda m0, tanb: (1, 2), "returned 2 value(s), (1, 2); expected 1: mh"),
    ("A text in place of a number", lambda m0, tanb: "125", "returned '125' for 'mh'; expected a number"),
    ("No return", lambda m0, tanb: None, "returned None for 'mh'; expected a number; does it end without a return?"),
    ("An exception", lambda m0, tanb: {}["mh"], "raised KeyError: 'mh'"),
):
    case(FUNCTION, f"{cause}, at every point", "Mend the function and start again: the scan resumes.",
         ("100% of the last 20 points failed for technical reasons", f"function f {said}", "rayscan check"),
         FailureRateError, leaves=True)(
        lambda folder, f=returned: run(folder, 50, tool=rs.Function(_named("f", f), outputs=["mh"])))  # fmt: skip

# Programs ----------------------------------------------------------------------------------------------------------

PROGRAM = "Programs"
case(PROGRAM, "The program is not there", "Give its path; it is not built yet, perhaps.",
     ("program /home/me/bin/SPheno does not exist", "/home/me/bin does not exist"))(
    lambda folder: command(folder, ["./bin/SPheno", "{input}"]))  # fmt: skip
case(PROGRAM, "The program is not on the PATH", "Give its path, such as `./SPheno`.",
     ("program 'SPhenoo' is not on the PATH", "give its path, such as './SPhenoo'"))(
    lambda folder: command(folder, ["SPhenoo", "{input}"]))  # fmt: skip
case(PROGRAM, "The program cannot be executed", "`chmod +x`, or its interpreter in front.",
     ("program /home/me/SPheno cannot be executed", "chmod +x"))(
    lambda folder: ((folder / "SPheno").write_text(""), command(folder, ["./SPheno"])))  # fmt: skip
case(PROGRAM, "A shell command as one text", "Give a list of words; no shell is used.",
     ("command './SPheno in out'", "expected a list of words", "no shell is used"))(
    lambda folder: rs.Command("./SPheno in out", read={"mh": "label:mh"}))  # fmt: skip
case(PROGRAM, "The card is not there", "Mend the path; it is relative to the configuration file.",
     ("cannot read the file /home/me/LesHouches.in", "No such file or directory", "check the path"))(
    lambda folder: command(folder, ["cat"], files={"in": {"slha": "LesHouches.in", "write": {}}}))  # fmt: skip
case(PROGRAM, "A parameter that is written nowhere", "Write it by `{name}` or an address, or say that it is `unused`.",
     ("cat: parameter 'tanb' is written nowhere", "{tanb}", "unused=['tanb']"))(
    lambda folder: command(folder, ["cat", "{input}"], files={"in": "m0 = {m0}\n"}))  # fmt: skip
case(PROGRAM, "A template without any placeholder", "Mark each place with a parameter's name in braces.",
     ("cat: parameter 'm0' is written nowhere", "a placeholder {m0}"))(
    lambda folder: command(folder, ["cat", "{input}"], files={"in": "m0 = 100\ntanb = 10\n"}))  # fmt: skip
case(PROGRAM, "A placeholder that nobody knows", "Take the name that is suggested.",
     ("file 'in'", "nothing is known as {m_0}", "did you mean 'm0'?"))(
    lambda folder: command(folder, ["cat", "{input}"], files={"in": "{m_0} {tanb}\n"}))  # fmt: skip
case(PROGRAM, "An SLHA entry that the card does not have", "Take one that it has, or `add = true`.",
     ("card.in", "MINPAR 2", "MINPAR"))(
    lambda folder: card(folder, {"m0": "MINPAR 1", "tanb": "MINPAR 2"}))  # fmt: skip
case(PROGRAM, "An SLHA entry that the card has twice", "Remove one of the two lines.",
     ("card.in", "MINPAR 3", "2 times", "lines 3 and 4", "keep one"))(
    lambda folder: card(folder, {"m0": "MINPAR 1", "tanb": "MINPAR 3"}, CARD + " 3  11.0\n"))  # fmt: skip
case(PROGRAM, "A label that stands on no line", "Take one that does.",
     ("card.in", "'tan_beta'", "did you mean 'tanb'?"))(
    lambda folder: card(folder, {"m0": "m0", "tanb": "tan_beta"}, "1.0  # m0\n2.0  # tanb\n", "labels"))  # fmt: skip
case(PROGRAM, "A label that stands on two lines", "Give a longer label, or the block and index.",
     ("card.in", "'m0'", "line", "1", "2"))(
    lambda folder: card(folder, {"m0": "m0", "tanb": "tanb"}, "1 # m0\n3 # m0\n2 # tanb\n", "labels"))  # fmt: skip
case(PROGRAM, "An observable without a way to read it", "Say where it stands: SLHA entry, label, column, regex, JSON.",
     ("observable 'mh'", "'MASS 25'", "does not say how to read it", "'slha:MASS 25'"))(
    lambda folder: command(folder, ["cat", "{input}"], read={"mh": "MASS 25"}))  # fmt: skip
case(PROGRAM, "An SLHA address that is none", "Block and index, such as `MASS 25`.",
     ("observable 'mh'", "'25 MASS'", "MASS 25"))(
    lambda folder: command(folder, ["cat", "{input}"], read={"mh": "slha:25 MASS"}))  # fmt: skip
case(PROGRAM, "A regular expression that is none", "Escape brackets that are meant as such.",
     ("observable 'mh'", "'m_h = ('", "regular expression"))(
    lambda folder: command(folder, ["cat", "{input}"], read={"mh": "regex:m_h = ("}))  # fmt: skip
case(PROGRAM, "A file outside the point's directory", "Programs write into the directory of their point.",
     ("cat: file '../spectrum'", "expected a name inside the point's directory"))(
    lambda folder: command(folder, ["cat", "{input}"], output="../spectrum"))  # fmt: skip
case(PROGRAM, "A limit that is no positive number", "Leave it out for no limit.",
     ("limit timeout = -5", "expected a positive number, or None"))(
    lambda folder: command(folder, ["cat", "{input}"], timeout=-5))  # fmt: skip

# Networks and options ----------------------------------------------------------------------------------------------

OPTIONS = "Networks and options"
case(OPTIONS, "An option that nobody knows", "Take the name that is suggested.",
     ("Scan: unknown option 'epoch'", "did you mean 'epochs'?"))(lambda folder: scan(folder, epoch=5))  # fmt: skip
case(OPTIONS, "An option out of its range", "Stay within the range that is named.",
     ("random_share = 2", "expected a number in [0, 1]"))(lambda folder: scan(folder, random_share=2))  # fmt: skip
case(OPTIONS, "A method that does not exist", "Take one of those that are listed.",
     ("surrogate = 'forest'", "expected one of auto, classifier, regressor, similarity"))(
    lambda folder: scan(folder, surrogate="forest"))  # fmt: skip
case(OPTIONS, "Fewer candidates than points to choose", "L is much larger than K.",
     ("L = 100 candidates are fewer than the K = 300", "expected L >= K"))(
    lambda folder: scan(folder, L=100))  # fmt: skip
case(OPTIONS, "A network with two outputs", "One logit a point: `(n,)` or `(n, 1)`.",
     ("surrogate", "expected shape (n,) or (n, 1)", "got (4, 2)", "one logit"))(
    lambda folder: scan(folder, surrogate=_network(2, 2)))  # fmt: skip
case(OPTIONS, "A network for another number of parameters", "Its input is the unit cube of the scanned parameters.",
     ("surrogate", "(4, 2)", "2 scanned parameters m0, tanb", "RuntimeError"))(
    lambda folder: scan(folder, surrogate=_network(3, 1)))  # fmt: skip
case(OPTIONS, "A network that ends in a sigmoid", "Leave it out: the loss takes logits.",
     ("surrogate", "expected logits", "sigmoid"))(
    lambda folder: scan(folder, surrogate=_network(2, 1, sigmoid=True)))  # fmt: skip
case(OPTIONS, "A network that has nothing to learn with", "Give it parameters, and let them be trained.",
     ("surrogate", "trainable parameters", "found none"))(
    lambda folder: scan(folder, surrogate=_network(2, 1).requires_grad_(False)))  # fmt: skip
case(OPTIONS, "A network that gives NaN", "Mend it: its answers to points of the unit cube are finite.",
     ("surrogate", "NaN", "finite"))(
    lambda folder: scan(folder, surrogate=_network(2, 1, poison=True)))  # fmt: skip
case(OPTIONS, "A negative number of evaluators", "None: one a core; 0: one in this process.",
     ("evaluators = -1", "expected a number >= 0"))(lambda folder: scan(folder, evaluators=-1))  # fmt: skip


def _network(inputs: int, outputs: int, *, poison: bool = False, sigmoid: bool = False) -> Any:
    import torch

    network = torch.nn.Linear(inputs, outputs)
    if poison:
        torch.nn.init.constant_(network.bias, float("nan"))
    return torch.nn.Sequential(network, torch.nn.Sigmoid()) if sigmoid else network


# Run directories ---------------------------------------------------------------------------------------------------

RUN = "Run directories"
case(RUN, "The run directory is a file", "Choose another name.",
     ("/home/me/run", "expected a directory", "got a file", "choose another directory"), StoreError)(
    lambda folder: ((folder / "run").write_text("my results"), run(folder)))  # fmt: skip
case(RUN, "The run directory holds other things", "Choose a new or empty directory; nothing was touched.",
     ("/home/me/run", "expected an empty or new directory, or a run of rayscan", "chapter.tex", "nothing was changed"),
     StoreError)(
    lambda folder: ((folder / "run").mkdir(), (folder / "run" / "chapter.tex").touch(), run(folder)))  # fmt: skip
case(RUN, "The run directory cannot be made", "Choose a place where you may write.",
     ("/home/me/file/run", "cannot create the run directory", "Not a directory", "choose another directory"),
     StoreError)(
    lambda folder: ((folder / "file").touch(), run(folder, out=folder / "file" / "run")))  # fmt: skip
case(RUN, "Another problem than the stored one", "Put the old description back, or fork the run.",
     ("/home/me/run holds another problem (stored → asked for)", "target.mh.hi: 126 → 127", "space.tanb.hi: 60 → 50",
      "--fork /home/me/run", "or choose another directory"), ResumeMismatchError, leaves=True)(
    lambda folder: (run(folder), run(folder, target=rs.Target(mh=(124, 127)),
                                     space=rs.Space(m0=(100, 3000), tanb=(2, 50)))))  # fmt: skip
case(RUN, "Another scan works in it", "Stop it, or choose another directory.",
     ("process", "is scanning into this directory", "rayscan stop /home/me/run", "choose another directory"),
     RunLockedError, leaves=True)(lambda folder: (run(folder), _twice(folder)))  # fmt: skip
case(RUN, "It is no run directory", "Give the directory that `rayscan run` named.",
     ("/home/me", "expected a run directory of rayscan", "run.json", "nothing was changed"), StoreError)(
    rs.open_run)  # fmt: skip
case(RUN, "Its description is damaged", "Restore `run.json` from a copy; the points are safe in their files.",
     ("/home/me/run/run.json", "cannot be read", "restore it from a copy"), StoreError, leaves=True)(
    lambda folder: (run(folder), (folder / "run" / "run.json").write_text('{"rayscan": "ru'),
                    rs.open_run(folder / "run")))  # fmt: skip
case(RUN, "It was written by a newer version", "Install a newer rayscan.",
     ("/home/me/run", "written in format '99'", "install a newer rayscan"), StoreError, leaves=True)(
    lambda folder: (run(folder), _edit(folder / "run" / "run.json", format="99"),
                    rs.open_run(folder / "run")))  # fmt: skip
case(RUN, "Something in it is a link or a pipe", "Put the files themselves in place of the links.",
     ("/home/me/run/log", "is a link", "ordinary files"), StoreError, leaves=True)(
    lambda folder: (run(folder), (folder / "run" / "log").unlink(missing_ok=True),
                    (folder / "run" / "log").symlink_to("/dev/null"), run(folder, 5)))  # fmt: skip
case(RUN, "A fork of a run with another tool", "Vouch for it with `--same-tool`, or start without a fork.",
     ("fork of /home/me/run", "expected the same tool", "tool.function: mass#", "--same-tool"), leaves=True)(
    lambda folder: (run(folder), scan(folder, out=folder / "new", fork=folder / "run",
                                      tool=rs.Function(_named("f", lambda m0, tanb: m0), outputs=["mh"]))))  # fmt: skip


def _twice(folder: Path) -> None:
    from rayscan.store import Store

    with Store.open(folder / "run"):
        run(folder, 5)


def _edit(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


# The page ----------------------------------------------------------------------------------------------------------

INTRODUCTION = """\
# Messages and what to do

Every message says what is wrong, where, what was expected, what came, and the next step; in Python each is also the
built-in exception that one would expect (`rayscan.errors`). Mistakes are found before anything is started, wherever
they can be. The messages below are made by `python -m tests.errors.catalogue`, one of each kind.
"""
_CHANGING = ((r"process \d+ on \S+ since [\d-]+ [\d:]+", "process 4711 on node77 since 2026-01-01 12:00:00"),
             (r"#[0-9a-f]{12}", "#0123456789ab"), (r"\(/\S+?/catalogue\.py:\d+\)", "(my_model.py:7)"))  # fmt: skip


def page() -> str:
    """Return the text of the page."""
    parts, section = [INTRODUCTION], ""
    for one in CASES:
        if one.section != section:
            section = one.section
            parts.append(f"## {section}\n")
        with tempfile.TemporaryDirectory() as folder:
            message = message_of(one, Path(folder))
        for pattern, shown in _CHANGING:
            message = re.sub(pattern, shown, message)
        lines = "\n".join(line.rstrip() for line in message.splitlines())
        parts.append(f"### {one.cause}\n\n{one.remedy}\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
