"""The one fit loop: draw a batch, step, look at the held-back part, stop early, keep the best."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rayscan.learn.options import LearnOptions

Array: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]
CHECKS = 40
"""How often a full training looks at the held-back part."""
RATE_BATCH = 32
"""The batch for which the learning rate is given, the paper's; a batch four times as large takes twice the rate."""
WIDE = 1_000_000
"""Weights from which a step is bound by arithmetic: reduced precision pays on CUDA, and several threads on a CPU."""


@dataclass(frozen=True, slots=True)
class Split:
    """A sample cut in two: what is trained on, and what is held back.

    Attributes
    ----------
    train, held : ndarray of int64
        Row numbers. `held` equals `train` when the sample is too small to spare any.
    """

    train: Indices
    held: Indices


@dataclass(frozen=True, slots=True)
class Training:
    """What a training did: gradient steps, and the loss on the held-back part before and at its best."""

    steps: int
    before: float
    best: float


@contextlib.contextmanager
def one_thread(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Train small networks on one CPU thread.

    A batch of a thousand points is too little work to share: a second thread saves nothing on an idle machine, costs a
    factor of ten on one that is busy evaluating, and makes the last digits depend on the machine.
    """
    threads = torch.get_num_threads()
    small = sum(p.numel() for p in parameters) < WIDE and parameters[0].device.type == "cpu"
    torch.set_num_threads(1 if small else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch within a block and leave the caller's random state alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def split(good: NDArray[np.bool_], share: float, rng: np.random.Generator) -> Split:
    """Hold back a share of each class, nothing of a class of fewer than five."""
    held_parts = []
    for rows in (np.flatnonzero(good), np.flatnonzero(~good)):
        count = max(1, round(share * len(rows))) if share > 0 and len(rows) >= 5 else 0
        held_parts.append(rng.permutation(rows)[:count])
    held = np.sort(np.concatenate(held_parts))
    kept = np.setdiff1d(np.arange(len(good)), held)
    return Split(kept, held if len(held) else kept)


def importance(good: NDArray[np.bool_], score: Array | None) -> Array:
    """Return how often each point is drawn ``(n,)``, summing to 1.

    Both classes count alike; within a class, points on which the previous network was unsure count up to twice, and
    those it got wrong up to three times.

    Parameters
    ----------
    good : ndarray of bool, shape (n,)
    score : ndarray, shape (n,), or None
        The previous network's probability that each is good.
    """
    weight = np.ones(len(good))
    if score is not None:
        p = np.clip(score, 0.0, 1.0)
        weight += 4 * p * (1 - p) + ((p > 0.5) != good)
    for members in (good, ~good):
        if members.any():
            weight[members] /= weight[members].sum()
    weight /= weight.sum()
    return weight


def step_budget(n: int, before: int, options: LearnOptions) -> int:
    """Return the gradient steps for a sample that has grown from `before` to `n` points.

    All of `options.steps` if a tenth of the sample is new; less in proportion if less is, but at least a fifth, because
    what a warm start has still to learn is in the new points.
    """
    new = 10 * (n - before) / max(n, 1)
    return max(1, round(options.steps * min(max(new, 0.2), 1.0)))


def batch_size(n: int, options: LearnOptions) -> int:
    """Return the points a gradient step: a sixteenth of the sample, between 32 and 256, unless told otherwise.

    More and noisier steps resolve a thin region far better than fewer and smoother ones at the same cost.
    """
    if options.batch is not None:
        return options.batch
    return int(2 ** np.clip(round(math.log2(max(n, 1) / 16)), 5, 8))


def train(
    module: nn.Module,
    loss: Callable[[Tensor], Tensor],
    weight: Array,
    parts: Split,
    options: LearnOptions,
    rng: np.random.Generator,
    steps: int,
) -> Training:
    """Train a module with Adam and leave it at its best on the held-back part.

    Parameters
    ----------
    module : torch.nn.Module
        Only its parameters that require a gradient are changed. Left in evaluation mode.
    loss : callable
        Row numbers ``(b,)`` to a scalar: the mean loss of those points.
    weight : ndarray, shape (n,)
        How often each row is drawn, in proportion.
    parts : Split
    options : LearnOptions
        For `learning_rate`, `epochs`, `patience`, `batch`, `deterministic`.
    rng : numpy Generator
        Draws the batches.
    steps : int
        Upper bound of gradient steps.

    Returns
    -------
    Training

    Notes
    -----
    The learning rate falls as a cosine to a twentieth, which buys in one short training what a constant rate gives
    after many epochs. Patience counts only in the second half: a warm start first gets worse at the full rate, and
    stopping there would never let it learn from new points.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    device = parameters[0].device
    batch = min(batch_size(len(parts.train), options), 4 * len(parts.train))
    total = min(max(steps, 1), options.epochs * math.ceil(len(parts.train) / batch))
    rate = options.learning_rate * math.sqrt(batch / RATE_BATCH)
    optimiser = torch.optim.Adam(parameters, lr=rate, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: 0.05 + 0.475 * (1 + math.cos(math.pi * min(step / total, 1.0)))
    )
    with one_thread(parameters):
        held = torch.from_numpy(_held_sample(weight, parts, rng)).to(device)
        precision = _precision(parameters, options)
        before, best = _check(module, loss, held), math.inf
        keep = _copy(module)
        bad = step = 0
        bounds = np.cumsum(weight[parts.train])
        every = max(1, total // CHECKS)
        while step < total and (bad < options.patience or step < total // 2):
            module.train()
            for _ in range(min(every, total - step)):
                drawn = parts.train[np.searchsorted(bounds, rng.random(batch) * bounds[-1], side="right")]
                optimiser.zero_grad(set_to_none=True)
                with precision():
                    value = loss(torch.from_numpy(drawn).to(device))
                value.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimiser.step()
                schedule.step()
                step += 1
            now = _check(module, loss, held)
            if now < best:
                best, keep, bad = now, _copy(module), 0
            else:
                bad += 1
    module.load_state_dict(keep)
    module.eval()
    return Training(step, before, best)


def _held_sample(weight: Array, parts: Split, rng: np.random.Generator) -> Indices:
    # Drawn by weight, so that the held-back loss is the loss that is being minimised; bounded, so that it stays cheap.
    bounds = np.cumsum(weight[parts.held])
    count = min(max(4 * len(parts.held), 256), 4096)
    drawn: Indices = parts.held[np.searchsorted(bounds, rng.random(count) * bounds[-1], side="right")]
    return drawn


def _check(module: nn.Module, loss: Callable[[Tensor], Tensor], held: Tensor) -> float:
    module.eval()
    with torch.no_grad():
        value = float(loss(held))
    return value if math.isfinite(value) else math.inf


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def _precision(
    parameters: list[nn.Parameter], options: LearnOptions
) -> Callable[[], contextlib.AbstractContextManager[None]]:
    wide = sum(p.numel() for p in parameters) >= WIDE
    if options.deterministic or not wide or parameters[0].device.type != "cuda" or not torch.cuda.is_bf16_supported():
        return contextlib.nullcontext
    return lambda: torch.autocast("cuda", dtype=torch.bfloat16)
