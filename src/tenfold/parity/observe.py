"""What a service makes of raw requests, stage by stage: the values that are recorded, and held against the records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Any

import msgspec
import numpy as np

from tenfold.contract.form import Field, Form, leaves
from tenfold.errors import InvalidInput, ServiceError, Violation
from tenfold.parity.values import Unrecordable, canonical, digests
from tenfold.pipeline import Pipeline
from tenfold.rows import Checked, Rows
from tenfold.service import Service
from tenfold.validation import block
from tenfold.validation.scalar import Decoder

JSON = "application/json"


@dataclass(slots=True)
class Seen:
    """The stages of n rows: a canonical value each, or why there is none. ``sizes`` has the rows of each request,
    ``answers`` a JSON object for each row, None where the output contract refused it."""

    sizes: Sequence[int]
    values: dict[str, Any] = field(default_factory=dict)
    because: dict[str, str] = field(default_factory=dict)
    answers: list[dict[str, Any] | None] = field(default_factory=list)
    labels: Any = None
    failed: tuple[str, Exception] | None = None

    def note(self, stage: str, error: Exception, rows: Sequence[int]) -> None:  # noqa: ARG002 -- the first will do
        """Remember that a predicate or a rule raised."""
        self.failed = self.failed or (stage, error)

    @property
    def rows(self) -> int:
        """The rows of all requests."""
        return sum(self.sizes)

    def keep(self, stage: str, value: Any) -> None:
        """Note what a stage made."""
        try:
            self.values[stage] = canonical(value)
        except Unrecordable as error:
            self.because[stage] = str(error)


def observe(service: Service, bodies: Sequence[bytes], media_types: Sequence[str]) -> Seen:
    """Send requests through all stages of a started service. What its code raises ends up in ``failed``.

    Raises ``InvalidInput`` where the contract refuses a request.
    """
    pipeline = Pipeline(service)
    checked, sizes = typed(service.input.form, bodies, media_types)
    seen = Seen(sizes)
    seen.keep("decode", checked.rows)
    stage = "pictures" if any(column.kind == "image" for column in checked.rows.layout.columns) else "decode"
    try:
        accepted = pipeline.validate(checked.rows, checked.index, seen.note)
        _require_accepted(accepted)
        if stage == "pictures":
            seen.values[stage] = digests(accepted.rows)
        stage = "preprocess"
        for name, made in pipeline.stages(accepted.rows, len(accepted.rows)):
            stage = {"preprocess": "model", "model": "postprocess"}.get(name, "")
            if name == "postprocess":
                _keep_answers(seen, *made)
            else:
                seen.keep(name, made)
            if name == "model":
                seen.labels = labels_of(service, made)
    except InvalidInput:
        raise
    except Exception as error:
        seen.failed = (stage, error)
    return seen


def _keep_answers(seen: Seen, outputs: Rows, faults: Sequence[Any]) -> None:
    seen.keep("postprocess", outputs)
    refused = {fault.row for fault in faults}
    columns = {name: column.tolist() for name, column in outputs.columns().items()}
    for row in range(len(outputs)):
        seen.answers.append(None if row in refused else {name: values[row] for name, values in columns.items()})


def labels_of(service: Service, scores: Any) -> Any:
    """The class that a classifier's scores give each row; None where there is none."""
    facts = service.facts
    if facts is None or facts.gives != "probabilities" or getattr(scores, "ndim", 0) != 2:
        return None
    return np.asarray(facts.classes)[np.asarray(scores).argmax(axis=1)]


def typed(form: Form, bodies: Sequence[bytes], media_types: Sequence[str]) -> tuple[Checked, list[int]]:
    """The rows of raw requests, one after the other, and how many each of them has.

    Raises ``InvalidInput`` where a row is refused, since a record has to have an answer.
    """
    decoder = Decoder(form)
    rows: list[Any] = []
    sizes: list[int] = []
    refused: list[Violation] = []
    for number, (body, media_type) in enumerate(zip(bodies, media_types, strict=True)):
        found = parse(form, body, media_type, number)
        if media_type == JSON:  # as a client would be told; a table is allowed columns that a request is not
            refused += [said._replace(row=len(rows) + said.row) for said in decoder.many(body).violations]
        rows += found
        sizes.append(len(found))
    if refused:
        raise InvalidInput(refused)
    checked = block.check(form, rows)
    _require_accepted(checked)
    return checked, sizes


def refused(service: Service, bodies: Sequence[bytes], media_types: Sequence[str]) -> dict[int, str]:
    """The requests that the contract refuses, by their place, and the first reason of each."""
    pipeline = Pipeline(service)
    reasons: dict[int, str] = {}
    for number, (body, media_type) in enumerate(zip(bodies, media_types, strict=True)):
        try:
            checked, _ = typed(service.input.form, [body], [media_type])
            _require_accepted(pipeline.validate(checked.rows, checked.index, lambda *_: None))
        except InvalidInput as error:
            reasons[number] = error.violations[0].detail
    return reasons


def parse(form: Form, body: bytes, media_type: str, number: int = 0) -> list[Any]:
    """The rows of one request, untyped."""
    if media_type.startswith("image/"):
        pictures = [leaf.wire for leaf in form.fields if leaf.kind == "image"]
        if len(pictures) != 1:
            raise ServiceError(
                f"request {number} is a picture, and {form.name} has {len(pictures)} pictures", "send JSON"
            )
        return [{pictures[0]: body}]
    if media_type != JSON:
        raise ServiceError(f"request {number} is {media_type}", f"record {JSON}, or pictures as image/png and the like")
    try:
        parsed = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise ServiceError(
            f"request {number} is not valid JSON: {error}", "record requests as clients send them"
        ) from None
    return parsed if isinstance(parsed, list) else [parsed]


def _require_accepted(checked: Checked) -> None:
    if checked.violations:
        raise InvalidInput(checked.violations)
    if checked.fallbacks:
        row, code = next(iter(checked.fallbacks.items()))
        raise ServiceError(f"row {row} gets the fallback answer ({code})", "record rows that the model answers")


def without_private(
    form: Form, bodies: Sequence[bytes], media_types: Sequence[str], example: Mapping[str, Any]
) -> list[bytes]:
    """The requests with the values of private fields replaced by those of an example; untouched where there are none, or
    where these stand there already."""
    private = [pointer for _, _, pointer, leaf in leaves(form.fields) if _is_private(form.fields, pointer, leaf)]
    if private and any(media_type != JSON for media_type in media_types):
        raise ServiceError(f"{form.name} has a private picture, which cannot be recorded", "record none of it")
    return [with_example(body, private, example) for body in bodies]


def with_example(body: bytes, pointers: Iterable[str], example: Mapping[str, Any]) -> bytes:
    """A JSON body with an example's values at these pointers; untouched where these stand there already."""
    paths = [[part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]] for pointer in pointers]
    if not paths:
        return body
    before, parsed = msgspec.json.decode(body), msgspec.json.decode(body)
    for row in parsed if isinstance(parsed, list) else [parsed]:
        for path in paths:
            _replace(row, path, example)
    return body if parsed == before else msgspec.json.encode(parsed)


def _is_private(fields: Iterable[Field], pointer: str, leaf: Field) -> bool:
    """Whether a field is private itself, or stands in a nested contract that is."""
    if leaf.private:
        return True
    first = pointer.split("/")[1].replace("~1", "/").replace("~0", "~")
    return any(outer.private and outer.wire == first for outer in fields)


def _replace(row: Any, path: Sequence[str], example: Any) -> None:
    for part in path[:-1]:
        row, example = row.get(part), example.get(part)
        if not isinstance(row, dict) or not isinstance(example, dict):
            return
    if isinstance(row, dict) and path[-1] in row:
        row[path[-1]] = example.get(path[-1])


def versions(service: Service) -> dict[str, str]:
    """Python, NumPy, and the libraries that the model was trained with or that decode its pictures."""
    names = ["numpy", *(service.facts.libraries if service.facts else ())]
    if any(leaf.kind == "image" for leaf in service.input.form.fields):
        names.append("pillow")
    found = {"python": python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
