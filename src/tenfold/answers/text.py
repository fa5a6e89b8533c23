"""The sheet as text, for a terminal: three columns, what is missing below them, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from textwrap import wrap

from tenfold.answers.sheet import Answer, Sheet

MARKS = {"met": "●", "open": "○", "broken": "!"}
WIDTH = 100
COLUMNS = (17, 28, 28, 27)  # characters, the space between them included; together WIDTH


def render_text(sheet: Sheet) -> str:
    """The sheet in at most 100 columns, without colours; a cell that is too long goes on in the next line."""
    below = [*_next(sheet), *_asking(sheet)]
    return "\n".join([_head(sheet), _titles(sheet), *_rows(sheet), *([""] if below else []), *below]) + "\n"


def tally(sheet: Sheet) -> str:
    """How many answers are in each state: "6 met, 4 open"; "broken" is said where there are some."""
    count = sheet.count()
    words = [f"{count[state]} {state}" for state in ("met", "open", "broken") if count[state] or state != "broken"]
    return ", ".join(words)


def _head(sheet: Sheet) -> str:
    return f"{sheet.service}  ·  release {sheet.release[:7]} · {tally(sheet)}"


def _titles(sheet: Sheet) -> str:
    dates = sorted(str(answer.measured["at"])[:10] for answer in sheet.answers if "at" in answer.measured)
    measured = f"measured {dates[-1]}" if dates else "measured"
    live = "live" if any(answer.live for answer in sheet.answers) else "live (not asked)"
    return _line("", "declared", measured, live)


def _rows(sheet: Sheet) -> Iterator[str]:
    for answer in sheet.answers:
        words = f"{answer.n:2} {MARKS[answer.state]} {answer.word}"
        texts = (answer.declared, str(answer.measured.get("text", "–")), str(answer.live.get("text", "–")))
        cells = [wrap(text, width - 2) for text, width in zip(texts, COLUMNS[1:], strict=True)]
        for place, parts in enumerate(zip_longest(*cells, fillvalue="")):
            yield _line("" if place else words, *parts)


def _next(sheet: Sheet) -> Iterator[str]:
    for answer in [*sheet.in_state("broken"), *sheet.in_state("open")]:
        yield from _advice(answer)


def _asking(sheet: Sheet) -> Iterator[str]:
    if not any(answer.live for answer in sheet.answers):
        yield "live".ljust(COLUMNS[0]) + f"tenfold answers http://HOST:PORT/{sheet.service} asks one that runs"


def _advice(answer: Answer) -> Iterator[str]:
    head = f"{MARKS[answer.state]} {answer.n} {answer.word}"
    because = wrap(answer.because, WIDTH - COLUMNS[0])
    mend = wrap(f"next: {answer.next}", WIDTH - COLUMNS[0]) if answer.next else []
    for place, line in enumerate([*because, *mend]):
        yield ("" if place else head).ljust(COLUMNS[0]) + line


def _line(*cells: str) -> str:
    return "".join(cell.ljust(width) for cell, width in zip(cells, COLUMNS, strict=True)).rstrip()
