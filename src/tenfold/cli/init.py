"""``tenfold init``: a service folder for a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenfold.cli import screen

if TYPE_CHECKING:
    from tenfold.control.folders import Made


@click.command()
@click.argument("name")
@click.option("--model", required=True, metavar="FILE", help="The trained model: .skops, .onnx, .joblib, .pkl.")
@click.option("--data", metavar="FILE", help="What it was trained on: .parquet or .csv.")
@click.option("--target", metavar="COL", help="The column of the data that it predicts.")
@click.option("--trust", is_flag=True, help="Let the model's file run code: .joblib and .pkl do.")
@click.option("--golden", default=20, show_default=True, type=click.IntRange(0), help="Rows to record as requests.")
@screen.json_option
def init(name: str, model: str, data: str | None, target: str | None, trust: bool, golden: int, as_json: bool) -> None:
    """Write the service folder NAME for a trained model, with its ten answers.

    The contract is inferred from the data: types refuse, guessed ranges and lists only flag. Every row is served and
    compared with what the model itself predicts.
    """
    with screen.Progress() as progress:
        progress("starting")
        from tenfold.control import folders

        made = folders.init(name, model=model, data=data, target=target, trust=trust, golden=golden, progress=progress)
    if as_json:
        screen.print_json(as_object(made))
    else:
        screen.print_facts(made.lines())


def as_object(made: Made) -> dict[str, object]:
    """What init did, for a program."""
    proof = made.proof
    return {
        "folder": str(Path(made.folder)),
        "model": {"name": made.facts.name, "format": made.facts.format, "libraries": dict(made.facts.libraries)},
        "fields": [guess.field.wire for guess in made.inferred.guesses],
        "unused": list(made.inferred.unused),
        "target": made.inferred.target,
        "parity": {"rows": proof.rows, "equal": proof.rows, "largest": proof.largest} if proof else None,
        "golden": made.golden,
        "look_at": list(made.look_at),
        "next": f"tenfold check {made.folder}",
    }
