"""``tenfold answers``: the answer sheet."""

from __future__ import annotations

from pathlib import Path

import click

from tenfold.cli import screen

FAILED = 6


@click.command()
@screen.service_argument
@click.option("--require", default="", metavar="1-10|WORD|all", help="Fail unless these answers are met.")
@click.option("--html", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write a page.")
@screen.json_option
def answers(service: str, require: str, html: Path | None, as_json: bool) -> None:
    """Show the ten answers of a SERVICE: as declared, as measured, and as they are right now.

    SERVICE is a folder, a file.py[:Class], or the URL of a running service (http://127.0.0.1:8000/NAME). Exits with 6
    where an answer that --require names is not met.
    """
    from tenfold.answers import render_html, render_text
    from tenfold.control import checks, sheets

    checks.numbers(require)
    sheet = sheets.answers(service)
    missing = checks.unmet(sheet, require)
    if html:
        html.write_text(render_html(sheet), "utf-8")
    if as_json:
        click.echo(sheet.to_json())
    elif html:
        click.echo(f"wrote {html}")
    else:
        click.echo(render_text(sheet), nl=False)
    if missing and not as_json:
        click.echo(f"not met, and required: {', '.join(missing)} · exit {FAILED}", err=True)
    click.get_current_context().exit(FAILED if missing else 0)
