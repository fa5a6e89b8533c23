"""What a contract may not say: contradictions, and words that mean nothing for the field they stand at.

It runs when the class is created, so that every contract that exists can be compiled. Each message names the contract, the
field and the mend.
"""

from __future__ import annotations

import math
import re
import re._constants as _constants  # type: ignore[import-not-found]
import re._parser as _parser  # type: ignore[import-not-found]
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from tenfold.contract.form import Action, Field, Form, ImageForm, leaves, show
from tenfold.contract.leaf import Leaf, divides, lower_bound, upper_bound
from tenfold.contract.reading import DTYPES, INT64, Unfit, reader
from tenfold.errors import ContractError
from tenfold.rows import Rows

Fault = tuple[str, str]  # what is wrong, as the rest of a sentence about the field; and the mend
NUMBERS = ("float", "int")
ORDERED = ("float", "int", "date", "datetime")
RESERVED = frozenset(name for name in dir(Rows) if not name.startswith("_")) | {"form", "predicates", "read", "rules"}
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")  # those that transforms.pictures reads
MAX_SIDE = 16_384
MAX_ELEMENTS = 100_000_000
REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)


def require_consistent(form: Form) -> None:
    """Raise ContractError for the first thing in the form that cannot be meant."""
    if not form.fields:
        raise ContractError(f"{form.name} has no fields.", "annotate at least one, as in radius: float")
    for field in form.fields:
        _require(form.name, field, CHECKS)
    keys = [field.name for field in form.fields if field.key]
    if len(keys) > 1:
        raise ContractError(
            f"{form.name} has two keys, {keys[0]} and {keys[1]}.", "a row has one Key; keep one of them"
        )
    _require_distinct(form)
    for rule in form.rules:
        if rule.on_invalid.name in ("clamp", "impute"):
            raise ContractError(
                f"The rule {rule.name} of {form.name} says {rule.on_invalid.name}, but has no one field to change.",
                "a rule can reject, flag, quarantine or fall back",
            )


def _require(place: str, field: Field, checks: Iterable[Callable[[Field], Iterator[Fault]]]) -> None:
    for check in checks:
        for wrong, mend in check(field):
            raise ContractError(f"{place}.{field.name} {wrong}.", mend)
    for inner in field.fields:
        _require(f"{place}.{field.name}", inner, (_nested, *CHECKS))
    if field.item is not None:
        _require(f"{place}.{field.name}", field.item, (_item, *CHECKS))


def _require_distinct(form: Form) -> None:
    """Each name, in Python and on the wire, means one field."""
    owner: dict[str, str] = {}
    for name, wire, _, _ in leaves(form.fields):
        for known in {name, wire}:
            if known in owner:
                raise ContractError(
                    f"{form.name} has two fields that are called {known!r}: {owner[known]} and {name}.",
                    "give one of them another name, or another Alias",
                )
            owner[known] = name


def _names(field: Field) -> Iterator[Fault]:
    if field.name in RESERVED:
        mend = f'call the attribute {field.name}_ and give it Alias("{field.wire}")'
        yield "hides an attribute that Rows or Contract have", mend
    if field.name.startswith("_"):
        yield "begins with an underscore", f'call it {field.name.lstrip("_")} and give it Alias("{field.wire}")'
    if not field.wire or re.search(r'["\\\x00-\x1f]', field.wire):
        yield (
            "has a name on the wire that is empty or has quotes, backslashes or control characters",
            "use another Alias",
        )


def _words(field: Field) -> Iterator[Fault]:
    """Words that mean nothing for the kind of the field."""
    ordered = (*ORDERED, "tensor")
    for words, kinds in (
        (("ge", "gt", "le", "lt"), ordered),
        (("multiple_of",), ("float", "int", "tensor")),
        (("min_len", "max_len"), ("text", "list")),
        (("pattern",), ("text",)),
        (("timezone",), ("datetime",)),
        (("on_unseen",), ("category",)),
    ):
        for word in words:
            if getattr(field, word) not in (None, "") and field.kind not in kinds:
                yield f"has {word}, which means nothing for {field.kind} fields", "leave it out"


def _bounds(field: Field) -> Iterator[Fault]:
    for one, other in (("ge", "gt"), ("le", "lt")):
        if getattr(field, one) is not None and getattr(field, other) is not None:
            yield f"has both {one} and {other}", "keep one of them"
    for word in ("ge", "gt", "le", "lt"):
        limit = getattr(field, word)
        if limit is not None:
            yield from _limit(field, word, limit)
    low, high = lower_bound(field), upper_bound(field)
    if low is not None and high is not None and low.limit > high.limit:
        yield "has bounds that no value can meet", "correct one of the two"
    if (step := field.multiple_of) is not None:
        if not step > 0:
            yield f"has multiple_of {show(step)}", "a step is positive"
        if field.kind == "int" and not float(step).is_integer():
            yield f"is an int, but has multiple_of {show(step)}", "make the step whole, or the field a float"


def _limit(field: Field, word: str, limit: float | int | str) -> Iterator[Fault]:
    """What is wrong with one bound."""
    if field.kind in ("date", "datetime"):
        try:
            reader(field, field.wire)(limit)
        except Unfit:
            yield (
                f"has the bound {word} {limit}, which is not a value of the field",
                f"give it a {field.kind} of Python",
            )
    elif isinstance(limit, str | bool) or limit != limit or abs(limit) == float("inf"):
        yield f"has the bound {word} {limit!r}, which is not a finite number", "give it a number, or leave it out"
    elif field.kind == "int" and not float(limit).is_integer():
        yield f"is an int, but has the bound {word} {show(limit)}", "make the bound whole, or the field a float"
    elif field.kind == "int" and not INT64[0] <= limit <= INT64[1]:
        yield f"has the bound {word} {show(limit)}, beyond 64 bits", "leave it out: integers have 64 bits anyway"


def _lengths(field: Field) -> Iterator[Fault]:
    if (field.min_len or 0) < 0 or (field.max_len is not None and field.max_len < (field.min_len or 0)):
        yield "has lengths that no value can meet", "correct one of the two"
    if field.pattern:
        try:
            re.compile(rf"\A(?:{field.pattern})\Z")
        except re.error as error:
            yield f"has a pattern that is not a regular expression ({error})", "flags stand as in (?i:...)"
        else:
            if _repeats_repeats(_parser.parse(field.pattern)):
                yield (
                    "has a pattern with a repetition of repetitions, which a short text can keep busy for years",
                    "write (a+)+ as a+; a front that hangs on one field answers nobody",
                )


def _repeats_repeats(parsed: Any) -> bool:
    """Whether a regular expression repeats without end what is nothing but repetition without end, as (a+)+ does: it then
    tries exponentially many ways to fail. With something fixed between the repetitions there is but one way."""
    for operation, argument in parsed:
        inner = _within(operation, argument)
        if operation in REPEATS and argument[1] == _parser.MAXREPEAT and any(map(_is_all_repetition, inner)):
            return True
        if any(map(_repeats_repeats, inner)):
            return True
    return False


def _is_all_repetition(parsed: Any) -> bool:
    """Whether a part can match by repetitions without end alone."""
    found = False
    for operation, argument in parsed:
        inner = _within(operation, argument)
        if operation in REPEATS and argument[1] == _parser.MAXREPEAT:
            found = True
        elif operation in REPEATS and argument[0] == 0:
            continue
        elif inner and any(map(_is_all_repetition, inner)):
            found = True
        else:
            return False
    return found


def _within(operation: Any, argument: Any) -> list[Any]:
    """The parts that a part of a regular expression consists of."""
    if operation in REPEATS or operation is _constants.SUBPATTERN:
        return [argument[-1]]
    return list(argument[1]) if operation is _constants.BRANCH else []


def _categories(field: Field) -> Iterator[Fault]:
    labels = field.categories
    if field.kind == "category":
        if not labels:
            yield "has no categories", "list at least one"
        if any(label is None for label in labels):
            yield "has None as a category", 'write Literal["a", "b"] | None: null is a missing value'
            return
        if len({type(label) for label in labels}) > 1 or not isinstance(next(iter(labels), ""), str | int):
            yield "has categories that are not all text, or all integers", "use one type; true or false is a bool"
        if isinstance(labels[0], bool):
            yield "has true and false as categories", "declare a bool"
        if len(set(labels)) < len(labels):
            yield "lists a category twice", "list it once"
        if any(isinstance(label, int) and not INT64[0] <= label <= INT64[1] for label in labels):
            yield "has a category beyond 64 bits", "use text"


def _arrays(field: Field) -> Iterator[Fault]:
    if field.kind == "tensor":
        if field.dtype not in DTYPES:
            yield f"is a Tensor of {field.dtype!r}", f"the dtypes are {', '.join(DTYPES)}"
        if not field.shape or any(size < -1 or size == 0 for size in field.shape):
            yield f"is a Tensor of shape {field.shape}", "give each dimension a size, or None for any"
        elif math.prod(abs(size) for size in field.shape) > MAX_ELEMENTS:
            yield f"is a Tensor of shape {field.shape}", f"a row may have {MAX_ELEMENTS:,} elements"
    if field.image is not None:
        yield from _image(field.image)


def _image(image: ImageForm) -> Iterator[Fault]:
    try:
        msgspec.convert(msgspec.to_builtins(image), ImageForm)
    except msgspec.ValidationError as error:
        yield f"is an Image with a choice that does not exist ({error})", "see the documentation of Image"
        return
    if not image.formats or not set(image.formats) <= set(FORMATS):
        yield f"is an Image of the formats {', '.join(image.formats) or 'none'}", f"they are {', '.join(FORMATS)}"
    if image.size is not None and not all(1 <= side <= MAX_SIDE for side in image.size):
        yield f"is an Image resized to {image.size}", f"a side has 1 to {MAX_SIDE:,} pixels"
    channels = 1 if image.order == "gray" else 3
    for word, values in (("mean", image.mean), ("std", image.std)):
        if len(values) not in (0, channels):
            yield f"is an Image of {channels} channels with {len(values)} values of {word}", "give one value a channel"
    if not all(image.std) and image.std:
        yield "is an Image with a std of 0", "leave the channel at 1"
    if image.layout == "HW" and channels != 1:
        yield "is an Image of three channels in the layout HW", 'say order="gray", or layout="HWC"'
    if image.dtype == "uint8" and (image.mean or image.std or image.range):
        yield "is an Image that is scaled, but of dtype uint8", 'say dtype="float32"'


def _key(field: Field) -> Iterator[Fault]:
    if field.key:
        if field.kind not in ("text", "int"):
            yield f"is a Key of kind {field.kind}", "a key is a str or an int"
        if field.nullable:
            yield "is a Key that may be missing", "take | None away"
        altering = [action.name for action in _actions_of(field) if action.name in ("clamp", "impute", "flag")]
        if altering:
            yield f"is a Key with {altering[0]}", "a key is as it was sent; reject, quarantine or fall back"


def _actions(field: Field) -> Iterator[Fault]:
    """Actions that cannot be carried out."""
    if field.on_invalid.name == "clamp":
        yield from _clamp(field)
    missing = field.on_missing.name if field.on_missing else ""
    if missing == "clamp":
        yield "has on_missing(clamp)", "a missing value has no nearest bound; impute one"
    if missing == "flag" and not field.nullable:
        yield "has on_missing(flag), but its type does not allow None", "add | None; the model then sees the gap"
    if missing == "reject" and field.nullable:
        yield "may be None, but has on_missing(reject)", "keep one of the two"
    if field.on_unseen is not None and field.on_unseen.name == "clamp":
        yield "has on_unseen(clamp)", 'categories have no order; say on_unseen(impute("..."))'
    if field.kind == "object" and (field.on_invalid.name != "reject" or missing):
        yield "is a contract with an action of its own", "give the action to the fields within"
    for action in _actions_of(field):
        if action.name == "impute":
            yield from _impute(field, action)


def _clamp(field: Field) -> Iterator[Fault]:
    bounds = [bound for bound in (field.ge, field.gt, field.le, field.lt) if bound is not None]
    if field.kind not in ORDERED:
        yield f"has clamp, and values of kind {field.kind} have no nearest bound", "impute, flag or reject"
    elif not bounds:
        yield "has clamp, but no bound to move a value to", "add Ge, Gt, Le or Lt"
    elif field.multiple_of is not None:
        limits = [bound.limit for bound in (lower_bound(field), upper_bound(field)) if bound]
        if not all(divides(field.multiple_of, limit) for limit in limits):
            yield "has clamp to a bound that is not one of its multiples", "make the bounds multiples"


def _impute(field: Field, action: Action) -> Iterator[Fault]:
    if field.kind in ("list", "tensor", "image", "object"):
        yield f"has impute, which fields of kind {field.kind} cannot", "reject, flag or make it | None"
    elif action.of == "median" and field.kind not in ORDERED:
        yield f'has impute("median"), and values of kind {field.kind} have no order', 'impute("mode"), or a value'
    elif not action.of:
        try:
            Leaf(field, field.wire, "", None).read(action.value)
        except Unfit as unfit:
            yield (
                f"imputes {action.value!r}, which breaks the field itself: {unfit.detail}",
                "impute a value that it allows",
            )


def _actions_of(field: Field) -> list[Action]:
    return [action for action in (field.on_invalid, field.on_missing, field.on_unseen) if action is not None]


def _nested(field: Field) -> Iterator[Fault]:
    if field.key:
        yield "is a Key within a nested contract", "the key is a field of the row itself"


def _item(field: Field) -> Iterator[Fault]:
    if field.kind in ("list", "object", "tensor", "image"):
        yield f"is of kind {field.kind}", "lists hold numbers, text, categories or dates; for arrays there is Tensor"
    if field.nullable:
        yield "may be None", "the items of a list are never missing"
    if field.key or field.private or field.name != field.wire or field.predicates:
        yield "has Key, Private, Alias or Predicate", "say it of the list"
    if any(action.name != "reject" for action in _actions_of(field)):
        yield "has an action", "give the action to the list"


CHECKS = (_names, _words, _arrays, _bounds, _lengths, _categories, _key, _actions)
