"""``tenfold releases``: what is in the store, and what was done to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from tenfold.cli import screen
from tenfold.cli.store import store_option

if TYPE_CHECKING:
    from tenfold.control.releases import Event, History, Listed


@click.command()
@click.argument("name", default="")
@click.option("--events", is_flag=True, help="Show what was done: who, what, from, to, why.")
@click.option("--verify", is_flag=True, help="With --events: prove that none was altered or left out.")
@click.option("--bill", is_flag=True, help="Print the bill of materials of NAME@N (CycloneDX).")
@store_option
@screen.json_option
def releases(name: str, events: bool, verify: bool, bill: bool, place: str, as_json: bool) -> None:
    """List the releases of NAME, or of every service in the store, the newest first; or just NAME@N.

    With --events, show who did what, and why. Each event holds the hash of the one before; --verify goes through all of
    them and holds the deployments against them (exit 6 where that fails). It prints the hash of the last one: kept
    elsewhere, that shows later whether events at the end were cut off.
    """
    from tenfold.control import releases as control
    from tenfold.control import stores

    if bill:
        click.echo(json.dumps(control.bill_of(name, place), ensure_ascii=False, indent=2))
    elif events or verify:
        show_events(control.history(name, place, verify=verify), verify, as_json)
    else:
        show_releases(control.listed(name, place), as_json, stores.at(stores.place_of(place)))


def show_releases(listed: list[Listed], as_json: bool, at: str) -> None:
    """A line for each release; ``at`` is what a command needs besides for this store."""
    if as_json:
        screen.print_json({"releases": [release_object(one) for one in listed]})
        return
    width = max((len(one.release.name) for one in listed), default=0)
    for release, pointers, changed, signed in listed:
        said = [", ".join(pointers), f"new {', '.join(changed)}" if changed else "", "signed" if signed else ""]
        said += ["files given up" if release.collected else "", release.source, release.why]
        told = " · ".join(filter(None, said))
        click.echo(
            f"{release.name:<{width}}  {release.id[:7]}  {release.at:%Y-%m-%d %H:%M}  {release.who}  {told}".rstrip()
        )
    if not listed:
        click.echo(f"no releases · tenfold push SERVICE{at} makes the first one")


def release_object(one: Listed) -> dict[str, Any]:
    """A release, for a program."""
    release = one.release
    return {
        "service": release.service,
        "number": release.number,
        "id": release.id,
        "parts": release.parts,
        "at": release.at.isoformat(),
        "who": release.who,
        "why": release.why,
        "source": release.source,
        "pointers": one.pointers,
        "changed": one.changed,
        "signed_by": one.signed_by,
        "collected": release.collected.isoformat() if release.collected else None,
    }


def show_events(history: History, verified: bool, as_json: bool) -> None:
    """A line for each event, the oldest first."""
    last = history.last
    if as_json:
        seal = {"verified": {"events": last.n if last else 0, "hash": last.hash if last else ""}} if verified else {}
        screen.print_json({"events": [event_object(event) for event in history.events], **seal})
        return
    for event in history.events:
        names = [history.names.get((event.service, id_), id_[:7]) for id_ in (event.from_, event.to) if id_]
        said = [event.what, " → ".join(names) or event.service, event.why or str(event.detail.get("name", ""))]
        click.echo(f"{event.at:%Y-%m-%d %H:%M:%S}  {event.who}  {'  '.join(filter(None, said))}")
    if verified:
        words = f"{last.n} events, the last is {last.hash}" if last else "no events"
        click.echo(f"{screen.paint('verified', 'green')}  {words}")


def event_object(event: Event) -> dict[str, Any]:
    """An event, for a program."""
    return {
        "n": event.n,
        "at": event.at.isoformat(),
        "who": event.who,
        "what": event.what,
        "service": event.service,
        "from": event.from_,
        "to": event.to,
        "why": event.why,
        "detail": event.detail,
        "previous": event.previous,
        "hash": event.hash,
    }
