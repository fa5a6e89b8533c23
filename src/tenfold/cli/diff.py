"""``tenfold diff``: what lies between two releases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from tenfold.cli import screen
from tenfold.cli.store import store_option

if TYPE_CHECKING:
    from tenfold.control.differences import Answers, Between

COLOURS = {"+": "green", "-": "red", "@": "cyan"}
MOST_LINES = 20  # of one kind; --json has them all


@click.command()
@click.argument("a")
@click.argument("b")
@store_option
@screen.json_option
def diff(a: str, b: str, place: str, as_json: bool) -> None:
    """Show what lies between A and B: releases (NAME@13, NAME@latest, @3f9c2a1), or a folder as it is.

    The contract, and whom a change of it breaks; options; the lines of the code; libraries; how the golden answers moved;
    other files by their digests.
    """
    with screen.Progress() as progress:
        progress("comparing")
        from tenfold.control import differences

        found = differences.diff(a, b, place)
    if as_json:
        screen.print_json(as_object(found))
        return
    screen.print_facts(facts(found), width=11)
    for edited in found.code:
        for line in edited.diff.splitlines():
            click.echo(screen.paint(line, COLOURS[line[0]]) if line[:1] in COLOURS else line)


def facts(found: Between) -> Iterator[tuple[str, str]]:
    """The lines before those of the code."""
    yield "between", f"{found.a} and {found.b}: {', '.join(found.parts) or 'no'} changed"
    for side, pointer, was, now, breaks in found.contract:
        mark = f"{screen.paint('breaks', 'red')} · " if breaks else ""
        yield "contract", f"{mark}{side} {pointer}: {was} → {now}" + (f": {breaks}" if breaks else "")
    for name, was, now in found.options:
        yield "options", f"{name}: {was} → {now}"
    for word, moved in (("libraries", found.libraries), ("files", found.files)):
        for name, was, now in moved[:MOST_LINES]:
            yield word, f"{name} {was or 'none'} → {now or 'none'}"
        if len(moved) > MOST_LINES:
            yield word, f"and {len(moved) - MOST_LINES} more (--json has them all)"
    if found.golden:
        yield "golden", answers(found.golden)


def answers(golden: Answers) -> str:
    """How the answers to golden requests moved."""
    words = [f"{golden.equal} of {golden.requests} answers equal"]
    if golden.equal < golden.requests:
        words.append(f"{golden.labels} labels differ, largest {golden.largest:.3g}")
    words += [f"{golden.gone} requests gone"] if golden.gone else []
    words += [f"{golden.new} requests new"] if golden.new else []
    return "; ".join(words)


def as_object(found: Between) -> dict[str, object]:
    """What differs, for a program."""
    return {
        "from": found.a,
        "to": found.b,
        "breaking": found.breaking,
        "parts": found.parts,
        "contract": [difference._asdict() for difference in found.contract],
        "options": [moved._asdict() for moved in found.options],
        "code": [edited._asdict() for edited in found.code],
        "libraries": [moved._asdict() for moved in found.libraries],
        "files": [moved._asdict() for moved in found.files],
        "golden": found.golden._asdict() if found.golden else None,
    }
