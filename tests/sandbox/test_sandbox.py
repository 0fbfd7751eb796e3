"""One point, one directory, one program at a time."""

from __future__ import annotations

import os
import resource
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayscan.errors import ConfigError, ToolError
from rayscan.sandbox.limits import Limits
from rayscan.sandbox.reaper import remove_tree
from rayscan.sandbox.sandbox import Sandbox, check_return_codes
from rayscan.sandbox.workshop import Workshop
from rayscan.testing.programs import command


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with Workshop(tmp_path_factory.mktemp("scratch"), "run") as workshop:
        yield workshop


@pytest.fixture
def sandbox(workshop: Workshop) -> Iterator[Sandbox]:
    with workshop.sandbox(1) as sandbox:
        yield sandbox


def test_a_good_program_reads_its_input_and_leaves_its_output(sandbox: Sandbox) -> None:
    """Files written before are there for the program, and what it writes and prints is there afterwards."""
    sandbox.path("in.txt").write_text("x 1.5\ny 2d0\nz 2e3\n")
    done = sandbox.run(command("sum", "in.txt", "out.txt"), limits=Limits(timeout=20))
    assert (done.exit_code, done.signal, done.timed_out) == (0, None, False)
    assert sandbox.path("out.txt").read_text() == "sum = 2001.5\n"
    assert done.stdout.read_text() == "done\n"
    assert done.tail("stderr") == ""
    assert 0 < done.seconds < 20


@pytest.mark.parametrize("code", [0, 1, 99, 255])
def test_exit_codes_are_reported_as_they_are(sandbox: Sandbox, code: int) -> None:
    """An exit code reaches the row unchanged."""
    done = sandbox.run(command("exit", str(code)))
    assert (done.exit_code, done.signal, done.ending) == (code, None, f"exit code {code}")


@pytest.mark.parametrize(("mode", "name"), [(["segfault"], "SIGSEGV"), (["signal", "SIGABRT"], "SIGABRT"),
                                            (["signal", "SIGKILL"], "SIGKILL")])  # fmt: skip
def test_a_crash_is_reported_by_the_name_of_its_signal(sandbox: Sandbox, mode: list[str], name: str) -> None:
    """A program ended by a signal has no exit code, and the signal is named."""
    done = sandbox.run(command(*mode))
    assert (done.exit_code, done.signal) == (None, signal.Signals[name])
    assert name in done.describe()


def test_describe_shows_command_directory_ending_and_last_lines(sandbox: Sandbox) -> None:
    """All that one needs to try a failed point by hand is in the description, and no more than 20 lines of output."""
    script = "import sys; [print('line', i, file=sys.stderr) for i in range(100)]; sys.exit(3)"
    told = sandbox.run([sys.executable, "-c", script]).describe()
    assert repr(script) in told
    assert str(sandbox.directory) in told
    assert "exit code 3" in told
    assert "line 80\n" in told
    assert "line 79\n" not in told


def test_describe_falls_back_to_stdout(sandbox: Sandbox) -> None:
    """Programs that complain on stdout are quoted, too; bytes that are no text don't matter."""
    assert "\\x" in sandbox.run(command("garbage", "out.bin")).describe()
    assert "printed nothing" in sandbox.run(command("nothing")).describe()


def test_standard_input_comes_from_a_file(sandbox: Sandbox) -> None:
    """A file of the sandbox is the program's input, and without one the input is empty."""
    sandbox.path("answers").write_text("yes\n")
    program = [sys.executable, "-c", "import sys; print(repr(sys.stdin.read()))"]
    assert sandbox.run(program, stdin="answers").stdout.read_text() == "'yes\\n'\n"
    assert sandbox.run(program).stdout.read_text() == "''\n"


def test_programs_get_a_chosen_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret of the user's shell reaches a program; what the tool sets does."""
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    with Workshop(tmp_path, "run") as workshop, workshop.sandbox(1) as sandbox:
        lines = sandbox.run(command("environment"), env={"GRIDPATH": "here"}).stdout.read_text().splitlines()
        got = dict(line.split("=", 1) for line in lines)
        assert "SECRET_TOKEN" not in got
        assert got["PATH"] == os.environ["PATH"]
        assert got["TMPDIR"] == str(sandbox.directory)
        assert (got["OMP_NUM_THREADS"], got["GRIDPATH"], got["LC_ALL"]) == ("1", "here", "C.UTF-8")


def test_programs_inherit_no_descriptor(tmp_path: Path) -> None:
    """Only standard input and output are open: a program that held the lifeline would keep its own reaper waiting."""
    held = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        with Workshop(tmp_path, "run") as workshop, workshop.sandbox(1) as sandbox:
            done = sandbox.run([sys.executable, "-c", "import os; print(sorted(map(int, os.listdir('/dev/fd'))))"])
            # The fourth is the listing itself.
            assert done.stdout.read_text() == "[0, 1, 2, 3]\n"
    finally:
        os.close(held)


def test_every_signal_has_its_default_effect(sandbox: Sandbox) -> None:
    """What the reaper ignores for itself it does not hand on."""
    script = "import signal; print([s.name for s in signal.valid_signals() if getattr(s, 'name', '') and "
    script += "signal.getsignal(s) == signal.SIG_IGN])"
    # Python itself ignores these two.
    assert sandbox.run([sys.executable, "-c", script]).stdout.read_text() == "['SIGPIPE', 'SIGXFSZ']\n"


def test_limits_apply_to_the_program_and_not_to_the_next(sandbox: Sandbox) -> None:
    """Memory, CPU, file and core limits are in force from a program's first instruction, and gone for the next one."""
    which = "r.RLIMIT_AS, r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_CORE"
    script = f"import resource as r; print([r.getrlimit(x)[0] for x in ({which})])"
    limits = Limits(memory_bytes=2**31, cpu_seconds=7, file_bytes=12345)
    assert sandbox.run([sys.executable, "-c", script], limits=limits).stdout.read_text() == f"[{2**31}, 7, 12345, 0]\n"
    free = [resource.getrlimit(limit)[0] for limit in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE)]
    assert sandbox.run([sys.executable, "-c", script]).stdout.read_text() == f"{[*free, 0]}\n"


def test_programs_have_all_the_stack_there_is_unless_a_limit_is_given(sandbox: Sandbox) -> None:
    """As after `ulimit -s unlimited`, which Fortran programs ask for; afterwards everything is as it was."""
    script = "import resource as r; print(r.getrlimit(r.RLIMIT_STACK)[0])"
    _, hard = before = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (2**22, hard))
    try:
        assert sandbox.run([sys.executable, "-c", script]).stdout.read_text() == f"{hard}\n"
        limited = sandbox.run([sys.executable, "-c", script], limits=Limits(stack_bytes=2**23))
        assert limited.stdout.read_text() == f"{2**23}\n"
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, before)


def test_a_file_beyond_its_limit_is_stopped(sandbox: Sandbox) -> None:
    """A program that fills the disk fails once one file is at the limit."""
    done = sandbox.run(command("fill", str(2**24), "big"), limits=Limits(file_bytes=2**20))
    assert done.exit_code == 1
    assert "File too large" in done.tail()
    assert sandbox.path("big").stat().st_size == 2**20


@pytest.mark.parametrize("limit", [64 * 2**20, 512 * 2**20])
def test_memory_beyond_its_limit_is_refused(sandbox: Sandbox, limit: int) -> None:
    """A program that takes more memory than it may fails, for limits below and above the reaper's own size."""
    done = sandbox.run(command("memory", str(2 * limit)), limits=Limits(memory_bytes=limit))
    assert done.exit_code == 1
    assert "MemoryError" in done.tail()
    assert sandbox.run(command("memory", str(limit // 4)), limits=Limits(memory_bytes=limit)).exit_code == 0


def test_a_spinning_program_ends_at_its_cpu_limit(sandbox: Sandbox) -> None:
    """The CPU limit ends a program by a signal that the description explains."""
    done = sandbox.run(command("spin"), limits=Limits(cpu_seconds=1, timeout=30))
    assert done.signal == signal.SIGXCPU
    assert "CPU-time limit" in done.describe()


@pytest.mark.parametrize("pause", [False, True])
def test_output_keeps_its_first_and_its_last_part(sandbox: Sandbox, pause: bool) -> None:
    """A program that prints too much is not ended; the middle of its output goes, also while it still runs."""
    script = f"""
import time
print('first', flush=True)
for _ in range(5):
    print('x' * 5000, flush=True)
    time.sleep({0.15 * pause})
print('last')"""
    done = sandbox.run([sys.executable, "-c", script], limits=Limits(output_bytes=2000))
    text = done.stdout.read_text()
    assert done.exit_code == 0
    assert text.startswith("first\n")
    assert text.endswith("last\n")
    assert "output cut here" in text
    assert len(text) < 2200
    assert done.cut > 20000
    assert "left out" in done.describe()


def test_a_missing_program_is_a_clear_error(sandbox: Sandbox) -> None:
    """What cannot be started is an error that says why."""
    with pytest.raises(ToolError, match="'no-such-program' is not in PATH"):
        sandbox.run(["no-such-program"])
    with pytest.raises(ToolError, match="no such file"):
        sandbox.run(["./missing"])
    sandbox.path("data").write_text("1 2 3")
    with pytest.raises(ToolError, match="Permission denied"):
        sandbox.run(["./data"])
    sandbox.path("data").chmod(0o700)
    with pytest.raises(ToolError, match="neither a program"):
        sandbox.run(["./data"])
    sandbox.path("data").write_text("#!/no/such/interpreter\n")
    with pytest.raises(ToolError, match="interpreter in its first line"):
        sandbox.run(["./data"])
    with pytest.raises(ToolError, match="does not exist"):
        sandbox.run(["true"], cwd=sandbox.path("nowhere"))
    with pytest.raises(ToolError, match="is empty"):
        sandbox.run([])
    with pytest.raises(ToolError, match="NUL"):
        sandbox.run(["true", "a\0b"])
    assert sandbox.run(["true"]).exit_code == 0


def test_no_shell_ever_sees_a_command(sandbox: Sandbox) -> None:
    """Shell characters, quotes and newlines in arguments and file names arrive as they are."""
    words = ["$(touch hacked)", "; touch hacked", "`touch hacked`", "a\nb", "'", "ä", "*"]
    done = sandbox.run([sys.executable, "-c", "import sys; print(sys.argv[1:])", *words])
    assert done.stdout.read_text() == f"{words}\n"
    assert not sandbox.path("hacked").exists()


def test_output_names_stay_inside(sandbox: Sandbox) -> None:
    """A stage's name may hold anything without its output landing elsewhere."""
    for name in ("../../x", "a/b", "a\nb", "", "ä" * 500):
        done = sandbox.run(command("nothing"), name=name)
        assert done.stdout.parent == sandbox.directory
        assert done.stdout.exists()


def test_captured_output_follows_no_link(sandbox: Sandbox, tmp_path: Path) -> None:
    """A program that puts a link where the next one's output goes cannot have a foreign file overwritten."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    sandbox.path("run.stdout").symlink_to(precious)
    with pytest.raises(ToolError, match=r"symbolic link|symlink"):
        sandbox.run(command("sleep", "0"))
    assert precious.read_text() == "precious"


@given(st.text(max_size=60))
def test_paths_never_leave_the_sandbox(name: str) -> None:
    """Any name gives a path below the sandbox's directory or is refused."""
    root = Path("/scratch/7-1")
    sandbox = Sandbox(root, dict, {})
    try:
        path = sandbox.path(name)
    except ConfigError:
        return
    assert Path(os.path.normpath(path)).is_relative_to(root)
    assert Path(os.path.normpath(path)) != root


@pytest.mark.parametrize("name", ["", ".", "/etc/passwd", "../up", "a/../../b", "a\0b"])
def test_paths_outside_are_refused(name: str) -> None:
    """Absolute names and those that climb are errors of the configuration."""
    with pytest.raises(ConfigError, match="sandbox"):
        Sandbox(Path("/scratch/7-1"), dict, {}).path(name)


def test_a_stale_output_cannot_be_read(workshop: Workshop, tmp_path: Path) -> None:
    """A program that writes nothing leaves nothing to read, however often the same attempt at the same point runs."""
    memory = str(tmp_path / "memory")
    seen = []
    for attempt in (1, 1, 2):
        with workshop.sandbox(5, attempt) as sandbox:
            assert list(sandbox.directory.iterdir()) == []
            sandbox.path("in").write_text("1 2")
            assert sandbox.run(command("stale", "in", "out", memory)).exit_code == 0
            seen.append(sandbox.path("out").exists())
    assert seen == [True, False, False]


def test_sandboxes_work_from_any_thread(workshop: Workshop) -> None:
    """Threads that share a workshop each get their own directory and their own results."""
    codes: dict[int, int | None] = {}

    def evaluate(point: int) -> None:
        with workshop.sandbox(point) as sandbox:
            codes[point] = sandbox.run(command("exit", str(point)), limits=Limits(timeout=20)).exit_code

    threads = [threading.Thread(target=evaluate, args=(point,)) for point in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {point: point for point in range(8)}


def test_removal_is_thorough_and_follows_no_link(tmp_path: Path) -> None:
    """Links, unreadable directories, odd names and trees too deep for a path all go; what links point to stays."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    top = tmp_path / "top"
    top.mkdir()
    (top / "link").symlink_to(outside)
    (top / "dangling").symlink_to(top / "nowhere")
    (top / "new\nline \udcff*").write_text("")
    (top / ".removed-1").write_text("a name that the removal uses itself")
    locked = top / "a" / "locked"
    locked.mkdir(parents=True)
    (locked / "link").symlink_to(outside)
    (locked / "file").write_text("")
    (locked / "file").chmod(0)
    locked.chmod(stat.S_IRUSR)
    here = os.open(top, os.O_RDONLY)
    for _ in range(400):
        os.mkdir("d" * 100, dir_fd=here)
        deeper = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    assert remove_tree(str(top))
    assert not top.exists()
    assert (outside / "precious").read_text() == "precious"
    assert remove_tree(str(top))
    (tmp_path / "alias").symlink_to(outside)
    assert not remove_tree(str(tmp_path / "alias"))
    assert (outside / "precious").exists()


def test_removal_needs_no_permissions_but_ownership() -> None:
    """Directories without any permission, at every level, go for an ordinary user as well."""
    nobody = 65534 if os.geteuid() == 0 else os.geteuid()
    before = os.geteuid()
    os.seteuid(nobody)
    try:
        top = Path(tempfile.mkdtemp())
        inner = top / "a" / "b" / "c"
        inner.mkdir(parents=True)
        (inner / "file").write_text("")
        for path in (inner, inner.parent, top / "a", top):
            path.chmod(0)
        assert remove_tree(str(top))
        assert not top.exists()
    finally:
        os.seteuid(before)


def test_what_a_program_leaves_is_removed_with_its_sandbox(workshop: Workshop) -> None:
    """Read-only directories that a program made go as well."""
    with workshop.sandbox(3) as sandbox:
        sandbox.run([sys.executable, "-c", "import os; os.makedirs('a/b'); open('a/b/c', 'w'); os.chmod('a', 0o500)"])
        assert sandbox.path("a/b/c").exists()
    assert not sandbox.directory.exists()


def test_ignored_sigchld_is_mended() -> None:
    """With SIGCHLD ignored every program would seem to succeed; the check restores it."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        check_return_codes()
        assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_untrustworthy_return_codes_are_an_error() -> None:
    """Where the check cannot mend it, outside the main thread, it says so."""
    caught: list[BaseException] = []

    def check() -> None:
        try:
            check_return_codes()
        except ToolError as error:
            caught.append(error)

    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        thread = threading.Thread(target=check)
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert "SIGCHLD" in str(caught[0])


def test_return_codes_are_right_where_sigchld_is_ignored(tmp_path: Path) -> None:
    """The reaper sees how programs end, whatever its evaluator does with SIGCHLD."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with Workshop(tmp_path, "run") as workshop, workshop.sandbox(1) as sandbox:
            assert sandbox.run(command("exit", "1")).exit_code == 1
            assert sandbox.run(command("signal", "SIGSEGV")).signal == signal.SIGSEGV
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"timeout": -1.0}, {"memory_bytes": float("nan")}, {"grace": None},
                                   {"cpu_seconds": "10"}, {"file_bytes": True}, {"timeout": float("inf")}])  # fmt: skip
def test_limits_that_are_no_positive_number_are_refused(wrong: dict[str, object]) -> None:
    """A wrong limit is found when it is written down."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Limits(**wrong)  # type: ignore[arg-type]
