"""A verdict as one HTML file that needs nothing else: to attach to a ticket, to read on a train.

Plots are SVG within the page, coloured by its style sheet's variables; there is no script and nothing comes from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

from tenfold.drift.verdicts import Feature, Line, Performance, Report, Segment, Verdict
from tenfold.server.pages import frame, glyph

WIDTH, HEIGHT = 1080, 260
LEFT, RIGHT, TOP, BOTTOM = 60, 12, 14, 34  # margins of the plot over time
BARS = (300, 96)  # width and height of a histogram
MOST_FEATURES = 12
COLOURS = {
    Verdict.HEALTHY: "var(--met)",
    Verdict.WATCH: "var(--open)",
    Verdict.NEED_LABELS: "var(--open)",
}
METRICS = {"auc": "Area under the ROC curve", "accuracy": "Accuracy", "mae": "Mean absolute error"}
BAD = "var(--broken)"
STATES = {None: "open", Verdict.HEALTHY: "met", Verdict.WATCH: "open", Verdict.NEED_LABELS: "open"}

Place = Callable[[float], float]


def render(report: Report) -> str:
    """The report as a document of its own, in light and dark."""
    sections = (
        _section("Over time", _timeline(report)),
        _section("What moved", _features(report.features)),
        _section("Where the loss arises", _segments(report.segments)),
        _section("Would an update help", _list([report.challenge.said] if report.challenge is not None else [])),
        _section("Ruled out", _list(report.ruled_out)),
        _section("Besides", _list(report.reasons)),
        _section("Windows", _windows(report.windows)),
        _section("Again", f"<pre>{escape(report.replay)}</pre>" if report.replay else ""),
    )
    since = f" since {escape(str(report.since))}" if report.since is not None else ""
    body = (
        f'<div class="bar"><div class="wrap"><span class="brand">{glyph()} tenfold</span></div></div>'
        f'<main class="wrap" id="main"><div class="hero"><p data-state="{STATES.get(report.verdict, "broken")}">'
        f'<span class="mark"></span> <b>{report.said}</b>{since}</p>'
        f'<h1>{_first_line(report.verdict)}</h1><p class="doc">{escape(report.because)}</p>'
        f'<p class="doc">Next: {escape(report.next)}.</p>'
        f'<p class="soft">Compared with {escape(report.compared)}.</p></div>'
        f"{''.join(sections)}</main>"
    )
    return frame(f"drift: {report.said}", body).decode()


def _first_line(verdict: Verdict | None) -> str:
    return {
        None: "Whether the model needs an update is not known yet",
        Verdict.HEALTHY: "The model needs no update",
        Verdict.WATCH: "Something moves, and does no harm that can be seen",
        Verdict.NEED_LABELS: "The model may need an update: labels would tell",
        Verdict.UPDATE_WONT_HELP: "The model does worse, and training it again won't help",
        Verdict.UPDATE_RECOMMENDED: "The model needs an update",
        Verdict.FIX_DATA: "The data is broken: mend the feed before anything else",
        Verdict.ROLLBACK: "The last release did harm: roll it back",
    }[verdict]


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>" if content else ""


def _list(lines: Sequence[str]) -> str:
    return f'<ul class="list">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>' if lines else ""


# -- over time ------------------------------------------------------------------------------------------------


def _timeline(report: Report) -> str:
    """The metric window by window: estimated as a line, realised as dots; the reference, and what is tolerated."""
    known, lines = report.performance, report.windows
    values = [value for line in lines for value in (line.estimated, line.realised) if value is not None]
    if known is None or not values or not lines:
        return ""
    values += [known.reference, known.tolerated]
    low, high = min(values), max(values)
    margin = (high - low) * 0.08 or 0.01
    y = _scale(low - margin, high + margin, HEIGHT - BOTTOM, TOP)
    step = (WIDTH - LEFT - RIGHT) / len(lines)
    middle = [LEFT + step * (k + 0.5) for k in range(len(lines))]
    parts = [
        *(_verdict_band(line, LEFT + step * k, step) for k, line in enumerate(lines)),
        *_level(known, y),
        _path([(x, y(line.estimated)) for x, line in zip(middle, lines, strict=True) if line.estimated is not None]),
        *_dots([(x, y(line.realised)) for x, line in zip(middle, lines, strict=True) if line.realised is not None]),
        _text(LEFT, HEIGHT - 10, str(lines[0].start)),
        _text(WIDTH - RIGHT, HEIGHT - 10, str(lines[-1].end), "end"),
    ]
    legend = "Line: estimated without labels; dots: realised by labels; the band below: the verdict of each window"
    words = f"{known.metric} of {len(lines)} windows, from {low:.4g} to {high:.4g}"
    return f'<p class="lead">{METRICS[known.metric]}. {legend}.</p>{_svg(WIDTH, HEIGHT, words, parts)}'


def _level(known: Performance, y: Place) -> Iterable[str]:
    for value, word, colour in ((known.reference, "reference", "var(--soft)"), (known.tolerated, "tolerated", BAD)):
        yield (
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="{colour}" '
            f'stroke-dasharray="5 4"/>'
        )
        yield _text(LEFT + 4, y(value) - 5, f"{word} {value:.4g}")


def _verdict_band(line: Line, x: float, width: float) -> str:
    colour = COLOURS.get(line.verdict, BAD)
    return (
        f'<rect x="{x:.1f}" y="{HEIGHT - BOTTOM}" width="{max(width - 1, 0.5):.1f}" height="6" fill="{colour}">'
        f"<title>{line.start} to {line.end}: {line.verdict}, {line.rows} rows</title></rect>"
    )


def _path(points: Sequence[tuple[float, float]]) -> str:
    place = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{place}" fill="none" stroke="var(--accent)" stroke-width="2"/>'


def _dots(points: Sequence[tuple[float, float]]) -> Iterable[str]:
    return (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="var(--ink)"/>' for x, y in points)


# -- what moved -----------------------------------------------------------------------------------------------


def _features(features: Sequence[Feature]) -> str:
    """A card for each column: its name, how far it moved, and both histograms."""
    shown = [feature for feature in features if feature.reference][:MOST_FEATURES]
    cards = (
        f'<div class="card"><header><h3>{escape(feature.name)}</h3></header><div class="body">{_histogram(feature)}'
        f'<p class="help">{escape(_moved(feature))}</p></div></div>'
        for feature in shown
    )
    others = [feature for feature in features if feature.proven and not feature.reference]
    lead = '<p class="lead">Filled: today. Outlined: the reference.</p>'
    return (
        f'{lead}<div class="services">{"".join(cards)}</div>{_list(list(map(_moved_jointly, others)))}' if shown else ""
    )


def _moved(feature: Feature) -> str:
    words = f"{feature.share:.0%} of its rows moved" if feature.proven else "not beyond its tolerance"
    since = f", since {feature.since}" if feature.since else ""
    return f"{words}{since}; importance {feature.importance:.0%}"


def _moved_jointly(feature: Feature) -> str:
    return f"{feature.name}: {feature.share:.0%} of the rows moved along this direction, since {feature.since}"


def _histogram(feature: Feature) -> str:
    width, height = BARS
    bars = [(group, before, now) for group, before, now in _groups(feature) if before or now]
    most = max(*feature.reference, *feature.current, 1e-9)
    step = width / max(len(bars), 1)
    y = _scale(0, most, height, 4)
    parts = [_text(0, height + 14, bars[0][0]), _text(width, height + 14, bars[-1][0], "end")] if bars else []
    for k, (group, before, now) in enumerate(bars):
        x, wide = step * k + 1, max(step - 2, 1)
        said = f"{escape(group)}: {before:.1%} before, {now:.1%} now"
        parts.append(
            f'<g><title>{said}</title><rect x="{x:.1f}" y="{y(now):.1f}" width="{wide:.1f}" '
            f'height="{height - y(now):.1f}" fill="var(--accent)" fill-opacity="0.55"/>'
            f'<rect x="{x:.1f}" y="{y(before):.1f}" width="{wide:.1f}" height="{height - y(before):.1f}" fill="none" '
            f'stroke="var(--ink)"/></g>'
        )
    words = f"{feature.name}: {'; '.join(f'{g} {b:.0%} then {n:.0%}' for g, b, n in bars)}"
    return _svg(width, height + 18, words, parts)


def _groups(feature: Feature) -> Iterable[tuple[str, float, float]]:
    return zip(feature.groups, feature.reference, feature.current, strict=True)


# -- tables ---------------------------------------------------------------------------------------------------


def _segments(segments: Sequence[Segment]) -> str:
    rows = (
        (s.field, s.group, f"{s.share_before:.1%} → {s.share_now:.1%}", f"{s.loss_before:.4f} → {s.loss_now:.4f}")
        for s in segments
    )
    return _table(("Field", "Group", "Share of the rows", "Loss of a row"), rows) if segments else ""


def _windows(lines: Sequence[Line]) -> str:
    rows = (
        (
            str(line.start),
            str(line.end),
            f"{line.rows:,}",
            line.verdict,
            _number(line.estimated),
            _number(line.realised),
        )
        for line in lines
    )
    return _table(("From", "To", "Rows", "Verdict", "Estimated", "Realised"), rows) if lines else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{word}</th>' for word in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table class="sheet"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


# -- svg ------------------------------------------------------------------------------------------------------


def _svg(width: int, height: int, words: str, parts: Iterable[str]) -> str:
    return f'<svg viewBox="0 0 {width} {height}" width="100%" role="img" aria-label="{escape(words)}">{"".join(parts)}</svg>'


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="12" fill="var(--soft)">{escape(words)}</text>'
    )


def _scale(low: float, high: float, start: float, end: float) -> Place:
    return lambda value: start + (value - low) / (high - low) * (end - start)
