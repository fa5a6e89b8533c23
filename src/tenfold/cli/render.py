"""``tenfold render``: what the next system needs of a service, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tenfold.cli import screen

TARGETS = [
    "grafana",
    "kubernetes",
    "kserve",
    "dockerfile",
    "github",
]  # as control.renders has them; --help waits for no library


@click.command()
@click.argument("target", type=click.Choice(TARGETS))
@screen.service_argument
@click.option(
    *("-o", "--out"), metavar="DIR", required=True, type=click.Path(path_type=Path), help="The folder to write to."
)
@click.option("--env", default="", help="Options of this environment in tenfold.toml.")
@click.option("--image", default="", metavar="REF", help="The image; the service's name and release by default.")
@click.option("--base", default="", metavar="REF", help="dockerfile: the image with Python to build on.")
@click.option("--namespace", default="", help="The namespace; that of kubectl by default.")
@click.option("--hostname", default="", help="kubernetes: a route from outside, for this name…")
@click.option("--gateway", default="", metavar="[NAMESPACE/]NAME", help="…through this gateway.")
@click.option("--prometheus", default="", metavar="URL", help="Scale by KEDA, which asks this Prometheus.")
@click.option("--secret", multiple=True, metavar="NAME", help="A Secret whose keys become environment variables.")
@click.option(
    "--store-secret", default="", metavar="NAME", help="Serve what a store deploys: a Secret with TENFOLD_STORE."
)
@click.option("--egress", is_flag=True, help="kubernetes: let it ask other addresses.")
@click.option("--memory", default="", metavar="SIZE", help='Memory of a pod, such as "2 GiB"; a guess by default.')
@click.option(
    "--rate-per-replica", default="", metavar="RATE", help='"240 rows/s", where tenfold bench did not measure.'
)
@click.option("--start", default="", metavar="TIME", help='"8 s" for a start, where tenfold check did not measure.')
@screen.json_option
def render(target: str, service: str, out: Path, env: str, as_json: bool, **said: Any) -> None:
    """Write what TARGET needs of a SERVICE into a folder.

    grafana: a dashboard, and alert rules for Prometheus, about the metrics that tenfold serve exports.

    kubernetes: Deployment, Service, autoscaler, disruption budget, network policy, monitor and route.

    kserve: an InferenceService.

    dockerfile: an image, checked while it is built, that serves as a user without rights.

    github: a workflow that comments the plan on a pull request, and deploys what is merged.

    What a target cannot do of what the service declares is refused.
    """
    from tenfold.control import renders

    place = renders.wanted(**said)
    written = renders.render(target, service, out, env, place)
    then = renders.then(target, service, out, env, place)
    if as_json:
        screen.print_json({"target": target, "files": [str(path) for path in written], "next": then})
        return
    screen.print_facts([*(("wrote", str(path)) for path in written), ("next", then)])
