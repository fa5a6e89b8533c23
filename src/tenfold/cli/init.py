"""``tenfold init``: a service folder for a trained model."""

from __future__ import annotations

from importlib.metadata import version
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
        screen.print_facts(facts_of(made))


def facts_of(made: Made) -> list[tuple[str, str]]:
    """What init did, line by line."""
    lines = [("model", model_words(made)), ("fields", field_words(made)), ("rules", rule_words(made))]
    if made.proof:
        rows, asked, largest = made.proof
        lines.append(("parity", f"served = {asked} on {rows:,} of {rows:,} rows, largest difference {largest:.2g}"))
    if made.golden:
        where = f"{made.folder}/golden/"
        lines.append(("golden", f"{made.golden} of your rows in {where}; they will be in git (--golden 0 keeps none)"))
    elif made.proof is None:
        lines.append(("parity", "not shown: without --data there is nothing to compare"))
    lines += [("look at", question) for question in made.look_at[:3]]
    return [*lines, ("next", f"tenfold check {made.folder}")]


def model_words(made: Made) -> str:
    """What the model is, and the versions that it was trained with."""
    facts = made.facts
    words = [facts.name]
    if facts.classes:
        words.append(f"{len(facts.classes)} classes")
    elif len(made.outputs) > 1:
        words.append(f"gives {len(made.outputs)} values: {', '.join(made.outputs)}")
    words += [f"{library} {pinned} ({_here(library, pinned)})" for library, pinned in list(facts.libraries.items())[:1]]
    trusted = "; you trust it to run code (--trust)" if made.trusted else ""
    return ", ".join(words) + trusted


def _here(library: str, pinned: str) -> str:
    here = version(library)
    return "same here" if here == pinned else f"{here} here: answers may differ"


def field_words(made: Made) -> str:
    """Which columns became fields."""
    inferred = made.inferred
    words = f"{len(inferred.guesses)} of {made.columns} columns, in the model's order"
    if inferred.unused:
        shown = ", ".join(inferred.unused[:6]) + (", …" if len(inferred.unused) > 6 else "")
        words += f"; not used: {shown}"
    return words + (f" · target: {inferred.target}" if inferred.target else "")


def rule_words(made: Made) -> str:
    """What refuses and what only flags."""
    fields = [guess.field for guess in made.inferred.guesses]
    ranges = sum(field.ge is not None or field.le is not None for field in fields)
    lists = sum(field.kind == "category" for field in fields)
    guessed = [f"{count} {noun}{'s' * (count != 1)}" for count, noun in ((ranges, "range"), (lists, "list")) if count]
    if not guessed:
        return "types reject; nothing is guessed"
    return f"types reject; {' and '.join(guessed)} only flag: guessed from {made.inferred.rows:,} rows"


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
