"""``tenfold watch``: changes in the code and in the model deploy themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tenfold.cli import screen
from tenfold.cli.store import store_option


@click.command()
@screen.service_argument
@click.option("--git", default="", metavar="URL", help="Watch this repository; SERVICE is a path within it.")
@click.option("--branch", default="main", show_default=True, help="The branch whose newest commit is deployed.")
@click.option(
    "--models",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Watch this folder, into which training puts models: there, or in a folder for each version.",
)
@click.option(
    "--model-of",
    default="",
    metavar="NAME@N",
    help="Watch a name in the store, such as trained@latest: the model of the release that it means.",
)
@click.option("--marker", default="_SUCCESS", show_default=True, help="The file that training writes last.")
@click.option(
    "--sign",
    metavar="KEY.pem",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Sign what is pushed with this Ed25519 private key.",
)
@click.option(
    "--accept-breaking",
    is_flag=True,
    help="Where a contract breaks those who ask, let it answer beside, under another name.",
)
@click.option("--as", "other_name", default="", metavar="NAME", help="That name; else SERVICE-2, or the next.")
@click.option("--every", default="5 s", show_default=True, metavar="DURATION", help="How often to look.")
@click.option("--once", is_flag=True, help="Look once, and end.")
@click.option("--webhook", default="", metavar="URL", help="Tell it of each event of the store, as a CloudEvent.")
@click.option(
    "--webhook-secret",
    default="",
    envvar="TENFOLD_WEBHOOK_SECRET",
    metavar="TEXT",
    help="What notices are signed with.",
)
@store_option
@screen.json_option
def watch(service: str, git: str, every: str, once: bool, place: str, as_json: bool, **more: Any) -> None:
    """Wait for a new commit or a new model of SERVICE; build it in a clean copy, run its tests, push it, and deploy it.

    A change that fails touches nothing, and is on record with the reason. One whose contract breaks those who ask is refused,
    unless --accept-breaking lets it answer beside. After tenfold rollback, changes wait until tenfold resume. It runs until
    it is ended, and says what becomes of each; a server of the store (tenfold serve --store) does the rest.
    """
    from tenfold.control import stores, watches

    def told(word: str, text: str) -> None:
        if as_json:
            screen.print_json({"event": word, "text": text})
        else:
            click.echo(f"{word:<11}{text}")

    wait_s = watches.every_s(every)
    place = place or stores.place_of("", "." if git else service)
    asked = watches.sources(service, place, git, more["branch"], more["models"], more["marker"], more["model_of"])
    way = watches.way(more["sign"], accept_breaking=more["accept_breaking"], other_name=more["other_name"])
    watcher = watches.Watcher(asked, place, told, way)
    notices = watches.notices(more["webhook"], more["webhook_secret"], place)
    watches.watch(watcher, notices, None if once else wait_s, told)
