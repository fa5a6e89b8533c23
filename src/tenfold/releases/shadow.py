"""How the answers of two releases to the same requests differ: counted, so that fronts and looks add up."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

WIDTHS = (0.0, 1e-9, 1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1e3, 1e6)
"""Bin k of a distribution holds differences of up to ``WIDTHS[k]``, the first one none at all, the last one all beyond."""


class Difference(msgspec.Struct, frozen=True):
    """How one field of the output differs.

    ``flipped`` are values that have no distance (labels, texts, missing ones, numbers that are not finite) and are not equal,
    and whole numbers that are not; ``bins`` are the distances of numbers, and ``largest`` is the largest of these.
    """

    of: int = 0
    flipped: int = 0
    largest: float = 0.0
    bins: tuple[int, ...] = (0,) * (len(WIDTHS) + 1)

    def after(self, old: object, new: object) -> Difference:
        """With one more pair of values."""
        distance = _distance(old, new)
        if distance is None:
            same = old == new or (_is_nan(old) and _is_nan(new))
            return Difference(self.of + 1, self.flipped + (not same), self.largest, self.bins)
        bins = list(self.bins)
        bins[bisect_left(WIDTHS, distance)] += 1
        flipped = isinstance(old, int) and isinstance(new, int) and old != new
        return Difference(self.of + 1, self.flipped + flipped, max(self.largest, distance), tuple(bins))

    def plus(self, more: Difference) -> Difference:
        """Both together."""
        bins = tuple(a + b for a, b in zip(self.bins, more.bins, strict=True))
        return Difference(self.of + more.of, self.flipped + more.flipped, max(self.largest, more.largest), bins)

    def within(self, share: float) -> float:
        """A width that holds this share of the distances; the largest distance where no narrower one does."""
        wanted, held = share * sum(self.bins), 0
        for width, count in zip(WIDTHS, self.bins, strict=False):
            held += count
            if held >= wanted:
                return min(width, self.largest)
        return self.largest


class Comparison(msgspec.Struct, frozen=True):
    """What comparing showed: requests that both were asked, those that one of them alone failed, and each output field.

    A field of a nested contract is called ``a.b``; of a list, all items count.
    """

    compared: int = 0
    new_failed: int = 0
    old_failed: int = 0
    fields: dict[str, Difference] = {}

    def after(self, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Comparison:
        """With one more request: the output of each release, None where it gave none by its own fault.

        A request that is invalid, or for which there was no time, is no comparison and is not handed in.
        """
        if old is None or new is None:
            new_alone, old_alone = new is None and old is not None, old is None and new is not None
            return Comparison(self.compared + 1, self.new_failed + new_alone, self.old_failed + old_alone, self.fields)
        fields = dict(self.fields)
        for name, before, now in _pairs(old, new, ""):
            fields[name] = fields.get(name, Difference()).after(before, now)
        return Comparison(self.compared + 1, self.new_failed, self.old_failed, fields)

    def plus(self, more: Comparison) -> Comparison:
        """Both together."""
        names = {**self.fields, **more.fields}
        none = Difference()
        return Comparison(
            self.compared + more.compared,
            self.new_failed + more.new_failed,
            self.old_failed + more.old_failed,
            {name: self.fields.get(name, none).plus(more.fields.get(name, none)) for name in names},
        )

    def describe(self) -> str:
        """The comparison in a line."""
        said = [f"{self.compared:,} requests compared"]
        if self.new_failed:
            said.append(f"{self.new_failed:,} failed at the new release alone")
        for name, field in self.fields.items():
            if field.flipped:
                said.append(f"{name} differs in {field.flipped:,} of {field.of:,}")
            elif field.largest:
                said.append(f"{name} by {field.largest:.2g} at most, half of them by up to {field.within(0.5):.2g}")
        return ", ".join(said) if len(said) > 1 or not self.compared else f"{said[0]}, all equal"


def _pairs(old: object, new: object, name: str) -> Iterator[tuple[str, object, object]]:
    """What is to be compared: the leaves of two outputs, by the names of their fields."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            yield from _pairs(old.get(key), new.get(key), f"{name}.{key}" if name else str(key))
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for before, now in zip(old, new, strict=True):
            yield from _pairs(before, now, name)
    else:
        yield name, old, new


def _distance(old: object, new: object) -> float | None:
    """How far two numbers lie apart; None for what has no distance."""
    if isinstance(old, bool) or isinstance(new, bool):
        return None
    if not (isinstance(old, int | float) and isinstance(new, int | float)):
        return None
    try:
        distance = abs(float(old) - float(new))
    except OverflowError:  # whole numbers beyond what a float holds
        return None
    return distance if math.isfinite(distance) else None


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
