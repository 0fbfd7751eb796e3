"""K of L."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayscan.learn.paper import selection
from rayscan.learn.paper.selection import Candidates


def pool(score, weight=None, uniform=None, free=None):
    score = np.asarray(score, dtype=float)
    n = len(score)
    everywhere = np.ones(n, dtype=bool)
    return Candidates(
        score,
        score,
        score > 0.75,
        everywhere if uniform is None else uniform,
        np.ones(n) if weight is None else weight,
        everywhere if free is None else free,
    )


def test_the_paper_classifier_takes_a_tenth_blindly_and_the_rest_half_and_half():
    """With plenty on both sides, 45 % come from above 0.75 and 45 % from below; the blind tenth from anywhere."""
    score = np.random.default_rng(0).random(100_000) ** 8
    chosen = selection.select_paper_classifier(pool(score), 1000, 0.1, 0.75, np.random.default_rng(1))
    assert len(set(chosen)) == 1000
    blind_above = round((score > 0.75).mean() * 100)
    assert abs((score[chosen] > 0.75).sum() - 450 - blind_above) <= 10
    # The boundary half is the most uncertain, the blind tenth mostly hopeless.
    assert ((score[chosen] > 0.25) & (score[chosen] <= 0.75)).sum() >= 450
    assert 60 <= (score[chosen] < 0.25).sum() <= 100


def test_without_a_blind_share_the_halves_are_exact():
    """No randomness left: exactly half above, half below."""
    score = np.linspace(0, 1, 1001)
    chosen = selection.select_paper_classifier(pool(score), 101, 0.0, 0.75, np.random.default_rng(1))
    assert (score[chosen] > 0.75).sum() == 51
    assert sorted(score[chosen][score[chosen] <= 0.75]) == pytest.approx(np.linspace(0.475, 0.524, 50), abs=2e-3)


def test_the_paper_regressor_takes_nine_tenths_above_the_threshold():
    """Of 100, at least 90 have a likelihood above the threshold and the rest come from anywhere."""
    likelihood = np.random.default_rng(0).random(10_000) ** 6
    chosen = selection.select_paper_regressor(pool(likelihood), 100, 0.1, 0.9, np.random.default_rng(1))
    assert 90 <= (likelihood[chosen] > 0.9).sum() <= 94


def test_a_shortfall_is_made_up_by_merit():
    """With one confident candidate, its missing companions are the best of the others."""
    score = np.concatenate([[0.9], np.linspace(0, 0.5, 500)])
    chosen = selection.select_paper_regressor(pool(score), 20, 0.0, 0.8, np.random.default_rng(0))
    assert set(chosen) == {0, *range(482, 501)}


def test_the_default_spreads_evenly_in_volume_not_by_the_maps_density():
    """Where the map drew ten times as densely, a candidate's chance is a tenth."""
    rng = np.random.default_rng(0)
    dense = np.arange(11_000) < 10_000
    candidates = pool(np.full(11_000, 0.9), weight=np.where(dense, 0.1, 1.0), uniform=np.ones(11_000, dtype=bool))
    chosen = selection.select_default(candidates, 200, 0.0, rng)
    confident = chosen[: round(200 * selection.CONFIDENT_SHARE)]
    assert abs(dense[confident].mean() - 0.5) < 0.15


def test_the_default_explores_in_the_prior_only():
    """The blind share never comes from the map."""
    uniform = np.arange(1000) < 100
    candidates = pool(np.where(uniform, 0.0, 0.9), uniform=uniform)
    chosen = selection.select_default(candidates, 100, 0.2, np.random.default_rng(0))
    assert uniform[chosen].sum() == 20


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 400),
    st.integers(0, 500),
    st.floats(0, 1),
    st.integers(0, 99),
    st.sampled_from([0.0, 0.5, 1.0, None]),
)
def test_any_choice_is_complete_free_and_without_repetition(size, n, share, seed, constant):
    """Whatever the scores, as many as there are free are chosen, once each, and none that is taken."""
    rng = np.random.default_rng(seed)
    score = rng.random(size) if constant is None else np.full(size, constant)
    free = rng.random(size) < 0.8
    candidates = pool(score, free=free)
    for chosen in (
        selection.select_paper_classifier(candidates, n, share, 0.75, rng),
        selection.select_paper_regressor(candidates, n, share, 0.9, rng),
        selection.select_default(candidates, n, share, rng),
        selection.select_blindly(candidates, n, rng),
    ):
        assert len(chosen) == len(set(chosen)) == min(n, free.sum())
        assert free[chosen].all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=4))
def test_every_prefix_keeps_the_shares(sizes):
    """After k points, each group has given its share of k to within one point for each group."""
    groups = [np.full(size, number, dtype=np.int64) for number, size in enumerate(sizes)]
    merged = selection.interleave(groups)
    total = sum(sizes)
    for k in range(total + 1):
        for number, size in enumerate(sizes):
            assert abs((merged[:k] == number).sum() - k * size / max(total, 1)) <= len(sizes)


@pytest.mark.parametrize("d", [1, 3, 40])
def test_crowding_counts_pending_points_of_the_same_cell(d):
    """A candidate on top of pending points sees them all; one in the far corner none, in any dimension."""
    pending = np.full((7, d), 0.1)
    u = np.concatenate([np.full((1, d), 0.1), np.full((1, d), 1.0)])
    assert selection.crowding(u, pending, 100).tolist() == [7, 0]
    assert selection.crowding(u, pending[:0], 100).tolist() == [0, 0]


def test_repeated_finds_exact_copies():
    """Equal to the last digit is a repetition, the next number is not."""
    u = np.random.default_rng(0).random((5, 3))
    near = np.nextafter(u[2], 1)[None]
    assert selection.repeated(u, np.concatenate([u[[1]], near])).tolist() == [False, True, False, False, False]
