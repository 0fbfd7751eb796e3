"""What a second look makes of the driver's word."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from rayscan.learn.coverage.method import CoverageProposer
from rayscan.learn.options import LearnOptions
from rayscan.learn.surrogates import contest
from rayscan.learn.surrogates.contest import PLAIN, Contest
from rayscan.learn.surrogates.features import Features
from rayscan.learn.surrogates.ladder import Ladder
from rayscan.learn.surrogates.replay import Replay
from rayscan.learn.surrogates.second_look import SecondLook
from rayscan.problem.constraints import Gaussian
from rayscan.problem.target import Target

from .conftest import WINDOW, make_rows, observable

OPTIONS = LearnOptions(K=60, hidden=(20, 20), device="cpu")


def known(n: int) -> tuple[Replay, Contest]:
    """Return what has been learned from `n` random points of the square."""
    rng = np.random.default_rng(0)
    ladder = Ladder(WINDOW, ["y"])
    replay = Replay(2, WINDOW, ladder)
    u = rng.random((n, 2))
    replay.add(make_rows(u, observable(u)))
    ladder.update(replay.observables, replay.penalty, replay.valid)
    made = Contest(Features(2), ladder, OPTIONS, 0)
    made.train(replay, rng)
    return replay, made


@pytest.fixture
def misled(monkeypatch: pytest.MonkeyPatch) -> tuple[SecondLook, Replay]:
    """A second look at a driver that is right on the left, and promises the target all over the right."""
    monkeypatch.setattr(contest, "FIRST_STEPS", 20)
    replay, made = known(1500)
    ladder = made.ladder

    def half_right(at: Tensor) -> Tensor:
        u = at.numpy()
        truth = ladder.scaled(observable(u)[:, None])
        wish = ladder.scaled(np.full((len(u), 1), 0.9))
        return torch.from_numpy(np.column_stack([np.where(u[:, :1] < 0.5, truth, wish), np.full(len(u), 9.0)]))

    monkeypatch.setattr(made.networks[PLAIN], "answer", half_right)
    made.driver, made.width = np.array([PLAIN]), np.array([0.01])
    look = SecondLook(made)
    look.survey(replay, np.random.default_rng(0))
    return look, replay


def test_where_the_driver_errs_what_it_leaves_over_is_added(misled: tuple[SecondLook, Replay]) -> None:
    """Promises on the right that are not kept are told from those that are; on the left nothing changes."""
    look, _ = misled
    u = np.random.default_rng(1).random((3000, 2))
    truth = WINDOW.judge({"y": observable(u)}).valid
    # Beyond the rim, where a normal error makes some difference.
    clear = np.abs(observable(u) - 0.8) > 0.03
    p = np.exp(look.log_p(u))
    right = (u[:, 0] > 0.55) & clear
    left = (u[:, 0] < 0.45) & clear
    assert p[right & truth].min() > p[right & ~truth].max()
    assert p[left & truth].min() > 0.9
    assert p[left & ~truth].max() < 0.1


def test_the_record_decides_who_is_heard(misled: tuple[SecondLook, Replay]) -> None:
    """After some hundred points, the second opinion has the weight."""
    look, replay = misled
    u = 0.5 + 0.5 * np.random.default_rng(2).random((600, 2))
    look.learn(u, WINDOW.judge({"y": observable(u)}).valid)
    look.survey(replay, np.random.default_rng(0))
    assert look.stack.weight[1] > 3 * look.stack.weight[0]


def test_a_restored_look_sees_the_same(misled: tuple[SecondLook, Replay]) -> None:
    """State out and in."""
    look, _ = misled
    copy = SecondLook(look.contest)
    assert not copy.ready
    copy.load_state_dict(look.state_dict())
    u = np.random.default_rng(1).random((50, 2))
    assert copy.ready
    assert np.array_equal(copy.log_p(u), look.log_p(u))


def test_too_few_points_are_no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that it is not ready, and learns nothing."""
    monkeypatch.setattr(contest, "FIRST_STEPS", 5)
    replay, made = known(30)
    look = SecondLook(made)
    look.survey(replay, np.random.default_rng(0))
    look.learn(replay.u, replay.valid)
    assert not look.ready


def test_a_joint_distance_is_as_wide_as_its_parts_make_it() -> None:
    """The width of the distance of two measurements is that of a sample of normal errors."""
    target = Target(y=Gaussian(0.5, 0.2), z=Gaussian(0.2, 0.1), threshold=0.1)
    ladder = Ladder(target, ["y", "z"])
    look = SecondLook(Contest(Features(2), ladder, OPTIONS, 0))
    t, width = np.array([[0.5, -0.4]]), np.array([[0.02, 0.03]])
    sample = t + width * np.random.default_rng(0).normal(size=(20_000, 2))
    spread = ladder.predicted(torch.from_numpy(sample))[:, -1].numpy().std()
    assert look._widths(t, width)[0] == pytest.approx([0.02, 0.03, spread], rel=0.05)


def test_some_candidates_are_always_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a second look finds all of them hopeless, those are kept that are the least so."""
    made = CoverageProposer(2, WINDOW, ["y"], OPTIONS, 0)
    told = 0
    for _ in range(4):
        rows = make_rows(u := made.ask(60, np.empty((0, 2))).u, observable(u), first=told)
        told += 60
        made.tell(rows)
        made.refit()
    assert made.belief.second_look
    assert made.belief.second_look.ready
    monkeypatch.setattr(SecondLook, "log_p", lambda self, u: -50.0 - u[:, 0])
    visited = np.random.default_rng(0).random((500, 2))
    left = made.sampler._looked_at_twice(visited, 20, np.random.default_rng(0))
    assert len(left) >= 25
    assert left[:, 0].mean() < 0.3
