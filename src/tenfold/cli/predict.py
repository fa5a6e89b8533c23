"""``tenfold predict``: answers to the rows of a file, once."""

from __future__ import annotations

import sys

import click

from tenfold.cli import screen

REFUSED = 3


@click.command()
@click.argument("service")
@click.argument("file", default="-")
@screen.json_option
def predict(service: str, file: str, as_json: bool) -> None:  # noqa: ARG001 - answers are JSON either way
    """Answer the rows of a FILE, or of standard input (-), by a SERVICE, on the very path of a request.

    FILE is .json, .ndjson, .csv, .parquet or a picture. Prints one JSON object per row, as a client gets it over HTTP.
    Exits with 3 where a row is refused.
    """
    from tenfold.control import predictions

    refused: dict[str, int] = {}
    rows = 0
    for line in predictions.predict(service, file, sys.stdin.buffer.read):
        click.echo(line.text)
        rows += 1
        if line.refused:
            refused[line.refused] = refused.get(line.refused, 0) + 1
    if refused:
        count = sum(refused.values())
        click.echo(f"{screen.paint('refused', 'yellow')}  {count:,} of {rows:,} rows: {', '.join(refused)}", err=True)
        click.echo(f"{screen.paint('fix:', 'cyan')}     tenfold explain {next(iter(refused))}", err=True)
        click.get_current_context().exit(REFUSED)
