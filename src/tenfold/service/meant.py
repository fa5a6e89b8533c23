"""What cannot be meant in a service class: refused before it is loaded, with file, line and mend.

A misspelt attribute, an option of the wrong class, a method that takes other arguments than it will be given, a
fallback answer that is none: each would otherwise be found by a request, or by nobody.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import msgspec

from tenfold.batching import Batching
from tenfold.capacity import Capacity
from tenfold.contract.form import Form, leaves
from tenfold.deadline import Deadline
from tenfold.drift import Drift
from tenfold.errors import ServiceError
from tenfold.options import Option
from tenfold.releases import Releases
from tenfold.scaling import Scaling
from tenfold.service.declare import Service
from tenfold.service.source import place
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
NEEDED = {"input": "the contract of a row in", "output": "the contract of a row out", "model": "a path or an object"}
PARAMETERS = {"load": (0, 0), "preprocess": (1, 1), "postprocess": (1, 2)}  # fewest and most, beside self
SIGNATURES = {"load": "self", "preprocess": "self, rows", "postprocess": "self, scores[, rows]"}
TAKEN = {"start", "close", "states", "refer", "folder", "facts", "predictor"}  # what Service itself needs
KNOWN = (*NEEDED, *OPTIONS, *PARAMETERS, "name")


def require_meant(service: Service) -> None:
    """Raise ``ServiceError`` for the first thing in a service's class that cannot be meant."""
    cls = type(service)
    for base in cls.__mro__[: cls.__mro__.index(Service)]:
        for attribute, value in vars(base).items():
            if not attribute.startswith("_") and attribute not in KNOWN:
                _require_no_slip(base, attribute, value)
    for attribute, meaning in NEEDED.items():
        _require_needed(cls, attribute, meaning)
    for word, option in OPTIONS.items():
        value = getattr(service, word)
        if not isinstance(value, option):
            raise _fault(cls, word, f"is {value!r}", f"write {word} = {option.__name__}(…)")
    for method in filter(cls.states, PARAMETERS):
        _require_parameters(cls, method)


def require_fallback(cls: type[Service], spec: Spec) -> None:
    """Raise ``ServiceError`` where the fallback answer is none, or where an action gives one and there is none."""
    fallback, form = spec.deadline.fallback, spec.output
    asking = next(_fields_that_fall_back(spec.input), None)
    if fallback is None and asking:
        raise ServiceError(
            f"{place(cls, 'deadline')}: {asking} of {spec.input.name} says fallback, and {cls.__name__} has none",
            'write it into the deadline: Deadline("1 s", otherwise={…})',
        )
    if fallback is None:
        return
    outcome = Decoder(form).one_slow(msgspec.json.encode(fallback))
    if outcome.violations:
        detail = outcome.violations[0].detail
        raise ServiceError(
            f"{place(cls, 'deadline')}: the fallback answer does not fit {form.name}: {detail}",
            f"Deadline(otherwise=…) needs a valid value for each field of {form.name}",
        )


def takes_rows(cls: type[Service]) -> bool:
    """Whether the service's own postprocess wants the rows beside the scores."""
    return cls.states("postprocess") and _positional(cls.postprocess)[1] > 2


def _fault(cls: type[Service], attribute: str, said: str, mend: str) -> ServiceError:
    return ServiceError(f"{place(cls, attribute)}: {cls.__name__}.{attribute} {said}", mend)


def _require_no_slip(base: type[Service], attribute: str, value: Any) -> None:
    """An attribute of a service's own may have any name that is not nearly one of ours."""
    if attribute in TAKEN:
        raise _fault(base, attribute, "hides what Service has under that name", "choose another name")
    word = next((word for word, option in OPTIONS.items() if isinstance(value, option)), None)
    near = word or next(iter(get_close_matches(attribute, KNOWN, 1, cutoff=0.8)), None)
    if near is not None:
        raise _fault(base, attribute, "is none of the ten answers", f"did you mean {near}?")


def _require_needed(cls: type[Service], attribute: str, meaning: str) -> None:
    value = getattr(cls, attribute, None)
    if value is None:
        mend = f"add {attribute} = …, {meaning}, to the class"
        raise ServiceError(f"{place(cls)}: {cls.__name__} has no {attribute}", mend)
    if attribute != "model" and not isinstance(getattr(value, "form", None), Form):
        mend = f"derive a class from tenfold.Contract and write {attribute} = ThatClass"
        raise _fault(cls, attribute, "is not a contract", mend)


def _require_parameters(cls: type[Service], method: str) -> None:
    function, (fewest, most) = getattr(cls, method), PARAMETERS[method]
    mend = f"write def {method}({SIGNATURES[method]})"
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise _fault(cls, method, "is not a plain function", mend)
    needed, allowed = _positional(function)
    if needed - 1 > most or allowed - 1 < fewest:
        raise _fault(cls, method, "takes other arguments than it is given", mend)


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


def _fields_that_fall_back(form: Form) -> Iterator[str]:
    for name, _, _, field in leaves(form.fields):
        if any(a is not None and a.name == "fallback" for a in (field.on_invalid, field.on_missing, field.on_unseen)):
            yield name
    yield from (f"rule {rule.name}" for rule in form.rules if rule.on_invalid.name == "fallback")
