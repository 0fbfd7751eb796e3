"""Networks that are heard as one."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from rayscan.learn.data import Array
from rayscan.learn.options import LearnOptions
from rayscan.learn.surrogates.features import Features
from rayscan.learn.surrogates.labels.ensemble import Ensemble
from rayscan.learn.surrogates.ladder import Ladder
from rayscan.learn.surrogates.learner import make_learners
from rayscan.learn.surrogates.replay import Replay
from rayscan.problem.target import Target

from .conftest import make_rows

TARGET = Target(labels="y")
OPTIONS = LearnOptions(hidden=(20, 20), device="cpu")


def strip(u: Array) -> Array:
    """Return 1 in the left third of the square, else 0: ``(n,)``."""
    return (u[:, 0] < 1 / 3).astype(float)


def untrained(first: int = 0) -> Ensemble:
    """Return three networks, none like another."""
    return Ensemble([make_learners(Features(2), 0, OPTIONS, [first, k], waves=(0,))[0] for k in range(3)])


def lessons(n: int = 300) -> Replay:
    """Return points of the strip."""
    replay, u = Replay(2, TARGET, Ladder(TARGET, ["y"])), np.random.default_rng(0).random((n, 2))
    replay.add(make_rows(u, strip(u), TARGET))
    return replay


def test_an_ensemble_learns_and_is_less_sure_than_its_surest_member() -> None:
    """It tells right from wrong, and where members disagree it says so."""
    made, new = untrained(), np.random.default_rng(1).random((1000, 2))
    replay = lessons()
    made.train(replay.lesson(), replay, 600, np.random.default_rng(2))
    said = made.logit(new)
    assert said.shape == (1000,)
    assert ((said > 0) == (strip(new) == 1)).mean() > 0.95
    members = np.array([learner.predict(new)[1] for learner in made.learners])
    assert (np.abs(said) <= np.abs(members).max(axis=0)).all()
    assert (members.std(axis=0) > 0).all()


def test_members_share_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, training costs the same; and no two see the same points in the same order."""
    seen = []
    made = untrained()
    for learner in made.learners:
        monkeypatch.setattr(learner, "train", lambda u, t, ok, batches: seen.append(batches))
    replay = lessons()
    made.train(replay.lesson(), replay, 100, np.random.default_rng(0))
    assert [len(batches) for batches in seen] == [33, 33, 33]
    assert not (seen[0] == seen[1]).all()


def test_a_restored_ensemble_says_and_learns_the_same() -> None:
    """State out and in."""
    made, copy, replay = untrained(), untrained(first=1), lessons()
    made.train(replay.lesson(), replay, 60, np.random.default_rng(0))
    copy.load_state_dict(pickle.loads(pickle.dumps(made.state_dict())))
    for ensemble in (made, copy):
        ensemble.train(replay.lesson(), replay, 30, np.random.default_rng(1))
    new = np.random.default_rng(1).random((50, 2))
    assert np.array_equal(made.logit(new), copy.logit(new))
