"""``tenfold status``: every service of a running server, worst first."""

from __future__ import annotations

from typing import Any

import click

from tenfold.cli import screen
from tenfold.control import servers

LEAK_RATIO = 0.01
SIGNS = {"met": "●", "ok": "●", "open": "○", "broken": "!"}


@click.command()
@click.argument("url", default=servers.ADMIN)
@screen.json_option
def status(url: str, as_json: bool) -> None:
    """Show every service of the server whose admin address is URL, a line each, worst first.

    The admin address is http://127.0.0.1:8001 unless the server was started with another --admin-port.
    """
    services = servers.status(url)
    if as_json:
        screen.print_json({"services": services})
        return
    width = max((len(service["name"]) for service in services), default=0)
    for service in services:
        state = servers.mark(service)
        click.echo(f"{screen.paint(SIGNS[state], screen.MARKS[state])}  {line(service, width)}")
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
