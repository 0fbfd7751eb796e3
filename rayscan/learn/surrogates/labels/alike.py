"""What is known of one island, said of all: for labels, which tell too little of each to learn it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from rayscan.learn.data import Array
from rayscan.learn.islands import Islands
from rayscan.learn.surrogates.labels.alignment import Surroundings, align
from rayscan.learn.surrogates.replay import BATCH, Replay

if TYPE_CHECKING:
    from rayscan.learn.options import LearnOptions
    from rayscan.learn.surrogates.features import Features
    from rayscan.learn.surrogates.labels.alike_net import AlikeNet
    from rayscan.learn.surrogates.learner import Learner

FEWEST = 5
"""Valid points that an island has to have."""
LARGE = 0.9
"""The quantile of the islands' sizes that counts for all: most of the small ones are fragments."""
REACH = 1.5
"""Distance from a middle, in units of the islands' radius, up to which something is said."""
RATE = 3.0
"""Learning rate in units of the option's."""
AGAIN = 1.5
"""A network that is not heard starts anew when there are so many times more valid points."""
PARTS, PART_STEPS = 4, 500
"""Of the training of a new network; islands are aligned before each part."""


class Alike:
    """An `AlikeNet` of the islands known so far, and where their middles are.

    Islands that are alike up to a shift can be learned as one, from the points of all of them, once they are aligned.
    How they lie is told at first by the boxes around their points. From then on each island tries other middles and
    keeps the one with which its points fit best what was learned from all, before the network goes on learning; so the
    two find each other. What began with badly aligned islands may never come right: while it is not worth listening to,
    the network starts anew from time to time.

    Parameters
    ----------
    features : Features
    options : LearnOptions
    seed : int

    Attributes
    ----------
    middle : ndarray, shape (m, d)
        Of each island, in the unit cube. Where there are fewer than two islands, nothing is said.
    radius : float
        Half the diagonal of a box around a large island.
    """

    def __init__(self, features: Features, options: LearnOptions, seed: int) -> None:
        self.features, self.options, self.seed = features, options, seed
        self.middle: Array = np.empty((0, features.d))
        self.radius = 0.0
        self._net: AlikeNet | None = None
        self._learner: Learner | None = None
        self._born = 0

    @property
    def speaks(self) -> bool:
        """Whether there are islands that could be alike."""
        return len(self.middle) > 1

    def train(self, replay: Replay, steps: int, rng: np.random.Generator, *, heard: bool) -> None:
        """Tell the islands apart and learn from the points within reach of them.

        Parameters
        ----------
        replay : Replay
            Of labels alone.
        steps : int
            Gradient steps of a network that goes on learning.
        rng : numpy Generator
        heard : bool
            Whether the network has been worth listening to.
        """
        u, ok = replay.u, replay.labels()
        valid = len(replay.islands.u)
        boxes = self._survey(replay.islands)
        if not self.speaks:
            return
        parts = [steps]
        if self._net is None or (not heard and valid >= AGAIN * self._born):
            self.middle, self._born, parts = boxes.copy(), valid, [PART_STEPS] * PARTS
            self._net = self._untrained(2 * self.radius)
        else:
            self._align(self._net, u, ok, boxes, rng)
        for k, count in enumerate(parts):
            if k:
                self._align(self._net, u, ok, boxes, rng)
            self._net.move(2 * self.middle - 1)
            # With an optimiser of its own each time: there may be more islands than last time.
            self._learner = self._made_learner(self._net)
            lesson = np.where(self._reached(u)[0], ok, np.nan)
            self._learner.train(u, np.empty((len(u), 0)), lesson, replay.batches(count, BATCH, rng))
            self.middle = (self._net.middle.detach().cpu().double().numpy() + 1) / 2
        self._net.move(2 * self.middle - 1)

    def _survey(self, islands: Islands) -> Array:
        """Take over the islands known so far, and return the middles of their boxes ``(m, d)``.

        Those known before keep the middles learned.
        """
        middle, radius = islands.boxes(FEWEST)
        self.radius = max(float(np.quantile(radius, LARGE)), 1e-6) if len(middle) else self.radius
        known, self.middle = self.middle, middle.copy()
        if len(known) and len(middle):
            gap, same = KDTree(known).query(middle)
            self.middle = np.where((gap < self.radius)[:, None], known[same], middle)
        return middle

    def _align(self, net: AlikeNet, u: Array, ok: Array, boxes: Array, rng: np.random.Generator) -> None:
        """Move the middles of some islands to where their points suit best what was learned from all."""
        within, nearest = self._reached(u)
        order = rng.permutation(np.flatnonzero(within))
        inside, outside = (order[ok[order] == kind] for kind in (1, 0))

        def about(k: int) -> Surroundings:
            return Surroundings(net, u[inside[nearest[inside] == k]], u[outside[nearest[outside] == k]])

        offset = u[inside] - self.middle[nearest[inside]]
        self.middle = align(self.middle, boxes, about, offset, self.radius, rng)

    def logit(self, u: Array) -> Array:
        """Return the logit ``(n,)`` of validity at points ``(n, d)``; zero where nothing can be said."""
        if self._learner is None or not self.speaks:
            return np.zeros(len(u))
        return np.where(self._reached(u)[0], self._learner.predict(u)[1], 0.0)

    def _reached(self, u: Array) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return whether places ``(n, d)`` are within reach of an island, and the nearest one."""
        gap, nearest = KDTree(self.middle).query(u)
        return gap < REACH * self.radius, nearest

    def _untrained(self, radius: float) -> AlikeNet:
        from rayscan.learn.surrogates.labels.alike_net import AlikeNet

        return AlikeNet(2 * self.middle - 1, radius, self.options.hidden, self.seed)

    def _made_learner(self, net: AlikeNet) -> Learner:
        from rayscan.learn.device import pick_device
        from rayscan.learn.surrogates.learner import Learner

        return Learner(net, self.features, RATE * self.options.learning_rate, pick_device(self.options))

    def state_dict(self) -> dict[str, Any]:
        """Return the islands and the network."""
        learned = {"radius": self._net.radius, "body": self._net.body.state_dict()} if self._net else None
        return {"middle": self.middle, "radius": self.radius, "born": self._born, "net": learned}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.middle, self.radius = np.array(state["middle"], dtype=np.float64), float(state["radius"])
        self._born, self._net, self._learner = int(state["born"]), None, None
        if state["net"]:
            self._net = self._untrained(float(state["net"]["radius"]))
            self._net.body.load_state_dict(state["net"]["body"])
            self._learner = self._made_learner(self._net)
