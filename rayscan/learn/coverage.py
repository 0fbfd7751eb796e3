"""The default method: fill the whole valid region with points, from as few evaluations as possible."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit

from rayscan.learn.audit import Audit
from rayscan.learn.chains import Chains
from rayscan.learn.data import Array, Origin, Proposals, Rows
from rayscan.learn.hops import Hops
from rayscan.learn.initial import InitialDesign
from rayscan.learn.ladder import Ladder
from rayscan.learn.replay import Replay
from rayscan.learn.spread import farthest_points, nearest_distance, sparse_points
from rayscan.target import Target

if TYPE_CHECKING:
    from rayscan.learn.observable_net import Learner
    from rayscan.learn.options import LearnOptions

WALKERS = 1000
SHARPNESS = 4.0
SURE = 0.95
STEPS, LOSER_STEPS = 300, 60
CLEAR = 1.5
FIRST_STEPS = 600
WAVES = (0, 64)
BATCH = 256
RECENT = 600
BURN_IN, SNAPSHOTS, THINNING = 10, 4, 5
AUDIT_FROM, AUDIT_SHARE = 50, 0.03


class CoverageProposer:
    """Learn the observables, walk where they should be in target, and propose where points are missing.

    Parameters
    ----------
    d : int
    target : Target
    observables : sequence of str
        Names of the columns of `Rows.observables`.
    options : LearnOptions
    seed : int

    Attributes
    ----------
    generation : int
        Refits so far.

    Notes
    -----
    1. A network learns the scaled constrained observables and the logit of validity, with a fixed number of gradient
       steps a refit, starting from the last weights. Two of them, with and without plane waves as inputs; the one with
       the smaller error on points that it had not seen drives.
    2. `Ladder` says what to hit: the target, or a wider provisional one.
    3. `Chains` sample the probability of hitting it. The width of that probability is the size of recent errors on
       points predicted before they were evaluated.
    4. Of each batch, an exact share is uniform; once there are `AUDIT_FROM` valid points, `AUDIT_SHARE` of the rest is
       drawn by `Audit` with a known density, for the volume; of what remains, half is drawn from the chains as they
       come and half fills the largest holes among the points known.
    """

    def __init__(self, d: int, target: Target, observables: Sequence[str], options: LearnOptions, seed: int) -> None:
        self.d, self.target, self.options, self.seed = d, target, options, seed
        self.generation = 0
        self.ladder = Ladder(target, observables)
        self.replay = Replay(d, target, self.ladder)
        self.chains = Chains(d, WALKERS)
        self.hops = Hops()
        self.audit = Audit(d)
        self.learners: list[Learner] = []
        self.errors: list[Array] = []
        self.driver = 0
        self.width: Array = np.full(len(self.ladder.goal), 0.5)
        self._sure = 0.0
        self._asked = self._draws = 0
        self.initial = InitialDesign(d, options, seed)
        self._pool: Array = np.empty((0, d))
        self._gap: Array = np.empty(0)
        self._known: Array = np.empty((0, d))
        self._seen: set[bytes] = set()
        self._valid: Array = np.empty((0, d))
        self._dead: Array = np.empty((0, d))

    # -- rows in ------------------------------------------------------------------------------------------------

    def tell(self, rows: Rows) -> None:
        """Take evaluated rows in issue order, and note how far off the predictions for them are."""
        if not len(rows):
            return
        hopped = rows.origin == Origin.LOCAL
        self.hops.learn(rows.u[hopped], rows.valid[hopped], self._valid)
        self._remember(rows)
        if not self.learners or not self.ladder.outputs:
            return
        truth = self.ladder.scaled(self.ladder.quantities(rows.observables[:, self.ladder.columns]))
        proposed = (rows.origin == Origin.CHAIN) & np.isfinite(truth).all(axis=1)
        if not proposed.any():
            return
        for k, learner in enumerate(self.learners):
            t, _ = learner.predict(rows.u[proposed])
            error = np.abs(self.ladder.predicted(t) - truth[proposed])
            self.errors[k] = np.concatenate([self.errors[k], error])[-RECENT:]

    def _remember(self, rows: Rows) -> None:
        self.replay.add(rows)
        self._seen.update(point.tobytes() for point in np.ascontiguousarray(rows.u))

    def refit(self) -> None:
        """Train on what is known, choose the network that drives, and set the chains going from sparse places."""
        if not len(self.replay):
            return
        self.generation += 1
        rng = self._rng()
        before = self.ladder.scale.copy()
        if self.ladder.update(self.replay.observables, self.replay.penalty, self.replay.valid):
            self.errors = [error * (before / self.ladder.scale) for error in self.errors]
        if not self._learnable():
            return
        self._train(rng)
        self._judge()
        self._known = self.replay.best()
        self._survey()
        self.hops.survey(self._valid)
        self._restart(rng)
        self.audit.fit(self._valid, rng)
        self._pool = np.empty((0, self.d))

    def _survey(self) -> None:
        self._valid = self.replay.u[self.replay.valid]
        self._dead = self.replay.u[(self.replay.rows.origin == Origin.LOCAL) & ~self.replay.valid]

    def _learnable(self) -> bool:
        """Return whether there is anything to tell good from bad by."""
        return len(self.replay.best()) > 0

    def _train(self, rng: np.random.Generator) -> None:
        steps = [STEPS // 2] * len(self.learners)
        if not self.learners:
            self._make_learners(len(WAVES))
            steps = [FIRST_STEPS] * len(self.learners)
        elif self._lead() > CLEAR:
            steps = [LOSER_STEPS] * len(self.learners)
            steps[self.driver] = STEPS
        u, t, ok = self.replay.lesson()
        for learner, count in zip(self.learners, steps, strict=True):
            learner.train(u, t, ok, self.replay.batches(count, BATCH, rng))

    def _lead(self) -> float:
        """Return by which factor the second best network errs more than the driver."""
        if not self.ladder.outputs or len(self.errors[0]) < RECENT // 2:
            return 1.0
        sizes = sorted(float(np.median(error, axis=0).sum()) for error in self.errors)
        return sizes[1] / max(sizes[0], 1e-12)

    def _make_learners(self, count: int) -> None:
        from rayscan.learn.observable_net import Learner, ObservableNet, choose_device

        device = choose_device(self.options.device)
        nets = [
            ObservableNet(self.d, self.ladder.outputs, self.options.hidden, waves=waves, seed=self.seed)
            for waves in WAVES[:count]
        ]
        self.learners = [Learner(net, 3 * self.options.learning_rate, device) for net in nets]
        self.errors = [np.empty((0, len(self.ladder.goal))) for _ in nets]

    def _judge(self) -> None:
        """Let the network with the smaller errors drive, and take the width of its predictions from them."""
        if not self.ladder.outputs or len(self.errors[0]) < 50:
            return
        self.driver = int(np.argmin([float(np.median(error, axis=0).sum()) for error in self.errors]))
        self.width = np.maximum(np.quantile(self.errors[self.driver], 0.68, axis=0), 1e-3)

    def _restart(self, rng: np.random.Generator) -> None:
        count = WALKERS // 5
        if not self.chains.started:
            self.chains.start(self._known, rng)
        log_p = self._log_p(self.chains.u)
        sparse = self._known[sparse_points(self._known, count, rng)]
        uniform = rng.random((8192, self.d))
        hits = uniform[np.log(rng.random(len(uniform))) < self._log_p(uniform)][: count // 2]
        self._sure = float(min(np.log(SURE), np.quantile(log_p, 0.9) + np.log(SURE)))
        self.chains.restart(np.concatenate([sparse[: count - len(hits)], hits]), log_p, rng)

    def _log_p(self, u: Array, *, goal: bool = False) -> Array:
        t, logit = self.learners[self.driver].predict(u)
        valid: Array = log_expit(logit)
        if not self.ladder.outputs:
            return valid
        return valid + self.ladder.log_probability(self.ladder.predicted(t), self.width, goal=goal)

    def _walked(self, u: Array) -> Array:
        """Return the chains' log density: flat where the surrogate is as sure as it gets, falling fast below."""
        return SHARPNESS * np.minimum(self._log_p(u) - self._sure, 0.0)

    # -- points out ---------------------------------------------------------------------------------------------

    def ask(self, n: int, pending: Array) -> Proposals:
        """Return `n` points, mixed such that any prefix keeps the shares.

        Parameters
        ----------
        n : int
        pending : ndarray, shape (k, d)
            Issued but not back; new points keep away from them.
        """
        initial = dataclasses.replace(self.initial.take(n), generation=self.generation)
        rest = n - len(initial)
        if not rest:
            return initial
        u, origin = np.empty((rest, self.d)), np.full(rest, Origin.UNIFORM, dtype=np.int8)
        blind = self._blind(rest)
        rng = self._rng()
        audited = len(self._valid) >= AUDIT_FROM and self.audit.ready
        probes = ~blind & (rng.random(rest) < AUDIT_SHARE) if audited else np.zeros(rest, dtype=np.bool_)
        guided = np.flatnonzero(~blind & ~probes)
        if len(guided) and self.chains.started and self.learners:
            taken = np.concatenate([np.reshape(pending, (-1, self.d)), initial.u])
            hops = self.hops.propose(self._valid, self._dead, rng.binomial(len(guided), self.hops.share), rng)
            walked = self._guided(len(guided) - len(hops), np.concatenate([taken, hops]), rng)
            # Should the chains be stuck, uniform points take the places that are left.
            order = rng.permutation(len(hops) + len(walked))
            guided = guided[: len(order)]
            u[guided] = np.concatenate([hops, walked])[order]
            origin[guided] = np.where(order < len(hops), Origin.LOCAL, Origin.CHAIN)
        free, density = np.flatnonzero(origin == Origin.UNIFORM), np.full(rest, np.nan)
        count = int(probes.sum())
        u[free], origin[free], density[free] = self.audit.batch(len(free) - count, count, rng)
        score = np.exp(self._log_p(u, goal=True)) if self.learners else np.full(rest, np.nan)
        return Proposals(
            np.concatenate([initial.u, u]), np.concatenate([initial.origin, origin]),
            np.concatenate([initial.density, density]), np.concatenate([initial.score, score]), self.generation,
        )  # fmt: skip

    def _blind(self, n: int) -> NDArray[np.bool_]:
        """Return which of the next `n` points are uniform: exactly `random_share` of them, evenly spaced."""
        share = self.options.random_share
        k = np.arange(self._asked, self._asked + n + 1, dtype=np.float64)
        self._asked += n
        steps = np.floor(k * share + 1e-9)
        return np.diff(steps) > 0

    def _guided(self, n: int, taken: Array, rng: np.random.Generator) -> Array:
        if not n:
            return np.empty((0, self.d))
        if len(self._pool) < 3 * n:
            self._refill(n, rng)
        if len(taken):
            self._gap = np.minimum(self._gap, nearest_distance(self._pool, taken))
        spread = n // 2
        first = farthest_points(self._pool, self._gap, spread)
        others = np.setdiff1d(np.arange(len(self._pool)), first)
        second = rng.choice(others, min(n - spread, len(others)), replace=False)
        chosen = np.concatenate([first, second])
        u = self._pool[chosen]
        keep = np.ones(len(self._pool), dtype=bool)
        keep[chosen] = False
        self._pool, self._gap = self._pool[keep], np.minimum(self._gap[keep], nearest_distance(self._pool[keep], u))
        shuffled: Array = u[rng.permutation(len(u))]
        return shuffled

    def _refill(self, n: int, rng: np.random.Generator) -> None:
        rounds = max(1, -(-4 * n // (WALKERS * SNAPSHOTS)))
        self._pool, self._gap = np.empty((0, self.d)), np.empty(0)
        for _ in range(3):
            self.chains.walk(self._walked, BURN_IN, BURN_IN, rng)
            points, _ = self.chains.walk(self._walked, rounds * SNAPSHOTS * THINNING, THINNING, rng)
            # A walker may stand where it was evaluated before, or not have moved since the last snapshot.
            points = np.unique(np.concatenate([self._pool, points]), axis=0)
            self._pool = points[[point.tobytes() not in self._seen for point in points]]
            self._gap = nearest_distance(self._pool, self._known)
            if len(self._pool) >= n:
                break

    def _rng(self) -> np.random.Generator:
        """Return a fresh stream: numbered, so that a resumed scan continues where it left off."""
        self._draws += 1
        return np.random.default_rng([self.seed, 1, self._draws])

    # -- state --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the rows."""
        import torch

        def plain(array: Array) -> Any:
            return torch.from_numpy(np.array(array))

        return {
            "counters": [self.generation, self.driver, self._asked, self.initial.issued, self._draws],
            "ladder": {name: plain(value) for name, value in self.ladder.state_dict().items()},
            "chains": {"u": plain(self.chains.u)},
            "hops": self.hops.state_dict(),
            "audit": {k: plain(v) if isinstance(v, np.ndarray) else v for k, v in self.audit.state_dict().items()},
            "learners": [learner.state_dict() for learner in self.learners],
            "errors": [plain(error) for error in self.errors],
            "sure": self._sure,
            "width": plain(self.width),
            "pool": plain(self._pool),
            "gap": plain(self._gap),
            "known": plain(self._known),
        }

    def load_state_dict(self, state: dict[str, Any], rows: Rows) -> None:
        """Return to a state, given the rows told until then in the same order."""
        self.generation, self.driver, self._asked, self.initial.issued, self._draws = map(int, state["counters"])
        self.ladder.load_state_dict({name: np.array(value.tolist()) for name, value in state["ladder"].items()})
        self.chains.load_state_dict({"u": state["chains"]["u"].numpy().copy()})
        self.hops.load_state_dict(state["hops"])
        self.audit.load_state_dict({k: v if isinstance(v, int) else v.numpy() for k, v in state["audit"].items()})
        self.replay = Replay(self.d, self.target, self.ladder)
        self._seen.clear()
        if len(rows):
            self._remember(rows)
        self._make_learners(len(state["learners"]))
        for learner, saved in zip(self.learners, state["learners"], strict=True):
            learner.load_state_dict(saved)
        self._sure = float(state["sure"])
        self.errors = [error.numpy().copy() for error in state["errors"]]
        self._survey()
        self.width, self._pool, self._gap, self._known = (
            state[name].numpy().copy() for name in ("width", "pool", "gap", "known")
        )
