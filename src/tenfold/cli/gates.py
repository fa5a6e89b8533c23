"""``tenfold gates``: what a release has to show before it takes traffic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenfold.cli import screen
from tenfold.cli.store import store_option
from tenfold.errors import GateFailed

if TYPE_CHECKING:
    from tenfold.control.gates import Gate, Judged

MARKS = {"passed": "ok", "unproven": "open", "failed": "broken"}


@click.command()
@click.argument("name", default=".")
@click.option("--against", default="", metavar="NAME@N", help="The release to compare with; else the one that answers.")
@click.option("--accept-breaking", is_flag=True, help="Let a contract that breaks others pass.")
@click.option(
    "--signed-by",
    "signed_by",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="KEY.pub",
    help="Ask for a signature by this public key, or another one that is named.",
)
@click.option(
    "--journal",
    default=None,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="The service's folder whose journal has recent traffic, to be answered once more.",
)
@click.option("--last", is_flag=True, help="Show what they said last, instead of asking them.")
@store_option
@screen.json_option
def gates(
    name: str,
    against: str,
    accept_breaking: bool,
    signed_by: tuple[Path, ...],
    journal: Path | None,
    last: bool,
    place: str,
    as_json: bool,
) -> None:
    """Ask whether NAME@N (or the newest release of NAME) may take traffic: signature, environment, contract, golden records,
    what its answers depend on, how far they move, capacity, memory. Nothing that runs is changed.

    Exit 6 where a gate fails. What is unproven stops nothing, and says what would prove it.
    """
    from tenfold.control import gates as control
    from tenfold.control import stores

    def told(gate: Gate) -> None:
        if not as_json:
            show_gate(gate, accept_breaking)

    options: dict[str, Any] = {"accept_breaking": accept_breaking, "told": told}
    if last:
        judged = control.last(name, place, **options)
    else:
        with screen.Progress() as progress:
            progress("asking the gates")
            options |= {"against": against, "signed_by": signed_by, "journal": journal}
            judged = control.judge(name, place, **options)
    if as_json:
        screen.print_json(judged_object(judged))
    at = stores.at(judged.place, judged.release.name)
    beside = f"tenfold deploy {judged.release.name} --accept-breaking{at}"
    if judged.held_up:
        refused = ", ".join(gate.name for gate in judged.held_up)
        golden = any(gate.name == "golden" for gate in judged.held_up)
        raise GateFailed(
            f"{judged.release.name} takes no traffic: {refused}",
            (f"{beside} · lets both answer; or " if judged.held_up[0].name == "contract" else "")
            + "mend what the lines say and push again"
            + (", after tenfold record SERVICE where other answers are meant" if golden else ""),
        )
    breaking = any(gate.name == "contract" and gate.verdict == "failed" for gate in judged.gates)
    if breaking and not as_json:
        click.echo(f"next   {beside}: both answer, it under another name")
    elif not as_json:
        current = f", beside {judged.current.name}" if judged.current else ""
        click.echo(f"next   tenfold deploy {judged.release.name}{at}{current}")


def show_gate(gate: Gate, accept_breaking: bool = False) -> None:
    """A line for a gate. What breaks others is accepted just under another name, so that much is open."""
    accepted = accept_breaking and gate.name == "contract" and gate.verdict == "failed"
    because = f"{gate.because}; it may answer under another name alone" if accepted else gate.because
    screen.print_marked(gate.name, "open" if accepted else MARKS[gate.verdict], because)


def judged_object(judged: Judged) -> dict[str, Any]:
    """What the gates said, for a program."""
    return {
        "release": judged.release.name,
        "against": judged.current.name if judged.current else None,
        "passed": not judged.held_up,
        "gates": [
            {
                "name": gate.name,
                "verdict": gate.verdict,
                "because": gate.because,
                "at": gate.at.isoformat(),
                "machine": gate.machine,
                "evidence": judged.evidence[gate.name],
            }
            for gate in judged.gates
        ],
    }
