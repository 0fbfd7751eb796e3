"""What surrogates of bare labels agree on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from rayscan.learn.data import Array
from rayscan.learn.options import LearnOptions
from rayscan.learn.surrogates.features import Features
from rayscan.learn.surrogates.labels import jury
from rayscan.learn.surrogates.labels.jury import Jury
from rayscan.learn.surrogates.labels.label_process import LabelProcess
from rayscan.learn.surrogates.ladder import Ladder
from rayscan.learn.surrogates.replay import Replay
from rayscan.problem.target import Target

from .conftest import make_rows

TARGET = Target(labels="y")
OPTIONS = LearnOptions(hidden=(20, 20), device="cpu")


def disc(u: Array) -> Array:
    """Return 1 inside a disc that holds an eighth of the square, else 0: ``(n,)``."""
    return (np.linalg.norm(u - 0.5, axis=1) < 0.2).astype(float)


def learned(n: int) -> Jury:
    """Return a jury that knows `n` points."""
    rng = np.random.default_rng(0)
    replay = Replay(2, TARGET, Ladder(TARGET, ["y"]))
    u = rng.random((n, 2))
    replay.add(make_rows(u, disc(u), TARGET))
    made = Jury(Features(2), OPTIONS, 0)
    made.train(replay, rng)
    return made


def test_a_process_learns_a_region_from_labels_and_knows_how_sure_it_is() -> None:
    """Most new points are told right, and where it is sure it has reason to be."""
    rng = np.random.default_rng(0)
    u, new = rng.random((400, 2)), rng.random((4000, 2))
    process = LabelProcess(Features(2))
    process.train(u, disc(u), rng)
    p, truth = expit(process.logit(new)), disc(new)
    assert ((p > 0.5) == (truth == 1)).mean() > 0.95
    assert truth[p > 0.8].mean() > 0.85
    assert truth[p < 0.2].mean() < 0.05


@pytest.mark.parametrize("label", [0.0, 1.0, np.nan])
def test_labels_of_one_kind_teach_a_process_nothing(label: float) -> None:
    """It says so, rather than that everything is the same."""
    process = LabelProcess(Features(2))
    process.train(np.random.default_rng(0).random((50, 2)), np.full(50, label), np.random.default_rng(0))
    assert not process.trained_on


def test_a_process_takes_the_points_about_the_rim() -> None:
    """However many points there are, it stays bounded and as good near the region."""
    rng = np.random.default_rng(0)
    u = rng.random((20_000, 2))
    process = LabelProcess(Features(2))
    process.train(u, disc(u), rng)
    assert process._process.x.shape == (1250, 4)
    new = 0.25 + 0.5 * rng.random((4000, 2))
    assert ((process.logit(new) > 0) == (disc(new) == 1)).mean() > 0.97


def test_a_juror_that_was_wrong_loses_its_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is sure of the opposite changes nothing, once it has a record."""
    monkeypatch.setattr(jury, "FIRST_STEPS", 450)
    made = learned(400)
    assert made.stack.weight == pytest.approx(np.full(4, 1 / 4))
    monkeypatch.setattr(made.ensembles[0], "logit", lambda u: 4 - 8 * disc(u))
    rng = np.random.default_rng(1)
    record, new = rng.random((400, 2)), rng.random((2000, 2))
    made.tell(make_rows(record, disc(record), TARGET), np.empty((400, 0)))
    made.stack.weigh()
    assert made.stack.weight[0] < 0.02
    quantities, logit = made.predict(new)
    assert quantities.shape == (2000, 0)
    assert ((logit > 0) == (disc(new) == 1)).mean() > 0.93


def test_promises_that_were_not_kept_lower_all_that_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a record of points called probable of which few were valid, probabilities are what the record says."""
    monkeypatch.setattr(jury, "FIRST_STEPS", 15)
    made = learned(100)
    for ensemble in made.ensembles:
        monkeypatch.setattr(ensemble, "logit", lambda u: np.full(len(u), 3.0))
    monkeypatch.setattr(made.points, "logit", lambda u: np.full(len(u), 3.0))
    u = np.random.default_rng(1).random((1000, 2))
    share = disc(u).mean()
    assert expit(made.predict(u)[1]).mean() > 0.9
    made.tell(make_rows(u, disc(u), TARGET), np.empty((1000, 0)))
    made.stack.weigh()
    assert expit(made.predict(u)[1]) == pytest.approx(np.full(1000, share), abs=0.03)


def test_walkers_may_go_where_it_is_doubted_until_islands_are_known_whole() -> None:
    """The better they do, the more so; once islands alike are heard the most, the surest places are better."""
    made = Jury(Features(2), OPTIONS, 0)
    made.stack.weight = np.array([0.3, 0.1, 0.2, 0.3])
    levels = [made.level(acceptance) for acceptance in (0.0, 0.75, 0.8, 0.85, 1.0)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] == levels[1] == pytest.approx(0.2)
    assert levels[-1] == pytest.approx(0.05)
    made.stack.weight = np.array([0.3, 0.1, 0.4, 0.3])
    assert made.level(1.0) == pytest.approx(0.05), "there is one island, and nothing that it could be like"
    made.alike.middle = np.array([[0.2, 0.2], [0.7, 0.7]])
    assert made.level(1.0) == 1


def test_islands_get_steps_once_there_are_some_that_could_be_alike() -> None:
    """Until then the networks get theirs; what is heard of nobody is not divided by nothing."""
    made = Jury(Features(2), OPTIONS, 0)
    *networks, alike = made._steps()
    assert alike == jury.LEAST_STEPS
    assert sum(networks) + alike == jury.STEPS
    made.alike.middle = np.array([[0.2, 0.2], [0.7, 0.7]])
    assert made._steps()[jury.ALIKE] == pytest.approx(jury.STEPS / 3, abs=1)
    made.stack.weight[:] = 0
    assert made._steps().sum() == pytest.approx(jury.STEPS, abs=2)


def test_contested_is_what_islands_alike_claim_and_the_jury_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what all believe, nor what it is not sure of itself; and nothing before anything is learned."""
    monkeypatch.setattr(jury, "FIRST_STEPS", 15)
    assert not Jury(Features(2), OPTIONS, 0).contested(np.full((3, 2), 0.5)).any()
    made = learned(100)
    monkeypatch.setattr(made.alike, "logit", lambda u: 16 * u[:, 0] - 8)
    for ensemble in made.ensembles:
        monkeypatch.setattr(ensemble, "logit", lambda u: 16 * u[:, 1] - 8)
    monkeypatch.setattr(made.points, "logit", lambda u: 16 * u[:, 1] - 8)
    u = np.array([[0.9, 0.1], [0.9, 0.9], [0.1, 0.1], [0.52, 0.1]])
    assert made.contested(u).tolist() == [True, False, False, False]
    assert made.contested(u[:0]).tolist() == []


def test_a_restored_jury_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """State out and in."""
    monkeypatch.setattr(jury, "FIRST_STEPS", 60)
    made, copy = learned(100), Jury(Features(2), OPTIONS, 1)
    u = np.random.default_rng(2).random((200, 2))
    made.tell(make_rows(u, disc(u), TARGET), np.empty((200, 0)))
    made.stack.weigh()
    copy.load_state_dict(made.state_dict())
    new = np.random.default_rng(1).random((50, 2))
    assert np.array_equal(made.predict(new)[1], copy.predict(new)[1])
    copy.stack.weigh()
    assert np.array_equal(made.stack.weight, copy.stack.weight)
