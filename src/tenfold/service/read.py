"""Reads a service into its ``Spec``: the ten answers as plain values, with where each of them stands."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from tenfold.errors import ServiceError
from tenfold.model import Facts, Trusted
from tenfold.service import overlay
from tenfold.service.declare import Service
from tenfold.service.manifest import manifest, release_id, released
from tenfold.service.meant import OPTIONS, require_fallback, require_meant
from tenfold.service.source import place, places
from tenfold.spec import Spec

QUESTION = {"preprocess": 3, "postprocess": 4} | {word: n for n, word in enumerate(OPTIONS, start=5)}
RESERVED = {"v1", "v2", "predict", "invocations", "ping", "healthz", "readyz"}

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def spec(service: Service | type[Service]) -> Spec:
    """What a service declares; of one that was started, with what its model says of itself. Its name is its class's, unless
    it was made from a release that answers under another one.

    Raises ``ServiceError``, naming file, line and mend, where it lacks an answer that only its author can give, or
    where an answer cannot be meant.
    """
    if isinstance(service, type):
        service = service()
    cls = type(service)
    require_meant(service)
    stated = places(cls, Service)
    overridden = OPTIONS.keys() & vars(service).keys()
    parts = manifest(service.folder, cls.model, (service.input.form, cls.output.form))
    release = release_id(parts)
    made_of = released(service.folder)
    read = Spec(
        name=made_of.service if made_of is not None and made_of.id == release else service_name(cls),
        title=cls.__name__,
        doc=inspect.cleandoc(vars(cls).get("__doc__") or ""),
        input=service.input.form,
        output=cls.output.form,
        model=_model_words(cls.model),
        preprocess=_method_words(cls, "preprocess", stated) or _default_words(service.facts),
        postprocess=_method_words(cls, "postprocess", stated)
        or ", ".join(field.wire for field in cls.output.form.fields),
        batching=service.batching,
        deadline=service.deadline,
        capacity=service.capacity,
        scaling=service.scaling,
        releases=service.releases,
        drift=service.drift,
        places=stated | dict.fromkeys(overridden, overlay.FILE),
        defaults=tuple(n for word, n in QUESTION.items() if not cls.states(word) and word not in overridden),
        parts=parts,
        release=release,
    )
    require_fallback(cls, read)
    return read


def service_name(cls: type[Service]) -> str:
    """The name of a service: what ``name`` says, else the class's in kebab case (``MNISTDigits`` is mnist-digits)."""
    name = cls.name or kebab(cls.__name__)
    if not isinstance(name, str) or not is_name(name):
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


def is_name(name: str) -> bool:
    """Whether a service could be called so."""
    return _NAME.fullmatch(name) is not None


def kebab(name: str) -> str:
    """A class name in kebab case: words start at aB and ABc."""
    return _WORD_STARTS.sub("-", name.strip("_")).replace("_", "-").lower()


def _method_words(cls: type[Service], method: str, stated: dict[str, str]) -> str:
    """A method of the service's own, and where it stands; "" where the default answers."""
    return ", ".join(filter(None, [method, stated.get(method)])) if cls.states(method) else ""


def _default_words(facts: Facts | None) -> str:
    if facts is None:
        return "the model's fields in its order"
    count = len(facts.features) or facts.width
    shape = {"frame": "a DataFrame", "column": "a column of texts"}.get(facts.wants, facts.dtype)
    return f"{f'{count} fields' if count else 'the fields'} in the model's order, {shape}"


def _model_words(model: Any) -> str:
    if isinstance(model, Trusted):
        return f"{model.path} (trusted)"
    return str(model) if isinstance(model, str | Path) else getattr(model, "__name__", type(model).__name__)
