"""What a release is asked before it takes traffic, and what is seen of it: values that pass between processes as JSON."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Request(msgspec.Struct, frozen=True):
    """A request as a client sent it."""

    media_type: str
    body: bytes


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a release is to be looked at for: its answers to requests, and whether it does what its records say."""

    requests: tuple[Request, ...] = ()
    examine: bool = True


class Answered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to one request: an object for each row, or the ``code`` of the error, with where it is and what it says."""

    rows: tuple[dict[str, Any], ...] = ()
    code: str = ""
    at: str = ""
    detail: str = ""


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """A replay of golden records: what ``parity.Report`` says of it, and each of its stages as a line. ``proven`` is whether
    training gave what the model is fed, and serving feeds it the same."""

    state: Literal["ok", "open", "broken"]
    rows: int
    equal: int
    provenance: Literal["training", "self"]
    diverged: str
    says: str
    stages: tuple[str, ...]
    proven: bool


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """The golden requests, with one thing done otherwise.

    ``labels`` counts the rows (of ``rows``) with another label, ``largest`` is how far a number moves at most, of ``spread``
    between the lowest and the highest. ``is_setting`` tells what training and serving have to agree on from what comes in
    otherwise. In a ``blind`` one not a pixel differs, so that these records cannot tell; ``failed`` is the error where there
    were no answers.
    """

    field: str
    name: str
    instead: str
    is_setting: bool
    rows: int
    has_labels: bool = False
    labels: int = 0
    largest: float = 0.0
    spread: float = 0.0
    blind: bool = False
    failed: str = ""

    @property
    def matters(self) -> bool:
        """Whether answers depend on it: another label, or (without labels) a number that moves by a hundredth of its
        spread."""
        return bool(self.failed) or self.labels > 0 or (not self.has_labels and self.largest > 0.01 * self.spread)

    def __str__(self) -> str:
        what = f"{self.instead} ({self.field})" if self.field else self.instead
        if self.blind:
            return f"{what}: the same in every golden request"
        if self.failed:
            return f"{what}: no answer ({self.failed})"
        moved = f"{self.labels} of {self.rows} labels differ, " if self.has_labels else ""
        return f"{what}: {moved}numbers move by at most {self.largest:.2g}"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of a release that was loaded: how long that took, the memory that its process had then and at most
    (bytes), whether replicas can be forked of it, its answers, its golden records (None where it has none), and what its
    answers depend on."""

    seconds: float
    loaded_bytes: int
    peak_bytes: int
    forkable: bool
    answers: tuple[Answered, ...] = ()
    golden: Golden | None = None
    variants: tuple[Variant, ...] = ()
