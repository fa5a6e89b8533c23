"""Answers for the journal to keep: requests and frames as a front has them, of any contract."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from tenfold.contract.form import Field, Form, layout_of
from tenfold.drift import Drift
from tenfold.journal.disk import Clock
from tenfold.journal.reader import Journal, Predictions
from tenfold.journal.writer import Writer
from tenfold.server import frames
from tenfold.server.blocks import read_rows
from tenfold.server.frames import Frame, Joiner
from tenfold.server.many import Many, Part
from tenfold.server.replies import Ids
from tenfold.server.requests import Packed, Single
from tenfold.spec import Spec
from tenfold.validation.scalar import Decoder
from tests.service.specs import bare

RELEASE = "echo@1234567"
INPUT = Form(
    name="Given",
    fields=(Field(name="sample", wire="the sample", kind="text", key=True), Field(name="x", wire="x", kind="float")),
)
OUTPUT = Form(
    name="Told",
    fields=(
        Field(name="label", wire="label", kind="category", categories=("benign", "malignant")),
        Field(name="score", wire="the score", kind="float"),
    ),
)
NOBODY: Any = SimpleNamespace(transport=object())

_next_id = Ids().next


def spec(given: Form = INPUT, told: Form = OUTPUT, drift: Drift | None = None) -> Spec:
    """A service of these contracts."""
    return bare("echo", given, told, drift=drift or Drift())


decoder = lru_cache(Decoder)


def pack(form: Form, rows: Sequence[Any]) -> list[Packed]:
    """Rows as the front packs them; those that the contract refuses are left out."""
    return list(decoder(form).many(msgspec.json.encode(rows)).parts)


def single(packed: Packed, done: bool = False) -> Single:
    """A request of one row; ``done`` where it has got another answer already."""
    request = Single(NOBODY, NOBODY, NOBODY, _next_id(time.monotonic()), 0.0, 0.0, 0.0, b"", (packed,))
    request.done = done
    return request


def part(places: Sequence[int], packed: Sequence[Packed], done: bool = False) -> Part:
    """Some rows of a request of many."""
    request = Many(NOBODY, NOBODY, NOBODY, _next_id(time.monotonic()), 0.0, 0.0, 0.0, b"")
    request.done = done
    return Part(request, places, packed)


def frame(form: Form, packed: Sequence[Packed], answered: Sequence[int] | None = None) -> Frame:
    """The answer frame with these outputs, for all rows or for those at some positions."""
    index = b"" if answered is None else b"".join(place.to_bytes(4, "little") for place in answered)
    parts = [bytes(32), b"", index, *(Joiner(layout_of(form)).join(packed) if packed else ())]
    return frames.unpack(frames.pack(frames.ANSWER, 1, len(packed), 0, parts))


def told(n: int, score: float = 0.5) -> Frame:
    """An answer of ``OUTPUT`` to n rows; the scores count up from ``score``."""
    rows = [{"label": "malignant", "the score": score + k} for k in range(n)]
    return frame(OUTPUT, pack(OUTPUT, rows))


def given(*keys: str) -> list[Single]:
    """A request of ``INPUT`` for each key."""
    return [single(packed) for packed in pack(INPUT, [{"the sample": key, "x": len(key)} for key in keys])]


def writer(home: Path, stated: Spec | None = None, release: str = RELEASE, **clocks: Clock) -> Writer:
    """The journal of a front, which must not drop anything."""

    def count(name: str, dropped: int) -> None:
        raise AssertionError(f"{name}: {dropped}")

    return Writer(home, stated or spec(), release, count, **clocks)


def journal(home: Path) -> Journal:
    """What a folder keeps."""
    return Journal(home, read_rows)


def everything(home: Path) -> list[Predictions]:
    """All that a folder keeps."""
    return list(journal(home).read())
