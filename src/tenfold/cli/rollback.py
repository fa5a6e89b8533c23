"""``tenfold rollback``: back to the release before."""

from __future__ import annotations

import click

from tenfold.cli import screen
from tenfold.cli.deploy import report
from tenfold.cli.store import store_option


@click.command()
@click.argument("name", default="")
@click.option("--model-only", "part", flag_value="model", help="Take back the model, and keep the code.")
@click.option("--code-only", "part", flag_value="code", help="Take back the code, and keep the model.")
@click.option("--why", default="", metavar="TEXT", help="The reason, for the record.")
@click.option("--wait", metavar="DURATION", help='Wait until the release before answers everything: "1m".')
@store_option
@screen.json_option
def rollback(name: str, part: str | None, why: str, wait: str | None, place: str, as_json: bool) -> None:
    """Take back the release of NAME that is on its way; or, where none is, return to the one that answered before.

    While the old release is warm, it answers within a second. With --model-only or --code-only, a new release is made of
    both, and passes its gates first. Automatic deployments wait until tenfold resume NAME.
    """
    from tenfold.control import deployments

    limit_s = deployments.limit_s(wait)
    report(deployments.rollback(name, place, part=part or "", why=why), "back to", limit_s, as_json)
