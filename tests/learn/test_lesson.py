"""What rows teach."""

from __future__ import annotations

import numpy as np
import pytest

from rayscan.learn.options import LearnOptions
from rayscan.learn.paper.lesson import learned_observables, make_lesson, map_weights
from rayscan.problem.target import Target

from .conftest import WINDOW, make_rows


def lesson_of(values, target=WINDOW):
    values = np.asarray(values, dtype=float)
    return make_lesson(make_rows(np.random.default_rng(0).random((len(values), 2)), values, target), target, ["y"])


def test_with_enough_valid_points_good_means_valid():
    """Ten valid points speak for themselves."""
    lesson = lesson_of([0.9] * 10 + [0.7] * 90)
    assert not lesson.provisional
    assert lesson.good.sum() == 10


def test_without_valid_points_the_best_tenth_stands_in():
    """The nearest tenth to the window, never a failed point."""
    lesson = lesson_of([*np.linspace(0, 0.7, 200), *[np.nan] * 100])
    assert lesson.provisional
    assert np.flatnonzero(lesson.good).tolist() == list(range(180, 200))


def test_few_valid_points_are_joined_by_the_next_best():
    """Three valid ones and the nearest others."""
    lesson = lesson_of([0.9] * 3 + [0.79] * 17 + [0.1] * 180)
    assert lesson.provisional
    assert np.flatnonzero(lesson.good).tolist() == list(range(20))


def test_a_yes_or_no_leaves_only_the_yes():
    """Where all invalid points are equally bad, none of them is an example of a good one."""
    lesson = lesson_of([1.0] * 3 + [0.0] * 50, Target(labels="y"))
    assert not lesson.provisional
    assert lesson.good.sum() == 3


@pytest.mark.parametrize("values", [[], [0.9], [0.1], [np.nan], [0.9] * 5, [0.1] * 50, [np.nan] * 50])
def test_one_class_is_not_two(values):
    """Equal points give nothing to tell apart."""
    lesson = lesson_of(values)
    assert not lesson.two_classes


def test_map_weights_are_one_for_good_less_by_rank_and_nothing_for_failures():
    """Good points lead, near misses follow, failures count as nothing."""
    weight = map_weights(lesson_of([0.9] * 10 + [0.7, 0.5, 0.1, np.nan]))
    assert (weight[:10] == 1).all()
    assert 0.5 > weight[10] > weight[11] > weight[12] == weight[13] == 0


def test_constrained_observables_are_learnt_unless_the_target_is_more_than_them():
    """A label, a function, or an observable that is not in the rows means learning the likelihood."""
    assert learned_observables(Target(b=(0, 1), a=(0, 1)), ["a", "b", "c"]) == ("b", "a")
    assert learned_observables(Target(labels="a"), ["a"]) == ()
    assert learned_observables(Target(lambda a: a > 0, b=(0, 1)), ["a", "b"]) == ()
    assert learned_observables(Target(r=(0, 1), derive={"r": "a / p"}), ["a"]) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"surrogate": "clasifier"}, {"surrogate": 3}, {"proposal": "map"}, {"selection": "best"}, {"K": 0}, {"K": 2.5},
        {"L": 10, "K": 20}, {"random_share": 1.5}, {"random_share": float("nan")}, {"hidden": ()}, {"hidden": (10, 0)},
        {"initial": -1}, {"initial": [[0.5, 1.5]]}, {"initial": [0.5]}, {"alpha": -1.0}, {"device": "gpu"},
    ],
    ids=str,
)  # fmt: skip
def test_options_refuse_what_cannot_be(wrong):
    """Each error names the option."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LearnOptions(**wrong)


def test_options_describe_themselves_in_plain_types():
    """Equal options describe equally, other initial points differently, and nothing but plain types appears."""
    points = np.full((2, 3), 0.5)
    described = LearnOptions(initial=points).to_dict()
    assert described == LearnOptions(initial=points.copy()).to_dict()
    assert described != LearnOptions(initial=points * 0.5).to_dict()
    assert all(isinstance(value, str | int | float | bool | list | None) for value in described.values())
    assert LearnOptions(K=1000).candidates == 100_000
    assert LearnOptions().candidates == 50_000
