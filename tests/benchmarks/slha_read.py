"""Time to read ten entries of a spectrum: rayscan against pyslha and xslha.

Run as ``python -m tests.benchmarks.slha_read [FILE]``.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rayscan.slha import Address, Card, read_values

SPECTRUM = Path(__file__).parent.parent / "data" / "slha" / "spheno_decays.spc"
ENTRIES = (
    "MASS 25",
    "MASS 1000022",
    "MASS 1000006",
    "MSOFT 43",
    "NMIX 1 1",
    "STOPMIX 1 2",
    "HMIX 1",
    "SPhenoLowEnergy 21",
    "DECAY 25",
    "DECAY 25 -> 5 -5",
)


def median_time(read: Callable[[], object], repeats: int) -> float:
    """Median seconds of one call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        read()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(path: Path = SPECTRUM, repeats: int = 200) -> dict[str, float]:
    """Median seconds to read ten entries from the text of a spectrum, by package; those not installed are left out."""
    raw = path.read_bytes()
    text = raw.decode()
    addresses = [Address.parse(entry) for entry in ENTRIES]
    found = read_values(raw, addresses)
    assert len(found) == len(addresses), f"not in {path}: {[str(a) for a in addresses if a not in found]}"
    times = {"rayscan": median_time(lambda: read_values(raw, addresses), 5 * repeats)}
    try:
        import pyslha
    except ImportError:
        pass
    else:
        times["pyslha"] = median_time(lambda: pyslha.readSLHA(text, ignorenomass=True), max(repeats // 10, 5))
    try:
        import xslha
    except ImportError:
        pass
    else:
        with tempfile.TemporaryDirectory() as folder:
            # xslha reads files only; /dev/shm or the page cache keep the disk out of the figure.
            copy = Path(folder) / "spectrum"
            copy.write_bytes(raw)
            times["xslha"] = median_time(lambda: xslha.read(str(copy)), max(repeats // 10, 5))
    return times


def main() -> None:
    """Print the table."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else SPECTRUM
    raw = path.read_bytes()
    print(f"{path.name}: {len(raw) / 1000:.1f} kB, {len(raw.splitlines())} lines, {len(ENTRIES)} entries")
    times = measure(path)
    print(f"{'package':10} {'median / ms':>12} {'ratio to rayscan':>18}")
    for name, seconds in times.items():
        print(f"{name:10} {1e3 * seconds:12.3f} {seconds / times['rayscan']:18.1f}")
    card = Card.parse((path.parent / "spheno.in").read_bytes())
    written = {Address.parse(f"EXTPAR {i}"): 1000.0 / 3 + i for i in (11, 25, 26, 43, 46)}
    print(f"render 5 entries of a card: {1e6 * median_time(lambda: card.render(written), 2000):.1f} µs")


if __name__ == "__main__":
    main()
