"""``tenfold scale``: more replicas for a while, whatever the policy says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from tenfold.cli import screen
from tenfold.cli.store import store_option
from tenfold.errors import UsageError

if TYPE_CHECKING:
    from tenfold.control.scale import Override


@click.command()
@click.argument("name", required=False)
@click.option("--min", "least", type=click.IntRange(1, 256), metavar="N", help="Replicas at least.")
@click.option("--for", "span", default="", metavar="TIME", help='How long: "2 h".')
@click.option("--why", default="", metavar="TEXT", help="Is kept with it, and shown.")
@click.option("--clear", is_flag=True, help="Let the policy decide again, at once.")
@store_option
@screen.json_option
def scale(name: str | None, least: int | None, span: str, why: str, clear: bool, place: str, as_json: bool) -> None:
    """Have at least N replicas of NAME for a while, beyond what its Scaling decides. Without options: list what holds.

    NAME is a service of the store, or the folder that is served. A running server follows within seconds, also beyond
    max_replicas. It is put on record, and runs out by itself.
    """
    from tenfold.control import scale as control
    from tenfold.control import stores

    if name is None or not (least or clear):
        if least or span or clear or why:
            lacks = "how many replicas" if name else "which service, and how many replicas"
            raise UsageError(f"{lacks} for how long?", f"tenfold scale {name or 'NAME'} --min N --for 2h")
        show(control.asked(place, name or "."), as_json)
        return
    if clear and (least or span):
        raise UsageError("--clear ends what --min asked for", "give one of them")
    if least and not span:
        raise UsageError("for how long?", f"tenfold scale {name} --min {least} --for 2h")
    done = control.withdraw(name, why, place) if clear else control.ask(name, least or 0, span, why, place)
    if as_json:
        screen.print_json({"service": done.service, "store": done.place, **document(done.override)})
    elif clear:
        click.echo(f"{done.service}: its Scaling decides again")
    else:
        at = stores.at(done.place, name)
        click.echo(f"{done.service}: {words(done.override)} · to end it: tenfold scale {name} --clear{at}")


def show(overrides: dict[str, Override], as_json: bool) -> None:
    """What holds at present."""
    if as_json:
        screen.print_json({"overrides": [{"service": name, **document(one)} for name, one in overrides.items()]})
        return
    for name, one in overrides.items():
        click.echo(f"{name}: {words(one)}, asked by {one.who}{f': {one.why}' if one.why else ''}")
    if not overrides:
        click.echo("nothing is asked for; each service has as many replicas as its Scaling decides")


def words(one: Override) -> str:
    """An override in a line."""
    until = datetime.fromtimestamp(one.until, UTC)
    return f"at least {one.least} replica{'s' * (one.least != 1)} until {until:%Y-%m-%d %H:%M} UTC"


def document(one: Override) -> dict[str, Any]:
    """An override as JSON."""
    until = datetime.fromtimestamp(one.until, UTC).isoformat(timespec="seconds")
    return {"min": one.least, "until": until, "who": one.who, "why": one.why}
