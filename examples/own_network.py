"""A network of one's own in place of the surrogate: ``python examples/own_network.py``.

Any `torch.nn.Module` that maps points of the unit cube ``(n, d)`` to one logit each may choose where to look next. This
one sees sines and cosines of the coordinates, and so tells the many peaks of the test function apart.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

import rayscan as rs


class Waves(nn.Module):
    """A small network behind the first harmonics of each coordinate."""

    def __init__(self, d: int, harmonics: int = 6, width: int = 64) -> None:
        super().__init__()
        self.register_buffer("k", 2 * torch.pi * torch.arange(1, harmonics + 1) / 2)
        inside = d * (1 + 2 * harmonics)
        self.layers = nn.Sequential(
            nn.Linear(inside, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1)
        )

    def forward(self, u: Tensor) -> Tensor:
        """Return logits ``(n, 1)``; a sigmoid at the end would be one too many, the loss contains it."""
        phase = (u[:, :, None] * self.k).flatten(1)
        logits: Tensor = self.layers(torch.cat([u, phase.sin(), phase.cos()], dim=1))
        return logits


def peaks(x: float, y: float) -> float:
    """Return the cosines of the DLScanner paper in two dimensions."""
    return float((2 + torch.cos(torch.tensor(x / 2)) * torch.cos(torch.tensor(y / 2))) ** 5)


def make(out: Path, evaluators: int | None = None, batch: int = 300) -> rs.Scan:
    """Return the scan."""
    return rs.Scan(
        rs.Space(x=(0, 31.4), y=(0, 31.4)), rs.Function(peaks, outputs=["z"]), rs.Target(z=(100, 250)),
        surrogate=Waves(2), K=batch, out=out, evaluators=evaluators,
    )  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Scan, print how well the network did, draw what it found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/own_network"))
    parser.add_argument("--valid", type=int, default=1500)
    parser.add_argument("--evaluations", type=int)
    parser.add_argument("--evaluators", type=int)
    parser.add_argument("--picture", type=Path, default=Path("own_network.png"))
    asked = parser.parse_args(argv)
    result = make(asked.out, asked.evaluators).run(valid=asked.valid, evaluations=asked.evaluations)
    print(f"valid points: {len(result.valid):,} of {len(result.table):,}")
    result.plot.scatter("x", "y", colour="z", path=asked.picture)
    print(f"picture: {asked.picture}")


if __name__ == "__main__":
    main()
