"""``tenfold push``: a service becomes a release in the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenfold.cli import screen
from tenfold.cli.store import store_option

if TYPE_CHECKING:
    from tenfold.control.releases import Pushed


@click.command()
@screen.service_argument
@click.option("--why", default="", metavar="TEXT", help="What is new, for the record.")
@click.option(
    "--sign",
    metavar="KEY.pem",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Sign the release with this Ed25519 private key.",
)
@click.option(
    "--max-file",
    default="256 MiB",
    show_default=True,
    metavar="SIZE",
    help="What a file beside code and model may have.",
)
@store_option
@screen.json_option
def push(service: str, why: str, sign: Path | None, max_file: str, place: str, as_json: bool) -> None:
    """Put a SERVICE into the store as it is: a release, which never changes.

    A release is code, model, contract, environment, golden records and reference, each with a digest; the digest of all of
    them is its id. The same service is the same release, whenever and from wherever it is pushed. Nothing is deployed.
    """
    with screen.Progress() as progress:
        progress("starting")
        from tenfold.control import releases, stores

        pushed = releases.push(service, place, why=why, key=sign, most_file=max_file, progress=progress)
    if as_json:
        screen.print_json(as_object(pushed))
        return
    release = pushed.release
    state = "new" if pushed.new else f"known since {release.at:%Y-%m-%d %H:%M}: nothing has changed"
    click.echo(f"pushed     {release.name} ({release.id[:7]}) to {pushed.place} · {state}")
    if pushed.changed:
        click.echo(f"changed    {', '.join(pushed.changed)} since {release.service}@{release.number - 1}")
    if pushed.further:
        more = f" and {len(pushed.further) - 5} more" if len(pushed.further) > 5 else ""
        click.echo(f"with       {', '.join(pushed.further[:5])}{more}, since the code may read them")
    if pushed.signed_by:
        click.echo(f"signed     by {pushed.signed_by[:16]}")
    if pushed.unsettled:
        click.echo(f"open       which libraries it means; its gates will ask again: {pushed.unsettled}")
    click.echo(f"next       tenfold deploy {release.name}{stores.at(pushed.place, release.name)}")


def as_object(pushed: Pushed) -> dict[str, object]:
    """What push did, for a program."""
    release = pushed.release
    return {
        "service": release.service,
        "number": release.number,
        "id": release.id,
        "new": pushed.new,
        "parts": release.parts,
        "changed": pushed.changed,
        "files": pushed.further,
        "signed_by": pushed.signed_by,
        "unsettled": pushed.unsettled,
        "store": pushed.place,
    }
