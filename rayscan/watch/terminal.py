"""A view as text, as much of it as a terminal of any size has room for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group
from rich.text import Text

from rayscan.errors import printable
from rayscan.progress import clock
from rayscan.watch.view import Marginal, View

TWO_COLUMNS = 110
"""Characters from which there are two columns."""
GAP = 3
BLOCKS = " ▁▂▃▄▅▆▇█"
TITLE, FAINT, BAR, REST, BAD = "bold", "dim", "blue", "bright_black", "red"


@dataclass(frozen=True, slots=True)
class Part:
    """A titled list of lines, of which the first are the most important."""

    title: str
    lines: Sequence[Text]


def drawn(view: View, width: int, height: int | None = None) -> Group:
    """Return a view as lines of `width` characters.

    Parameters
    ----------
    view : View
    width : int
    height : int, optional
        Lines at most; without it everything is shown.
    """
    lines = _head(view, width)
    room = None if height is None else max(0, height - len(lines))
    wide = width >= TWO_COLUMNS
    column = (width - GAP) // 2 if wide else width
    numbers, histograms = [_origins(view), _crew(view), _slowest(view)], _marginals(view, column)
    texts = [_failures(view), _messages(view)]
    if wide:
        # What programs say is long: it has the whole width, below.
        below = _stacked(texts, width, None if room is None else room // 2)
        above = None if room is None else room - len(below)
        lines += _beside(_stacked(numbers, column, above), _stacked([histograms], column, above), column)
        lines += below
    else:
        lines += _stacked([numbers[0], histograms, numbers[1], texts[0], numbers[2], texts[1]], width, room)
    return Group(*lines[:height])


def _head(view: View, width: int) -> list[Text]:
    head = _line(width, (printable(view.path), TITLE), ("  ", ""), (printable(view.state), "" if view.live else FAINT))
    lines = [head]
    name_width = max((len(goal.name) for goal in view.goals), default=0)
    text_width = max((len(goal.text) for goal in view.goals), default=0)
    for goal in view.goals:
        bar = max(0, width - name_width - text_width - 8)
        filled = round(bar * goal.share)
        name, share, text = goal.name.ljust(name_width + 1), f" {goal.share:4.0%} ", goal.text.rjust(text_width)
        parts = (name, ""), ("━" * filled, BAR), ("━" * (bar - filled), REST), (share, ""), (text, "")
        lines.append(_line(width, *parts))
    # Whole facts on as many lines as they need.
    current = ""
    for fact in view.facts:
        if current and len(current) + len(fact) + 3 > width:
            lines.append(_line(width, (current, "")))
            current = ""
        current += f" · {fact}" if current else fact
    return [*lines, _line(width, (current, ""))]


def _origins(view: View) -> Part:
    lines = [
        Text.assemble(
            f"{one.name:<11}", f"{one.points:>9,} points {one.valid / one.points:>7.1%}",
            (f"   lately {one.recent:>6.1%}" if one.recent is not None else "", FAINT),
        )
        for one in view.origins
    ]  # fmt: skip
    return Part("acceptance by origin", lines)


def _crew(view: View) -> Part:
    states = ", ".join(f"{count:,} {does}" for does, count in view.crew.items() if count)
    lines = [
        Text.assemble(
            f"{_whom(printable(one.name), 22):<22}", f"{one.points:>8,} points  busy {one.busy:>4.0%}",
            (f"  last {_short(one.quiet)} ago" if view.live else "", FAINT),
        )
        for one in view.workers
    ]  # fmt: skip
    return Part("evaluators" + (f": {states}" if states else f": {len(view.workers):,}"), lines)


def _failures(view: View) -> Part:
    lines = [
        Text.assemble((f"{kind.count:>7,} ", ""), (kind.status, BAD), f"  {printable(kind.example)}")
        for kind in view.failures
    ]
    return Part("not ok, by kind", lines)


def _slowest(view: View) -> Part:
    lines = [
        Text(f"point {one.point_id:<9} {_short(one.seconds):>8}  {one.origin}") for one in view.slowest
    ]  # fmt: skip
    what = "under way, the oldest" if view.live else "issued and not evaluated, for the next session"
    return Part(f"{view.under_way:,} {what}", lines)


def _marginals(view: View, width: int) -> Part:
    names = max((len(one.name) for one in view.marginals), default=0)
    ends = [(f"{one.low:.4g}", f"{one.high:.4g} {one.unit}".rstrip()) for one in view.marginals]
    low = max((len(text) for text, _ in ends), default=0)
    bins = max(8, min(32, width - names - low - max((len(text) for _, text in ends), default=0) - 12))
    lines = [
        Text.assemble(
            f"{printable(one.name):<{names}} {first:>{low}} ", (sparkline(one, bins), BAR), f" {last}",
            ("" if one.scale == "linear" else f" ({one.scale})", FAINT),
        )
        for one, (first, last) in zip(view.marginals, ends, strict=True)
    ]  # fmt: skip
    return Part("where the valid points lie", lines)


def sparkline(marginal: Marginal, width: int) -> str:
    """Return a histogram as one line of at most `width` characters; what is not empty is never blank."""
    joined = -(-len(marginal.counts) // width)
    counts = [sum(marginal.counts[at : at + joined]) for at in range(0, len(marginal.counts), joined)]
    most = max(counts, default=0)
    steps = len(BLOCKS) - 1
    return "".join(BLOCKS[-(-count * steps // most) if most else 0] for count in counts)


def _messages(view: View) -> Part:
    return Part("last messages", [Text(printable(line)) for line in view.messages])


def _stacked(parts: Sequence[Part], width: int, room: int | None) -> list[Text]:
    """Put parts below each other, and give each its share of the room, first lines first."""
    shown = [part for part in parts if part.lines]
    granted = [len(part.lines) for part in shown]
    if room is not None:
        # A part costs its title and a blank line besides.
        shown = shown[: max(0, room // 3)]
        granted = [0] * len(shown)
        left = room - 2 * len(shown)
        while left > 0 and any(n < len(part.lines) for n, part in zip(granted, shown, strict=True)):
            for at, part in enumerate(shown):
                if left > 0 and granted[at] < len(part.lines):
                    granted[at] += 1
                    left -= 1
    lines: list[Text] = []
    for n, part in zip(granted, shown, strict=True):
        more = len(part.lines) - n
        lines += [Text(""), _line(width, (part.title, TITLE), (f"  ({more} more)" if more else "", FAINT))]
        lines += [_cut(line, width) for line in part.lines[:n]]
    return lines


def _beside(left: list[Text], right: list[Text], width: int) -> list[Text]:
    lines = []
    for at in range(max(len(left), len(right))):
        first = left[at].copy() if at < len(left) else Text("")
        if at < len(right) and right[at]:
            first.pad_right(max(0, width + GAP - first.cell_len))
            first = Text.assemble(first, right[at], no_wrap=True)
        lines.append(first)
    return lines


def _line(width: int, *parts: tuple[str, str]) -> Text:
    return _cut(Text.assemble(*parts), width)


def _cut(text: Text, width: int) -> Text:
    text.no_wrap = True
    text.truncate(width, overflow="ellipsis")
    return text


def _whom(name: str, width: int) -> str:
    """Cut the host of an evaluator, not what tells it from its neighbours."""
    host, _, worker = name.rpartition("/")
    room = max(0, width - len(worker) - 2)
    return name if len(name) <= width else f"{host[:room]}…/{worker}"[-width:]


def _short(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)
