"""Reads a service class into its ``Spec``, and refuses what cannot be meant, with the place and the mend."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from tenfold.batching import Batching
from tenfold.capacity import Capacity
from tenfold.contract.form import Form, leaves
from tenfold.deadline import Deadline
from tenfold.drift import Drift
from tenfold.errors import ServiceError
from tenfold.model import Facts, Trusted
from tenfold.options import Option
from tenfold.releases import Releases
from tenfold.scaling import Scaling
from tenfold.service import overlay
from tenfold.service.declare import Service
from tenfold.service.manifest import manifest, release_id
from tenfold.service.source import folder_of, place, places
from tenfold.spec import Spec
from tenfold.validation.scalar import Decoder

OPTIONS: dict[str, type[Option]] = {
    "batching": Batching,
    "deadline": Deadline,
    "capacity": Capacity,
    "scaling": Scaling,
    "releases": Releases,
    "drift": Drift,
}
QUESTION = {"preprocess": 3, "postprocess": 4} | {word: n for n, word in enumerate(OPTIONS, start=5)}
NEEDED = {"input": "the contract of a row in", "output": "the contract of a row out", "model": "a path or an object"}
RESERVED = {"v1", "v2", "predict", "invocations", "ping", "healthz", "readyz"}
PARAMETERS = {"load": (0, 0), "preprocess": (1, 1), "postprocess": (1, 2)}  # fewest and most, beside self
SIGNATURES = {"load": "self", "preprocess": "self, rows", "postprocess": "self, scores[, rows]"}
TAKEN = {"start", "close", "states", "folder", "facts", "predictor"}  # what Service itself needs

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def spec(service: Service | type[Service]) -> Spec:
    """What a service declares; of one that was started, with what its model says of itself.

    Raises ``ServiceError``, naming file, line and mend, where it lacks an answer that only its author can give, or
    where an answer cannot be meant.
    """
    cls = service if isinstance(service, type) else type(service)
    _refuse_strangers(cls)
    values = {word: _option(service, cls, word) for word in OPTIONS}
    for method, (fewest, most) in PARAMETERS.items():
        _refuse_parameters(cls, method, fewest, most)
    for attribute, meaning in NEEDED.items():
        if getattr(cls, attribute, None) is None:
            raise ServiceError(
                f"{place(cls)}: {cls.__name__} has no {attribute}", f"add {attribute} = …, {meaning}, to the class"
            )
    forms = _form(cls, "input"), _form(cls, "output")
    folder = folder_of(cls) if isinstance(service, type) else service.folder
    facts = None if isinstance(service, type) else service.facts
    overridden = set() if isinstance(service, type) else OPTIONS.keys() & vars(service).keys()
    parts = manifest(folder, cls.model, forms)
    read = Spec(
        name=service_name(cls),
        title=cls.__name__,
        doc=inspect.cleandoc(vars(cls).get("__doc__") or ""),
        input=forms[0],
        output=forms[1],
        model=_model_words(cls.model),
        preprocess=_transform_words(cls, "preprocess", _default_words(facts)),
        postprocess=_transform_words(cls, "postprocess", ", ".join(field.wire for field in forms[1].fields)),
        places=places(cls, Service) | dict.fromkeys(overridden, overlay.FILE),
        defaults=tuple(n for word, n in QUESTION.items() if not cls.states(word) and word not in overridden),
        parts=parts,
        release=release_id(parts),
        **values,  # type: ignore[arg-type]
    )
    _refuse_fallback(cls, read)
    return read


def service_name(cls: type[Service]) -> str:
    """The name of a service: what ``name`` says, else the class's in kebab case (``MNISTDigits`` is mnist-digits)."""
    name = cls.name or kebab(cls.__name__)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ServiceError(
            f"{place(cls, 'name')}: {name!r} cannot be the name of a service",
            'state one of lower-case letters, digits and hyphens, at most 63: name = "tumour-check"',
        )
    if name in RESERVED:
        raise ServiceError(
            f"{place(cls, 'name')}: the name {name!r} is taken by a route of every server",
            f'rename the class, or state another name: name = "{name}-service"',
        )
    return name


def takes_rows(cls: type[Service]) -> bool:
    """Whether the service's own postprocess wants the rows beside the scores."""
    return cls.states("postprocess") and _positional(cls.postprocess)[1] > 2


def kebab(name: str) -> str:
    """A class name in kebab case: words start at aB and ABc."""
    return _WORD_STARTS.sub("-", name.strip("_")).replace("_", "-").lower()


def _form(cls: type[Service], attribute: str) -> Form:
    form = getattr(getattr(cls, attribute), "form", None)
    if not isinstance(form, Form):
        raise ServiceError(
            f"{place(cls, attribute)}: {cls.__name__}.{attribute} is not a contract",
            f"derive a class from tenfold.Contract and write {attribute} = ThatClass",
        )
    return form


def _option(service: Service | type[Service], cls: type[Service], word: str) -> Option:
    value, option = getattr(service, word), OPTIONS[word]
    if not isinstance(value, option):
        raise ServiceError(
            f"{place(cls, word)}: {cls.__name__}.{word} is {value!r}", f"write {word} = {option.__name__}(…)"
        )
    return value


def _refuse_strangers(cls: type[Service]) -> None:
    """A misspelt attribute would otherwise be an answer that nobody hears."""
    known = [*NEEDED, *OPTIONS, *PARAMETERS, "name"]
    for base in cls.__mro__[: cls.__mro__.index(Service)]:
        for attribute, value in vars(base).items():
            if attribute.startswith("_") or attribute in known:
                continue
            if attribute in TAKEN:
                raise ServiceError(
                    f"{place(base, attribute)}: {base.__name__}.{attribute} hides what Service has under that name",
                    "choose another name",
                )
            word = next((word for word, option in OPTIONS.items() if isinstance(value, option)), None)
            near = word or next(iter(get_close_matches(attribute, known, 1, cutoff=0.8)), None)
            if near is not None:
                raise ServiceError(
                    f"{place(base, attribute)}: {base.__name__}.{attribute} is none of the ten answers",
                    f"did you mean {near}?",
                )


def _refuse_parameters(cls: type[Service], method: str, fewest: int, most: int) -> None:
    if not cls.states(method):
        return
    function = getattr(cls, method)
    mend = f"write def {method}({SIGNATURES[method]})"
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise ServiceError(f"{place(cls, method)}: {cls.__name__}.{method} is not a plain function", mend)
    needed, allowed = _positional(function)
    if needed - 1 > most or allowed - 1 < fewest:
        raise ServiceError(
            f"{place(cls, method)}: {cls.__name__}.{method} takes other arguments than it is given", mend
        )


def _positional(function: Any) -> tuple[int, int]:
    """How many arguments by position a function needs, and how many it allows, ``self`` among them."""
    kinds = inspect.Parameter
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # not a function at all
        return 0, 0
    by_position = [p for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in parameters if p.default is kinds.empty and (p in by_position or p.kind is kinds.KEYWORD_ONLY)]
    return len(needed), len(by_position)


def _refuse_fallback(cls: type[Service], read: Spec) -> None:
    """The fallback answer has to be one, and an action that gives it needs one to give."""
    fallback = read.deadline.fallback
    asking = next(_fields_that_fall_back(read.input), None)
    if fallback is None and asking:
        raise ServiceError(
            f"{place(cls, 'deadline')}: {asking} of {read.input.name} says fallback, and {cls.__name__} has none",
            'write it into the deadline: Deadline("1 s", otherwise={…})',
        )
    if fallback is None:
        return
    outcome = Decoder(read.output).one_slow(msgspec.json.encode(fallback))
    if outcome.violations:
        raise ServiceError(
            f"{place(cls, 'deadline')}: the fallback answer does not fit {read.output.name}: "
            f"{outcome.violations[0].detail}",
            f"Deadline(otherwise=…) needs a valid value for each field of {read.output.name}",
        )


def _fields_that_fall_back(form: Form) -> Iterator[str]:
    for name, _, _, field in leaves(form.fields):
        if any(a is not None and a.name == "fallback" for a in (field.on_invalid, field.on_missing, field.on_unseen)):
            yield name
    yield from (f"rule {rule.name}" for rule in form.rules if rule.on_invalid.name == "fallback")


def _transform_words(cls: type[Service], method: str, default: str) -> str:
    if not cls.states(method):
        return default
    stated = places(cls, Service).get(method)
    return f"{method}, {stated}" if stated else method


def _default_words(facts: Facts | None) -> str:
    if facts is None:
        return "the model's fields in its order"
    count = len(facts.features) or facts.width
    shape = {"frame": "a DataFrame", "column": "a column of texts"}.get(facts.wants, facts.dtype)
    return f"{f'{count} fields' if count else 'the fields'} in the model's order, {shape}"


def _model_words(model: Any) -> str:
    if isinstance(model, Trusted):
        return f"{model.path} (trusted)"
    if isinstance(model, str | Path):
        return str(model)
    return getattr(model, "__name__", type(model).__name__)
