"""``tenfold explain``: one page per error code."""

from __future__ import annotations

import click

from tenfold.cli import screen
from tenfold.control import codes


@click.command()
@click.argument("code", required=False)
@screen.json_option
def explain(code: str | None, as_json: bool) -> None:
    """Say what an error CODE means and what to do; without one, list them all.

    Codes are words: out_of_range, malformed, rule:NAME.
    """
    pages = codes.explain(code)
    if as_json:
        screen.print_json({"codes": [{"code": name, **page._asdict()} for name, page in pages.items()]})
    elif code is None:
        for name, page in pages.items():
            click.echo(f"{name:<24}{page.status}  {page.title}")
        click.echo("next: tenfold explain CODE")
    else:
        for page in pages.values():
            click.echo(f"{code} · HTTP {page.status} · {page.title}\n\n{page.meaning}\n")
            click.echo(f"{screen.paint('fix:', 'cyan')} {page.fix}")
