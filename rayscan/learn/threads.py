"""How many threads learning may use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


def use_threads(n: int) -> None:
    """Let torch use `n` threads in this process, whatever the environment said when it started."""
    import torch

    torch.set_num_threads(n)


@contextlib.contextmanager
def serial_algebra() -> Iterator[None]:
    """Keep linear algebra in the calling thread.

    Its threads wait for each other by spinning. Beside evaluators that keep every core busy, one of them is always
    asleep, and a hundred small products take minutes.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
