"""``tenfold record``: golden records anew, and the medians and modes of the training data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenfold.cli import screen

if TYPE_CHECKING:
    from tenfold.control.records import Recorded


@click.command()
@screen.service_argument
@click.option(
    "--data", metavar="FILE", type=click.Path(path_type=Path), help="What it was trained on: .parquet or .csv."
)
@click.option(
    "--unseen",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Rows that it was not trained on: .parquet or .csv.",
)
@click.option("--label", metavar="COL", help="The column of --unseen with the truth.")
@screen.json_option
def record(service: str, data: Path | None, unseen: Path | None, label: str | None, as_json: bool) -> None:
    """Record the golden requests of a SERVICE anew, after retraining, and show what moved.

    The requests stay, and so does what training fed the model for them; the answers are those of the model as it is.
    With --data, the medians and modes of that table are kept in reference.json, for impute("median") and impute("mode"),
    and a profile of its fields in reference.profile, with which live rows are compared. With --unseen, live answers are
    compared with the answers to that table, too; and where --label has the truth, with how good these were.
    """
    with screen.Progress() as progress:
        progress("replaying the golden records")
        from tenfold.control import records

        recorded = records.record(service, data, unseen, label)
    if as_json:
        screen.print_json(as_object(recorded))
        return
    before, reference, profile, remarks = recorded
    if reference:
        click.echo(f"reference  {len(reference.fields)} fields of {reference.rows:,} rows, in reference.json")
    elif data:
        click.echo("reference  no field has a median or a mode")
    if profile:
        of = f", {profile.task.metric} {profile.realised[0]:.3f}" if profile.task and profile.realised else ""
        click.echo(
            f"profile    {len(profile.columns)} columns of {profile.counts.rows:,} rows{of}, in reference.profile"
        )
    for remark in remarks:
        click.echo(f"           {remark}")
    if before and before.refused:
        count, reason = len(before.refused), before.refused[0]
        click.echo(f"dropped    {count} request{'s' * (count != 1)} that the contract refuses now: {reason}")
    if before:
        click.echo(before.describe())
        for stage in before.stages:
            click.echo(f"  {stage}")
    if before:
        done = f"{before.rows} rows anew"
    else:
        done = "no golden records to take anew" if data else "the profile; golden records stay as they are"
    click.echo(f"recorded   {done} · next: tenfold check {service}")


def as_object(recorded: Recorded) -> dict[str, object]:
    """How the answers moved, and what was measured, for a program."""
    before, reference, profile, remarks = recorded
    found: dict[str, object] = {}
    if before:
        stages = [
            {
                "name": stage.name,
                "rows": stage.rows,
                "equal": stage.equal,
                "labels": stage.labels,
                "largest": stage.largest,
            }
            for stage in before.stages
            if stage.recorded
        ]
        found |= {"service": before.service, "rows": before.rows, "retrained": before.retrained}
        found |= {"moved": stages, "dropped": before.refused}
    if reference:
        found["reference"] = {"rows": reference.rows, "source": reference.source, "fields": reference.fields}
    if profile:
        realised = profile.realised[0] if profile.realised else None
        columns = [column.name for column in profile.columns]
        found["profile"] = {
            "rows": profile.counts.rows,
            "columns": columns,
            "realised": realised,
            "remarks": list(remarks),
        }
    return found
