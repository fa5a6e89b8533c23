"""The summary of a job as one HTML file that needs nothing else: what was answered, and what was not, and why."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from tenfold.contract.words import count
from tenfold.errors import CODES
from tenfold.jobs.summary import Summary
from tenfold.server.pages import frame, glyph
from tenfold.units import percent

SHOWN = 20  # bad rows that the page tells of; the quarantine has them all


def render_page(summary: Summary, aside: Path) -> bytes:
    """The summary as a document of its own, in light and dark, without a script. No value of a row is in it."""
    title = f"{summary.service}: {summary.rows:,} rows"
    bad = [*_examples(aside)] if summary.quarantined else []
    body = (
        f'<div class="bar"><div class="wrap"><span class="brand">{glyph()} tenfold</span></div></div>'
        f'<main class="wrap" id="main"><div class="hero"><h1>{escape(title)}</h1>'
        f'<p class="doc">{escape(_headline(summary))}</p></div>'
        + _table("Counts", ("", "rows", "share"), [*_counts(summary)])
        + _table("Drift", ("verdict", "because", "sample"), [*_drift(summary)])
        + _table("Why rows have no answer", ("code", "rows", "meaning"), [*_codes(summary)])
        + _table("Files", ("file", "rows", "answered", "quarantined"), [*_files(summary)])
        + _table(f"The first {len(bad)} bad rows", ("file", "row", "where", "why"), bad)
        + "</main>"
    )
    return frame(title, body)


def _headline(summary: Summary) -> str:
    state = "finished" if summary.state == "finished" else f"stopped: {summary.because}"
    return f"release {summary.release[:7]} · job {summary.job} · {count(summary.parts, 'part')} · {state}"


def _counts(summary: Summary) -> Iterator[tuple[str, ...]]:
    for word in ("answered", "changed", "flagged", "fallbacks", "quarantined"):
        rows = getattr(summary, word)
        yield word, f"{rows:,}", percent(round(rows / summary.rows, 4)) if summary.rows else "–"


def _drift(summary: Summary) -> Iterator[tuple[str, ...]]:
    if (drift := summary.drift) is None:
        return
    if drift.verdict is None:
        yield "not judged", drift.because, drift.fix
    else:
        yield drift.verdict, drift.because, f"{drift.sampled:,} rows against {drift.reference}"


def _codes(summary: Summary) -> Iterator[tuple[str, ...]]:
    for code, rows in summary.codes.items():
        yield code, f"{rows:,}", CODES[code.partition(":")[0]].title


def _files(summary: Summary) -> Iterator[tuple[str, ...]]:
    for one in summary.files:
        yield one.file, f"{one.rows:,}", f"{one.answered:,}", f"{one.quarantined:,}"


def _examples(aside: Path) -> Iterator[tuple[str, ...]]:
    """The first bad rows, without their values."""
    lines = (line for file in sorted(aside.glob("*.ndjson")) for line in _lines(file))
    for line in islice(lines, SHOWN):
        bad: dict[str, Any] = msgspec.json.decode(line)
        where = ", ".join(reason["pointer"] or "the row" for reason in bad["reasons"])
        why = "; ".join(reason["detail"] for reason in bad["reasons"])
        yield bad["file"], f"{bad['row']:,}", where, why


def _lines(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        yield from opened


def _table(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(
            f'<td data-label="{escape(one)}">{escape(cell)}</td>' for one, cell in zip(heads[1:], row[1:], strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<section><h2>{escape(title)}</h2><div class="scroll"><table class="sheet stack"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></section>"
    )
