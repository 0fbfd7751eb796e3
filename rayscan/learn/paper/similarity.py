"""The similarity classifier: an encoder that pulls a class together, frozen, and a classifier on what it sees."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from rayscan.learn.options import LearnOptions
from rayscan.learn.paper.lesson import Lesson
from rayscan.learn.paper.networks import CHUNK, MLPClassifier, multilayer
from rayscan.learn.paper.training import seeded, split, train

Array: TypeAlias = NDArray[np.float64]
PAIR_BATCH = 64
"""Points that are paired among themselves: 2016 pairs, which cost less than encoding the 64 points does."""


class Encoder(nn.Module):
    """ReLU layers and a linear projection onto the unit sphere of the embedding space."""

    def __init__(self, d: int, hidden: tuple[int, ...], embedding: int) -> None:
        super().__init__()
        self.layers = multilayer(d, hidden, embedding)

    def forward(self, x: Tensor) -> Tensor:
        return functional.normalize(self.layers(x), dim=1)


class SimilarityNetwork(nn.Module):
    """The encoder and the head, from ``(n, d)`` to ``(n, 1)`` logits."""

    def __init__(self, d: int, options: LearnOptions) -> None:
        super().__init__()
        self.encoder = Encoder(d, options.encoder, options.embedding)
        self.head = multilayer(options.embedding, (options.head,), 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.encoder(x))
        return logits


def embedding_distance(a: Tensor, b: Tensor, kind: str) -> Tensor:
    """Return the distances ``(n, k)`` between unit vectors ``(n, e)`` and ``(k, e)``.

    Euclidean, Eq. 11 of arXiv:2412.19675, in [0, 2], or cosine, Eq. 12, one minus the cosine, in [0, 2].
    """
    cosine = a @ b.T
    if kind == "cosine":
        return 1.0 - cosine
    # The square root has no slope at 0, where a pair has nothing more to learn anyway.
    return torch.sqrt((2.0 - 2.0 * cosine).clamp(min=1e-12))


def contrastive_loss(distance: Tensor, same: Tensor, margin: float) -> Tensor:
    """Return ``s D² + (1 - s) max(m - D, 0)²`` of each pair, Eq. 13 of arXiv:2412.19675.

    Parameters
    ----------
    distance : Tensor
        ``D`` of each pair.
    same : Tensor
        ``s``: 1 for two points of the same class, 0 for two of different classes.
    margin : float
        ``m``.
    """
    return same * distance**2 + (1.0 - same) * (margin - distance).clamp(min=0.0) ** 2


class SimilarityClassifier(MLPClassifier):
    """Learns P(good) on an embedding in which good points lie together and apart from the rest.

    Stage 1 trains the encoder with the contrastive loss on all pairs of a batch. Stage 2 trains a head with binary
    cross-entropy on the embedding while the encoder is frozen.

    Parameters
    ----------
    d : int
    options : LearnOptions
        For `encoder`, `embedding`, `head`, `distance`, `margin` and the training. Each stage gets half of `steps`.
    seed : int
        Of the first weights.

    References
    ----------
    .. [1] A. Hammad et al., "DLScanner", arXiv:2412.19675, Eq. 11 to 13.
    """

    module: SimilarityNetwork

    def __init__(self, d: int, options: LearnOptions, seed: int) -> None:
        with seeded(seed):
            network = SimilarityNetwork(d, options)
        super().__init__(d, options, seed, module=network)

    def embed(self, u: Array) -> Tensor:
        """Return the embeddings ``(n, e)``, unit vectors, of points ``(n, d)`` of the unit cube."""
        self.module.eval()
        with torch.no_grad():
            return torch.cat(
                [self.module.encoder(self.inputs(u[start : start + CHUNK])) for start in range(0, len(u), CHUNK)]
            )

    def _learn(self, lesson: Lesson, weight: Array, steps: int, rng: np.random.Generator) -> None:
        self._learn_embedding(lesson, weight, steps // 2, rng)
        self._learn_head(lesson, weight, steps - steps // 2, rng)

    def _learn_embedding(self, lesson: Lesson, weight: Array, steps: int, rng: np.random.Generator) -> None:
        encoder = self.module.encoder.requires_grad_(True)
        x = self.inputs(lesson.u)
        y = torch.from_numpy(lesson.good).to(self.device)

        def loss(rows: Tensor) -> Tensor:
            total = x.new_zeros(())
            groups = torch.split(rows, PAIR_BATCH)
            for group in groups:
                point = encoder(x[group])
                same = (y[group][:, None] == y[group][None, :]).float()
                pair = contrastive_loss(
                    embedding_distance(point, point, self.options.distance), same, self.options.margin
                )
                # A point is no pair with itself.
                pairs = max(len(group) * (len(group) - 1), 1)
                total = total + (pair.sum() - pair.diagonal().sum()) / pairs
            return total / len(groups)

        parts = split(lesson.good, self.options.holdout, rng)
        train(encoder, loss, weight, parts, self.options, rng, steps)

    def _learn_head(self, lesson: Lesson, weight: Array, steps: int, rng: np.random.Generator) -> None:
        self.module.encoder.requires_grad_(False)
        # Frozen, so each point is encoded once instead of once a step.
        embedded = self.embed(lesson.u)
        y = torch.from_numpy(lesson.good.astype(np.float32)).to(self.device)
        head = self.module.head

        def loss(rows: Tensor) -> Tensor:
            return functional.binary_cross_entropy_with_logits(head(embedded[rows]).reshape(-1).float(), y[rows])

        parts = split(lesson.good, self.options.holdout, rng)
        train(head, loss, weight, parts, self.options, rng, steps)
