"""The candidate-pool method and the choice of a method."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from rayscan.errors import ConfigError
from rayscan.learn.coverage.method import CoverageProposer
from rayscan.learn.data import Origin
from rayscan.learn.options import LearnOptions
from rayscan.learn.paper.method import CandidateProposer
from rayscan.learn.proposer import make_proposer
from rayscan.learn.snapshot import from_bytes, to_bytes

from .conftest import WINDOW, make_rows, observable

NONE = np.empty((0, 2))
QUICK = {"steps": 200, "hidden": (32, 32), "encoder": (32, 32), "embedding": 16, "head": 16, "device": "cpu"}


def make(**options):
    given = {"surrogate": "classifier", "selection": "paper", "K": 50, "L": 2000, **QUICK, **options}
    return make_proposer(2, WINDOW, ["y"], LearnOptions(**given), seed=4)


def advance(proposer, steps, n=50, function=observable):
    """Ask, evaluate, tell, refit; return the valid share of each step."""
    shares, told = [], 0
    for _ in range(steps):
        proposed = proposer.ask(n, NONE)
        rows = make_rows(proposed.u, function(proposed.u), first=told)
        told += n
        proposer.tell(rows)
        proposer.refit()
        shares.append(rows.valid.mean())
    return shares


@pytest.mark.parametrize("surrogate", ["classifier", "regressor", "similarity"])
@pytest.mark.parametrize("chosen", ["paper", "default"])
def test_the_valid_share_rises(surrogate, chosen):
    """From 17 % of random points to most of the fourth batch, with each network and selection."""
    shares = advance(make(surrogate=surrogate, selection=chosen), 5)
    assert shares[0] < 0.3
    assert np.mean(shares[3:]) > 0.5


def test_a_rare_target_is_reached_from_the_penalty():
    """A target of 0.3 % of the square, not hit by the first hundred: the best by penalty lead there."""

    def far(u):
        return 1 / (1 + 300 * ((u - 0.8) ** 2).sum(axis=1))

    proposer = make(surrogate="classifier", K=100, steps=400)
    shares = advance(proposer, 7, 100, far)
    assert shares[0] == 0
    assert shares[-1] > 0.2


def test_the_method_follows_from_the_options():
    """ "auto" with the default selection is the coverage method, all else the candidate pool."""
    assert isinstance(make(surrogate="auto", selection="default"), CoverageProposer)
    for surrogate, chosen in (("auto", "paper"), ("classifier", "default"), (nn.Linear(2, 1), "default")):
        assert isinstance(make(surrogate=surrogate, selection=chosen), CandidateProposer)


@pytest.mark.parametrize("surrogate", ["classifier", "regressor", "similarity"])
def test_same_seed_and_rows_same_proposals_and_a_restored_one_goes_on_alike(surrogate):
    """Two proposers agree; a third one, restored in the middle of a batch from bytes and rows, continues alike."""
    first, second, third = (make(surrogate=surrogate, steps=40) for _ in range(3))
    u = np.random.default_rng(1).random((300, 2))
    rows = make_rows(u, observable(u))
    for proposer in (first, second):
        proposer.tell(rows[:100])
        proposer.tell(rows[100:])
        proposer.ask(60, NONE)
        proposer.refit()
        proposer.ask(17, NONE)
    third.load_state_dict(from_bytes(to_bytes(first.state_dict())), rows)
    for _ in range(2):
        asked = [proposer.ask(70, u[:5]) for proposer in (first, second, third)]
        for other in asked[1:]:
            for name in ("u", "origin", "density", "score"):
                assert np.array_equal(getattr(asked[0], name), getattr(other, name), equal_nan=True)
        for proposer in (first, second, third):
            proposer.tell(make_rows(asked[0].u, observable(asked[0].u)))
            proposer.refit()


def test_torchs_own_random_state_does_not_matter():
    """Proposals come from our seed alone."""
    results = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        proposer = make(steps=20)
        advance(proposer, 2)
        results.append(proposer.ask(50, NONE).u)
    assert np.array_equal(*results)


def test_small_and_large_calls_give_the_same_points_once_each():
    """Ten calls of 7 and one of 70 give the same sequence; nothing repeats, also beyond the size of a pool."""
    u = np.random.default_rng(1).random((300, 2))
    results = []
    for calls in ([7] * 10, [70]):
        proposer = make(initial=0, steps=20)
        proposer.tell(make_rows(u, observable(u)))
        proposer.refit()
        results.append(np.concatenate([proposer.ask(n, NONE).u for n in calls]))
    assert np.array_equal(*results)
    many = proposer.ask(5000, NONE).u
    assert len(many) == 5000
    assert len(np.unique(many, axis=0)) == 5000


def test_the_first_points_are_the_given_ones_or_a_sobol_sequence():
    """Given points come first and as they are; else a Sobol set fills the square evenly; then the prior."""
    given = np.random.default_rng(0).random((30, 2))
    proposed = make(initial=given).ask(40, NONE)
    assert np.array_equal(proposed.u[:30], given)
    assert (proposed.origin[:30] == Origin.GIVEN).all()
    assert (proposed.origin[30:] == Origin.UNIFORM).all()
    proposer = make(initial=64)
    sobol = np.concatenate([proposer.ask(10, NONE).u, proposer.ask(54, NONE).u])
    assert np.array_equal(np.bincount((sobol[:, 0] * 64).astype(int), minlength=64), np.ones(64))
    with pytest.raises(ConfigError, match=r"shape \(n, 2\)"):
        make(initial=np.full((3, 4), 0.5))


def test_only_unselected_points_have_a_density():
    """Points chosen by score no longer follow their draw, and a volume must not be computed as if they did."""
    proposer = make()
    advance(proposer, 3)
    proposed = proposer.ask(500, NONE)
    mapped = proposed.origin == Origin.MAP
    assert mapped.sum() > 50
    assert np.isnan(proposed.density).all()
    assert proposer.map.density(proposed.u[mapped]).mean() > 1.2
    assert (make().ask(100, NONE).density == 1).all()
    alone = make(proposal="random")
    advance(alone, 3)
    assert (alone.ask(500, NONE).origin == Origin.UNIFORM).all()


def test_a_proposal_that_the_method_does_not_have_is_refused():
    """The default method has no candidates; what would be ignored is said."""
    with pytest.raises(ConfigError, match="proposal = 'random' says where the candidates of a network come from"):
        LearnOptions(proposal="random")
    assert LearnOptions(proposal="random", selection="paper").proposal == "random"


def test_pending_points_are_not_proposed_again():
    """What another proposer of the same seed has issued is skipped, to the last digit."""
    proposer, other = make(steps=20), make(steps=20)
    u = np.random.default_rng(1).random((300, 2))
    for p in (proposer, other):
        p.tell(make_rows(u, observable(u)))
        p.ask(50, NONE)
        p.refit()
    pending = other.ask(50, NONE).u
    proposed = proposer.ask(50, pending).u
    assert not {tuple(row) for row in proposed} & {tuple(row) for row in pending}


@pytest.mark.parametrize("surrogate", ["classifier", "regressor", "similarity"])
@pytest.mark.parametrize("value", [0.9, 0.1, np.nan], ids=["all valid", "none valid", "all failed"])
@pytest.mark.parametrize("chosen", ["paper", "default"])
def test_a_batch_without_contrast_gives_blind_points_without_scores(surrogate, value, chosen):
    """With nothing to tell apart there is no score, and points keep coming."""
    proposer = make(surrogate=surrogate, selection=chosen, steps=20)
    advance(proposer, 2, function=lambda u: np.full(len(u), value))
    proposed = proposer.ask(50, NONE)
    assert proposer.generation == 2
    assert np.isnan(proposed.score).all()
    assert ((proposed.u >= 0) & (proposed.u <= 1)).all()


def test_provisional_scores_are_not_passed_on():
    """While good only means best so far, the score column stays empty; with valid points it fills."""
    proposer = make(steps=20)
    advance(proposer, 1, function=lambda u: 0.1 * u[:, 0])
    assert np.isnan(proposer.ask(50, NONE).score).all()
    advance(proposer, 3)
    score = proposer.ask(50, NONE).score
    assert ((score >= 0) & (score <= 1)).all()


def test_without_rows_a_refit_changes_nothing():
    """A refit before the first row is no refit, and one row is enough for one."""
    proposer = make()
    proposer.refit()
    assert proposer.generation == 0
    advance(proposer, 1, n=1)
    assert proposer.generation == 1
    assert len(proposer.ask(120, NONE)) == 120
