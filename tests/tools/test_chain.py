"""Stages on one point: files and observables pass on, a lost point costs nothing more, every stage has its record."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rayscan.errors import ConfigError
from rayscan.problem.constraints import Above, Below, Gaussian
from rayscan.problem.target import Target
from rayscan.sandbox.sandbox import Sandbox
from rayscan.tools.base import Outcome, Status, Tool
from rayscan.tools.chain import Chain
from rayscan.tools.command import Command
from rayscan.tools.function import Function
from rayscan.tools.inputs import FromStage

Evaluate = Callable[..., Outcome]
Program = Callable[..., Path]


def python(name: str, script: str, read: Mapping[str, Any], **options: Any) -> Command:
    """A stage that runs a few lines of Python."""
    return Command(["python", "-c", script], read=read, name=name, timeout=20, **options)


def first(x: str = "{x}") -> Command:
    """A stage that writes a file and prints a and b."""
    return python("first", f"open('mid','w').write('{x}'); print('a={x}'); print('b=2')", {"a": "key:a", "b": "key:b"})


def second() -> Command:
    """A stage that reads the first one's file and observable."""
    return python("second", "print('c=' + repr(float(open('mid').read()) + {a}))", {"c": "key:c"})


def test_files_and_observables_pass_on(evaluate: Evaluate) -> None:
    """The second program reads what the first one wrote, and gets its observable as a parameter."""
    chain = Chain([first(), second()])
    chain.check(["x"])
    assert chain.outputs == ("a", "b", "c")
    outcome = evaluate(pickle.loads(pickle.dumps(chain)), {"x": 1.5})
    assert (outcome.status, outcome.observables) == (Status.OK, {"a": 1.5, "b": 2.0, "c": 3.0})
    assert [(s.name, s.status) for s in outcome.stages] == [("first", Status.OK), ("second", Status.OK)]
    assert all(s.seconds > 0 for s in outcome.stages)


@pytest.mark.parametrize(("x", "runs"), [(1.5, True), (0.5, False)])
def test_a_stage_runs_only_when_its_constraint_holds(evaluate: Evaluate, x: float, runs: bool) -> None:
    """Out of target, the expensive stage is saved: the point is ok, not valid, and says where it stopped."""
    target = Target(a=(1.0, 2.0), c=Above(0.0))
    chain = Chain([first(), second()], when={"second": "a"}, target=target)
    chain.check(["x"])
    outcome = evaluate(chain, {"x": x})
    assert outcome.status is Status.OK
    assert ("c" in outcome.observables) == runs
    assert outcome.observables["a"] == x
    assert [(s.name, s.status) for s in outcome.stages] == [
        ("first", Status.OK),
        ("second", Status.OK if runs else None),
    ]
    values = {name: [outcome.observables.get(name, math.nan)] for name in chain.outputs}
    assert target.judge(values).valid.tolist() == [runs]
    assert outcome.message == ("" if runs else "stopped before 'second': a = 0.5 is out of target")


def test_an_infinite_observable_saves_the_next_stage_and_is_not_called_missing(evaluate: Evaluate) -> None:
    """Infinity fulfils no constraint, however open."""
    function = Function(lambda x: math.inf, outputs=["a"])
    chain = Chain([function, second()], when={"second": "a"}, target=Target(a=Above(0.0)))
    assert evaluate(chain, {"x": 1.0}).message.endswith("; stopped before 'second': a = inf fulfils no constraint")


def test_the_stages_behind_a_stopped_one_do_not_run_either(evaluate: Evaluate) -> None:
    """The chain ends there: what follows may need the files that are missing."""
    third = python("third", "print('d=1')", {"d": "key:d"})
    chain = Chain([first(), second(), third], when={"second": ("a", "b")})
    chain.bind(Target(a=(0, 9), b=(3, 4), d=Above(0)))
    outcome = evaluate(chain, {"x": 1.0})
    assert [s.status for s in outcome.stages] == [Status.OK, None, None]
    assert outcome.message == "stopped before 'second': b = 2 is out of target"


@pytest.mark.parametrize(("script", "status"), [
    ("import os; os.kill(os.getpid(), 11)", Status.TOOL_ERROR),
    ("print('c=nan')", Status.UNPHYSICAL),
    ("import time; time.sleep(60)", Status.TIMEOUT),
])  # fmt: skip
def test_a_failing_stage_ends_the_chain_with_its_status(evaluate: Evaluate, script: str, status: Status) -> None:
    """What earlier stages found is kept, later stages are not run."""
    middle = Command(
        ["python", "-c", script], read={"c": "key:c"}, name="middle", timeout=0.4 if "sleep" in script else 20
    )
    chain = Chain([first(), middle, python("last", "print('d=1')", {"d": "key:d"})])
    outcome = evaluate(chain, {"x": 1.0})
    assert outcome.status is status
    assert outcome.observables == {"a": 1.0, "b": 2.0}
    assert [s.status for s in outcome.stages] == [Status.OK, status, None]
    assert outcome.message
    assert outcome.signal == (11 if status is Status.TOOL_ERROR else outcome.signal)


def test_constraints_of_every_kind_stop_the_chain(evaluate: Evaluate) -> None:
    """Windows, limits, measured values, and derived observables; 'all' means those known by then."""
    for target, stops in (
        (Target(a=Below(2.0)), False),
        (Target(a=Below(1.0)), True),
        (Target(a=Above(1.6)), True),
        (Target(a=Gaussian(1.5, 0.1)), False),
        (Target(a=Gaussian(1.5, 0.1), b=Gaussian(3.0, 0.1)), True),
        (Target(derive={"r": "a / b"}, r=(0.7, 0.8)), False),
        (Target(derive={"r": "a / b", "s": "r + x"}, s=(0.7, 0.8)), True),
        (Target(a=(1, 2), derive={"r": "a / c"}, r=(5, 6)), False),
    ):
        chain = Chain([first(), second()], when={"second": "all"}, target=target)
        chain.check(["x"])
        outcome = evaluate(chain, {"x": 1.5})
        assert (outcome.stages[-1].status is None) == stops, target


def test_two_speeds_of_one_program_share_their_file_names(evaluate: Evaluate) -> None:
    """A fast and a full card of one program: the second overwrites the first's files and reads its own output only."""
    copy = "import shutil; shutil.copy('card', 'out')"
    fast = python("fast", copy, {"mh": {"key": "m", "file": "out"}}, files={"card": "m = {x}\n"}, keep_files=["out"])
    full = python("full", copy, {"m2": {"key": "m", "file": "out"}}, files={"card": "m = 7\n"}, keep_files=["out"])
    outcome = evaluate(Chain([fast, full]), {"x": 1.0})
    assert outcome.observables == {"mh": 1.0, "m2": 7.0}
    assert outcome.kept == {"out": b"m = 1.0\n", "full-out": b"m = 7\n"}
    silent = python("full", "pass", {"m2": {"key": "m", "file": "out"}}, files={"card": "m = 7\n"})
    outcome = evaluate(Chain([fast, silent]), {"x": 1.0})
    assert outcome.status is Status.TOOL_ERROR
    assert "out was not written" in outcome.message


def test_an_earlier_stages_file_is_given_under_another_name(evaluate: Evaluate) -> None:
    """A stage may work on a copy, which leaves the original for the stages behind it."""
    append = "open('hb.1','a').write('\\nr=5\\n')"
    stage = python("append", append, {"r": {"key": "r", "file": "hb.1"}}, files={"hb.1": FromStage("mid")})
    seen: list[str] = []
    outcome = evaluate(Chain([first(), stage]), {"x": 1.0}, look=lambda d: seen.append((d / "mid").read_text()))
    assert outcome.observables["r"] == 5.0
    assert seen == ["1.0"]
    outcome = evaluate(stage)
    assert outcome.status is Status.TOOL_ERROR
    assert "cannot write input file hb.1" in outcome.message


def test_python_stages_and_programs_mix(evaluate: Evaluate) -> None:
    """Functions see parameters and observables by name; a vectorised one sees the space's parameters only."""
    total = Function(lambda x, a, b: x + a + b, outputs=["total"], name="total")
    block = Function(lambda x: 10 * x.sum(axis=1), outputs=["ten"], vectorized=True, name="block")
    chain = Chain([first(), total, block])
    chain.check(["x"])
    outcome = evaluate(chain, {"x": 1.5})
    assert outcome.observables == {"a": 1.5, "b": 2.0, "total": 5.0, "ten": 15.0}
    assert [s.name for s in outcome.stages] == ["first", "total", "block"]


class Loaded(Tool):
    """A tool that is opened once and counts."""

    def __init__(self, name: str = "loaded") -> None:
        self.name, self.outputs, self.opened = name, (f"{name}_n",), None

    def open(self, scratch: Path) -> None:
        (scratch / "own").write_text("x")
        self.opened: Path | None = scratch

    def close(self) -> None:
        self.opened = None

    def evaluate(self, point: Mapping[str, float], sandbox: Sandbox) -> Outcome:
        if point.get("x") == 0:
            msg = "division"
            raise ZeroDivisionError(msg)
        return Outcome(Status.OK, {self.outputs[0]: 1.0})


def test_stages_are_opened_once_each_in_a_place_of_its_own(tmp_path: Path) -> None:
    """Python packages are loaded once per evaluator, and closed with it."""
    one, two = Loaded("one"), Loaded("two")
    chain = Chain([one, two])
    chain.open(tmp_path)
    assert one.opened != two.opened
    chain.close()
    assert one.opened is None


def test_a_stage_that_raises_keeps_what_others_found(evaluate: Evaluate) -> None:
    """A bug of one stage is a tool error of the point."""
    outcome = evaluate(Chain([first(), Loaded()]), {"x": 0.0})
    assert outcome.status is Status.TOOL_ERROR
    assert outcome.message == "stage 'loaded' raised ZeroDivisionError: division"
    assert outcome.observables == {"a": 0.0, "b": 2.0}


def test_warming_up_runs_every_stage_whatever_the_constraints_say(evaluate: Evaluate) -> None:
    """First uses must be over before the pool starts."""
    chain = Chain([first(), second()], when={"second": "a"}, target=Target(a=(5, 6)))

    class Warm(Tool):
        outputs = chain.outputs

        def evaluate(self, point: Mapping[str, float], sandbox: Sandbox) -> Outcome:
            return chain.warm_up(point, sandbox)

    assert not chain.needs_warm_up
    assert evaluate(chain, {"x": 1.0}).stages[-1].status is None
    assert evaluate(Warm(), {"x": 1.0}).observables["c"] == 2.0


def test_deadline_cores_and_keep_follow_the_stages() -> None:
    """The engine asks the chain; it answers for all stages."""
    python_stage, slow = Loaded(), second()
    python_stage.deadline, python_stage.cores = 5.0, 3
    chain = Chain([python_stage, slow])
    assert (chain.deadline, chain.cores, chain.keep) == (25.0, 3, "valid")
    assert Chain([first(), slow]).deadline is None
    assert Chain([Loaded()]).keep == "never"


@pytest.mark.parametrize(("stages", "options", "message"), [
    ([], {}, "at least one tool"),
    ([first(), first()], {}, "stage 'first' is there twice; give one of them another name="),
    ([first(), python("other", "", {"a": "key:a"})], {}, "observable 'a' is there twice"),
    ([first(), second()], {"when": {"secnd": "a"}}, "no stage 'secnd'; did you mean 'second'"),
])  # fmt: skip
def test_a_wrong_chain_is_refused_at_once(stages: list[Tool], options: dict[str, Any], message: str) -> None:
    """Names and observables must be told apart."""
    with pytest.raises(ConfigError, match=message):
        Chain(stages, **options)


@pytest.mark.parametrize(("when", "target", "message"), [
    ({"second": "a"}, None, "the chain knows no target"),
    ({"second": "z"}, Target(a=(1, 2)), "when = 'z' is no constraint of the target"),
    ({"second": "c"}, Target(c=(1, 2)), "when = 'c' is not known before it runs; put the stage that gives it earlier"),
    ({"second": "all"}, Target(c=(1, 2)), "no constraint of the target is known before it"),
    ({}, None, r"parameter 'y' is written by no stage.*unused=\['y'\]"),
])  # fmt: skip
def test_mistakes_are_found_before_anything_runs(when: dict[str, str], target: Target | None, message: str) -> None:
    """What `when` names must be a constraint that is known by then; every parameter must reach a stage."""
    with pytest.raises(ConfigError, match=message):
        Chain([first(), second()], when=when, target=target).check(["x", "y"])


def test_a_parameter_reaches_any_one_stage_and_a_later_output_is_not_known_earlier() -> None:
    """Each stage is checked with what is known by then."""
    Chain([first("{x}"), python("other", "{y}", {"c": "key:c"})]).check(["x", "y"])
    Chain([first(), second()], unused=["y"]).check(["x", "y"])
    with pytest.raises(ConfigError, match=r"nothing is known as \{a\}"):
        Chain([second(), first()]).check(["x"])


def test_the_description_names_stages_and_conditions() -> None:
    """Another order, another condition: another problem."""
    plain = Chain([first(), second()]).describe()
    assert [stage["name"] for stage in plain["stages"]] == ["first", "second"]
    assert Chain([first(), second()], when={"second": "a"}).describe() != plain


def test_soft_constraints_stop_exactly_where_the_target_would() -> None:
    """Near the threshold the chain's verdict is the target's (property over the whole range)."""
    target = Target(a=Gaussian(0.0, 1.0), b=Gaussian(0.0, 1.0), threshold=0.3)
    chain = Chain([first(), second()], when={"second": ("a", "b")}, target=target)
    rng = np.random.default_rng(1)
    for a, b in rng.normal(0, 1.5, (500, 2)):
        stopped = bool(chain._lost("second", {"x": 0.0, "a": a, "b": b}))
        assert stopped != target.judge({"a": [a], "b": [b]}).valid[0]
