"""What the option classes of questions 5 to 10 share: frozen, checked when made, a line of help per field.

The field of an option is what a person writes, in the class and in ``tenfold.toml`` alike ("50 ms"); a
property of the same subject with its unit in the name (``budget_s``) is what code reads. An option travels to
the front within the ``Spec``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, Self, TypeVar

import msgspec

from tenfold.errors import ServiceError

Value = TypeVar("Value")


class Option(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One declared answer. A subclass adds fields, each ``Annotated`` with bounds and a line of help."""

    def __post_init__(self) -> None:
        for field in _fields(type(self)):
            value = getattr(self, field.name)
            try:
                msgspec.convert(value, field.type)
            except msgspec.ValidationError as error:
                raise self.fault(field.name, str(error)[0].lower() + str(error)[1:]) from None

    def describe(self) -> str:
        """The answer in the words of the answer sheet."""
        raise NotImplementedError

    def fault(self, field: str, reason: str) -> ServiceError:
        """The error for a field that cannot hold its value."""
        name = type(self).__name__
        return ServiceError(
            f"{name}({field}={getattr(self, field)!r}): {reason}",
            f"{field}: {documentation(type(self))[field]}",
        )

    def quantity(self, field: str, read: Callable[[str], Value]) -> Value:
        """What a field such as "50 ms" amounts to."""
        try:
            return read(getattr(self, field))
        except ValueError as error:
            raise self.fault(field, str(error)) from None

    def override(self, table: Mapping[str, Any], place: str) -> Self:
        """The same option with the values of a TOML table over its own; errors name the table's ``place``."""
        known = documentation(type(self))
        for key in table:
            if key not in known:
                near = get_close_matches(key, known, 1)
                mend = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(known)}"
                raise ServiceError(f"{place} has no key {key!r}", mend)
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
        try:
            return msgspec.structs.replace(self, **values)
        except ServiceError as error:
            raise ServiceError(f"{place}: {error.message}", error.hint) from None


_fields = cache(msgspec.structs.fields)


def documentation(option: type[Option]) -> dict[str, str]:
    """The line of documentation of each field."""
    lines = {}
    for field in msgspec.structs.fields(option):
        metas = getattr(field.type, "__metadata__", ())
        lines[field.name] = next((m.description for m in metas if isinstance(m, msgspec.Meta) and m.description), "")
    return lines
