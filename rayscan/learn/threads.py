"""How many threads the network may use."""

from __future__ import annotations


def use_threads(n: int) -> None:
    """Let torch use `n` threads in this process, whatever the environment said when it started."""
    import torch

    torch.set_num_threads(n)
