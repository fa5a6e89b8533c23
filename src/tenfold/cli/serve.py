"""``tenfold serve``: one or several services over HTTP, until a signal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tenfold.cli import screen
from tenfold.cli.store import store_option
from tenfold.control import keys, stores
from tenfold.errors import NotFound, UsageError
from tenfold.supervisor import Message, Plan, Supervisor, ended, is_loopback

PORT = click.IntRange(0, 65535)


@click.command()
@click.argument("services", nargs=-1)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address for predictions.")
@click.option("--port", default=8000, show_default=True, type=PORT, help="Port for predictions; 0 for any free one.")
@click.option("--admin-host", default="127.0.0.1", show_default=True, help="Address of console and metrics.")
@click.option("--admin-port", default=8001, show_default=True, type=PORT, help="Port of console and metrics.")
@click.option("--metrics", default="", metavar="HOST:PORT", help="Open /metrics alone, for others to scrape.")
@click.option("--replicas", type=click.IntRange(1, 256), help="Processes per model.  [default: as Scaling decides]")
@click.option("--on", default="", metavar="ray[://HOST:PORT]", help="Run the replicas on a Ray cluster.")
@click.option("--fronts", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that speak HTTP.")
@click.option("--reload", is_flag=True, help="Take up a changed folder, without losing a request.")
@click.option("--env", default="", help="Options of this environment in tenfold.toml.")
@click.option("--drain-delay", default="0 s", show_default=True, help="Keep serving so long after SIGTERM.")
@click.option("--log", default="text", show_default=True, type=click.Choice(["text", "json"]), help="Form of the log.")
@click.option("--anonymous", is_flag=True, help="Answer anybody who reaches an address other than loopback.")
@click.option("--home", default="", hidden=True, help="Where to keep journal, counts and dead letters.")
@store_option
@screen.json_option
def serve(
    services: Sequence[str],
    host: str,
    admin_host: str,
    anonymous: bool,
    place: str,
    as_json: bool,
    replicas: int | None,
    **options: object,
) -> None:
    """Serve SERVICES: folders as they are on disk, or file.py[:Class]; without any, the folder that you are in.

    Or serve what a store deploys: all of it with --store alone, or services of the store by NAME. tenfold deploy says what
    that is, also while it is served.

    SIGTERM (or Ctrl-C) says "not ready" at once, answers what is in progress and exits 0; a second one ends at once. SIGHUP
    puts new fronts in the place of those that run, without losing a connection.
    """
    deployed = from_store(services, place)
    asked = [] if deployed else folders(services)
    place = stores.place_of(place, asked[0] if len(asked) == 1 else ".")
    if deployed:
        from tenfold.control import deployments

        deployments.require(services, place)
    for address in (host, admin_host):
        if not (anonymous or is_loopback(address) or keys.are_held(place)):
            raise UsageError(
                f"{address} can be reached by others, and no key is held for the store {stores.shown(place)}",
                f"tenfold keys create NAME --store {stores.shown(place)} makes one; or add --anonymous to allow anybody",
            )
    plan = Plan(
        folders=asked,
        deployed=deployed,
        names=services if deployed else (),
        host=host,
        admin_host=admin_host,
        store=stores.sealed(place),
        anonymous=anonymous,
        replicas=replicas or 1,
        scales=replicas is None,
        **options,  # type: ignore[arg-type]
    )
    teller = Teller(as_json or plan.log == "json", plan)
    asyncio.run(Supervisor(plan, teller.say, measured).run())


def measured(described: Any, folder: Path) -> float | None:
    """What one replica was measured to carry. Asked once it answers: until then, nothing more is imported than has to be."""
    from tenfold.control import scale

    return scale.measured(described, folder)


def from_store(services: Sequence[str], place: str) -> bool:
    """Whether the store says what to serve: names that are no paths were given; or none, and a store, or no service here."""
    if services:
        found = [Path(service.partition(":")[0]).exists() for service in services]
        return not any(found) and (bool(place) or stores.are_there(services))
    return bool(place) or (not Path("service.py").exists() and stores.are_there())


def folders(services: Sequence[str]) -> list[str]:
    """The services that were named, each where it can be found, or the folder that we are in."""
    if not services:
        if not Path("service.py").exists():
            raise NotFound("no service named, and no service.py here", "tenfold serve FOLDER, or tenfold init NAME …")
        return ["."]
    for service in services:
        if not Path(service.partition(":")[0]).exists():
            raise NotFound(f"{service} does not exist", "name a folder with a service.py, or file.py:Class")
    if len(set(services)) < len(services):
        raise UsageError("a service is named twice", "name each service once; --replicas N starts more processes")
    return list(services)


class Teller:
    """Prints what the supervisor reports."""

    def __init__(self, as_json: bool, plan: Plan) -> None:
        self._as_json = as_json
        self._plan = plan
        self._began = time.monotonic()
        self._services: dict[str, Message] = {}

    def say(self, event: str, message: Message) -> None:
        """One event."""
        if event == "ready":
            self._services[message["release"]] = message
        if self._as_json:
            told = {key: value for key, value in message.items() if key not in ("service", "event")}
            screen.print_json({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **told})
            return
        if event == "serving":
            self._serving(message)
        elif event == "ready" and len(self._services) > 1:
            click.echo(f"ready      {message['release']}", err=True)
        elif event in WORDS:
            click.echo(WORDS[event](message), err=True)

    def _serving(self, message: Message) -> None:
        host, port = message["address"]
        admin_host, admin_port = message["admin"]
        seconds = time.monotonic() - self._began
        for release, said in self._services.items():
            name = said["service"]["name"]
            what = said.get("deployed") or f"{release}, the folder as it is on disk"
            click.echo(f"serving    http://{url_host(host)}:{port}/{name} · {what}")
        if not self._services:
            click.echo(f"serving    http://{url_host(host)}:{port} · {unready(self._plan)}")
        if "metrics" in message:
            metrics_host, metrics_port = message["metrics"]
            click.echo(f"metrics    http://{url_host(metrics_host)}:{metrics_port}/metrics")
        click.echo(f"console    http://{url_host(admin_host)}:{admin_port} · ready in {seconds:.1f} s · Ctrl-C stops")


def unready(plan: Plan) -> str:
    """Why nothing answers yet, and what to do."""
    from tenfold.control import standings

    place = stores.shown(plan.store)
    at = stores.at(place)
    if awaited := standings.awaited(plan.names, plan.store) if plan.deployed else []:
        return f"nothing answers yet, {', '.join(awaited)} is awaited: tenfold status --store {place}"
    return f"nothing is deployed yet: tenfold deploy {plan.names[0] if plan.names else 'NAME'}{at}"


def died(message: Message) -> str:
    """Why a process ended, and what follows."""
    because, delay_s = message["because"] or ended(message["code"]), message["delay_s"]
    then = f"starting another in {delay_s:g} s" if delay_s else "starting another"
    if delay_s is None:
        then = "the next change is waited for"
    return f"died       {message['role']} {message['name']}: {because}; {then}"


def memory(message: Message) -> str:
    """What a replica takes, and what it may."""
    taken, ceiling = (message[key] / 2**20 for key in ("memory_bytes", "ceiling_bytes"))
    return f"{message['name']}: a replica takes {taken:,.0f} MiB of memory, of {ceiling:,.0f}"


WORDS: dict[str, Callable[[Message], str]] = {
    "died": died,
    "failed": lambda said: f"failed     {said['message']}\nfix:       {said['hint']}",
    "crash_loop": lambda said: (
        f"gave up    {said['name']}: {said['because']}; the next try is in {said['retry_s']:.0f} s, or when a file changes\n"
        f"fix:       {said['hint']}"
    ),
    "no_room": lambda said: (
        f"no room    {said['name']}: a replica takes {said['asked']}, and {said['free']}; it starts as soon as there is\n"
        "fix:       add machines to the cluster, or ask less of it: Scaling(cores=…), --replicas"
    ),
    "moving": lambda said: (
        f"moving     {said['name']}: the replica at {said['at']} goes once another is on a machine that has fewer of them"
    ),
    "recycling": lambda said: f"recycling  {memory(said)}; another takes its place",
    "too_large": lambda said: f"too large  {memory(said)}\nfix:       {said['hint']}",
    "scaled": lambda said: f"scaled     {said['name']} {said['because']}",
    "rollout": lambda said: f"rollout    {said['name']} {said['did']}: {said['because']}",
    "renewed": lambda said: f"renewed    {said['fronts']} new fronts answer; the others finish what they have",
    "reloading": lambda said: f"reloading  {said['folder']}",
    "stopping": lambda _: "stopping   not ready any more; answering what is in progress",
}


def url_host(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
