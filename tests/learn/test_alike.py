"""What is learned on one island and said of all."""

from __future__ import annotations

import numpy as np
import pytest

from rayscan.learn.data import Array
from rayscan.learn.options import LearnOptions
from rayscan.learn.surrogates.features import Features
from rayscan.learn.surrogates.labels import alike
from rayscan.learn.surrogates.labels.alike import Alike
from rayscan.learn.surrogates.ladder import Ladder
from rayscan.learn.surrogates.replay import Replay
from rayscan.problem.target import Target

from .conftest import make_rows

TARGET = Target(labels="y")
OPTIONS = LearnOptions(hidden=(40, 40), device="cpu")
CENTRES = np.array([[0.2, 0.2], [0.75, 0.25], [0.3, 0.75], [0.8, 0.7]])
RADIUS, WIDTH = 0.12, 0.012


def rings(u: Array) -> Array:
    """Return 1 on thin rings, a fifteenth of the square, else 0: ``(n,)``."""
    gap = np.abs(np.linalg.norm(u[:, None] - CENTRES, axis=2) - RADIUS).min(axis=1)
    return (gap < WIDTH).astype(float)


def about(centre: Array, n: int, arc: float, rng: np.random.Generator) -> Array:
    """Return points ``(n, 2)`` on and beside a part of a ring."""
    angle, radius = arc * (rng.random(n) - 0.5), RADIUS + 3 * WIDTH * (2 * rng.random(n) - 1)
    return centre + radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])


def known(seed: int = 0) -> Replay:
    """Return three rings known well, and of a fourth the right half."""
    rng = np.random.default_rng(seed)
    parts = [about(centre, 300, 2 * np.pi, rng) for centre in CENTRES[:3]]
    u = np.concatenate([*parts, about(CENTRES[3], 60, np.pi, rng), rng.random((300, 2))])
    replay = Replay(2, TARGET, Ladder(TARGET, ["y"]))
    replay.add(make_rows(u, rings(u), TARGET))
    return replay


def learned(replay: Replay) -> Alike:
    """Return what has been made of the points so far."""
    made = Alike(Features(2), OPTIONS, 0)
    rng = np.random.default_rng(0)
    for _ in range(5):
        made.train(replay, 200, rng, heard=True)
    return made


def test_what_was_learned_on_three_islands_holds_on_the_unseen_half_of_a_fourth() -> None:
    """Islands are aligned, wherever the boxes around their points lay at first."""
    made = learned(known())
    assert len(made.middle) == 4
    shift = made.middle[:, None] - CENTRES
    nearest = np.linalg.norm(shift, axis=2).argmin(axis=1)
    off = shift[np.arange(4), nearest]
    assert np.abs(off - np.median(off, axis=0)).max() < WIDTH / 2
    rng = np.random.default_rng(1)
    new = CENTRES[3] - (about(CENTRES[3], 1000, np.pi, rng) - CENTRES[3])
    assert ((made.logit(new) > 0) == (rings(new) == 1)).mean() > 0.9


def test_nothing_is_said_beyond_reach() -> None:
    """A place far from all islands is none of its business."""
    made = learned(known())
    logit = made.logit(np.array([[0.5, 0.5], CENTRES[0]]))
    assert logit[0] == 0
    assert logit[1] < -1


@pytest.mark.parametrize("u", [np.empty((0, 2)), np.full((4, 2), 0.5), np.random.default_rng(0).random((200, 2)) / 4])
def test_one_island_or_none_is_not_like_any_other(u: Array) -> None:
    """Then it has nothing to say."""
    replay = Replay(2, TARGET, Ladder(TARGET, ["y"]))
    u = np.concatenate([u, np.full((3, 2), 0.9)])
    replay.add(make_rows(u, np.append(np.ones(len(u) - 3), np.zeros(3)), TARGET))
    made = Alike(Features(2), OPTIONS, 0)
    made.train(replay, 10, np.random.default_rng(0), heard=False)
    assert not made.logit(u).any()


@pytest.mark.parametrize(("heard", "anew"), [(False, True), (True, False)])
def test_what_is_not_heard_begins_anew_when_much_more_is_known(
    monkeypatch: pytest.MonkeyPatch, *, heard: bool, anew: bool
) -> None:
    """What is heard goes on with what it has learned."""
    monkeypatch.setattr(alike, "PART_STEPS", 5)
    replay, made = known(), Alike(Features(2), OPTIONS, 0)
    rng = np.random.default_rng(0)
    made.train(replay, 5, rng, heard=False)
    first = made._net
    made.train(replay, 5, rng, heard=heard)
    assert made._net is first
    more = known(1)
    replay.add(more.rows)
    replay.add(known(2).rows)
    made.train(replay, 5, rng, heard=heard)
    assert (made._net is not first) == anew


def test_a_restored_one_says_and_learns_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """State out and in."""
    monkeypatch.setattr(alike, "PART_STEPS", 20)
    replay, new = known(), np.random.default_rng(3).random((200, 2))
    made, copy = learned(replay), Alike(Features(2), OPTIONS, 1)
    copy.load_state_dict(made.state_dict())
    assert np.array_equal(made.logit(new), copy.logit(new))
    for one in (made, copy):
        one.train(replay, 20, np.random.default_rng(4), heard=True)
    assert np.array_equal(made.logit(new), copy.logit(new))
