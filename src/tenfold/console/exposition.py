"""How metrics are written down: Prometheus' text format 0.0.4, and OpenMetrics 1.0 for whoever asks for it.

The two differ in where ``_total`` belongs, in units, and in the last line. A scraper says in ``Accept`` which one it prefers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isnan
from typing import Literal, NamedTuple

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Family(NamedTuple):
    """A metric: its name without ``_total``, ``_info`` or ``_bucket``, what it is, and what it counts or measures in."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    unit: str
    meaning: str

    @property
    def exported(self) -> str:
        """The name as it stands in a query; of a histogram, the stem of its three."""
        return self.name + {"counter": "_total", "info": "_info"}.get(self.kind, "")


class Sample(NamedTuple):
    """One number of a family. ``suffix`` is "_bucket", "_sum" or "_count" of a histogram, else ""."""

    labels: Mapping[str, str]
    value: float
    suffix: str = ""


Measured = tuple[Family, Iterable[Sample]]


def document(accept: str, measured: Iterable[Measured]) -> tuple[bytes, str]:
    """The metrics in the format that an Accept header prefers, and its media type."""
    if _prefers_openmetrics(accept):
        return ("".join(_openmetrics(measured)) + "# EOF\n").encode(), OPENMETRICS
    return "".join(_text(measured)).encode(), TEXT


def _text(measured: Iterable[Measured]) -> Iterator[str]:
    for family, samples in measured:
        name = family.exported
        kind = "gauge" if family.kind == "info" else family.kind
        yield f"# HELP {name} {_escape(family.meaning, quotes=False)}\n# TYPE {name} {kind}\n"
        yield from _lines(name, samples)


def _openmetrics(measured: Iterable[Measured]) -> Iterator[str]:
    for family, samples in measured:
        yield f"# TYPE {family.name} {family.kind}\n"
        if family.unit:
            yield f"# UNIT {family.name} {family.unit}\n"
        yield f"# HELP {family.name} {_escape(family.meaning)}\n"
        yield from _lines(family.exported, samples)


def _lines(name: str, samples: Iterable[Sample]) -> Iterator[str]:
    for labels, value, suffix in samples:
        pairs = ",".join(f'{label}="{_escape(text)}"' for label, text in labels.items())
        yield f"{name}{suffix}{{{pairs}}} {'NaN' if isnan(value) else value}\n"


def _escape(text: str, *, quotes: bool = True) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    return escaped.replace('"', '\\"') if quotes else escaped


def _prefers_openmetrics(accept: str) -> bool:
    """By the weights of RFC 9110, section 12.4.2; text where both are as welcome, since everybody reads it."""
    weights = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for wanted in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in wanted.split(";"))
        if media_type in weights:
            weights[media_type] = max(weights[media_type], _weight(parameters))
    openmetrics, text = weights.values()
    return openmetrics > 0 and openmetrics >= text


def _weight(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
