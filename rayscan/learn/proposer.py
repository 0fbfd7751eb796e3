"""Where to look next: the face that every method shows, and the choice of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from rayscan.learn.data import Array, Proposals, Rows
from rayscan.learn.options import LearnOptions
from rayscan.problem.domain import Domain
from rayscan.problem.target import Target


class Proposer(Protocol):
    """A method that proposes points from evaluated ones. Same seed, same rows in the same order, same proposals.

    Attributes
    ----------
    generation : int
        Refits so far.
    """

    generation: int

    def tell(self, rows: Rows) -> None:
        """Take evaluated rows, in issue order."""

    def refit(self) -> None:
        """Do the expensive part: train the surrogate, rebuild the map."""

    def ask(self, n: int, pending: Array) -> Proposals:
        """Return `n` points to evaluate next.

        Parameters
        ----------
        n : int
        pending : ndarray, shape (k, d)
            Points of the unit cube that are issued but not back.

        Returns
        -------
        Proposals
            Ordered such that every prefix keeps the shares of the method.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return tensors, ndarrays and plain types, without the rows."""

    def load_state_dict(self, state: dict[str, Any], rows: Rows) -> None:
        """Take over what `state_dict` returned, given all rows told until then, in the same order."""


def draws_probes(options: LearnOptions) -> bool:
    """Whether the method that the options name goes on drawing points of known density, whatever the surrogate says."""
    return options.automatic and options.selection == "default"


def make_proposer(
    domain: Domain | int, target: Target, observables: Sequence[str], options: LearnOptions, seed: int
) -> Proposer:
    """Return the method that the options name.

    Parameters
    ----------
    domain : Domain or int
        Where points may be; a number of dimensions stands for all of the unit cube.
    target : Target
    observables : sequence of str, length m
        Names of the columns of ``Rows.observables``.
    options : LearnOptions
    seed : int

    Returns
    -------
    Proposer
        `CoverageProposer` for ``surrogate="auto"`` with ``selection="default"`` or ``"fast"``, else
        `CandidateProposer`.
    """
    if options.automatic and options.selection != "paper":
        from rayscan.learn.coverage.method import CoverageProposer

        return CoverageProposer(domain, target, observables, options, seed)
    from rayscan.learn.paper.method import CandidateProposer

    return CandidateProposer(domain, target, observables, options, seed)
