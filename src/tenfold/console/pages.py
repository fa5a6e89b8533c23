"""The console's page: every service in one row, worst first, with its ten answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from tenfold.answers import Sheet
from tenfold.server.pages import frame, glyph

WORST_FIRST = ("broken", "open", "met")


def overview(sheets: Sequence[Sheet], charts: Mapping[str, str], public: str) -> bytes:
    """One page for all services of a server; ``charts`` has the last hour of each, ``public`` is where predictions are
    answered."""
    rows = "".join(_row(sheet, charts.get(sheet.service, ""), public) for sheet in sorted(sheets, key=_trouble))
    body = (
        f'<div class="bar"><div class="wrap"><span class="brand">{glyph()} tenfold</span></div></div>'
        '<main class="wrap" id="main"><div class="hero"><h1>Services</h1>'
        '<p class="doc">Worst first. Metrics for Prometheus are at <a href="/metrics">/metrics</a>.</p></div>'
        '<section class="first" aria-label="Services"><div class="scroll"><table class="sheet stack"><thead><tr>'
        '<th scope="col">Service</th><th scope="col">Release</th><th scope="col">Answers</th>'
        '<th scope="col">Last hour</th><th scope="col">Next</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div></section></main>"
    )
    return frame("tenfold: services", body)


def _row(sheet: Sheet, chart: str, public: str) -> str:
    counts = ", ".join(
        f"{len(found)} {state}" for state in ("met", "open", "broken") if (found := sheet.in_state(state))
    )
    worst = next((a for state in WORST_FIRST for a in sheet.in_state(state) if state != "met"), None)
    advice = f"{worst.word}: {worst.because} {worst.next}" if worst else ""
    return (
        f'<tr><th scope="row"><a href="{escape(public)}/{escape(sheet.service)}">{escape(sheet.service)}</a></th>'
        f'<td data-label="release">{escape(sheet.release[:7])}</td>'
        f'<td data-label="answers"><a href="/api/answers/{escape(sheet.service)}">{counts}</a>'
        f'<small><a href="/drift/{escape(sheet.service)}">drift</a></small></td>'
        f'<td data-label="last hour"><a href="/api/history/{escape(sheet.service)}">{chart}</a></td>'
        f'<td data-label="next">{escape(advice)}</td></tr>'
    )


def _trouble(sheet: Sheet) -> tuple[int, str]:
    states = {answer.state for answer in sheet.answers}
    return next(k for k, state in enumerate(WORST_FIRST) if state in states), sheet.service
