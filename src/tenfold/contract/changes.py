"""What changed between two contracts, and what of it breaks whoever talks to the service.

A request breaks where the new contract refuses what the old one took; an answer breaks where the new contract may give what
the old one ruled out. So both are one question, asked in opposite directions: is this field narrower than that one?
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from tenfold.contract.form import REJECT, Action, Field, Form, Rule, escape, show
from tenfold.contract.words import one_of, shape

Side = Literal["request", "answer"]

REFUSING = ("reject", "quarantine")
MERCY = {"reject": 0, "quarantine": 0, "flag": 1, "clamp": 1, "impute": 2, "fallback": 2}  # 2 answers even another type
WIDER = {("int", "float"), ("category", "text")}  # whatever is one is the other, too


class Difference(NamedTuple):
    """One thing that changed: which side, where (JSON Pointer), what it was and what it is, and whom that breaks ("" for
    nobody)."""

    side: Side
    pointer: str
    was: str
    now: str
    breaks: str = ""


class Facet(NamedTuple):
    """One thing that a field says: in words ("" where it says nothing), and whether one field's says less than another's.

    ``acts`` is the action taken where a value is outside of it.
    """

    say: Callable[[Field], str]
    narrower: Callable[[Field, Field], bool]
    acts: Callable[[Field], Action | None] = lambda field: field.on_invalid


def compare(old: tuple[Form, Form], new: tuple[Form, Form]) -> list[Difference]:
    """Everything that differs between two contracts, each as (what comes in, what goes out); what breaks comes first."""
    found = [*_fields("request", "", old[0].fields, new[0].fields), *_rules(old[0].rules, new[0].rules)]
    found += _fields("answer", "", old[1].fields, new[1].fields)
    return sorted(found, key=lambda difference: not difference.breaks)


def _fields(side: Side, at: str, old: tuple[Field, ...], new: tuple[Field, ...]) -> Iterator[Difference]:
    before = {field.wire: field for field in old}
    after = {field.wire: field for field in new}
    for wire in before | after:
        pointer = f"{at}/{escape(wire)}"
        match before.get(wire), after.get(wire):
            case Field() as was, Field() as now:
                yield from _field(side, pointer, was, now)
            case Field() as was, None:
                breaks = "requests that send it are refused" if side == "request" else "readers of it find nothing"
                yield Difference(side, pointer, FACETS[0].say(was), "gone", breaks)
            case None, Field() as now:
                breaks = "requests without it are refused" if side == "request" and _is_required(now) else ""
                yield Difference(side, pointer, "not there", FACETS[0].say(now), breaks)


def _field(side: Side, pointer: str, was: Field, now: Field) -> Iterator[Difference]:
    before_after = _type(was), _type(now)
    comparable = before_after[0] == before_after[1] or {before_after, before_after[::-1]} & WIDER
    for facet in FACETS if comparable else FACETS[:1]:
        before, after = facet.say(was), facet.say(now)
        if before != after:
            yield Difference(side, pointer, before or "no limit", after or "no limit", _breaks(side, facet, was, now))
    if was.kind == now.kind == "object":
        yield from _fields(side, pointer, was.fields, now.fields)
    if was.item is not None and now.item is not None:
        yield from _field(side, f"{pointer}/-", was.item, now.item)


def _breaks(side: Side, facet: Facet, was: Field, now: Field) -> str:
    if side == "answer":
        return "readers may get what was ruled out" if facet.narrower(now, was) else ""
    action = facet.acts(now) or REJECT
    return "requests that were taken are refused" if action.name in REFUSING and facet.narrower(was, now) else ""


def _rules(old: tuple[Rule, ...], new: tuple[Rule, ...]) -> Iterator[Difference]:
    before = {rule.name: rule.on_invalid.name for rule in old}
    after = {rule.name: rule.on_invalid.name for rule in new}
    for name in before | after:
        was, now = before.get(name, "no rule"), after.get(name, "no rule")
        if was != now:
            stricter = now in REFUSING and was not in REFUSING
            breaks = "requests for which it does not hold are refused" if stricter else ""
            yield Difference("request", f"rule:{name}", was, now, breaks)


def _is_required(field: Field) -> bool:
    """Whether a row without it is refused: an action that is stated comes before null being allowed."""
    return not field.nullable if field.on_missing is None else _refuses(field.on_missing)


# -- what a field says -------------------------------------------------------------------------------------------------


def _type(field: Field) -> str:
    numbers = field.kind == "category" and not isinstance(field.categories[0], str)
    return "category of numbers" if numbers else field.kind


def _kind(field: Field) -> str:
    return f"{_type(field)} in {field.unit}" if field.unit else _type(field)


def _kind_narrower(wide: Field, narrow: Field) -> bool:
    """Another unit is another meaning, whatever the values."""
    same = _type(wide) == _type(narrow) or (_type(wide), _type(narrow)) in WIDER
    return not same or wide.unit != narrow.unit


def _presence(field: Field) -> str:
    if _is_required(field):
        return "required"
    action = field.on_missing
    return f"{action.name} where missing" if action and action.name not in REFUSING else "optional"


def _bound(field: Field, strict: str, loose: str) -> tuple[Any, bool] | None:
    """A bound as (value, whether the value itself is outside)."""
    if getattr(field, strict) is not None:
        return getattr(field, strict), True
    return None if getattr(field, loose) is None else (getattr(field, loose), False)


def _above(one: tuple[Any, bool], other: tuple[Any, bool]) -> bool:
    """Whether one lower bound is above another."""
    first, second = _ordered(one[0]), _ordered(other[0])
    return bool(first > second) if first != second else one[1] and not other[1]


def _ordered(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _lower_narrower(wide: Field, narrow: Field) -> bool:
    before, after = _bound(wide, "gt", "ge"), _bound(narrow, "gt", "ge")
    return after is not None and (before is None or _above(after, before))


def _upper_narrower(wide: Field, narrow: Field) -> bool:
    before, after = _bound(wide, "lt", "le"), _bound(narrow, "lt", "le")
    return after is not None and (before is None or _below(after, before))


def _below(one: tuple[Any, bool], other: tuple[Any, bool]) -> bool:
    """Whether one upper bound is below another."""
    first, second = _ordered(one[0]), _ordered(other[0])
    return bool(first < second) if first != second else one[1] and not other[1]


def _limit(words: dict[str, str]) -> Callable[[Field], str]:
    def say(field: Field) -> str:
        return next(
            (f"{word} {show(getattr(field, at))}" for at, word in words.items() if getattr(field, at) is not None), ""
        )

    return say


def _multiple_narrower(wide: Field, narrow: Field) -> bool:
    if narrow.multiple_of is None:
        return False
    return wide.multiple_of is None or round(wide.multiple_of / narrow.multiple_of, 9) % 1 != 0


def _refuses(action: Action | None) -> bool:
    return action is None or action.name in REFUSING


def _unseen(field: Field) -> Action:
    return field.on_unseen or field.on_invalid


def _number_narrower(name: str, sign: int) -> Callable[[Field, Field], bool]:
    """For limits of which the larger (sign 1) or the smaller (sign -1) leaves less."""

    def narrower(wide: Field, narrow: Field) -> bool:
        before, after = getattr(wide, name), getattr(narrow, name)
        return after is not None and (before is None or sign * after > sign * before)

    return narrower


def _shape_narrower(wide: Field, narrow: Field) -> bool:
    if len(wide.shape) != len(narrow.shape) or wide.dtype != narrow.dtype:
        return True
    return any(there not in (-1, here) for here, there in zip(wide.shape, narrow.shape, strict=True))


def _picture(field: Field) -> str:
    image = field.image
    if image is None:
        return ""
    refused = [
        word for word in ("exif", "alpha", "cmyk", "palette", "deep", "frames") if getattr(image, word) == "reject"
    ]
    limits = f"up to {image.max_bytes} bytes, {image.max_pixels} pixels, {image.max_side} a side"
    return f"{', '.join(image.formats)}; {limits}" + (f"; no {', '.join(refused)}" if refused else "")


def _picture_narrower(wide: Field, narrow: Field) -> bool:
    before, after = wide.image, narrow.image
    if before is None or after is None:
        return False
    smaller = any(getattr(after, limit) < getattr(before, limit) for limit in ("max_bytes", "max_pixels", "max_side"))
    refused = any(
        getattr(after, word) == "reject" != getattr(before, word)
        for word in ("exif", "alpha", "cmyk", "palette", "deep", "frames")
    )
    return smaller or refused or not set(before.formats) <= set(after.formats)


def _look(field: Field) -> str:
    """What is made of a picture: no matter for whoever sends it, but for the model."""
    image = field.image
    if image is None:
        return ""
    size = "any size" if image.size is None else f"{image.size[0]} x {image.size[1]}, {image.fit}, {image.resample}"
    scale = (
        f", range {image.range}, mean {image.mean}, std {image.std}" if image.range or image.mean or image.std else ""
    )
    return f"{image.order} {image.layout} {image.dtype}, {size}, EXIF {image.exif}{scale}"


def _never(_wide: Field, _narrow: Field) -> bool:
    return False


def _always_refused(_field: Field) -> Action:
    return REJECT


def _unreadable(field: Field) -> Action:
    """What is done about a value that cannot be read at all, which nothing can clamp, and flagging does not help."""
    return field.on_invalid if MERCY[field.on_invalid.name] > 1 else REJECT


FACETS = (
    Facet(_kind, _kind_narrower, _always_refused),
    Facet(_presence, lambda wide, narrow: _is_required(narrow) and not _is_required(wide), _always_refused),
    Facet(
        lambda field: "null" if field.nullable else "",
        lambda wide, narrow: wide.nullable and not narrow.nullable,
        lambda field: field.on_missing,
    ),
    Facet(_limit({"gt": "more than", "ge": "at least"}), _lower_narrower),
    Facet(_limit({"lt": "less than", "le": "at most"}), _upper_narrower),
    Facet(_limit({"multiple_of": "a multiple of"}), _multiple_narrower),
    Facet(_limit({"min_len": "of at least"}), _number_narrower("min_len", 1)),
    Facet(_limit({"max_len": "of at most"}), _number_narrower("max_len", -1)),
    Facet(lambda field: field.pattern, lambda wide, narrow: narrow.pattern not in ("", wide.pattern)),
    Facet(
        lambda field: one_of(field.categories) if field.categories else "",
        lambda wide, narrow: bool(narrow.categories) and not set(wide.categories) <= set(narrow.categories),
        _unseen,
    ),
    Facet(lambda field: field.timezone, lambda wide, narrow: narrow.timezone not in ("", wide.timezone), _unreadable),
    Facet(
        lambda field: ", ".join(field.predicates),
        lambda wide, narrow: not set(narrow.predicates) <= set(wide.predicates),
    ),
    Facet(lambda field: f"{shape(field.shape)} {field.dtype}" if field.shape else "", _shape_narrower, _unreadable),
    Facet(_picture, _picture_narrower, _unreadable),
    Facet(_look, _never),
    Facet(
        lambda field: f"{field.on_invalid.name} where invalid",
        lambda wide, narrow: MERCY[narrow.on_invalid.name] < MERCY[wide.on_invalid.name],
        _always_refused,
    ),
    Facet(
        lambda field: f"{field.on_unseen.name} where unseen" if field.on_unseen else "",
        lambda wide, narrow: (
            _refuses(narrow.on_unseen or narrow.on_invalid) and not _refuses(wide.on_unseen or wide.on_invalid)
        ),
        _always_refused,
    ),
    Facet(lambda field: "a key" if field.key else "", _never),
    Facet(lambda field: "private" if field.private else "", _never),
)
