"""One field, compiled: how a value is read, what it has to hold, and the nearest value that holds it.

Both compilers use it: the scalar one for each value of its second pass, the block one for each cell that its masks find.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from operator import ge, le
from typing import Any, NamedTuple

from tenfold.contract import words
from tenfold.contract.form import Field, Form, escape, layout_of, show
from tenfold.contract.reading import EXACT, Unfit, reader
from tenfold.layout import Column

Test = Callable[[Any], bool]
WHOLE = 1e-9  # 0.3 is a multiple of 0.1, although the quotient of these two floats is not quite 3


class Check(NamedTuple):
    """One thing that a value of the right type has to hold: its code, the rest of its sentence, and the test."""

    code: str
    sentence: str
    holds: Test


class Bound(NamedTuple):
    """A bound as stored and inclusive, and its sentence."""

    limit: Any
    sentence: str


class Leaf:
    """A field that holds values.

    ``name`` is what sentences call it, ``pointer`` is RFC 6901 within the row, ``column`` its place in the batch (None for
    the items of a list).
    """

    def __init__(self, field: Field, name: str, pointer: str, column: Column | None) -> None:
        self.field = field
        self.name = name
        self.pointer = pointer
        self.column = column
        self.item = Leaf(field.item, f"an item of {name}", pointer, None) if field.item else None
        self.convert = reader(field, name)
        self.low = lower_bound(field)
        self.high = upper_bound(field)
        self.checks = tuple(_checks(field, self.low, self.high))

    def read(self, value: Any) -> Any:
        """The value as stored; Unfit where it has another type or breaks a check."""
        stored = self.convert(value)
        self.check(stored)
        return stored

    def check(self, stored: Any) -> None:
        """Unfit, with the first thing that a value of the right type breaks."""
        for check in self.checks:
            if not check.holds(stored):
                raise Unfit(check.code, f"{self.name} {check.sentence}", stored)
        if self.item is not None and self.item.checks:
            for k, item in enumerate(stored):
                try:
                    self.item.check(item)
                except Unfit as unfit:
                    raise Unfit(unfit.code, unfit.detail, stored, f"/{k}") from None

    def accepts(self, stored: Any) -> bool:
        """True where ``check`` has nothing to say."""
        try:
            self.check(stored)
        except Unfit:
            return False
        return True

    def clamped(self, stored: Any) -> Any:
        """The nearest bound where the value is outside its bounds, else the value."""
        if self.low is not None and stored < self.low.limit:
            return self.low.limit
        if self.high is not None and stored > self.high.limit:
            return self.high.limit
        return stored


class Group(NamedTuple):
    """A nested contract: its field, its names, what is in it, and the leaves of all of that."""

    field: Field
    name: str
    pointer: str
    members: tuple[Leaf | Group, ...]
    leaves: tuple[Leaf, ...]


@lru_cache(maxsize=64)
def compile_form(form: Form) -> Group:
    """The whole contract as one group, whose leaves are in the order of the columns of ``layout_of(form)``."""
    columns = iter(layout_of(form).columns)
    root = Field(name="", wire="", kind="object", fields=form.fields)

    def group(field: Field, prefix: str, pointer: str) -> Group:
        members: list[Leaf | Group] = []
        leaves: list[Leaf] = []
        for child in field.fields:
            name, at = f"{prefix}{child.wire}", f"{pointer}/{escape(child.wire)}"
            if child.kind == "object":
                nested = group(child, f"{name}.", at)
                members.append(nested)
                leaves.extend(nested.leaves)
            else:
                leaf = Leaf(child, name, at, next(columns))
                members.append(leaf)
                leaves.append(leaf)
        return Group(field, prefix.removesuffix("."), pointer, tuple(members), tuple(leaves))

    return group(root, "", "")


def missing(member: Leaf | Group) -> Unfit:
    """What is said of a value that has to be there and is not."""
    return Unfit("missing", f"{member.name} is missing")


def not_an_object(group: Group, value: Any) -> Unfit:
    """What is said of a value that should hold the fields of a group."""
    return Unfit("wrong_type", f"{group.name or 'a row'} must be an object, found {words.found(value)}")


def lower_bound(field: Field) -> Bound | None:
    """The tighter of ``ge`` and ``gt``, as an inclusive bound."""
    bounds = []
    if field.ge is not None:
        bounds.append(Bound(_stored(field, field.ge), f"must be at least {show(field.ge)}, found less"))
    if field.gt is not None:
        limit = _beyond(field, _stored(field, field.gt), +1)
        bounds.append(Bound(limit, f"must be more than {show(field.gt)}, found that or less"))
    return max(bounds, key=lambda bound: bound.limit, default=None)


def upper_bound(field: Field) -> Bound | None:
    """The tighter of ``le`` and ``lt``, as an inclusive bound."""
    bounds = []
    if field.le is not None:
        bounds.append(Bound(_stored(field, field.le), f"must be at most {show(field.le)}, found more"))
    if field.lt is not None:
        limit = _beyond(field, _stored(field, field.lt), -1)
        bounds.append(Bound(limit, f"must be less than {show(field.lt)}, found that or more"))
    return min(bounds, key=lambda bound: bound.limit, default=None)


def _stored(field: Field, limit: Any) -> Any:
    """A bound as the batch stores values of the field."""
    if field.kind in ("date", "datetime"):
        return reader(field, field.wire)(limit)
    return float(limit) if field.kind == "float" else limit


def _beyond(field: Field, limit: Any, step: int) -> Any:
    """The next value after an exclusive bound, upwards or downwards, which makes the bound inclusive."""
    if field.kind == "float" or field.dtype.startswith("float"):
        return math.nextafter(limit, step * math.inf)
    return limit + step


def _checks(field: Field, low: Bound | None, high: Bound | None) -> Iterator[Check]:
    """What a value of the field has to hold, in the order in which sentences name it."""
    every = _every if field.kind == "tensor" else _itself
    noun = "character" if field.kind == "text" else "item"
    if field.kind == "category":
        labels = frozenset(field.categories)
        yield Check("unseen", f"must be {words.one_of(field.categories)}, found another value", labels.__contains__)
    if low is not None:
        yield Check("out_of_range", low.sentence, every(partial(le, low.limit)))
    if high is not None:
        yield Check("out_of_range", high.sentence, every(partial(ge, high.limit)))
    if field.multiple_of is not None:
        sentence = f"must be a multiple of {show(field.multiple_of)}"
        yield Check("out_of_range", sentence, every(partial(divides, field.multiple_of)))
    if (least := field.min_len) is not None:
        yield Check(
            "out_of_range", f"must have at least {words.count(least, noun)}, found fewer", lambda v: len(v) >= least
        )
    if (most := field.max_len) is not None:
        yield Check(
            "out_of_range", f"must have at most {words.count(most, noun)}, found more", lambda v: len(v) <= most
        )
    if field.pattern:
        fullmatch = re.compile(field.pattern).fullmatch
        yield Check("pattern", f"must match {field.pattern}", lambda v: fullmatch(v) is not None)


def _itself(holds: Test) -> Test:
    return holds


def _every(holds: Test) -> Test:
    """The test of one element, for all elements of a tensor."""
    return lambda elements: all(map(holds, elements.flat))


def divides(step: float, value: float) -> bool:
    """True if the value is a multiple of ``step``: exactly for integers, to within 1e-9 of a step for floats."""
    if isinstance(step, int) and isinstance(value, int):
        return value % step == 0
    quotient = value / step
    return abs(quotient) >= EXACT or abs(quotient - round(quotient)) <= WHOLE * max(1.0, abs(quotient))
