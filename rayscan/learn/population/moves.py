"""Metropolis moves of a population, each of which leaves any density of its particles as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from rayscan.learn.population.blocks import Blocks
from rayscan.problem.domain import Domain

SMALL = 1e-5
"""Standard deviation of what is added to differences, so that no place stays out of reach."""
JUMPS = 0.2
"""The share of differences taken whole: between islands, they lead from one to the other."""
TOGETHER, ALONE = 0.6, 0.2
"""The share of differences that move one block, and of exchanges that swap one parameter."""


class Density(Protocol):
    """What particles sample: a density that follows from several answers about a place."""

    def answer(self, u: Tensor, before: Tensor | None = None, moved: Tensor | None = None) -> Tensor:
        """Return the answers ``(n, k)`` at places ``(n, d)``.

        Parameters
        ----------
        u : Tensor, shape (n, d)
        before : Tensor, shape (n, k), optional
            The answers at places that differ from `u` only in the parameters that `moved`: what does not depend on
            these need not be worked out again.
        moved : Tensor of bool, shape (n, d), optional
        """

    def log(self, answer: Tensor) -> Tensor:
        """Return the logarithm of the density ``(n,)`` that follows from answers ``(n, k)``, at most 0."""


@dataclass(slots=True)
class Particles:
    """Places, and what is known of them.

    Attributes
    ----------
    u : Tensor, shape (n, d)
    answer : Tensor, shape (n, k)
    log : Tensor, shape (n,)
        Of the density.
    """

    u: Tensor
    answer: Tensor
    log: Tensor

    @classmethod
    def at(cls, u: Tensor, density: Density) -> Particles:
        """Return particles at places ``(n, d)``."""
        answer = density.answer(u)
        return cls(u, answer, density.log(answer))

    def __len__(self) -> int:
        return len(self.u)

    def __getitem__(self, rows: Tensor) -> Particles:
        return Particles(self.u[rows], self.answer[rows], self.log[rows])

    def __setitem__(self, rows: Tensor, other: Particles) -> None:
        self.u[rows], self.answer[rows], self.log[rows] = other.u, other.answer, other.log

    def clone(self) -> Particles:
        """Return particles that move on their own."""
        return Particles(self.u.clone(), self.answer.clone(), self.log.clone())

    def moved_to(self, u: Tensor, moved: Tensor, density: Density) -> Particles:
        """Return particles at places ``(n, d)`` that differ in the parameters that `moved` ``(n, d)``."""
        answer = density.answer(u, self.answer, moved)
        return Particles(u, answer, density.log(answer))


class Moves:
    """Three moves, and the blocks of parameters that they move together.

    - *Difference*: a particle moves along the difference of two others [1]_, in a block of parameters or in any: steps
      take the shape of the region, however narrow and oblique.
    - *Exchange*: two particles swap blocks, and both accept or neither does [2]_. Where blocks do not depend on each
      other, every combination of what any two particles have found is as good, and found by this.
    - *Redraw*: one parameter is drawn from the prior anew.

    Parameters
    ----------
    blocks : Blocks
        Parameters or directions that belong together, such as those that one observable depends on.
    density : Density
    generator : torch.Generator
    domain : Domain, optional
        Beyond it nothing goes; all of the cube by default.

    References
    ----------
    .. [1] C. J. F. ter Braak, Stat. Comput. 16 (2006) 239; J. A. Vrugt et al., Int. J. Nonlin. Sci. Numer. Simul. 10
       (2009) 273: moving some of the parameters.
    .. [2] F. Liang, W. H. Wong, J. Am. Stat. Assoc. 96 (2001) 653: crossover in evolutionary Monte Carlo.
    """

    def __init__(
        self, blocks: Blocks, density: Density, generator: torch.Generator, domain: Domain | None = None
    ) -> None:
        self.blocks, self.density, self.generator = blocks, density, generator
        self.domain = domain or Domain(blocks.axes.shape[1])

    def sweep(self, particles: Particles, power: float) -> None:
        """Move all particles once by each move, in place; they sample the density to a `power`."""
        n, d = particles.u.shape
        one, two = self._halves(n, particles.u)
        for moved, others in ((one, two), (two, one)):
            self._difference(particles, moved, others, power)
        self._redraw(particles, power)
        if d > 1:
            self._exchange(particles, *self._halves(n, particles.u), power)

    def _difference(self, particles: Particles, moved: Tensor, others: Tensor, power: float) -> None:
        before, u = particles[moved], particles.u
        n, d = before.u.shape
        a, b = (others[self._integers(len(others), n, u)] for _ in range(2))
        plane = self._plane(u)
        active = self._active(n, d, u) if plane is None else torch.ones((n, d), dtype=torch.bool, device=u.device)
        rank = active.sum(1, keepdim=True) if plane is None else torch.trace(plane)
        size = 2.38 / torch.sqrt(2.0 * rank) * (0.1 + 1.2 * self._uniform((n, 1), u))
        size = torch.where(self._uniform((n, 1), u) < JUMPS, 1.0, size)
        noise = torch.randn((n, d), generator=self.generator, device=u.device, dtype=u.dtype) * SMALL
        step = u[a] - u[b] if plane is None else (u[a] - u[b]) @ plane
        trial = before.u + active * (size * step + noise)
        inside = torch.nonzero(self._inside(trial))[:, 0]
        after = before[inside].moved_to(trial[inside], active[inside], self.density)
        self._accept(particles, moved[inside], after, power)

    def _active(self, n: int, d: int, like: Tensor) -> Tensor:
        """Return which parameters ``(n, d)`` move: a block, or each with a chance that differs from one to the next."""
        chance = (1.5 * self._uniform((n, 1), like) ** 2).clamp(min=1.0 / d)
        some = self._uniform((n, d), like) < chance
        active = torch.where(self._uniform((n, 1), like) < TOGETHER, self._block(n, like), some)
        # Some parameter moves always.
        return active | (~active.any(1, keepdim=True) & self._single(n, d, like))

    def _redraw(self, particles: Particles, power: float) -> None:
        n, d = particles.u.shape
        moved = self._single(n, d, particles.u)
        trial = torch.where(moved, self._uniform((n, d), particles.u), particles.u)
        inside = torch.arange(n, device=trial.device)
        if self.domain.whole:
            after = particles.moved_to(trial, moved, self.density)
        else:
            inside = inside[self._inside(trial)]
            after = particles[inside].moved_to(trial[inside], moved[inside], self.density)
        self._accept(particles, inside, after, power)

    def _exchange(self, particles: Particles, first: Tensor, second: Tensor, power: float) -> None:
        n, like = len(first), particles.u
        one, two = particles[first], particles[second]
        plane = self._plane(like)
        if plane is None:
            swapped = self._swapped(n, like)
            u_one, u_two = torch.where(swapped, two.u, one.u), torch.where(swapped, one.u, two.u)
            inside = self._inside(u_one) & self._inside(u_two)
        else:
            swapped, step = torch.ones_like(one.u, dtype=torch.bool), (two.u - one.u) @ plane
            u_one, u_two = one.u + step, two.u - step
            inside = self._inside(u_one) & self._inside(u_two)
        new_one, new_two = (
            each.moved_to(u.clamp(0, 1), swapped, self.density) for each, u in ((one, u_one), (two, u_two))
        )
        gain = new_one.log + new_two.log - one.log - two.log
        good = inside & (torch.log(self._uniform((n,), like)) < power * gain)
        particles[first[good]], particles[second[good]] = new_one[good], new_two[good]

    def _swapped(self, n: int, like: Tensor) -> Tensor:
        """Return which parameters ``(n, d)`` pairs of particles swap."""
        d = like.shape[1]
        # Of the pairs, some swap a parameter, some a block, and some each a random half of all blocks.
        axes = self.blocks.axes
        many = self._uniform((n, len(axes)), like) < 0.5
        union = (many.to(like.dtype) @ axes.to(like.dtype)) > 0
        kind = self._uniform((n, 1), like)
        swapped = torch.where(kind < ALONE, self._single(n, d, like), self._block(n, like))
        return torch.where(kind > (1 + ALONE) / 2, union, swapped)

    def _plane(self, like: Tensor) -> Tensor | None:
        """Return a projection ``(d, d)`` to move in, or None for parameters as they are."""
        count = len(self.blocks.planes)
        k = int(torch.randint(2 * count, (), generator=self.generator, device=like.device)) if count else 0
        return self.blocks.planes[k] if k < count else None

    def _inside(self, u: Tensor) -> Tensor:
        if self.domain.whole:
            return ((u >= 0) & (u <= 1)).all(1)
        return torch.from_numpy(self.domain.inside(u.cpu().numpy())).to(u.device)

    def _accept(self, particles: Particles, moved: Tensor, trial: Particles, power: float) -> None:
        """Let those of the `moved` particles go to their trial places that Metropolis accepts."""
        good = torch.log(self._uniform((len(moved),), trial.u)) < power * (trial.log - particles.log[moved])
        particles[moved[good]] = trial[good]

    def _halves(self, n: int, like: Tensor) -> tuple[Tensor, Tensor]:
        order = torch.randperm(n, generator=self.generator, device=like.device)
        return order[: n // 2], order[n // 2 : 2 * (n // 2)]

    def _block(self, n: int, like: Tensor) -> Tensor:
        return self.blocks.axes[self._integers(len(self.blocks.axes), n, like)]

    def _single(self, n: int, d: int, like: Tensor) -> Tensor:
        return torch.arange(d, device=like.device)[None] == self._integers(d, n, like)[:, None]

    def _integers(self, below: int, n: int, like: Tensor) -> Tensor:
        return torch.randint(below, (n,), generator=self.generator, device=like.device)

    def _uniform(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=like.device, dtype=like.dtype)
