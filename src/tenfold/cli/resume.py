"""``tenfold resume``: automatic deployments go on."""

from __future__ import annotations

import click

from tenfold.cli import screen
from tenfold.cli.store import store_option


@click.command()
@click.argument("name", default="")
@click.option("--why", default="", metavar="TEXT", help="The reason, for the record.")
@store_option
@screen.json_option
def resume(name: str, why: str, place: str, as_json: bool) -> None:
    """Let automatic deployments of NAME go on, which a roll-back has held."""
    from tenfold.control import deployments

    service, hold = deployments.resume(name, place, why=why)
    if as_json:
        screen.print_json({"service": service, "held": hold is not None, "because": hold.why if hold else ""})
    elif hold:
        click.echo(f"resumed    {service}, held since {hold.at:%Y-%m-%d %H:%M} by {hold.who}: {hold.why}")
    else:
        click.echo(f"nothing    {service} was not held")
