"""Latency against rate as a picture: one SVG file that needs nothing else, in light and dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

from tenfold.capacity.card import Card, Point
from tenfold.capacity.stopping import MAY_MISS
from tenfold.units import duration, percent, throughput

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 64, 64  # margins
BEYOND = 1.5  # times the capacity is enough to see it bend
SHORTEST_S, LONGEST_S = 20e-6, 600.0  # latencies that the picture can show
STYLE = """
text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #191a1c; } .title { font-size: 17px; font-weight: 600; }
.soft { fill: #5a5d62; } .grid { stroke: #e2e2dc; } .line { fill: none; stroke-width: 2; } .p99 { stroke: #3438b8; }
.p50 { stroke: #8f93a3; } .mark { fill: #3438b8; } .missed { fill: #b3231a; }
.deadline { stroke: #b3231a; stroke-dasharray: 5 4; }
.knee { stroke: #156b3b; } .paper { fill: #fbfbf9; } .word99 { fill: #3438b8; } .worddeadline { fill: #b3231a; }
@media (prefers-color-scheme: dark) {
text { fill: #eceef0; } .soft { fill: #a3a7ae; } .grid { stroke: #2c2e33; } .p99 { stroke: #aab0ff; }
.p50 { stroke: #74777e; }
.mark, .word99 { fill: #aab0ff; } .missed, .worddeadline { fill: #ff9388; } .deadline { stroke: #ff9388; }
.knee { stroke: #62d199; } .paper { fill: #111214; } }
"""

Place = Callable[[float], float]


def render_curve(card: Card, name: str) -> str:
    """The curve of a measured service: p50 and p99 of its answers at each rate, the deadline, and the capacity.

    Rates at which more than one request in a hundred missed are marked, with their share.
    """
    most = BEYOND * card.rows_per_s or math.inf
    points = [point for point in card.curve if point.p99_s and point.rate <= most]
    x = _rates(points)
    y = _latencies([*(p.p50_s for p in points), *(p.p99_s for p in points), card.deadline_s])
    said = f"{throughput(card.rows_per_s)} within {duration(card.deadline_s)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(name)}: latency against rate</title>',
        f'<desc id="d">{escape(said)}; {escape(_in_words(points))}</desc>',
        f'<style>{STYLE}</style><rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="28">{escape(name)}</text>',
        f'<text class="soft" x="{LEFT}" y="47">{escape(said)}, {card.replicas} replica{"s" * (card.replicas != 1)}</text>',
        *_axes(points, x, y),
        *_limits(card, x, y),
        _line("p50", points, x, y, lambda point: point.p50_s),
        _line("p99", points, x, y, lambda point: point.p99_s),
        *_marks(points, x, y),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _in_words(points: Iterable[Point]) -> str:
    return "; ".join(f"{throughput(p.rate)}: p50 {duration(p.p50_s)}, p99 {duration(p.p99_s)}" for p in points)


def _rates(points: Sequence[Point]) -> Place:
    most = 1.04 * max((point.rate for point in points), default=1.0)
    return lambda rate: LEFT + rate / most * (WIDTH - LEFT - RIGHT)


def _latencies(seconds: Sequence[float]) -> Place:
    """Latencies stand on a logarithmic scale: an idle server and one at its limit are decades apart."""
    low = math.log(max(min(seconds), SHORTEST_S) / 1.5)
    high = math.log(min(max(seconds), LONGEST_S) * 1.5)
    return lambda s: (
        HEIGHT - BOTTOM - (math.log(min(max(s, SHORTEST_S), LONGEST_S)) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
    )


def _axes(points: Sequence[Point], x: Place, y: Place) -> Iterable[str]:
    for exponent in range(-5, 3):
        for digit in (1, 2, 5):
            seconds = digit * 10.0**exponent
            if TOP <= y(seconds) <= HEIGHT - BOTTOM and SHORTEST_S <= seconds <= LONGEST_S:
                yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(seconds):.1f}" y2="{y(seconds):.1f}"/>'
                yield (
                    f'<text class="soft" x="{LEFT - 8}" y="{y(seconds) + 4:.1f}" text-anchor="end">{duration(seconds)}</text>'
                )
    most = max((point.rate for point in points), default=1.0)
    step = _round(most / 5)
    for number in range(int(most / step) + 1):
        place = x(number * step)
        yield f'<text class="soft" x="{place:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{number * step:,g}</text>'
    yield (
        f'<text class="soft" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 22}" text-anchor="middle">'
        "rows per second, at random moments</text>"
    )


def _round(value: float) -> float:
    """The next larger of 1, 2, 5, 10, 20 and so on."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= value)


def _limits(card: Card, x: Place, y: Place) -> Iterable[str]:
    at = y(card.deadline_s)
    yield f'<line class="deadline" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
    yield f'<text class="worddeadline" x="{LEFT + 6}" y="{at - 6:.1f}">deadline {duration(card.deadline_s)}</text>'
    if card.rows_per_s:
        knee = x(card.rows_per_s)
        yield f'<line class="knee" x1="{knee:.1f}" x2="{knee:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        yield f'<text x="{knee - 6:.1f}" y="{TOP + 12}" text-anchor="end">{throughput(card.rows_per_s)}</text>'


def _line(word: str, points: Sequence[Point], x: Place, y: Place, value: Callable[[Point], float]) -> str:
    if not points:
        return ""
    path = " ".join(f"{x(point.rate):.1f},{y(value(point)):.1f}" for point in points)
    last = points[0]
    label = f'<text class="word{word[1:]} soft" x="{x(last.rate) + 6:.1f}" y="{y(value(last)) - 8:.1f}">{word}</text>'
    return f'<polyline class="line {word}" points="{path}"/>{label}'


def _marks(points: Sequence[Point], x: Place, y: Place) -> Iterable[str]:
    for point in points:
        missed = point.missed > MAY_MISS
        words = f"{throughput(point.rate)}: p99 {duration(point.p99_s)}, {percent(point.missed)} missed"
        yield (
            f'<circle class="{"missed" if missed else "mark"}" cx="{x(point.rate):.1f}" cy="{y(point.p99_s):.1f}" r="4">'
            f"<title>{escape(words)}</title></circle>"
        )
