"""A problem, a proposer that follows a script, and a pool that answers when it is told to: engine tests need no Ray."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rayscan as rs
from rayscan.engine.learner import Learner
from rayscan.engine.ledger import Ledger
from rayscan.engine.loop import Loop
from rayscan.engine.recorder import Recorder
from rayscan.learn.data import Origin, Proposals, Rows
from rayscan.learn.options import LearnOptions
from rayscan.options import ScanOptions
from rayscan.problem.statement import Problem
from rayscan.store import Schema, Store
from rayscan.tools.base import Outcome, Outcomes, Points, Status


class Script:
    """A proposer whose points follow from its seed, its generation and what it was told, and which takes notes."""

    def __init__(self, d: int = 2, initial: int = 8) -> None:
        self.d, self.initial, self.generation, self.asked = d, initial, 0, 0
        self.told: list[Rows] = []
        self.digest = ""
        self.refits: list[int] = []
        self.asks: list[tuple[int, int]] = []

    def tell(self, rows: Rows) -> None:
        self.told.append(rows)
        self.digest = hashlib.sha256(self.digest.encode() + rows.u.tobytes() + rows.observables.tobytes()).hexdigest()

    def refit(self) -> None:
        self.generation += 1
        self.asked = 0
        self.refits.append(sum(len(rows) for rows in self.told))

    def ask(self, n: int, pending: np.ndarray) -> Proposals:
        self.asks.append((n, len(pending)))
        rng = np.random.default_rng([self.generation, self.asked, *bytes.fromhex(self.digest)])
        self.asked += 1
        origin = Origin.MAP if self.generation else Origin.INITIAL
        return Proposals(
            rng.random((n, self.d)), np.full(n, origin, np.int8), np.ones(n), np.full(n, np.nan), self.generation
        )

    def state_dict(self) -> dict[str, Any]:
        return {"generation": self.generation, "asked": self.asked, "digest": self.digest}

    def load_state_dict(self, state: dict[str, Any], rows: Rows) -> None:
        self.generation, self.asked, self.digest = state["generation"], state["asked"], state["digest"]
        self.told = [rows] if len(rows) else []

    @property
    def ids(self) -> list[int]:
        return [int(i) for rows in self.told for i in rows.point_id]


class FakePool:
    """Answers each point after as many calls of `collect` as `delay` says (None: never)."""

    def __init__(self, size: int = 2, delay: Callable[[int], int | None] = lambda point_id: 1) -> None:
        self.size, self.wanted, self.left_out, self.delay = size, size, 0, delay
        self.lost, self.notice = 0, ""
        self.news: list[str] = []
        self.seats: list[list[Any]] = []
        self.waiting: deque[Points] = deque()
        self.submitted: list[int] = []
        self.attempts: dict[int, int] = {}
        self.abandoned: list[int] = []
        self.status: Callable[[int], Status] = lambda point_id: Status.OK
        self.turns = self.idle = 0
        self.closed = False

    def room(self) -> int:
        return max(0, 2 * self.size - len(self.seats) - len(self.waiting))

    def crew(self) -> dict[str, int]:
        working = min(self.size, len(self.seats) + len(self.waiting))
        return {"working": working, "waiting": self.size - working}

    def submit(self, points: Points) -> None:
        for row in range(len(points)):
            self.waiting.append(points[row : row + 1])
            point_id = int(points.point_id[row])
            self.submitted.append(point_id)
            self.attempts[point_id] = int(points.attempt[row])

    def collect(self, timeout: float) -> list[Outcomes]:
        self.turns += 1
        while self.waiting and len(self.seats) < self.size:
            points = self.waiting.popleft()
            self.seats.append([points, self.delay(int(points.point_id[0]))])
        self.idle += self.size - len(self.seats)
        finished = []
        for seat in list(self.seats):
            if seat[1] is None:
                continue
            seat[1] -= 1
            if seat[1] <= 0:
                self.seats.remove(seat)
                finished.append(self.answer(seat[0]))
        return finished

    def answer(self, points: Points) -> Outcomes:
        status = self.status(int(points.point_id[0]))
        values = {"y": float(points.x[0].sum())} if status == Status.OK else {}
        outcome = Outcome(status, values, message="" if status == Status.OK else f"said no to {points.point_id[0]}")
        ended = float(self.turns)
        return Outcomes.of(points, [outcome], ("y",), [(ended - 1.0, ended)], host="here", worker="w")

    def rest(self) -> None:
        pass

    def abandon(self) -> None:
        self.abandoned += [int(seat[0].point_id[0]) for seat in self.seats]
        self.abandoned += [int(points.point_id[0]) for points in self.waiting]
        self.seats.clear()
        self.waiting.clear()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def problem() -> Problem:
    space = rs.Space(a=(0, 1), b=(0, 1))
    return Problem(space, rs.Function(lambda a, b: a + b, outputs=["y"]), rs.Target(y=(0.9, 1.1)))


class Bench:
    """Opens the same run directory again and again, each time with a new proposer and pool, as sessions do."""

    def __init__(self, problem: Problem, path: Path) -> None:
        self.problem, self.path = problem, path
        self.store: Store | None = None
        self.proposer, self.pool = Script(), FakePool()

    def open(self, pool: FakePool | None = None, proposer: Script | None = None, **knobs: Any) -> Loop:
        from rayscan.engine.session import restore_ledger

        learn = LearnOptions(K=knobs.pop("K", 10), initial=knobs.pop("initial", 8))
        options = ScanOptions(learn=learn, **{"drain": 0.3, **knobs})
        problem = self.problem
        description = problem.describe()
        if (self.path / "run.json").exists():
            self.store = Store.open(self.path, description)
        else:
            self.store = Store.create(
                self.path, Schema(problem.space.names, problem.observables, problem.space.d), "", description
            )
        rows = self.store.learner_rows()
        self.recorder = Recorder(
            self.store, rows, keep=options.keep, deterministic=options.deterministic, method="script"
        )
        self.ledger: Ledger = restore_ledger(problem, options, self.store, rows, self.recorder.told)
        self.proposer, self.pool = proposer or Script(initial=8), pool or FakePool()
        if self.recorder.state is not None:
            self.proposer.load_state_dict(self.recorder.state, rows[: self.recorder.told])
        self.learner = Learner(self.proposer, background=False, told=self.recorder.told)
        return Loop(options, self.ledger, self.learner, self.pool, self.recorder)

    def crash(self) -> None:
        """Give the directory up as a killed process does: what was not handed to the system is gone."""
        assert self.store is not None
        self.store.abandon()
        self.store = None

    def close(self) -> Any:
        assert self.store is not None
        self.store.close()
        self.store = None
        return self.table

    @property
    def table(self) -> Any:
        return rs.open_run(self.path).table


@pytest.fixture
def bench(problem: Problem, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(problem, tmp_path / "run")
    yield made
    if made.store is not None:
        made.store.abandon()


@pytest.fixture
def make_pool() -> type[FakePool]:
    return FakePool


@pytest.fixture
def make_script() -> type[Script]:
    return Script


@pytest.fixture(scope="module")
def ray_token() -> Iterator[None]:
    """A token that is not in the home directory, and no Ray left in this process by tests of another file."""
    ray = pytest.importorskip("ray")
    # Ray reads the token once a process: where there is one already, it stays.
    given = "RAY_AUTH_TOKEN" in os.environ
    os.environ.setdefault("RAY_AUTH_TOKEN", "0" * 64)
    ray.shutdown()
    yield
    if not given:
        del os.environ["RAY_AUTH_TOKEN"]


@pytest.fixture(scope="module")
def ray_session(ray_token: None) -> Iterator[None]:
    """A small Ray for the tests of a module, which writes nothing in the home directory."""
    ray = pytest.importorskip("ray")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(
            address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
            object_store_memory=128 * 2**20, _node_ip_address="127.0.0.1",
        )  # fmt: skip
    yield
    ray.shutdown()
