"""``tenfold journal``: what was predicted, looked up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenfold.cli import screen

if TYPE_CHECKING:
    from tenfold.control.journals import Prediction, Release


@click.command()
@screen.service_argument
@click.option("--since", default="", metavar="TIME", help='Those of the last while, such as "1h" or "30 days".')
@click.option("--id", "name", default="", metavar="ID", help="The one of this id; of a request, all its rows.")
@click.option("--key", default="", metavar="KEY", help="Those for this key.")
@click.option(
    "-o", "file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write .parquet or .ndjson."
)
@screen.json_option
def journal(service: str, since: str, name: str, key: str, file: Path | None, as_json: bool) -> None:
    """Look predictions of a SERVICE up, by time, by id or by key. Without any of these, show what is kept.

    SERVICE is the folder that was served. Private fields are never kept, inputs only with Drift(journal="inputs"). Exits
    with 4 where nothing is kept of the id or the key.
    """
    with screen.Progress() as progress:
        progress("reading the journal")
        from tenfold.control import journals

        wish = journals.Wish(since, name, key)
        rows = journals.save(service, wish, file) if file else 0
        releases = [] if file or any(wish) else journals.releases(service)
    if file:
        print_saved(rows, file, as_json)
    elif any(wish):
        print_predictions(journals.predictions(service, wish), as_json, with_input=bool(name or key))
    else:
        print_releases(releases, service, as_json)


def print_saved(rows: int, file: Path, as_json: bool) -> None:
    """How many predictions a file has now."""
    if as_json:
        screen.print_json({"file": str(file), "rows": rows})
    else:
        click.echo(f"wrote {rows:,} prediction{'s' * (rows != 1)} to {file}")


def print_predictions(predictions: Iterable[Prediction], as_json: bool, with_input: bool) -> None:
    """A line for each; its input below, where it was looked up by its name and the input is kept."""
    if as_json:
        screen.print_json({"predictions": [json.loads(prediction.json()) for prediction in predictions]})
        return
    for prediction in predictions:
        key = "" if prediction.key is None else f"  key {prediction.key}"
        release = prediction.release.rpartition("@")[2]
        click.echo(f"{prediction.time}  {prediction.id}{key}  @{release}  {prediction.output.decode()}")
        if with_input and prediction.input:
            click.echo(f"  input  {prediction.input.decode()}")


def print_releases(releases: Sequence[Release], service: str, as_json: bool) -> None:
    """What is kept of each release."""
    if as_json:
        screen.print_json({"releases": [release._asdict() for release in releases]})
        return
    width = max((len(release.release) for release in releases), default=0)
    for release in releases:
        kept = "outputs and inputs" if release.inputs else "outputs"
        kept += f", by {release.key}" if release.key else ""
        size = f"{release.bytes / 2**20:,.1f} MiB"
        times = f"{release.first[:16]} to {release.last[:16]}"
        click.echo(f"{release.release:<{width}}  {release.rows:>11,} predictions  {times}  {size:>11}  {kept}")
    if not releases:
        click.echo(f"no predictions are kept · tenfold serve {service} keeps them, as Drift(journal=…) says")
