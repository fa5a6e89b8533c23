"""``tenfold feedback``: labels that came later."""

from __future__ import annotations

from pathlib import Path

import click

from tenfold.cli import screen

PUBLIC = "http://127.0.0.1:8000"


@click.command()
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--key", default="", metavar="COL", help="The column with the service's Key.")
@click.option("--id", "name_column", default="", metavar="COL", help="The column with the id of each prediction.")
@click.option("--label", required=True, metavar="COL", help="The column with the truth.")
@click.option("--server", default=PUBLIC, metavar="URL", help=f"The public address of the server; {PUBLIC}.")
@click.option("--access", default="", metavar="KEY", envvar="TENFOLD_KEY", help="A key of the server; or TENFOLD_KEY.")
@screen.json_option
def feedback(
    name: str, file: Path, key: str, name_column: str, label: str, server: str, access: str, as_json: bool
) -> None:
    """Send the labels of FILE (.csv, .parquet or .ndjson) to the service NAME, which joins them to what it predicted.

    They may come late, again and corrected: the last one of a prediction counts. Exits with 4 where no label
    belongs to a prediction that is known.
    """
    with screen.Progress() as progress:
        progress("reading the labels")
        from tenfold.control import driftlive

        sent = driftlive.send(name, file, (key, name_column, label), server, access, progress)
    if as_json:
        screen.print_json(sent._asdict())
    else:
        empty = f", {sent.empty:,} rows have none" if sent.empty else ""
        unknown = f", {sent.unknown:,} of no prediction that is known" if sent.unknown else ""
        click.echo(
            f"{sent.accepted:,} label{'s' * (sent.accepted != 1)} joined{unknown}{empty} · next: tenfold drift {name}"
        )
    click.get_current_context().exit(4 if sent.unknown and not sent.accepted else 0)
