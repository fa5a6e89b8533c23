"""The text of ``service.py`` as a person would have written it: short, aligned, each answer numbered."""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tenfold.contract.form import Field, show
from tenfold.contract.infer import Guess
from tenfold.service.read import kebab

WIDTH = 120  # columns of a line
BESIDE = 96  # comments are aligned beside code that is shorter


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the text states: names, the inferred contract, and the answers that init chose.

    ``model`` is an expression ("model.skops" in quotes, or a call of trust), ``origin`` says what the guesses
    are from ("891 rows of train.parquet", or nothing), ``took`` how long the model takes for one row; ``capacity`` is
    "" where nothing is promised, ``cores`` are those of this machine.
    """

    name: str
    doc: str
    model: str
    origin: str
    guesses: Sequence[Guess]
    outputs: Sequence[Guess]
    keys: Sequence[str] = ()
    preprocess: str
    postprocess: str
    deadline: str = "50 ms"
    took: str = ""
    capacity: str = ""
    cores: int = 8


def service_source(answers: Answers) -> str:
    """The whole file."""
    body = "\n\n\n".join([_features(answers), _prediction(answers), _service(answers)])
    first = f'"""{answers.name}: the ten questions of a deployment, answered."""'
    return f"{first}\n\n{_imports(body)}\n\n\n{body}\n"


# -- names -------------------------------------------------------------------------------------------------

FROM = {  # the words that the text may use, and where they are from
    "datetime": ("date", "datetime"),
    "typing": ("Annotated", "Literal"),
    "tenfold": (
        "Alias",
        "Batching",
        "Capacity",
        "Contract",
        "Deadline",
        "Drift",
        "Ge",
        "Key",
        "Le",
        "Releases",
        "Scaling",
        "Service",
        "Timezone",
        "flag",
        "on_invalid",
        "on_unseen",
        "trust",
    ),
}
TAKEN = {word for words in FROM.values() for word in words} | {"Features", "Prediction"}


def class_name(name: str) -> str:
    """The class of a service: "tumour-check" is TumourCheck.

    A name that starts with a digit, or that the file needs for something else, gets an addition.
    """
    words = re.findall(r"[0-9a-zA-Z]+", name)
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    if not joined[:1].isalpha():
        joined = f"Model{joined}"
    return f"{joined}Model" if joined in TAKEN else joined


def _imports(body: str) -> str:
    """The import lines for those words that the text really uses."""
    nodes = ast.walk(ast.parse(body))
    used = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    words = {module: [word for word in known if word in used] for module, known in FROM.items()}
    ours = f"from tenfold import {', '.join(words['tenfold'])}"
    if len(ours) > WIDTH:
        ours = f"from tenfold import (\n{_filled(words['tenfold'], ' ' * 4)}\n)"
    standard = [f"from {module} import {', '.join(words[module])}\n" for module in FROM if words[module]][:-1]
    return "".join([*standard, "\n" if standard else "", ours])


# -- the three classes -------------------------------------------------------------------------------------


def _features(answers: Answers) -> str:
    said = "1 What comes in; 2 what is valid, and what becomes of it otherwise: a wrong type is refused."
    if any(guess.field.on_invalid.name == "flag" or guess.field.on_unseen for guess in answers.guesses):
        said += f" Ranges and lists are guessed from {answers.origin} and only flag;"
        said += " delete that word, and they refuse."
    lines = [_line(guess) for guess in answers.guesses]
    lines += [_key_line(answers)] if answers.keys else []
    head = 'class Features(Contract):\n    """One row, as the model knows it."""'
    return f"{_comment(said)}\n{head}\n\n{_aligned(lines)}"


def _prediction(answers: Answers) -> str:
    lines = [_line(guess) for guess in answers.outputs]
    return f'class Prediction(Contract):\n    """What is answered."""\n\n{_aligned(lines)}'


def _service(answers: Answers) -> str:
    route = answers.name.lower().replace("_", "-")
    took = f"one row took {answers.took}; " if answers.took else ""
    lines = [
        *([Line(f'name = "{route}"')] if kebab(class_name(answers.name)) != route else []),
        Line(f"input, output, model = Features, Prediction, {answers.model}"),
        Line("", above=f"3 preprocess: {answers.preprocess}"),
        Line("", above=f"4 postprocess: {answers.postprocess}"),
        Line("batching = Batching(max_rows=64)", "5 what waits goes together; nothing waits for more"),
        Line(f'deadline = Deadline("{answers.deadline}")', f"6 {took}what would be late is refused at once"),
        _capacity_line(answers),
        Line(f"scaling = Scaling(min_replicas=1, max_replicas={answers.cores})", "8 processes, at most one per core"),
        Line('releases = Releases(steps=("1%", "10%", "50%"))', "9 the traffic of a new release, step by step"),
        Line('drift = Drift(labels_after="30 days")', "10 when the truth about an answer is known"),
    ]
    doc = answers.doc.replace("\\", "\\\\").replace('"""', "'''")
    return f'class {class_name(answers.name)}(Service):\n    """{doc}"""\n\n{_aligned(lines)}'


def _capacity_line(answers: Answers) -> Line:
    if not answers.capacity:
        return Line("", above='7 nothing is promised; Capacity(at_least="500 rows/s") would')
    return Line(f'capacity = Capacity(at_least="{answers.capacity}")', "7 guessed from that: what do you promise?")


# -- one field ---------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """Code and the comment beside it, either of which may be empty.

    ``above`` is said even where there is no room beside; ``broken`` is the same code on several lines.
    """

    code: str
    beside: str = ""
    above: str = ""
    broken: tuple[str, ...] = ()


def _line(guess: Guess) -> Line:
    """The declaration of a field, and what in the data led to it."""
    field = guess.field
    gap = f"missing in {guess.missing:,}" if guess.missing else ""
    beside = "; ".join(filter(None, [guess.seen, gap]))
    return Line(f"{field.name}: {annotation(field)}", beside, gap, _broken(field))


def _key_line(answers: Answers) -> Line:
    names = " or ".join(quoted(name) for name in answers.keys[:3])
    question = f"Is {names} a key, to be echoed and to join labels by? No two of {answers.origin} have the same."
    return Line("", above=question)


def annotation(field: Field) -> str:
    """A field's type and words: ``Annotated[float | None, Ge(0), Le(120), on_invalid(flag)]``."""
    said = ", ".join([_type(field), *_words(field)])
    return f"Annotated[{said}]" if _words(field) else said


def _words(field: Field) -> list[str]:
    zone = {"": "", "naive": "Timezone(None)"}.get(field.timezone, "Timezone(...)")
    words = [
        f"Alias({quoted(field.wire)})" if field.wire != field.name else "",
        zone,
        f"Ge({show(field.ge)})" if field.ge is not None else "",
        f"Le({show(field.le)})" if field.le is not None else "",
        f"on_invalid({field.on_invalid.name})" if field.on_invalid.name != "reject" else "",
        f"on_unseen({field.on_unseen.name})" if field.on_unseen else "",
    ]
    return [word for word in words if word]


def _type(field: Field) -> str:
    if field.kind == "category":
        name = f"Literal[{', '.join(_categories(field))}]"
    elif field.kind == "list" and field.item:
        name = f"list[{_type(field.item)}]"
    else:
        name = {"text": "str"}.get(field.kind, field.kind)
    return f"{name} | None" if field.nullable else name


def _categories(field: Field) -> list[str]:
    return [quoted(value) if isinstance(value, str) else str(value) for value in field.categories]


def quoted(text: str) -> str:
    """Text as a Python literal, in double quotes where it can be read as it stands."""
    return json.dumps(text, ensure_ascii=False) if text.isprintable() else repr(text)


def _broken(field: Field) -> tuple[str, ...]:
    """A declaration that is too wide for one line: a word on each, a list of categories filled."""
    first = [f"{' ' * 8}{_type(field)},"]
    if field.kind == "category" and len(first[0]) > WIDTH:
        end = "] | None," if field.nullable else "],"
        first = [f"{' ' * 8}Literal[", _filled(_categories(field), " " * 12), f"{' ' * 8}{end}"]
    words = [f"{' ' * 8}{word}," for word in _words(field)]
    return (f"    {field.name}: Annotated[", *first, *words, "    ]")


# -- layout ------------------------------------------------------------------------------------------------


def _aligned(lines: Sequence[Line]) -> str:
    """The lines of a class body, with their comments in one column as far as there is room for them."""
    column = max((len(line.code) for line in lines if line.beside and len(line.code) < BESIDE), default=0)
    return "\n".join(row for line in lines for row in _rows(line, column))


def _rows(line: Line, column: int) -> Iterator[str]:
    beside = f"    {line.code:<{column}}  # {line.beside}"
    if line.beside and len(beside) <= WIDTH:
        yield beside
        return
    if line.above:
        yield _comment(line.above, " " * 4)
    if line.broken and len(line.code) + 4 > WIDTH:
        yield from line.broken
    elif line.code:
        yield f"    {line.code}"


def _filled(words: Sequence[str], indent: str) -> str:
    """Words and their commas, in lines that are as full as they may be."""
    lines = [""]
    for word in words:
        if lines[-1] and len(indent) + len(lines[-1]) + len(word) + 2 > WIDTH:
            lines.append("")
        lines[-1] += f" {word}," if lines[-1] else f"{word},"
    return "\n".join(indent + line for line in lines)


def _comment(text: str, indent: str = "") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
