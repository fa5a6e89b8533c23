"""``tenfold render``: what the next system needs of a service, as files."""

from __future__ import annotations

from pathlib import Path

import click

from tenfold.cli import screen

TARGETS = ["grafana"]  # as control.renders has them; named here so that --help waits for no library


@click.command()
@click.argument("target", type=click.Choice(TARGETS))
@screen.service_argument
@click.option(
    *("-o", "--out"), metavar="DIR", required=True, type=click.Path(path_type=Path), help="The folder to write to."
)
@click.option("--env", default="", help="Options of this environment in tenfold.toml.")
@screen.json_option
def render(target: str, service: str, out: Path, env: str, as_json: bool) -> None:
    """Write what TARGET needs of a SERVICE into a folder.

    grafana: a dashboard, and alert rules for Prometheus, about the metrics that tenfold serve exports.
    """
    from tenfold.control import renders

    written = renders.render(target, service, out, env)
    then = renders.TARGETS[target].next
    if as_json:
        screen.print_json({"target": target, "files": [str(path) for path in written], "next": then})
        return
    screen.print_facts([*(("wrote", str(path)) for path in written), ("next", then)])
