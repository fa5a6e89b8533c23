"""The pages that a person reads, as bytes made once when a release is loaded: one per service, and their list.

A page is one file: its style, its script and its facts are within it, nothing comes from elsewhere, and its ``policy``
allows exactly that script and that style by their hashes. Whatever comes from a contract is escaped.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Any
from urllib.parse import quote

import msgspec

from tenfold.contract.form import Field, Form, leaves
from tenfold.contract.schema import example
from tenfold.questions import Declared, declared
from tenfold.server.fields import inputs_of, rows_of_input, rows_of_output, rows_of_rules
from tenfold.spec import Spec

GLYPH = (
    '<svg viewBox="0 0 34 13" {}>'
    + "".join(f'<circle data-n="{k + 1}" cx="{3 + 7 * (k % 5)}" cy="{3 + 7 * (k // 5)}" r="2.6"/>' for k in range(10))
    + "</svg>"
)  # ten dots; on a service's page each shows the state of its answer
ICON = GLYPH.format('xmlns="http://www.w3.org/2000/svg" width="34" height="34" fill="#5a60e0"')


@cache
def asset(name: str) -> str:
    """A file of the ``page`` folder."""
    return (files(__package__) / "page" / name).read_text("utf-8")


@cache
def policy() -> str:
    """The Content-Security-Policy that every page carries: this style, this script, requests to where it came from."""
    return (
        f"default-src 'none'; style-src '{_hash('style.css')}'; script-src '{_hash('page.js')}'; "
        "connect-src 'self'; img-src data:; form-action 'none'; base-uri 'none'"
    )


def service_page(spec: Spec, sample: Mapping[str, Any] | bytes | None = None) -> bytes:
    """The page of one service.

    ``sample`` is what the form starts with: a row in wire names, or a picture where that is the request.
    Without one, an example is made from the contract.
    """
    answers = declared(spec)
    body = Template(asset("service.html")).substitute(
        glyph=glyph(),
        path=escape(spec.name),
        name=escape(spec.name),
        doc=f'<p class="doc">{escape(spec.doc)}</p>' if spec.doc else "",
        ten="".join(map(_cell, answers)),
        about=escape(_about(spec.input)),
        inputs=inputs_of(spec.input.fields),
        outputs=_promise(spec.output),
        answers="".join(map(_answer, answers)),
        input_lead=escape(f"{spec.input.doc} What is not allowed is refused, unless the field says otherwise.".strip()),
        fields=rows_of_input(spec.input.fields),
        rules=_rules(spec.input),
        output_lead=escape(
            spec.output.doc or "One answer, field by field. An answer that breaks this is an error, never sent."
        ),
        output_fields=rows_of_output(spec.output.fields),
        facts=_data(_facts(spec)),
        example=_data(_row(spec.input, sample)),
        script=asset("page.js"),
    )
    return frame(f"{spec.name} · tenfold", body)


def index_page(specs: Sequence[Spec]) -> bytes:
    """The list of the services that are served, each with a link to its page."""
    heading = "One service" if len(specs) == 1 else f"{len(specs)} services"
    body = Template(asset("index.html")).substitute(
        glyph=glyph(), heading=heading, services="".join(map(_service, specs))
    )
    return frame("tenfold", body)


def frame(title: str, body: str) -> bytes:
    """A whole HTML document around a body."""
    page = Template(asset("frame.html")).substitute(
        policy=policy(),
        title=escape(title),
        icon=f"data:image/svg+xml,{quote(ICON)}",
        style=asset("style.css"),
        body=body,
    )
    return page.encode()


def glyph() -> str:
    """The ten dots of the page's head."""
    return GLYPH.format('width="34" height="13" aria-hidden="true"')


def _cell(answer: Declared) -> str:
    n, word, text = answer.question
    return (
        f'<li data-n="{n}"><a href="#answer-{n}" title="{escape(text)}">'
        f'<span class="top">{n}<span class="mark"></span></span><span class="word">{word}</span></a></li>'
    )


def _answer(answer: Declared) -> str:
    n, word, text = answer.question
    return (
        f'<tr id="answer-{n}" data-n="{n}"><th scope="row"><span class="mark"></span>'
        f'<span class="num">{n}</span> {word} <span class="state sr"></span><small>{escape(text)}</small></th>'
        f'<td data-label="declared">{escape(answer.text)}</td><td data-label="measured"><span class="measured"></span>'
        '<span class="why" hidden></span></td><td data-label="live" class="live"></td></tr>'
    )


def _about(form: Form) -> str:
    rows = "A JSON object is one row; an array is many, and so is NDJSON, CSV, Arrow or Parquet."
    what = "The picture itself is the request." if picture_of(form) else rows
    return f"{what} Nothing is altered silently: what was changed is said beside its field."


def _rules(form: Form) -> str:
    if not form.rules:
        return ""
    return (
        '<div class="scroll"><table class="sheet stack"><thead><tr><th scope="col">Rule</th>'
        '<th scope="col">What has to hold</th><th scope="col">Otherwise</th>'
        f"</tr></thead><tbody>{rows_of_rules(form.rules)}</tbody></table></div>"
    )


def _promise(form: Form) -> str:
    names = ", ".join(wire for _, wire, _, _ in leaves(form.fields))
    return f'<p class="soft">Send the row to see {escape(names)}.</p>'


def _row(form: Form, sample: Mapping[str, Any] | bytes | None) -> Mapping[str, Any]:
    """What the form starts with: a picture stands in a row as base64."""
    if isinstance(sample, bytes) and (field := picture_of(form)):
        return {field.wire: b64encode(sample).decode()}
    return sample if isinstance(sample, Mapping) else example(form)


def _facts(spec: Spec) -> dict[str, Any]:
    """What the script has to know beside the fields themselves."""
    return {
        "picture": picture_of(spec.input) is not None,
        "output": [_output(field) for field in spec.output.fields],
    }


def _output(field: Field) -> dict[str, Any]:
    is_ratio = field.kind == "float" and field.ge == 0 and field.le == 1
    return {"wire": field.wire, "unit": field.unit, "ratio": is_ratio}


def picture_of(form: Form) -> Field | None:
    """The field that a body which is a picture fills: the only one, where no other field has to be sent."""
    pictures = [field for field in form.fields if field.kind == "image"]
    needed = [field for field in form.fields if field.kind != "image" and not field.nullable and not field.on_missing]
    return pictures[0] if len(pictures) == 1 and not needed else None


def _service(spec: Spec) -> str:
    doc = f"<p>{escape(spec.doc)}</p>" if spec.doc else ""
    return (
        f'<li class="card"><a href="{escape(spec.name)}"><b>{escape(spec.name)}</b>{doc}'
        f"<code>POST /{escape(spec.name)}/predict</code></a></li>"
    )


def _data(value: Any) -> str:
    """JSON that can stand in a script element: no "<" that could end it."""
    return msgspec.json.encode(value).decode().replace("<", "\\u003c")


def _hash(name: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(asset(name).encode()).digest()).decode()
