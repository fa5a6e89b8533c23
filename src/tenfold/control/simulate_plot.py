"""A replayed traffic as a picture: the rows that came, what the replicas could carry, and what was missed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from html import escape

import numpy as np
from numpy.typing import NDArray

from tenfold.control.simulate import Line, Simulated
from tenfold.units import duration, percent, throughput

WIDTH, HEIGHT = 900, 320
LEFT, RIGHT, TOP, BOTTOM = 84, 24, 58, 40  # margins
POINTS = 400
STYLE = """
text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #191a1c; } .title { font-size: 16px; font-weight: 600; }
.soft { fill: #5a5d62; } .grid { stroke: #e2e2dc; } .came { fill: #c9cbe8; } .could { fill: none; stroke: #3438b8; }
.could { stroke-width: 1.6; } .missed { stroke: #b3231a; stroke-width: 2; } .paper { fill: #fbfbf9; }
@media (prefers-color-scheme: dark) {
text { fill: #eceef0; } .soft { fill: #a3a7ae; } .grid { stroke: #2c2e33; } .came { fill: #33365c; }
.could { stroke: #aab0ff; } .missed { stroke: #ff9388; } .paper { fill: #111214; } }
"""
PAGE_STYLE = """
body { font: 16px/1.5 ui-sans-serif, system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
color: #191a1c; background: #fbfbf9; } table { border-collapse: collapse; margin: 1rem 0; } td, th { padding: .3rem .8rem;
text-align: right; border-bottom: 1px solid #e2e2dc; } td:nth-child(-n+2), th:nth-child(-n+2) { text-align: left; }
svg { width: 100%; height: auto; } .soft { color: #5a5d62; } td.why { text-align: left; }
@media (prefers-color-scheme: dark) { body { color: #eceef0; background: #111214; } td, th { border-color: #2c2e33; }
.soft { color: #a3a7ae; } }
"""
MOST_MOMENTS = 200

Place = Callable[[float], float]


def svg(found: Simulated, line: Line) -> str:
    """One policy on the traffic: an area of the rows that came, a line of what its replicas carry, marks where rows were
    missed. Each of its points is the highest of a part of the time."""
    came = _parts(found.trace.counts)
    could = _parts([n * found.setting.rate for n in line.outcome.replicas], lowest=True)
    most = 1.05 * max(*came, *could, 1e-9)

    def x(part: float) -> float:
        return LEFT + part / len(came) * (WIDTH - LEFT - RIGHT)

    def y(rate: float) -> float:
        return HEIGHT - BOTTOM - rate / most * (HEIGHT - TOP - BOTTOM)

    name = f"{found.name or 'a service'} under {line.name}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}">',
        f'<style>{STYLE}</style><rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="24">{escape(name)}: {escape(line.words)}</text>',
        f'<text class="soft" x="{LEFT}" y="44">{escape(in_words(line))}</text>',
        *_axes(found, most, x, y, len(came)),
        _area(came, x, y),
        _steps(could, x, y),
        *_misses(line, came, could, x, y),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def html(found: Simulated) -> str:
    """A page with all policies side by side, a picture of each, and why ours changed its number; it needs nothing else."""
    title = f"{found.name or 'Scaling'} on {found.trace.name}"
    rows = "".join(
        f"<tr><td>{escape(line.name)}</td><td>{escape(line.words)}</td>"
        f"<td>{line.outcome.replica_s / 3600:,.1f}</td><td>{line.outcome.cost_ratio:.2f}</td>"
        f"<td>{percent(round(line.outcome.late_ratio, 6))}</td><td>{percent(round(line.outcome.refused_ratio, 6))}</td>"
        f"<td>{line.outcome.changes_per_day:,.0f}</td></tr>"
        for line in found.lines
    )
    head = "<tr><th>policy</th><th></th><th>replica-hours</th><th>× ideal</th><th>late</th><th>refused</th>"
    said = [found.trace.describe(), setting(found), *([found.broken] if found.broken else []), *found.remarks]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{PAGE_STYLE}</style><h1>{escape(title)}</h1>'
        + "".join(f"<p>{escape(text)}</p>" for text in said)
        + f"<table>{head}<th>changes a day</th></tr>{rows}</table>"
        + "".join(svg(found, line) for line in found.lines)
        + _moments(found)
        + "</html>\n"
    )


def in_words(line: Line) -> str:
    """What became of a traffic, in a line."""
    ours = line.outcome
    missed = percent(round(ours.missed_ratio, 5))
    return f"{ours.replica_s / 3600:,.1f} replica-hours, {ours.cost_ratio:.2f} × ideal; {missed} missed"


def setting(found: Simulated) -> str:
    """What each replica carries and takes to start."""
    known = found.setting
    within = f"within {duration(known.budget_s)}"
    return f"{throughput(known.rate)} each {within}, {duration(known.startup_s)} to start, {found.source}"


def _moments(found: Simulated) -> str:
    moments = found.ours.moments
    rows = "".join(
        f"<tr><td>{found.trace.begins + timedelta(seconds=moment.second):%Y-%m-%d %H:%M:%S}</td>"
        f'<td class="why">{escape(moment.reason)}</td></tr>'
        for moment in moments[:MOST_MOMENTS]
    )
    more = f"<p class=soft>and {len(moments) - MOST_MOMENTS:,} more</p>" if len(moments) > MOST_MOMENTS else ""
    return f"<h2>What tenfold would have done, and why</h2><table>{rows}</table>{more}"


def _parts(values: Sequence[float], lowest: bool = False) -> list[float]:
    """Of each of ``POINTS`` parts of the time, the highest value (or the lowest)."""
    array = np.asarray(values, dtype=np.float64)
    edges = _edges(len(array))
    parts = np.minimum.reduceat(array, edges) if lowest else np.maximum.reduceat(array, edges)
    found: list[float] = parts.tolist()
    return found


def _edges(seconds: int) -> NDArray[np.intp]:
    """Where the parts begin."""
    return np.unique(np.linspace(0, seconds, min(POINTS, seconds), endpoint=False).astype(np.intp))


def _axes(found: Simulated, most: float, x: Place, y: Place, parts: int) -> Iterable[str]:
    for part in range(5):
        rate = most / 1.05 * part / 4
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(rate):.1f}" y2="{y(rate):.1f}"/>'
        yield f'<text class="soft" x="{LEFT - 8}" y="{y(rate) + 4:.1f}" text-anchor="end">{rate:,.4g}</text>'
        at = found.trace.begins + timedelta(seconds=found.trace.seconds * part / 4)
        anchor = ("start", "middle", "middle", "middle", "end")[part]
        label = f"{at:%d %b %H:%M}"
        yield f'<text class="soft" x="{x(parts * part / 4):.1f}" y="{HEIGHT - 14}" text-anchor="{anchor}">{label}</text>'
    yield f'<text class="soft" x="{LEFT - 8}" y="{TOP - 8}" text-anchor="end">rows/s</text>'


def _area(came: Sequence[float], x: Place, y: Place) -> str:
    points = " ".join(f"{x(k + 0.5):.1f},{y(rate):.1f}" for k, rate in enumerate(came))
    floor = y(0)
    return f'<polygon class="came" points="{x(0):.1f},{floor:.1f} {points} {x(len(came)):.1f},{floor:.1f}"/>'


def _steps(could: Sequence[float], x: Place, y: Place) -> str:
    points = " ".join(f"{x(k):.1f},{y(rate):.1f} {x(k + 1):.1f},{y(rate):.1f}" for k, rate in enumerate(could))
    return f'<polyline class="could" points="{points}"/>'


def _misses(line: Line, came: Sequence[float], could: Sequence[float], x: Place, y: Place) -> Iterable[str]:
    """A mark for each part of the time in which rows were missed: from what could be carried to what came."""
    seconds = len(line.outcome.replicas)
    edges = _edges(seconds)
    for part in sorted({int(np.searchsorted(edges, second, "right")) - 1 for second in line.outcome.misses}):
        at, able = x(part + 0.5), min(could[part], came[part])
        yield f'<line class="missed" x1="{at:.1f}" x2="{at:.1f}" y1="{y(came[part]):.1f}" y2="{y(able):.1f}"/>'
