"""A contract's fields as a person reads them and fills them in: rows of the page's tables, inputs of its form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from itertools import count

import msgspec

from tenfold.contract.form import REJECT, Action, Field, ImageForm, Rule, show
from tenfold.contract.form import escape as token

NOUNS = {
    "float": "number",
    "int": "whole number",
    "bool": "true or false",
    "text": "text",
    "category": "one of",
    "datetime": "date and time",
    "date": "date",
    "image": "picture",
}
PLURALS = {"float": "numbers", "int": "whole numbers", "bool": "truth values", "text": "texts", "category": "words"}


def type_words(field: Field) -> str:
    """The field's type as a person says it."""
    if field.kind == "list" and field.item:
        return f"list of {PLURALS.get(field.item.kind, NOUNS[field.item.kind] + 's')}"
    if field.kind == "tensor":
        return f"{field.dtype} of shape {' × '.join('any' if side < 0 else str(side) for side in field.shape)}"
    return NOUNS[field.kind]


def bound_words(field: Field) -> str:
    """What the field allows, in one short line: "> 0, ≤ 60"; "" where there is no bound."""
    words = [
        f"{sign} {show(bound)}"
        for sign, bound in ((">", field.gt), ("≥", field.ge), ("<", field.lt), ("≤", field.le))
        if bound is not None
    ]
    if field.multiple_of is not None:
        words.append(f"a multiple of {show(field.multiple_of)}")
    if length := _length_words(field):
        words.append(length)
    if field.pattern:
        words.append(f"matches {field.pattern}")
    if field.timezone:
        known = {"aware": "with a time zone", "naive": "without a time zone"}
        words.append(known.get(field.timezone, f"in {field.timezone}"))
    words += [f"passes {name.rpartition('.')[2]}" for name in field.predicates]
    if field.image:
        words.append(_image_words(field.image))
    if field.item and (of_items := bound_words(field.item)):
        words.append(f"each {of_items}")
    return ", ".join(words)


def _length_words(field: Field) -> str:
    noun = "items" if field.kind == "list" else "characters"
    low, high = field.min_len, field.max_len
    if low is not None and high is not None:
        return f"{low} {noun}" if low == high else f"{low} to {high} {noun}"
    if low is not None:
        return f"at least {low} {noun}"
    return f"at most {high} {noun}" if high is not None else ""


def _image_words(image: ImageForm) -> str:
    size = f", {image.size[0]} × {image.size[1]}" if image.size else ""
    return (
        f"{' or '.join(image.formats)} up to {show(round(image.max_bytes / 2**20, 2))} MiB, "
        f"{show(round(image.max_pixels / 1e6, 1))} megapixels and {image.max_side} pixels a side; "
        f"becomes {image.order}{size}"
    )


def action_words(action: Action) -> str:
    """What is done about a value, as a person says it."""
    if action.name == "impute":
        return f"becomes the {action.of}" if action.of else f"becomes {show(action.value)}"
    words = {
        "reject": "refused",
        "clamp": "moved to the bound",
        "flag": "answered, and flagged",
        "quarantine": "refused, and put aside",
        "fallback": "gets the fallback answer",
    }
    return words[action.name]


def missing_words(field: Field) -> str:
    """What an absent or null value means for the field."""
    if field.on_missing is not None:
        return action_words(field.on_missing)
    return "may be missing" if field.nullable else "refused"


def otherwise(field: Field) -> Action:
    """What is done about a value that the field does not allow."""
    return (field.on_unseen or field.on_invalid) if field.kind == "category" else field.on_invalid


def rows_of_input(fields: tuple[Field, ...], above: str = "") -> str:
    """The table of what comes in: name, type, what is allowed, and what happens otherwise."""
    rows = []
    for field in fields:
        if field.kind == "object":
            rows.append(f"<tr>{_name_cell(field, above)}<td>object</td><td></td><td></td>{_missing_cell(field)}</tr>")
            rows.append(rows_of_input(field.fields, f"{above}{field.wire}."))
            continue
        action = otherwise(field)
        plain = " plain" if action == REJECT else ""
        rows.append(
            f'<tr>{_name_cell(field, above)}{_type_cell(field)}<td data-label="allowed">{_allowed(field)}</td>'
            f'<td data-label="otherwise"><span class="act{plain}">{escape(action_words(action))}</span></td>'
            f"{_missing_cell(field)}</tr>"
        )
    return "".join(rows)


def rows_of_output(fields: tuple[Field, ...], above: str = "") -> str:
    """The table of what goes out: name, type, what the service promises about it."""
    rows = []
    for field in fields:
        if field.kind == "object":
            rows.append(rows_of_output(field.fields, f"{above}{field.wire}."))
            continue
        rows.append(
            f'<tr>{_name_cell(field, above)}{_type_cell(field)}<td data-label="allowed">{_allowed(field)}</td></tr>'
        )
    return "".join(rows)


def rows_of_rules(rules: tuple[Rule, ...]) -> str:
    """The table of rules over several fields: name, what it says, and what happens when it does not hold."""
    return "".join(
        f'<tr><th scope="row"><code>rule:{escape(rule.name)}</code></th>'
        f"<td>{escape(rule.doc or sentence(rule.name))}</td>"
        f'<td data-label="otherwise">{escape(action_words(rule.on_invalid))}</td></tr>'
        for rule in rules
    )


def sentence(name: str) -> str:
    """A rule's name read as the sentence that it is: big_tumours_are_rough."""
    return name.replace("_", " ").capitalize()


def _name_cell(field: Field, above: str) -> str:
    marks = [
        word
        for word, said in (("key: echoed, not given to the model", field.key), ("private: never kept", field.private))
        if said
    ]
    notes = [field.doc, *marks]
    if field.name != re.sub(r"\W", "_", field.wire).lower():
        notes.append(f"in Python: {field.name}")
    small = "".join(f"<small>{escape(note)}</small>" for note in notes if note)
    return f'<th scope="row">{escape(above + field.wire)}{small}</th>'


def _type_cell(field: Field) -> str:
    unit = f', <span class="soft">{escape(field.unit)}</span>' if field.unit else ""
    return f'<td data-label="type">{escape(type_words(field))}{unit}</td>'


def _missing_cell(field: Field) -> str:
    words = missing_words(field)
    plain = " plain" if words == "refused" else ""
    return f'<td data-label="if missing"><span class="act{plain}">{escape(words)}</span></td>'


def _allowed(field: Field) -> str:
    if field.categories:
        chips = "".join(f"<code>{escape(str(category))}</code> " for category in field.categories[:60])
        more = f'<span class="soft">and {len(field.categories) - 60} more</span>' if len(field.categories) > 60 else ""
        return f'<span class="chips">{chips}{more}</span>'
    return escape(bound_words(field))


def inputs_of(fields: tuple[Field, ...]) -> str:
    """The form: one labelled input per field, nested contracts as groups."""
    return "".join(_inputs(fields, "", count(1)))


def _inputs(fields: tuple[Field, ...], above: str, numbers: Iterator[int]) -> Iterator[str]:
    for field in fields:
        pointer = f"{above}/{token(field.wire)}"
        if field.kind == "object":
            inner = "".join(_inputs(field.fields, pointer, numbers))
            yield f'<fieldset><legend>{escape(field.wire)}</legend><div class="grid">{inner}</div></fieldset>'
        else:
            yield _input(field, pointer, f"f{next(numbers)}")


def _input(field: Field, pointer: str, name: str) -> str:
    kind, control = _control(field, name)
    unit = f'<span class="unit">{escape(field.unit)}</span>' if field.unit else ""
    said = _placeholder(field).startswith("empty")
    optional = '<span class="opt">optional</span>' if missing_words(field) != "refused" and not said else ""
    wide = " wide" if kind in ("image", "numbers", "texts") else ""
    return (
        f'<div class="field{wide}" data-pointer="{escape(pointer)}" data-kind="{kind}">'
        f'<label for="{name}">{escape(field.wire)} {unit}{optional}</label>{control}'
        f'<p class="help" id="{name}-help">{escape(_help(field))}</p>'
        f'<p class="note" id="{name}-note" hidden></p></div>'
    )


def _help(field: Field) -> str:
    if field.kind == "category":
        return ""
    words = [type_words(field)] if field.kind not in ("float", "text", "bool") else []
    return ", ".join([*words, *filter(None, [bound_words(field)])])


def _control(field: Field, name: str) -> tuple[str, str]:
    """How the script reads the input's value, and the input itself."""
    common = f'id="{name}" aria-describedby="{name}-help {name}-note"'
    text = f'{common} spellcheck="false" placeholder="{escape(_placeholder(field))}"'
    match field.kind:
        case "float" | "int":
            mode = "decimal" if field.kind == "float" else "numeric"
            return "number", f'<input {text} type="text" inputmode="{mode}">'
        case "bool" if not (field.nullable or field.on_missing):
            return "flag", f'<input {common} type="checkbox">'
        case "bool" | "category":
            return "choice", f"<select {common}>{_options(field)}</select>"
        case "date":
            return "text", f'<input {common} type="date">'
        case "list":
            numeric = field.item is not None and field.item.kind in ("float", "int", "bool")
            return ("numbers" if numeric else "texts"), f'<textarea {text} rows="2"></textarea>'
        case "tensor":
            return "numbers", f'<textarea {text} rows="4"></textarea>'
        case "image":
            return "image", _drop(field, name, common)
        case _:
            return "text", f'<input {text} type="text">'


def _options(field: Field) -> str:
    values: tuple[str | int | bool, ...] = field.categories or (True, False)
    literals = [msgspec.json.encode(value).decode() for value in values]
    labels = field.categories or ("true", "false")
    chosen = "".join(
        f'<option value="{escape(literal)}">{escape(str(label))}</option>'
        for literal, label in zip(literals, labels, strict=True)
    )
    return f'<option value="">{escape(_placeholder(field) or "choose")}</option>{chosen}'


def _placeholder(field: Field) -> str:
    if field.on_missing is not None and field.on_missing.name == "impute":
        return f"empty {action_words(field.on_missing)}"
    samples = {"datetime": "2026-11-14T09:30:00Z", "list": "separated by commas", "tensor": "[[…], […]]"}
    return samples.get(field.kind, "not sent" if missing_words(field) != "refused" else "")


def _drop(field: Field, name: str, common: str) -> str:
    formats = field.image.formats if field.image else ()
    accepted = ",".join(f"image/{known.lower()}" for known in formats)
    return (
        f'<label class="drop" for="{name}"><img alt="" hidden>'
        f'<input class="sr" {common} type="file" accept="{accepted}">'
        '<span><u>Choose a picture</u> or drop one here<span class="name"></span></span></label>'
    )
