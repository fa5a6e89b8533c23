"""``tenfold status``: every service of a running server, worst first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
from click.core import ParameterSource

from tenfold.cli import screen
from tenfold.cli.store import store_option
from tenfold.control import servers

LEAK_RATIO = 0.01
SIGNS = {"met": "●", "ok": "●", "open": "○", "broken": "!"}


@click.command()
@click.argument("url", default=servers.ADMIN)
@click.option("--access", default="", metavar="KEY", envvar="TENFOLD_KEY", help="A key of the server; or TENFOLD_KEY.")
@store_option
@screen.json_option
def status(url: str, access: str, place: str, as_json: bool) -> None:
    """Show every service of the server whose admin address is URL, a line each, worst first.

    The admin address is http://127.0.0.1:8001 unless the server was started with another --admin-port. With --store, show
    what a store deploys, whether or not a server runs: what answers, what is on its way, who changed code and model last.
    """
    if click.get_current_context().get_parameter_source("place") is ParameterSource.COMMANDLINE:
        show_standings(place, as_json)
        return
    services = servers.status(url, access)
    if as_json:
        screen.print_json({"services": services})
        return
    width = max((len(service["name"]) for service in services), default=0)
    for service in services:
        state = servers.mark(service)
        click.echo(f"{screen.paint(SIGNS[state], screen.MARKS[state])}  {line(service, width)}")
        for said in under_way(service.get("releases") or {}):
            click.echo(f"   {'':<{width}}  {said}")
        if decided := scaled(service):
            click.echo(f"   {'':<{width}}  {decided}")
    if not services:
        click.echo("no service is running · tenfold serve SERVICE starts one")


def line(service: dict[str, Any], width: int) -> str:
    """One service: its name and release, what it answers, how fast, and ten marks."""
    name = f"{service['name']:<{width}}  @{service['release'].rpartition('@')[2]:<8}"
    late = f"p99 {milliseconds(service['p99_s'])} of {milliseconds(service['deadline_s'])}"
    replicas = f"{service['replicas']} replica{'s' * (service['replicas'] != 1)}"
    marks = "".join(SIGNS[answer] for answer in service["answers"])
    ready = "" if service["ready"] else f"   not ready: {service.get('trouble') or 'no replica is loaded'}"
    return f"{name}{rate(service['rows_per_s']):>8} rows/s   {late:<22} {replicas:<12} {marks}{ready}{growth(service)}"


def under_way(known: dict[str, Any]) -> Iterator[str]:
    """The release that is on its way, what can be done about it, and whether automatic deployments wait."""
    if rollout := known.get("rollout"):
        yield f"{rollout['release']} {rollout['state']}, {rollout['percent']:g} %: {rollout['said']}"
        if rollout["fix"]:
            yield f"fix: {rollout['fix']}"
    if refused := known.get("refused"):
        yield f"{refused['release']} refused {refused['at'][:16].replace('T', ' ')} UTC: {refused['why']}"
        yield f"fix: {refused['fix']}"
    if held := known.get("held"):
        yield f"held since {held['who']} took a release back: {held['why']}"
        yield f"fix: {held['fix']}"


def show_standings(place: str, as_json: bool) -> None:
    """What a store deploys: what answers, what is on its way, who changed code and model last."""
    from tenfold.control import standings, stores

    found = standings.standings(place)
    if as_json:
        screen.print_json({"services": [{"name": name, **known} for name, known in found.items()]})
        return
    width = max(map(len, found), default=0)
    for name, known in found.items():
        changes = known.get("changes", {})
        said = [
            f"{part} {changes[part]['at'][:10]} by {changes[part]['who']}"
            for part in ("code", "model")
            if part in changes
        ]
        number = f"@{known['release'].partition('@')[2]}" if "release" in known else "nothing deployed"
        click.echo(f"{screen.paint(SIGNS['met'], 'green')}  {name:<{width}}  {number}  {', '.join(said)}".rstrip())
        for line in under_way(known):
            click.echo(f"   {'':<{width}}  {line}")
    if not found:
        click.echo(f"no releases · tenfold push SERVICE{stores.at(place)} makes the first one")


def scaled(service: dict[str, Any]) -> str:
    """The last decision about its replicas, and what stands in its way now."""
    known = service.get("scaling") or {}
    decisions = known.get("decisions") or []
    if known.get("limit"):
        return f"scaling: {known['because']}"
    return f"scaled {decisions[-1]['at'][:16].replace('T', ' ')} UTC: {decisions[-1]['because']}" if decisions else ""


def growth(service: dict[str, Any]) -> str:
    """How fast the memory of a replica grows, where that is more than a hundredth of it an hour: a leak, perhaps."""
    fastest = max(service.get("memory", ()), key=lambda one: float(one["growth_bytes_per_h"]), default=None)
    if fastest is None or fastest["growth_bytes_per_h"] <= LEAK_RATIO * fastest["now_bytes"]:
        return ""
    return f"   memory grows by {fastest['growth_bytes_per_h'] / 2**20:,.0f} MiB/h"


def rate(rows_per_s: float) -> str:
    """Two figures of a rate, and all of those before the point."""
    return f"{rows_per_s:,.0f}" if rows_per_s >= 10 else f"{rows_per_s:.2g}"


def milliseconds(seconds: float | None) -> str:
    """A duration as a person reads it."""
    return "–" if seconds is None else f"{seconds * 1000:{'.0f' if seconds >= 0.1 else '.2g'}} ms"
