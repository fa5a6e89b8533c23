"""The words of a contract that stand within ``Annotated``: names, kinds of value, and what is done about an invalid one.

Bounds and lengths are those of ``annotated_types`` (``Ge``, ``Le``, ``MaxLen``, …), which other libraries read, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any, Literal, overload

from tenfold.contract.form import REJECT, Action, ImageForm
from tenfold.errors import ContractError

Image = ImageForm  # the choices of a picture are its form: there is nothing to translate
Function = Callable[[Any], Any]

reject = REJECT
clamp = Action("clamp")
flag = Action("flag")
quarantine = Action("quarantine")
fallback = Action("fallback")


@dataclass(frozen=True, slots=True)
class Alias:
    """The field's name on the wire, in frames, files and errors; the attribute stays its name in Python."""

    name: str


@dataclass(frozen=True, slots=True)
class Key:
    """The field that identifies a row: echoed in the answer, joins labels and files, not given to the model."""


@dataclass(frozen=True, slots=True)
class Private:
    """The field's values are never journalled, logged, recorded or written to the dead-letter file."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression (of Python's ``re``) that has to match the whole text."""

    regex: str


@dataclass(frozen=True, slots=True)
class Tensor:
    """An array of this shape, sent as nested lists; None or -1 where any length is allowed."""

    shape: tuple[int | None, ...]
    dtype: str = "float64"


@dataclass(frozen=True, slots=True)
class Otherwise:
    """Which action answers which misfortune of a field."""

    word: Literal["on_invalid", "on_missing", "on_unseen"]
    action: Action


@dataclass(frozen=True, slots=True)
class RuleFunction:
    """A condition over several fields: called with Rows, it says for each row whether it holds."""

    function: Function
    action: Action

    def __call__(self, rows: Any) -> Any:
        return self.function(rows)


def impute(value: Any) -> Action:
    """Put this value in; or one of the reference data: ``impute("median")`` of numbers and dates, ``impute("mode")``."""
    if value in ("median", "mode"):
        return Action("impute", of=value)
    return Action("impute", plain(value))


def on_invalid(action: Action) -> Otherwise:
    """What is done about a value outside its bounds, its pattern or its type."""
    return Otherwise("on_invalid", _action("on_invalid", action))


def on_missing(action: Any) -> Otherwise:
    """What is done where the value is absent or null: an action, or simply the value to impute."""
    is_action = isinstance(action, Action) or callable(action)
    return Otherwise("on_missing", _action("on_missing", action) if is_action else impute(action))


def on_unseen(action: Action) -> Otherwise:
    """What is done about a category that the contract does not list."""
    return Otherwise("on_unseen", _action("on_unseen", action))


@overload
def rule(function: Function, /) -> RuleFunction: ...


@overload
def rule(*, on_invalid: Action = REJECT) -> Callable[[Function], RuleFunction]: ...


def rule(function: Function | None = None, /, *, on_invalid: Action = REJECT) -> Any:
    """A method of a contract that takes Rows and says for each row whether it holds: one bool per row."""
    action = _action("rule", on_invalid)
    if function is None:
        return lambda decorated: RuleFunction(decorated, action)
    return RuleFunction(function, action)


def plain(value: Any) -> Any:
    """A bound or replacement as the form holds it: dates as ISO 8601 text, members of enums as their value."""
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, date):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value


def _action(word: str, action: Any) -> Action:
    if isinstance(action, Action):
        return action
    if action is impute:
        raise ContractError(
            f"{word}(impute) does not say what to impute", f'write {word}(impute(0)) or {word}(impute("median"))'
        )
    raise ContractError(
        f"{word}({action!r}) is not an action",
        f"the actions are reject, clamp, impute(...), flag, quarantine and fallback; {word}(impute({action!r})) puts it in",
    )
