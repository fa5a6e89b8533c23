"""The last hour of a service as one small drawing: rows per second as a line, the 99th percentile dashed below it.

Plain SVG within the page: no script, no style of its own, the colour of the text around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

from tenfold.units import duration

WIDTH, HEIGHT = 180, 34
RATE = 'fill="none" stroke="currentColor" stroke-width="1.5"'
P99 = f'{RATE} stroke-opacity=".55" stroke-dasharray="3 2"'


def chart(minutes: Sequence[Mapping[str, Any]], span: int = 60) -> str:
    """Rows/s and p99 of these minutes, oldest first, the newest on the right; a minute that is not known leaves a gap."""
    known = [record for record in minutes if record["seconds"]]
    if not known:
        return '<span class="soft">from the next minute on</span>'
    last = known[-1]["minute"]
    rates = {record["minute"]: record["rows"] / record["seconds"] for record in known}
    p99s = {record["minute"]: record["p99_s"] for record in known if record["p99_s"] is not None}
    lines = _lines(rates, last, span, RATE) + _lines(p99s, last, span, P99)
    words = f"{rates[last]:,.3g} rows/s"
    if last in p99s:
        words += f" · p99 {duration(p99s[last])}"
    label = f"The last hour: at most {max(rates.values()):,.3g} rows/s"
    label += f", p99 at most {duration(max(p99s.values()))}" if p99s else ""
    return (
        f'<svg role="img" aria-label="{escape(label)}" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}"><title>{escape(label)}</title>{lines}</svg><small>{escape(words)}</small>'
    )


def _lines(values: Mapping[int, float], last: int, span: int, look: str) -> str:
    """A line through each run of minutes without a gap, over its own scale from 0 to the highest."""
    highest = max(values.values(), default=0.0) or 1.0
    drawn = ""
    for run in _runs(sorted(values)):
        points = [
            f"{WIDTH - (last - minute) * WIDTH / span:.1f},{HEIGHT - 1 - values[minute] / highest * (HEIGHT - 3):.1f}"
            for minute in run
        ]
        start = f"{float(points[0].partition(',')[0]) - 1:.1f},{points[0].partition(',')[2]}"  # one minute is seen, too
        drawn += f'<polyline points="{" ".join([start, *points])}" {look}/>'
    return drawn


def _runs(minutes: Sequence[int]) -> Iterator[list[int]]:
    """Minutes that follow each other, together."""
    for _, run in groupby(enumerate(minutes), key=lambda numbered: numbered[1] - numbered[0]):
        yield [minute for _, minute in run]
