"""Any program by configuration: every way it can end becomes the right row, and nothing of the user's is touched."""

from __future__ import annotations

import json
import math
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rayscan as rs
from rayscan.errors import ConfigError
from rayscan.sandbox.limits import Limits
from rayscan.sandbox.workshop import Workshop
from rayscan.testing.programs import command
from rayscan.tools import program as program_module
from rayscan.tools.base import Outcome, Status
from rayscan.tools.command import Command
from rayscan.tools.readers import ExitCode, Regex
from rayscan.tools.spheno import find_program
from rayscan.tools.verdict import MESSAGE_LENGTH, Success

Evaluate = Callable[..., Outcome]
Program = Callable[..., Path]
SUM = {"files": {"in.txt": "a {x}\nb {y}\n"}, "output": "out.txt"}
READ = {"total": r"regex:sum = (\S+)"}


def summing(*mode: str, **options: Any) -> Command:
    """A fake program in one of its modes, which reads ``in.txt`` and writes ``out.txt``."""
    words = [{"IN": "{input}", "OUT": "{output}"}.get(word, word) for word in mode]
    return Command(command(*words), **{"read": READ, "timeout": 20, **SUM, **options})


def test_a_good_program_gives_its_observable(evaluate: Evaluate) -> None:
    """Input written, program run, output read."""
    tool = summing("sum", "IN", "OUT")
    tool.check(["x", "y"])
    outcome = evaluate(tool, {"x": 1.25, "y": 1e-9})
    assert outcome.status is Status.OK
    assert outcome.observables == {"total": 1.25 + 1e-9}
    assert (outcome.exit_code, outcome.signal, outcome.message) == (0, None, "")
    assert [(s.name, s.status, s.details) for s in outcome.stages] == [(tool.name, Status.OK, {})]
    assert 0 < outcome.stages[0].seconds < 20


@pytest.mark.parametrize(("mode", "status", "message"), [
    (["exit", "3", "IN", "OUT"], Status.TOOL_ERROR, "exit code 3"),
    (["segfault"], Status.TOOL_ERROR, r"SIGSEGV"),
    (["signal", "SIGABRT"], Status.TOOL_ERROR, "SIGABRT"),
    (["garbage", "OUT"], Status.TOOL_ERROR, "observable 'total': .*was not found"),
    (["nan", "IN", "OUT"], Status.UNPHYSICAL, "observable 'total': .* is NaN"),
    (["nothing"], Status.TOOL_ERROR, "out.txt was not written"),
    (["empty", "OUT"], Status.TOOL_ERROR, "was not found"),
    (["sleep", "30"], Status.TIMEOUT, r"was ended after .* s \(timeout 0.4 s\)"),
    (["fork"], Status.TIMEOUT, "timeout 0.4 s"),
])  # fmt: skip
def test_every_failure_is_a_row_of_its_own_kind(
    evaluate: Evaluate, mode: list[str], status: Status, message: str
) -> None:
    """Crash, garbage, NaN, nothing, hang: never an exception, never an observable (S15, S17)."""
    import re

    outcome = evaluate(
        summing(*mode, timeout=0.4 if status is Status.TIMEOUT else 20, limits=Limits(grace=0.1)), {"x": 1.0, "y": 2.0}
    )
    assert outcome.status is status
    assert re.search(message, outcome.message), outcome.message
    assert outcome.observables == {}
    assert len(outcome.message) <= MESSAGE_LENGTH


def test_a_crash_keeps_its_signal_for_the_row(evaluate: Evaluate) -> None:
    """The signal's number is a column."""
    outcome = evaluate(summing("signal", "SIGBUS"), {"x": 1.0, "y": 2.0})
    assert (outcome.exit_code, outcome.signal) == (None, 7)


def test_the_timeout_covers_all_commands_of_a_point(evaluate: Evaluate, program: Program) -> None:
    """Ten commands of a tenth of a second do not outlast a limit of a quarter."""
    slow = str(program("import time\ntime.sleep(0.15)\nprint('y=1')"))
    started = time.monotonic()
    outcome = evaluate(Command([[slow]] * 10, read={"y": "key:y"}, timeout=0.3, limits=Limits(grace=0.1)))
    assert outcome.status is Status.TIMEOUT
    assert time.monotonic() - started < 1.2


def test_a_program_that_is_gone_is_a_row_too(evaluate: Evaluate, program: Program) -> None:
    """What cannot be started at a point is a failure of the point, with the reason."""
    path = program("print('y=1')")
    tool = Command([str(path)], read={"y": "key:y"})
    tool.check([])
    path.unlink()
    outcome = evaluate(tool)
    assert outcome.status is Status.TOOL_ERROR
    assert "cannot start" in outcome.message


def test_an_old_output_is_never_read_as_new(evaluate: Evaluate, program: Program) -> None:
    """A program that leaves the old file alone has written nothing."""

    def stale(directory: Path) -> None:
        (directory / "out.txt").write_text("sum = 99\n")

    outcome = evaluate(summing("nothing"), {"x": 1.0, "y": 2.0}, before=stale)
    assert outcome.status is Status.TOOL_ERROR
    assert "out.txt was not written" in outcome.message
    append = program("open('log','a').write('y=5\\n') if args else None")
    tool = Command([str(append), "{x}"], files={"log": "\n"}, read={"y": {"key": "y", "file": "log"}})
    assert evaluate(tool, {"x": 1.0}).observables == {"y": 5.0}
    tool = Command([str(append)], files={"log": "y=3\n"}, read={"y": {"key": "y", "file": "log"}})
    assert "from before the program ran" in evaluate(tool).message


def test_arguments_are_words_and_no_shell_reads_them(evaluate: Evaluate, program: Program, tmp_path: Path) -> None:
    """Quotes, semicolons and dollars reach the program as they are."""
    show = program("import json\nprint(json.dumps(args))")
    nasty = ["; touch /tmp/x", "$HOME", "`id`", "*", "a b", "'", '"']
    tool = Command([str(show), *nasty, "x={x}", "x={x:.12e}"], read={"y": r"regex:x=([\d.]+)\""})
    seen: list[str] = []
    evaluate(tool, {"x": 0.5}, look=lambda d: seen.append((d / f"{tool.name}.stdout").read_text()))
    assert json.loads(seen[0]) == [*nasty, "x=0.5", "x=5.000000000000e-01"]


def test_several_commands_standard_input_and_environment(evaluate: Evaluate, program: Program) -> None:
    """Commands run in order; the last one reads standard input; variables may hold parameters."""
    first = program("open('middle','w').write(open(args[0]).read() * 2)", "first")
    last = program(
        "import os\nprint('in', len(sys.stdin.read()), 'middle', len(open('middle').read()), 'X', os.environ['X'])",
        "last",
    )
    tool = Command(
        [[str(first), "{input}"], [str(last)]],
        files={"card": "{x}\n"},
        stdin="{input}",
        env={"X": "{x}", "Y": "{directory}"},
        read={"n": "label:in", "middle": "label:middle", "x": "label:X"},
    )
    tool.check(["x"])
    assert evaluate(tool, {"x": 1.5}).observables == {"n": 4.0, "middle": 8.0, "x": 1.5}


def test_a_failing_first_command_ends_the_point(evaluate: Evaluate, program: Program) -> None:
    """What follows a failure is not run."""
    bad = program("sys.exit('no licence')", "bad")
    good = program("print('y=1')\nopen('ran','w')", "good")
    seen: list[bool] = []
    tool = Command([[str(bad)], [str(good)]], read={"y": "key:y"})
    outcome = evaluate(tool, look=lambda d: seen.append((d / "ran").exists()))
    assert (outcome.status, outcome.exit_code, seen) == (Status.TOOL_ERROR, 1, [False])
    assert outcome.message == "bad: exit code 1; last words: no licence"


def test_exit_codes_and_words_that_mean_unphysical(evaluate: Evaluate, program: Program) -> None:
    """The user says which failures are the point's own."""
    path = str(program("print('y=1'); print('  Tachyon found here') if args[1:] else None; sys.exit(int(args[0]))"))

    def outcome(*words: str, **success: Any) -> tuple[Status, str]:
        got = evaluate(Command([path, *words], read={"y": "key:y"}, success=success or None))
        return got.status, got.message

    assert outcome("0") == (Status.OK, "")
    assert outcome("1")[0] is Status.TOOL_ERROR
    assert outcome("1", exit_codes=[0, 1])[0] is Status.OK
    assert outcome("1", exit_codes=None)[0] is Status.OK
    assert outcome("1", unphysical_exit=[1])[0] is Status.UNPHYSICAL
    assert outcome("0", "t", unphysical=["(?i)tachyon"]) == (Status.UNPHYSICAL, "Tachyon found here")
    assert outcome("0", require="Finished!")[0] is Status.TOOL_ERROR
    assert outcome("0", require="y=1")[0] is Status.OK
    got = evaluate(Command([path, "7"], read={"y": "key:y", "code": "exit"}))
    assert (got.status, got.observables) == (Status.OK, {"y": 1.0, "code": 7.0})


def test_an_slha_file_with_spinfo_4_is_unphysical_whatever_the_exit_code(evaluate: Evaluate, data: Path) -> None:
    """SOFTSUSY ends with 255 and says why in its output."""
    spectrum = data / "slha" / "softsusy_tachyon.spc"
    script = f"import sys; sys.stdout.write(open({str(spectrum)!r}).read()); sys.exit(255)"
    outcome = evaluate(Command(["python", "-c", script], read={"mh": "slha:MASS 25"}))
    assert outcome.status is Status.UNPHYSICAL
    assert outcome.message == "SPINFO 4: [ stau tachyon ]"


@pytest.mark.parametrize(("address", "refused"), [("DECAY 25", True), ("DECAY 25 -> 5 -5", True), ("MASS 25", False)])
def test_dcinfo_4_counts_wherever_decays_are_read(evaluate: Evaluate, address: str, refused: bool) -> None:
    """A decay calculator's failure makes what it calculated worthless, and nothing else; DCINFO 3 is a remark."""
    text = (
        "Block SPINFO\\n 1 x\\nBlock DCINFO\\n 1 SUSYHIT\\n 3 narrow\\n 4 no decay table\\nBlock MASS\\n 25 125\\n"
        "DECAY 25 4.0E-03\\n 5.0E-01 2 5 -5\\n"
    )
    command = ["python", "-c", f"print('{text}')"]
    outcome = evaluate(Command(command, read={"x": f"slha:{address}"}, output="stdout"))
    if refused:
        assert (outcome.status, outcome.message) == (Status.UNPHYSICAL, "DCINFO 4: no decay table")
    else:
        assert (outcome.status, outcome.message) == (Status.OK, "")
    allowed = Command(command, read={"x": f"slha:{address}"}, output="stdout", success={"forbid": []})
    outcome = evaluate(allowed)
    assert (outcome.status, outcome.message) == (Status.OK, "warning: narrow" if refused else "")


@pytest.mark.parametrize(
    ("options", "hurried"),
    [
        ({}, 1.5),
        ({"limits": Limits(memory_bytes=2**40)}, 1.5),
        ({"timeout": 60}, 60),
        ({"limits": Limits(timeout=60)}, 60),
    ],
)
def test_a_limit_that_the_user_set_is_final(options: dict[str, Any], hurried: float) -> None:
    """What a scan learns of usual times puts points off only where nobody said how long a point may take."""
    tool = Command(["python"], read={"a": "key:a"}, name="prog", **options)
    tool.hasten({"prog": 1.5})
    assert tool.timeout == hurried


def test_infinity_is_told_apart_from_nan(evaluate: Evaluate) -> None:
    """What is required must be finite, and the message says what it was; what is optional is kept as it is."""
    for word in ("Infinity", "-inf", "NaN"):
        script = f"print('a=1'); print('b={word}')"
        outcome = evaluate(Command(["python", "-c", script], read={"a": "key:a", "b": "key:b"}))
        assert (outcome.status, outcome.observables) == (Status.UNPHYSICAL, {})
        assert outcome.message == f"observable 'b': b= in stdout is {word}"
        read = {"a": "key:a", "b": {"key": "b", "optional": True}}
        outcome = evaluate(Command(["python", "-c", script], read=read))
        kept = {} if word == "NaN" else {"b": float(word)}
        assert (outcome.status, outcome.observables) == (Status.OK, {"a": 1.0, **kept})


def test_optional_observables_may_be_missing_and_required_ones_may_not(evaluate: Evaluate) -> None:
    """Required is the rule; the table holds NaN for what is optional and not there."""
    script = "print('a=1')"
    outcome = evaluate(Command(["python", "-c", script], read={"a": "key:a", "b": {"key": "b", "optional": True}}))
    assert (outcome.status, outcome.observables) == (Status.OK, {"a": 1.0})
    outcome = evaluate(Command(["python", "-c", script], read={"a": "key:a", "b": "key:b"}))
    assert (outcome.status, outcome.observables) == (Status.TOOL_ERROR, {})
    assert outcome.message == "observable 'b': b= in stdout was not found; last words: a=1"


def test_a_derived_parameter_that_is_nan_is_not_sent_to_the_program(evaluate: Evaluate) -> None:
    """The program is not run on nonsense; the row says which parameter it was."""
    outcome = evaluate(summing("sum", "IN", "OUT"), {"x": math.nan, "y": 1.0})
    assert outcome.status is Status.UNPHYSICAL
    assert "x is nan, so the program was not run" in outcome.message


@pytest.mark.parametrize(("keep", "ok", "failed"), [
    ("valid", {"out.txt": b"sum = 3.0\n"}, {}),
    ("never", {}, {}),
    ("all", {"out.txt": b"sum = 3.0\n"}, {"out.txt": b"sum = NaN\n"}),
])  # fmt: skip
def test_files_are_offered_under_their_own_names(evaluate: Evaluate, keep: Any, ok: Any, failed: Any) -> None:
    """Kept files belong to a row and carry no time stamp (S19)."""
    options = {"keep": keep, "keep_files": ["out.txt", "never-written"]}
    assert evaluate(summing("sum", "IN", "OUT", **options), {"x": 1.0, "y": 2.0}).kept == ok
    assert evaluate(summing("nan", "IN", "OUT", **options), {"x": 1.0, "y": 2.0}).kept == failed


def test_the_report_shows_what_was_written_run_and_read(evaluate: Evaluate) -> None:
    """`rayscan check` can show the whole story of a point, in plain types, also of a failure."""
    tool = summing("sum", "IN", "OUT")
    details = evaluate(tool, {"x": 1.5, "y": 2.0}, verbose=True).stages[0].details
    assert json.loads(json.dumps(details)) == details
    assert details["written"]["in.txt"]["changes"][0] == {
        "parameter": "x", "address": "{x}", "line": 1, "old": "{x}", "new": "1.5",
    }  # fmt: skip
    assert details["command"][-2:] == ["in.txt", "out.txt"]
    assert (details["exit"], details["signal"], details["stdout"], details["stderr"]) == (0, None, "done", "")
    assert details["read"]["total"]["value"] == 3.5
    assert details["read"]["total"]["text"] == "3.5"
    assert details["read"]["total"]["where"].endswith("in out.txt")
    failed = evaluate(summing("garbage", "OUT"), {"x": 1.0, "y": 2.0}, verbose=True).stages[0].details
    assert failed["read"]["total"]["value"] is None
    assert "was not found" in failed["read"]["total"]["problem"]


def test_nothing_of_the_users_changes(
    evaluate: Evaluate,
    program: Program,
    tmp_path: Path,
    unchanged: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Template, directory and working directory are as before, after good and bad points (S11, S12).

    Relative paths count from where the tool was described, not from where it runs.
    """
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.chdir(user)
    (user / "card").write_text("x = {x}\n")
    (user / "results").mkdir()
    (user / "results" / "precious").write_text("data")
    unchanged(user / "card")
    program("open('results','w').write(open('card').read()); sys.exit(len(args))", "user/prog")
    before = sorted(p.name for p in user.rglob("*"))
    for words in ([], ["fail"]):
        tool = Command(["./prog", *words], files={"card": "card"}, read={"x": {"key": "x", "file": "results"}})
        monkeypatch.chdir(tmp_path)
        outcome = evaluate(tool, {"x": 2.5})
        monkeypatch.chdir(user)
        assert outcome.status is (Status.TOOL_ERROR if words else Status.OK)
    assert sorted(p.name for p in user.rglob("*")) == before
    assert (user / "results" / "precious").read_text() == "data"


def test_a_private_directory_is_copied_once_for_each_evaluator(
    evaluate: Evaluate, program: Program, tmp_path: Path
) -> None:
    """A program that works only inside its own installation gets a copy, and the original stays clean."""
    program("n = open('count','a'); n.write('1'); n.close(); print('n =', len(open('count').read()))", "mg/bin/run")
    tool = Command(["{mg}/bin/run"], private={"mg": tmp_path / "mg"}, cwd="{mg}", read={"n": "label:n ="}, name="mg")
    tool.check([])
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    tool.open(scratch)
    assert [evaluate(tool).observables["n"] for _ in range(3)] == [1.0, 2.0, 3.0]
    tool.close()
    assert list(scratch.iterdir()) == []
    assert [p.name for p in (tmp_path / "mg").iterdir()] == ["bin"]


def test_a_tool_can_be_sent_to_another_process(evaluate: Evaluate) -> None:
    """It is described once and pickled to every evaluator."""
    tool = pickle.loads(pickle.dumps(summing("sum", "IN", "OUT")))
    assert evaluate(tool, {"x": 1.0, "y": 2.0}).observables == {"total": 3.0}


def test_the_description_changes_with_what_is_computed(program: Program) -> None:
    """It is plain, stable, and different for another program, template or reading, but not for another time-out."""
    path = program("print('y=1')")

    def described(**options: Any) -> str:
        hash_file.cache_clear()
        return json.dumps(
            Command([str(path)], **{"files": {"f": "{x}\n"}, "read": {"y": "key:y"}, **options}).describe()
        )

    from rayscan.tools.program import hash_file

    first = described()
    assert described(timeout=7) == first
    assert described(read={"y": "key:z"}) != first
    assert described(files={"f": "{x} \n"}) != first
    assert described(env={"A": "1"}) != first
    path.write_text(path.read_text() + "\n")
    assert described() != first
    python = Command(["python", "-m", "rayscan.demo.mssm_higgs"], read={"y": "key:y"}).describe()["programs"][0]
    assert python["path"] == sys.executable
    assert len(python["module_sha256"]) == 64


@pytest.mark.parametrize(("options", "message"), [
    ({"command": ["no-such-program-here"]}, "is not on the PATH"),
    ({"command": ["/no/such/dir/prog"]}, "/no does not exist"),
    ({"command": ["{tmp}/prag"]}, "does not exist; in .*: prog"),
    ({"command": ["{tmp}/plain"]}, r"cannot be executed; make it executable \(chmod \+x\)"),
    ({"command": ["{tmp}"]}, "is a directory"),
    ({"command": ["{mg}/bin/prog"]}, r"nothing is known as \{mg\}"),
    ({"command": ["python", "script.py"]}, "script 'script.py' is looked for in the directory of each point"),
    ({"command": ["{tmp}/prog", "{z}"]}, r"nothing is known as \{z\}"),
    ({"files": {"f": "{xx}\n"}}, r"file 'f' .*nothing is known as \{xx\}; did you mean 'x'"),
    ({"files": {"f": "{x}\n"}}, r"parameter 'long_name' is written nowhere.*unused=\['long_name'\]"),
    ({"files": {"../f": "{x} {long_name}\n"}}, "expected a name inside the point's directory"),
    ({"read": {"y": {"key": "y", "file": "/etc/passwd"}}}, "expected a name inside the point's directory"),
    ({"read": {}}, "nothing is read"),
    ({"env": {"A": "{q}"}}, r"A = '\{q\}': nothing is known as \{q\}"),
    ({"keep": "sometimes"}, "expected 'valid', 'all' or 'never'"),
    ({"private": {"mg": "/no/such"}}, "private directory 'mg': /no/such is not a directory"),
    ({"stdin": "../x"}, "expected a name inside"),
])  # fmt: skip
def test_mistakes_are_found_before_anything_runs(
    program: Program, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    """Each message says what, where, and the next step."""
    program("open('ran', 'w')")
    (tmp_path / "plain").write_text("x")
    fill = {"command": [str(tmp_path / "prog")], "files": {"f": "{x} {long_name}\n"}, "read": {"y": "key:y"}, **options}
    words = [word.replace("{tmp}", str(tmp_path)) for word in fill.pop("command")]
    tool = Command(words, **fill)
    with pytest.raises(ConfigError, match=message):
        tool.check(["x", "long_name"])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("options", "message"), [
    ({"command": "prog --flag"}, "expected a list of words"),
    ({"command": []}, "expected a list of words"),
    ({"command": ["p", 3]}, "expected a list of words"),
    ({"files": {"f": "/no/such/file"}}, "cannot read the file /no/such/file"),
    ({"success": {"exit_code": 1}}, "success: unknown key 'exit_code'; did you mean 'exit_codes'"),
    ({"success": {"require": "("}}, "is no regular expression"),
    ({"read": {"y": "Omega"}}, "does not say how to read it"),
    ({"read": {"status": "key:y"}}, "the name is used for a column"),
    ({"timeout": 0}, "limit timeout"),
])  # fmt: skip
def test_a_wrong_description_is_refused_at_once(options: dict[str, Any], message: str) -> None:
    """Some mistakes show as soon as the tool is described."""
    words = options.pop("command", ["true"])
    with pytest.raises(ConfigError, match=message):
        Command(words, **{"read": {"y": "key:y"}, **options})


def test_parameters_that_others_are_derived_from_may_be_left_out() -> None:
    """`unused` says so on purpose."""
    Command(["true"], files={"f": "{x}\n"}, read={"y": "key:y"}, unused=["log_x"]).check(["x", "log_x"])


def test_a_path_of_the_user_becomes_absolute_and_a_name_of_the_point_does_not(
    program: Program, tmp_path: Path, evaluate: Evaluate
) -> None:
    """./script.py is the user's; input names stay relative and short."""
    program("print('y=' + str(len(open(args[0]).read())))", "tools/script.py")
    tool = Command(
        ["python", "tools/script.py", "{input}"], files={"card": "{x}\n"}, read={"y": "key:y"}, base=tmp_path
    )
    tool.check(["x"])
    assert tool.commands[0].words == ("python", str(tmp_path / "tools" / "script.py"), "{input}")
    assert tool.name == "script"
    assert evaluate(tool, {"x": 1.0}).observables == {"y": 4.0}


def test_python_objects_and_texts_mean_the_same() -> None:
    """Readers and success can be given as objects."""
    tool = Command(["true"], read={"y": Regex("(x)"), "z": ExitCode()}, success=Success(exit_codes=(0, 1)))
    same = Command(["true"], read={"y": "regex:(x)", "z": "exit"}, success={"exit_codes": [0, 1]})
    assert tool.describe() == same.describe()


def test_the_output_of_a_loud_program_is_bounded(evaluate: Evaluate, program: Program) -> None:
    """What is captured has a cap, and the end of it is still there to read."""
    path = program("[print('x' * 999) for _ in range(3000)]\nprint('y=5')")
    tool = Command([str(path)], read={"y": "key:y"}, limits=Limits(output_bytes=100_000), timeout=20)
    sizes: list[int] = []
    outcome = evaluate(tool, look=lambda d: sizes.append((d / "prog.stdout").stat().st_size))
    assert outcome.observables == {"y": 5.0}
    assert sizes[0] < 200_000


def test_files_that_a_scan_would_keep_of_no_point_are_not_asked_for(tmp_path: Path) -> None:
    """The scan's switch decides; a tool that is told otherwise is refused with a word on where it belongs."""
    tool = Command(["cat", "{input}"], files={"in": "y = {x}\n"}, read={"y": "key:y"}, keep="valid", keep_files=["in"])
    with pytest.raises(ConfigError, match=r"keep = 'valid' keeps nothing.*under \[scan\]"):
        rs.Scan(rs.Space(x=(0, 1)), tool, rs.Target(y=(0, 1)), tmp_path / "run")
    rs.Scan(rs.Space(x=(0, 1)), tool, rs.Target(y=(0, 1)), tmp_path / "run", keep="all")
    assert not (tmp_path / "run").exists()


def test_a_path_may_begin_with_a_variable_of_the_machine_that_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each node of a cluster finds its own copy; the tool is described alike everywhere, and one unset is named."""
    for place in ("here", "there"):
        (tmp_path / place / "bin").mkdir(parents=True)
        program = tmp_path / place / "bin" / "SPhenoX"
        program.write_text('#!/bin/sh\necho y = $(cat "$1")\n')
        program.chmod(0o755)
        (tmp_path / place / "data.txt").write_text("1" if place == "here" else "2")
    words = ["$RAYSCAN_TEST_PROG/bin/SPhenoX", "$RAYSCAN_TEST_PROG/data.txt", "{x}"]
    tool = rs.Command(words, read={"y": r"regex:y = (\S+)"})
    with pytest.raises(ConfigError, match="there is no environment variable RAYSCAN_TEST_PROG here"):
        tool.check(["x"])
    described, values = [], []
    for place in ("here", "there"):
        monkeypatch.setenv("RAYSCAN_TEST_PROG", str(tmp_path / place))
        # Another machine is another process, which has looked for no program yet.
        program_module._locate.cache_clear()
        tool.check(["x"])
        described.append(tool.describe())
        with Workshop(tmp_path / "scratch", worker=place) as shop, shop.sandbox(0) as sandbox:
            values.append(tool.evaluate({"x": 1.0}, sandbox).observables["y"])
    assert values == [1.0, 2.0]
    assert described[0] == described[1]
    assert find_program("$RAYSCAN_TEST_PROG") == ["$RAYSCAN_TEST_PROG/bin/SPhenoX"]
