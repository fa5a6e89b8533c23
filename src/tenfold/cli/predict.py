"""``tenfold predict``: answers to the rows of a file, once."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from tenfold.cli import screen
from tenfold.cli.batch import listed

REFUSED = 3


@click.command()
@click.argument("service")
@click.argument("file", default="-")
@screen.json_option
def predict(service: str, file: str, as_json: bool) -> None:  # noqa: ARG001 - answers are JSON either way
    """Answer the rows of a FILE, or of standard input (-), by a SERVICE, on the very path of a request.

    FILE is .json, .ndjson, .csv, .tsv, .parquet or a picture. Prints one JSON object per row, as a client gets it over HTTP.
    Columns of a table that the contract doesn't know are not used, and named; over HTTP, and in JSON, such a field is refused
    (unknown_field). Exits with 3 where a row is refused.
    """
    from tenfold.control import predictions

    refused: dict[str, int] = {}
    rows = 0
    for line in predictions.predict(service, file, sys.stdin.buffer.read, not_used):
        click.echo(line.text)
        rows += 1
        if line.refused:
            refused[line.refused] = refused.get(line.refused, 0) + 1
    if refused:
        count = sum(refused.values())
        click.echo(f"{screen.paint('refused', 'yellow')}  {count:,} of {rows:,} rows: {', '.join(refused)}", err=True)
        click.echo(f"{screen.paint('fix:', 'cyan')}     tenfold explain {next(iter(refused))}", err=True)
        click.get_current_context().exit(REFUSED)


def not_used(columns: Sequence[str]) -> None:
    """Name the columns that make no difference."""
    if columns:
        click.echo(f"{screen.paint('not used', 'yellow')}  {listed(columns)}", err=True)
