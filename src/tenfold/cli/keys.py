"""``tenfold keys``: who may predict, send feedback, operate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tenfold.cli import screen
from tenfold.cli.store import own_options, store_option

if TYPE_CHECKING:
    from tenfold.control.keys import Key


@click.group(invoke_without_command=True)
@store_option
@screen.json_option
@click.pass_context
def keys(context: click.Context, place: str, as_json: bool) -> None:
    """Create, list and revoke the keys by which a server knows who may do what. Without a command: list them."""
    if own_options(context):
        show(place, as_json)


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=("predict",),
    show_default=True,
    help="predict, feedback or operate; repeat for several.",
)
@click.option("--expires", default=None, metavar="TIME", help='Let it run out: "90 days".')
@store_option
@screen.json_option
def create(name: str, scopes: tuple[str, ...], expires: str | None, place: str, as_json: bool) -> None:
    """Make a key for NAME and print it, once: the store keeps only its hash."""
    from tenfold.control import keys as control

    key, text, store, is_first = control.create(name, scopes, expires, place)
    if as_json:
        screen.print_json({**as_object(key), "key": text, "store": store, "store_is_new": is_first})
        return
    until = f", until {key.expires:%Y-%m-%d}" if key.expires else ""
    click.echo(f"{text}\n{key.id} for {key.name}: {', '.join(key.scopes)}{until} · shown once, so keep it now")
    made = " · there was none, so it was made; a server of another store doesn't know this key"
    click.echo(f"store      {store}{made if is_first else ''}")
    click.echo('use it     curl -H "Authorization: Bearer KEY" …')


@keys.command(name="list")
@store_option
@screen.json_option
def list_(place: str, as_json: bool) -> None:
    """List the keys of a store, also those that were revoked or ran out."""
    show(place, as_json)


def show(place: str, as_json: bool) -> None:
    """A line for each key."""
    from tenfold.control import keys as control
    from tenfold.control import stores

    found = control.listed(place)
    if as_json:
        screen.print_json({"keys": [as_object(key) for key in found]})
        return
    width = max((len(key.name) for key in found), default=0)
    for key in found:
        until = f"until {key.expires:%Y-%m-%d}" if key.expires else ""
        state = f"revoked {key.revoked:%Y-%m-%d}" if key.revoked else until
        click.echo(f"{key.id}  {key.name:<{width}}  {', '.join(key.scopes):<26} {key.at:%Y-%m-%d}  {state}".rstrip())
    if not found:
        click.echo(f"no keys · tenfold keys create NAME{stores.at(stores.place_of(place))} makes one")


@keys.command()
@click.argument("key")
@store_option
@screen.json_option
def revoke(key: str, place: str, as_json: bool) -> None:
    """Revoke KEY, an id or a name. Running servers learn of it within a second."""
    from tenfold.control import keys as control

    revoked = control.revoke(key, place)
    if as_json:
        screen.print_json(as_object(revoked))
    else:
        click.echo(f"revoked {revoked.id} of {revoked.name}")


def as_object(key: Key) -> dict[str, object]:
    """A key without its text or hash, for a program."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": key.scopes,
        "at": key.at.isoformat(),
        "who": key.who,
        "expires": key.expires.isoformat() if key.expires else None,
        "revoked": key.revoked.isoformat() if key.revoked else None,
    }
