"""Which surrogate is believed, and how wide its predictions are taken to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rayscan.learn.data import Origin
from rayscan.learn.options import LearnOptions
from rayscan.learn.surrogates import contest
from rayscan.learn.surrogates.contest import PLAIN, POINTS, SURFACE, WAVES, Contest
from rayscan.learn.surrogates.features import Features
from rayscan.learn.surrogates.ladder import Ladder
from rayscan.learn.surrogates.replay import Replay
from rayscan.problem.target import Target

from .conftest import make_rows

TARGET = Target(y=(-0.1, 0.1))


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Contest:
    """A contest that has learned a smooth function of two parameters from 200 points."""
    monkeypatch.setattr(contest, "FIRST_STEPS", 50)
    rng = np.random.default_rng(0)
    ladder = Ladder(TARGET, ["y"])
    replay = Replay(2, TARGET, ladder)
    u = rng.random((200, 2))
    replay.add(make_rows(u, smooth(u)[:, 0], TARGET))
    ladder.update(replay.observables, replay.penalty, replay.valid)
    made = Contest(Features(2), ladder, LearnOptions(hidden=(20, 20), device="cpu"), 0)
    made.train(replay, rng)
    return made


def smooth(u: np.ndarray) -> np.ndarray:
    """Return one observable ``(n, 1)``."""
    return (np.sin(3 * u[:, 0]) - u[:, 1])[:, None]


def test_points_drive_first_and_say_themselves_how_good_they_are(judged: Contest) -> None:
    """Before anything is tested, the interpolation drives, with a width that its true errors bear out."""
    new = np.random.default_rng(1).random((300, 2))
    truth = judged.ladder.scaled(smooth(new))
    t, logit = (answer.numpy() for answer in judged.predict(torch.from_numpy(new)))
    assert judged.driver == [POINTS]
    assert logit.shape == (300,)
    assert np.quantile(np.abs(t - truth), 0.68) < 5 * judged.width[0]
    assert judged.width[0] < 0.1


def test_the_surrogate_that_was_right_about_unseen_points_drives(judged: Contest) -> None:
    """Errors decide, not the order in which surrogates are named."""
    new = np.random.default_rng(1).random((100, 2))
    told = make_rows(new, smooth(new)[:, 0], origin=Origin.POPULATION)
    told.origin[:20] = Origin.UNIFORM
    judged.tell(told, smooth(new))
    assert [len(errors) for errors in judged.errors] == [80, 80, 80, 80]
    for best in (WAVES, SURFACE, PLAIN):
        judged.errors = [np.full((100, 1), 0.01 if k == best else 0.1) for k in range(4)]
        judged._judge()
        assert judged.driver == best


def test_the_interpolation_is_less_sure_the_more_its_proposals_erred(judged: Contest) -> None:
    """Errors at known points say too little, for proposals are where errors are large; those before, too much."""
    judged._guessed = known = np.array([0.1])
    judged.errors[POINTS] = np.full((contest.ENOUGH, 1), 100 * known)
    judged._judge()
    assert judged.driver == [POINTS]
    assert judged.width == pytest.approx(10 * known)
    judged.errors[POINTS] = np.full((contest.ENOUGH - 1, 1), 100 * known)
    judged._judge()
    assert judged.width == known


def test_an_observable_that_proposals_were_wrong_about_wants_points() -> None:
    """What counts is on which side of the interval they fell, not by how much."""
    ladder = Ladder(Target(a=(0, 1), b=(0, 1)), ["a", "b"])
    said = torch.from_numpy(ladder.scaled(np.array([[0.5, 0.5], [0.9, 1.1], [-3.0, 0.5]])))
    were = np.array([[0.1, 1.5], [0.5, 9.0], [-0.1, 0.5]])
    assert ladder.misjudged(said, were).tolist() == [[False, True], [False, False], [False, False]]


@pytest.mark.parametrize("rows", [1, 0])
def test_a_state_of_an_earlier_version_learns_on(judged: Contest, rows: int) -> None:
    """Widths that were saved as one row, or as none, are taken as they were."""
    state = judged.state_dict()
    state["guessed"] = state["guessed"][None][:rows]
    del state["surface"]
    state["errors"] = state["errors"][:SURFACE]
    loaded = Contest(Features(2), judged.ladder, judged.options, 0)
    loaded.load_state_dict(state)
    loaded._judge()
    assert loaded.width == (judged.width if rows else [contest.NEUTRAL])
    replay = Replay(2, TARGET, judged.ladder)
    u = np.random.default_rng(0).random((200, 2))
    replay.add(make_rows(u, smooth(u)[:, 0], TARGET))
    loaded.train(replay, np.random.default_rng(0))
    assert loaded.width < 0.1
