"""``tenfold store``: the care of a store: backup, restore, migration, collection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from tenfold.cli import screen


def store_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option of every command that reads or writes a store."""
    return click.option(
        "--store",
        "place",
        default="",
        envvar="TENFOLD_STORE",
        metavar="URL",
        help="The store: a folder, sqlite:///FILE or postgres://…; else .tenfold in the service's folder.",
    )(command)


def own_options(context: click.Context) -> bool:
    """Whether a group of commands is used alone. Options before a command of the group would be lost, and are refused."""
    for name in ("place", "as_json"):
        if context.invoked_subcommand and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--store and --json go behind {context.invoked_subcommand}", context)
    return context.invoked_subcommand is None


@click.group(invoke_without_command=True)
@store_option
@screen.json_option
@click.pass_context
def store(context: click.Context, place: str, as_json: bool) -> None:
    """Take care of a store: what is remembered of releases, deployments, keys and labels. Without a command: say what is in
    it."""
    if not own_options(context):
        return
    from tenfold.control import stores

    about = stores.describe(place)
    if as_json:
        screen.print_json(about._asdict())
        return
    screen.print_facts(
        [
            ("store", f"{about.place}, schema {about.schema}, {about.engine}"),
            ("releases", f"{about.releases} of {', '.join(about.services) or 'no service'}"),
            ("contents", f"{about.blobs:,} files, {amount(about.bytes)}"),
            ("events", f"{about.events:,}"),
        ],
        width=10,
    )


@store.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@store_option
@screen.json_option
def backup(file: Path, place: str, as_json: bool) -> None:
    """Write all of a store to FILE (.tar or .tar.gz), while others go on working with it."""
    with screen.Progress() as progress:
        progress("writing the archive")
        from tenfold.control import stores

        size = stores.backup(file, place)
    if as_json:
        screen.print_json({"file": str(file), "bytes": size})
    else:
        click.echo(
            f"wrote {file}, {amount(size)} · next: keep it elsewhere; tenfold store restore {file} --store ANOTHER"
        )


@store.command()
@click.argument("file", type=click.Path(path_type=Path))
@store_option
@screen.json_option
def restore(file: Path, place: str, as_json: bool) -> None:
    """Make a store of the archive FILE, where there is none. Every content and the record of events are proven first."""
    with screen.Progress() as progress:
        progress("reading the archive")
        from tenfold.control import stores

        restored = stores.restore(file, place)
    if as_json:
        screen.print_json(restored._asdict())
    else:
        names = ", ".join(restored.services) or "no service"
        click.echo(
            f"restored {restored.releases} releases of {names} to {restored.place}; {restored.events} events hold"
        )


@store.command()
@store_option
@screen.json_option
def migrate(place: str, as_json: bool) -> None:
    """Bring the schema of a store up to what this tenfold needs. All steps are taken, or none."""
    from tenfold.control import stores

    migrated = stores.migrate(place)
    if as_json:
        screen.print_json(migrated._asdict())
    else:
        click.echo(f"{migrated.place}: {', '.join(migrated.steps) or 'nothing to do'}")


@store.command()
@click.option("--grace", default="24 h", show_default=True, help="Keep what is younger: it may be being pushed.")
@click.option(
    "--keep",
    default=0,
    type=click.IntRange(0),
    help="Give up the files of all but the newest N releases of each service.",
)
@store_option
@screen.json_option
def gc(grace: str, keep: int, place: str, as_json: bool) -> None:
    """Remove files that no release refers to.

    With --keep, old releases give up theirs: not what answers, answered before, or is on its way. Numbers, manifests and
    events stay for good; pushing the same folder again brings the files back under the same number.
    """
    with screen.Progress() as progress:
        progress("looking for what nothing refers to")
        from tenfold.control import stores

        swept = stores.collect(place, grace=grace, keep=keep)
    if as_json:
        screen.print_json(swept._asdict())
    else:
        given_up = f"; gave up {', '.join(swept.releases)}" if swept.releases else ""
        click.echo(f"removed {swept.blobs} files, {amount(swept.bytes)}{given_up}")


def amount(size: int) -> str:
    """A number of bytes as a person reads it."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} bytes"
