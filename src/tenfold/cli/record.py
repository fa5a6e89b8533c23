"""``tenfold record``: golden records anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tenfold.cli import screen

if TYPE_CHECKING:
    from tenfold.control.records import Report


@click.command()
@screen.service_argument
@screen.json_option
def record(service: str, as_json: bool) -> None:
    """Record the golden requests of a SERVICE anew, after retraining, and show what moved.

    The requests stay, and so does what training fed the model for them; the answers are those of the model as it is.
    """
    with screen.Progress() as progress:
        progress("replaying the golden records")
        from tenfold.control import records

        before = records.record(service)
    if as_json:
        screen.print_json(as_object(before))
        return
    click.echo(before.describe())
    for stage in before.stages:
        click.echo(f"  {stage}")
    click.echo(f"recorded   {before.rows} rows anew · next: tenfold check {service}")


def as_object(before: Report) -> dict[str, object]:
    """How the answers moved, for a program."""
    stages = [
        {"name": stage.name, "rows": stage.rows, "equal": stage.equal, "labels": stage.labels, "largest": stage.largest}
        for stage in before.stages
        if stage.recorded
    ]
    return {"service": before.service, "rows": before.rows, "retrained": before.retrained, "moved": stages}
