"""How one value is read: from what JSON or a table's cell holds to what the batch stores, without losing anything.

Stored are numbers as such, datetimes as microseconds since 1970 in UTC, dates as days since 1970, categories as their label,
tensors as ``Elements``, lists as lists of those and pictures as their encoded bytes. What cannot be read is ``Unfit``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from tenfold.contract import words
from tenfold.contract.form import Field

INT64 = (-(2**63), 2**63 - 1)
EXACT = 2**53  # from here on a float no longer tells neighbouring integers apart
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_LENGTH = len("2026-01-15")
EPOCH_DAY = date(1970, 1, 1).toordinal()
MICROSECOND = timedelta(microseconds=1)

# What stands in a block where a value is missing: for dates, what NumPy takes for NaT.
BLANKS: dict[str, Any] = {
    "float": math.nan,
    "int": 0,
    "bool": False,
    "category": -1,
    "datetime": INT64[0],
    "date": INT64[0],
}

# Of each dtype that a tensor may have: its struct code, and its least and greatest element.
DTYPES: dict[str, tuple[str, float, float]] = {
    "float16": ("e", -65504.0, 65504.0),
    "float32": ("f", -3.4028234663852886e38, 3.4028234663852886e38),
    "float64": ("d", -1.7976931348623157e308, 1.7976931348623157e308),
    "bool": ("?", 0, 1),
    "int8": ("b", -(2**7), 2**7 - 1),
    "int16": ("h", -(2**15), 2**15 - 1),
    "int32": ("i", -(2**31), 2**31 - 1),
    "int64": ("q", *INT64),
    "uint8": ("B", 0, 2**8 - 1),
    "uint16": ("H", 0, 2**16 - 1),
    "uint32": ("I", 0, 2**32 - 1),
    "uint64": ("Q", 0, 2**64 - 1),
}


class Unfit(Exception):
    """A value that breaks its field: code, sentence, the value as stored if at least its type is right, and where within
    the field it stands (a JSON Pointer)."""

    def __init__(self, code: str, detail: str, stored: Any = None, at: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.stored = stored
        self.at = at


class Elements(NamedTuple):
    """A tensor: its shape, and its elements in row-major order."""

    shape: tuple[int, ...]
    flat: list[Any]


Reader = Callable[[Any], Any]


def reader(field: Field, name: str) -> Reader:
    """The function that reads a value of this field; ``name`` is what its sentences call the field."""
    if field.kind == "list":
        assert field.item is not None  # the declaration gives every list its items
        return _list_reader(field, name, _item_reader(field.item, f"an item of {name}"))
    if field.kind == "tensor":
        return _tensor_reader(field, name)
    return partial(_READERS[field.kind], field=field, name=name)


def wrong_type(field: Field, name: str, found: str) -> Unfit:
    """The refusal of a value of another type."""
    return Unfit("wrong_type", f"{name} must be {words.wanted(field)}, found {found}")


def _float(value: Any, field: Field, name: str) -> float:
    if type(value) is float and math.isfinite(value):  # the rest only matters for what is rare
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(field, name, words.found(value))
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Unfit("non_finite", f"{name} must be a finite number")
    return number


def _int(value: Any, field: Field, name: str) -> int:
    number = _whole(value, field, name)
    if not INT64[0] <= number <= INT64[1]:
        raise Unfit("out_of_range", f"{name} must be an integer of 64 bits, found a larger one")
    return number


def _whole(value: Any, field: Field, name: str) -> int:
    """An integer, or a float that is one: 3.0 is 3, 3.9 is nothing, and 2.0**60 may already have lost digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if not isinstance(value, float):
        raise wrong_type(field, name, words.found(value))
    if not math.isfinite(value):
        raise Unfit("non_finite", f"{name} must be a finite number")
    if not value.is_integer():
        raise wrong_type(field, name, "a fraction")
    if abs(value) > EXACT:
        raise wrong_type(field, name, "a decimal number too large to be exact")
    return int(value)


def _bool(value: Any, field: Field, name: str) -> bool:
    if not isinstance(value, bool):
        raise wrong_type(field, name, words.found(value))
    return value


def _text(value: Any, field: Field, name: str) -> str:
    if not isinstance(value, str):
        raise wrong_type(field, name, words.found(value))
    return str(value)


def _category(value: Any, field: Field, name: str) -> str | int:
    if isinstance(field.categories[0], str):
        return _text(value, field, name)
    return _whole(value, field, name)


def _datetime(value: Any, field: Field, name: str) -> int:
    if isinstance(value, str):
        try:
            value = _midnight(value) if len(value) == DAY_LENGTH else msgspec.convert(value, datetime)
        except msgspec.ValidationError:
            raise wrong_type(field, name, "other text") from None
    if not isinstance(value, datetime):
        raise wrong_type(field, name, words.found(value))
    if field.timezone and (value.tzinfo is None) != (field.timezone == "naive"):
        raise wrong_type(field, name, "one without" if value.tzinfo is None else "one with")
    return microseconds(value)


def _midnight(text: str) -> datetime:
    """The moment that a day without a time is, as pandas writes it."""
    return datetime.combine(msgspec.convert(text, date), time())


def _day(moment: datetime) -> date:
    """The day whose midnight a moment is, and the moment itself if it is none."""
    return moment.date() if moment.tzinfo is None and moment.time() == time() else moment


def _date(value: Any, field: Field, name: str) -> int:
    if isinstance(value, str):
        try:
            value = msgspec.convert(value, date) if len(value) == DAY_LENGTH else _day(msgspec.convert(value, datetime))
        except msgspec.ValidationError:
            raise wrong_type(field, name, "other text") from None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise wrong_type(field, name, words.found(value))
    return days(value)


def _image(value: Any, field: Field, name: str) -> bytes:
    if isinstance(value, str):
        try:
            value = msgspec.convert(value, bytes)
        except msgspec.ValidationError:
            raise wrong_type(field, name, "other text") from None
    if not isinstance(value, bytes):
        raise wrong_type(field, name, words.found(value))
    if field.image and len(value) > field.image.max_bytes:
        raise Unfit("image_too_large", f"{name} must have at most {field.image.max_bytes} bytes, found more")
    return value


_READERS: dict[str, Callable[..., Any]] = {
    "float": _float,
    "int": _int,
    "bool": _bool,
    "text": _text,
    "category": _category,
    "datetime": _datetime,
    "date": _date,
    "image": _image,
}


def _list_reader(field: Field, name: str, read_item: Reader) -> Reader:
    def read_list(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise wrong_type(field, name, words.found(value))
        stored = []
        for k, item in enumerate(value):
            try:
                stored.append(read_item(item))
            except Unfit as unfit:
                raise Unfit(unfit.code, unfit.detail, at=f"/{k}") from None
        return stored

    return read_list


def _item_reader(item: Field, name: str) -> Reader:
    """Of numbered categories, a list keeps the numbers themselves. One beyond 64 bits cannot be kept, flagged or not."""
    read = reader(item, name)
    if item.kind != "category" or isinstance(item.categories[0], str):
        return read

    def read_number(value: Any) -> int:
        number: int = read(value)
        if not INT64[0] <= number <= INT64[1]:
            raise Unfit("unseen", f"{name} must be {words.one_of(item.categories)}, found another value")
        return number

    return read_number


def _tensor_reader(field: Field, name: str) -> Reader:
    kind = "bool" if field.dtype == "bool" else "float" if field.dtype.startswith("float") else "int"
    read = _READERS["int" if kind == "int" else kind] if kind != "int" else _whole
    element = msgspec.structs.replace(field, kind=kind)
    _, low, high = DTYPES[field.dtype]

    def read_tensor(value: Any) -> Elements:
        shape, flat = elements(value, field, name)
        stored = [read(item, element, f"an element of {name}") for item in flat]
        if any(not low <= item <= high for item in stored):
            raise Unfit("out_of_range", f"an element of {name} must fit into {field.dtype}")
        return Elements(shape, stored)

    return read_tensor


def elements(value: Any, field: Field, name: str) -> Elements:
    """The shape and the flat elements of nested lists, which have to be of the field's shape: nothing is reshaped."""
    if not isinstance(value, list | tuple):
        raise wrong_type(field, name, words.found(value))
    sizes: list[int] = []
    level: list[Any] = [value]
    for expected in field.shape:
        if not all(isinstance(part, list | tuple) for part in level):
            raise wrong_type(field, name, f"one of shape {words.shape(tuple(sizes))}")
        lengths = {len(part) for part in level}
        if len(lengths) > 1:
            raise wrong_type(field, name, "lists of different lengths")
        size = lengths.pop() if lengths else max(expected, 0)
        sizes.append(size)
        if expected not in (-1, size):
            raise wrong_type(field, name, f"one of shape {words.shape(tuple(sizes))}")
        level = list(chain.from_iterable(level))
    if any(isinstance(item, list | tuple) for item in level):
        raise wrong_type(field, name, "one of more dimensions")
    return Elements(tuple(sizes), level)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 in UTC. A moment without an offset is taken to be in UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // MICROSECOND


def days(day: date) -> int:
    """Days since 1970."""
    return day.toordinal() - EPOCH_DAY


def written(field: Field, stored: Any) -> Any:
    """A stored value as JSON writes it; the inverse of reading, for dates."""
    if field.kind == "date":
        return date.fromordinal(stored + EPOCH_DAY).isoformat()
    if field.kind == "datetime":
        text = (EPOCH + stored * MICROSECOND).replace(tzinfo=None).isoformat()
        return text if field.timezone == "naive" else f"{text}Z"
    return stored
