"""What ``init`` made, and how that is told: the same words on the command line and in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.contract.infer import Inferred
from tenfold.scaffold.proof import Proof

if TYPE_CHECKING:
    from tenfold.model import Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was made: the folder, what the model says of itself, what was inferred from how many columns, the fields of
    the output, the proof (None without a table), how many golden records, and what in service.py a person should look
    at."""

    folder: Path
    facts: Facts
    trusted: bool
    inferred: Inferred
    outputs: tuple[str, ...]
    columns: int
    proof: Proof | None
    golden: int
    look_at: tuple[str, ...]

    def __repr__(self) -> str:
        """All of its lines."""
        return "\n".join(f"{word:<9}{text}" for word, text in self.lines())

    def lines(self) -> list[tuple[str, str]]:
        """What init did, line by line: a word, and what is to be said about it."""
        lines = [("model", model_words(self)), ("fields", field_words(self)), ("rules", rule_words(self))]
        if self.proof:
            rows, asked, largest = self.proof
            lines.append(("parity", f"served = {asked} on {rows:,} of {rows:,} rows, largest difference {largest:.2g}"))
        if self.golden:
            where = f"{self.folder}/golden/"
            lines.append(
                ("golden", f"{self.golden} of your rows in {where}; they will be in git (--golden 0 keeps none)")
            )
        elif self.proof is None:
            lines.append(("parity", "not shown: without --data there is nothing to compare"))
        lines += [("look at", question) for question in self.look_at[:3]]
        return [*lines, ("next", f"tenfold check {self.folder}")]


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
