"""The sheet as one HTML file that needs nothing else: to attach to a review, or to print."""

from __future__ import annotations

from html import escape

from tenfold.answers.sheet import Answer, Sheet
from tenfold.answers.text import tally
from tenfold.server.pages import frame, glyph


def render_html(sheet: Sheet) -> str:
    """The sheet as a document of its own, in light and dark, without a script."""
    body = (
        f'<div class="bar"><div class="wrap"><span class="brand">{glyph()} tenfold</span></div></div>'
        f'<main class="wrap" id="main"><div class="hero"><h1>{escape(sheet.service)}</h1>'
        f'<p class="doc">release {escape(sheet.release[:7])} · {tally(sheet)}</p></div>'
        f'<section class="first" aria-label="Ten answers"><div class="scroll">'
        '<table class="sheet answers stack"><thead><tr><th scope="col">Question</th><th scope="col">Declared</th>'
        '<th scope="col">Measured</th><th scope="col">Live</th></tr></thead>'
        f"<tbody>{''.join(map(_row, sheet.answers))}</tbody></table></div></section></main>"
    )
    return frame(f"{sheet.service}: the ten answers", body).decode()


def _row(answer: Answer) -> str:
    measured = escape(str(answer.measured.get("text", "")))
    at = f"<small>{escape(str(answer.measured['at'])[:10])}</small>" if "at" in answer.measured else ""
    return (
        f'<tr data-state="{answer.state}"><th scope="row"><span class="mark"></span>'
        f'<span class="num">{answer.n}</span> {answer.word} <span class="sr">{answer.state}</span>'
        f"<small>{escape(answer.question)}</small></th>"
        f'<td data-label="declared">{escape(answer.declared)}</td>'
        f'<td data-label="measured">{measured}{at}{_why(answer)}</td>'
        f'<td data-label="live">{escape(str(answer.live.get("text", "")))}</td></tr>'
    )


def _why(answer: Answer) -> str:
    if answer.state == "met":
        return ""
    command = f"<code>{escape(answer.next)}</code>" if answer.next else ""
    return f'<span class="why">{escape(answer.because)}{command}</span>'
