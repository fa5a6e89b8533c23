"""``tenfold check``: everything that can be known before traffic, a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tenfold.cli import screen

if TYPE_CHECKING:
    from tenfold.control.checks import Checked

FAILED = 6


@click.command()
@screen.service_argument
@click.option("--require", default="", metavar="1-10|WORD|all", help="Fail unless these answers are met.")
@screen.json_option
def check(service: str, require: str, as_json: bool) -> None:
    """Check a SERVICE before it takes traffic: load it, replay its golden records, time it, judge its answers.

    SERVICE is a folder or a file.py[:Class]; the folder that you are in by default. Exits with 6 where anything is
    broken, or where an answer that --require names is not met.
    """
    with screen.Progress() as progress:
        progress("starting")
        from tenfold.control import checks

        checks.numbers(require)  # a misspelt --require is told before the work
        found = checks.check(service, progress)
    missing = checks.unmet(found.sheet, require)
    code = FAILED if found.broken or missing else 0
    if as_json:
        lines = [finding._asdict() for finding in found.findings]
        screen.print_json({"service": found.sheet.service, "checks": lines, "unmet": missing, "exit": code})
    else:
        for finding in found.findings:
            screen.print_marked(*finding)
        click.echo(footer(found, require, missing, code))
    click.get_current_context().exit(code)


def footer(found: Checked, require: str, missing: list[str], code: int) -> str:
    """How many answers are met, which are open, and what the exit code means."""
    count = found.sheet.count()
    words = [f"{count['met']} met"]
    for state in ("open", "broken"):
        named = [finding.word for finding in found.answers if finding.state == state]
        words.append(f"{len(named)} {state}" + (f" ({', '.join(named)})" if named else ""))
    exit_words = f"exit {code}"
    if missing:
        exit_words += f" (--require {require}: {', '.join(missing)})"
    elif not require and code == 0 and count["open"]:
        exit_words += f" (--require all: {FAILED})"
    return f"{', '.join(words)} · {exit_words}"
