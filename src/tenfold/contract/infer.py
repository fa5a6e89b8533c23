"""Q1, guessed: what a table says about the contract of its rows, for a person to read and correct.

Only types may refuse a row; whatever is guessed from the values (ranges, lists of categories) only flags.
Enforcing the inferred contract on the very table that it came from refuses no row and flags none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tenfold.contract.form import Action, Field, Form, Kind, show
from tenfold.contract.naming import identifiers
from tenfold.errors import ContractError

if TYPE_CHECKING:
    import pandas as pd

FLAG = Action("flag")
SCALARS = (str, int, float)
MAX_CATEGORIES = 20  # a longer list is not one that a person reads; such a column stays text
ROWS_PER_CATEGORY = 5  # a column is categorical where a value returns this often, on average
MOST_NAMED = 12  # columns, where a message lists those that there are
EXACT_INTS = 10  # up to so many different integers are a scale (1, 2, 3), whose range is not widened


@dataclass(frozen=True, slots=True)
class Guess:
    """One inferred field, and what in the data led to it (the comment beside it)."""

    field: Field
    seen: str = ""
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Inferred:
    """What was read from a table of ``rows`` rows: fields in the model's order, and what is left over.

    ``keys`` are columns among these without repetition or gap, by which labels could be joined.
    """

    guesses: tuple[Guess, ...]
    rows: int
    target: str | None
    unused: tuple[str, ...]
    keys: tuple[str, ...]

    def form(self, name: str, doc: str = "") -> Form:
        """The contract as it was inferred."""
        return Form(name=name, doc=doc, fields=tuple(guess.field for guess in self.guesses))


def infer(table: pd.DataFrame, *, features: Sequence[str] = (), target: str | None = None) -> Inferred:
    """The contract of the rows of a DataFrame.

    ``features`` are the columns that the model takes, in its order; without them, all but the target.
    Raises ``ContractError`` for columns that are absent or that no contract can describe.
    """
    names = wire_names(table)
    _refuse_absent([*features, *([] if target is None else [target])], names)
    used = list(features) or [name for name in names if name != target]
    at = {name: position for position, name in enumerate(names)}
    attributes = identifiers(used)
    guesses = tuple(_guess(attributes[name], name, table.iloc[:, at[name]]) for name in used)
    unused = tuple(name for name in names if name not in used and name != target)
    keys = tuple(name for name in unused if _could_be_key(table.iloc[:, at[name]]))
    return Inferred(guesses, len(table), target, unused, keys)


def wire_names(table: pd.DataFrame) -> list[str]:
    """The names of the columns as text; two equal ones raise ``ContractError``."""
    names = [str(label) for label in table.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ContractError(f"the table has two columns named {twice[0]!r}", "rename one of them")
    return names


def _refuse_absent(wanted: Iterable[str], names: Sequence[str]) -> None:
    for name in wanted:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            few = names if len(names) <= MOST_NAMED else [*names[: MOST_NAMED - 1], "…", names[-1]]  # often the target
            hint = f"is it {near[0]!r}?" if near else f"its columns are {', '.join(few)}"
            raise ContractError(f"the table has no column {name!r}", hint)


# -- one column --------------------------------------------------------------------------------------------

KINDS: dict[str, Kind] = {  # what pandas calls the values of a column, and what a contract calls them
    "floating": "float",
    "mixed-integer-float": "float",
    "integer": "int",
    "boolean": "bool",
    "string": "text",
    "mixed-integer": "text",
    "mixed": "text",
    "datetime64": "datetime",
    "datetime": "datetime",
    "date": "date",
    "empty": "float",
}


def _guess(name: str, wire: str, values: pd.Series[Any]) -> Guess:
    if not wire or re.search(r'["\\\x00-\x1f]', wire):
        raise ContractError(
            f"a field cannot be called {wire!r}: names have no quotes, backslashes or control characters",
            "rename the column, in the training script too",
        )
    present = _plain(values.dropna())
    missing = len(values) - len(present)
    kind = _kind(wire, present)
    field = Field(name=name, wire=wire, kind=kind, nullable=missing > 0 or present.empty)
    seen = ""
    match kind:
        case "float" | "int":
            field, seen = _with_range(field, present)
        case "text":
            field, seen = _with_categories(field, present)
        case "datetime":
            field = replace(field, timezone="aware" if _is_aware(present) else "naive")
        case "list":
            field = replace(field, item=_item(wire, present))
        case _:
            pass
    return Guess(field, seen, missing)


def _plain(present: pd.Series[Any]) -> pd.Series[Any]:
    """The values themselves, where the dtype is only a way to store them."""
    import pandas as pd

    if isinstance(present.dtype, pd.CategoricalDtype):
        return present.astype(present.cat.categories.dtype)
    if isinstance(present.dtype, pd.SparseDtype):
        return pd.Series(present.to_numpy())
    if isinstance(present.dtype, pd.ArrowDtype):
        return pd.Series(present.tolist(), dtype=object)
    return present


def _kind(wire: str, present: pd.Series[Any]) -> Kind:
    """The kind of a column's values, by what they are rather than by the dtype that holds them."""
    import pandas as pd

    objects = list(present) if present.dtype == object else []
    if objects and all(_is_list(value) for value in objects):
        return "list"
    seen = pd.api.types.infer_dtype(present, skipna=True)
    kind = KINDS.get(seen)
    if kind is None or (kind == "text" and not all(isinstance(value, SCALARS) for value in objects)):
        raise ContractError(
            f"no contract can describe column {wire!r}, which holds {seen} values",
            "make them numbers, text, dates or lists, in the training script too; or leave the column out",
        )
    if kind == "datetime" and len({value.tzinfo is None for value in objects}) > 1:
        raise ContractError(
            f"column {wire!r} holds times with and without a time zone", "give all of them one, in training, too"
        )
    if kind == "datetime" and not present.empty and not _is_aware(present) and _are_days(present):
        return "date"
    if seen == "integer" and not _fits_int64(present):
        return "text"
    if not _fits_json(kind, present):
        beyond = "infinite numbers" if kind == "float" else "years beyond 9999"
        raise ContractError(
            f"column {wire!r} holds {beyond}, which no request can", "replace them, in the training script too"
        )
    return kind


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple)) or (hasattr(value, "ndim") and getattr(value, "ndim", 0) == 1)


def _fits_int64(present: pd.Series[Any]) -> bool:
    return present.empty or (int(present.min()) >= -(2**63) and int(present.max()) < 2**63)


def _fits_json(kind: Kind, present: pd.Series[Any]) -> bool:
    """Whether JSON can write all values: it has no infinity, and its dates have four digits for the year."""
    if present.empty or kind not in ("float", "datetime"):
        return True
    if kind == "float":
        return math.isfinite(float(present.min())) and math.isfinite(float(present.max()))
    return bool(present.min().year >= 1 and present.max().year <= 9999)


def _is_aware(present: pd.Series[Any]) -> bool:
    """Whether datetimes carry a time zone."""
    some = present.dtype if present.empty or present.dtype != object else present.iloc[0]
    return getattr(some, "tz", None) is not None or getattr(some, "tzinfo", None) is not None


def _are_days(present: pd.Series[Any]) -> bool:
    """Whether no moment has a time of day."""
    import pandas as pd

    moments = pd.to_datetime(present)
    return bool((moments == moments.dt.normalize()).all())


def _item(wire: str, present: pd.Series[Any]) -> Field:
    """The form of a list's items, guessed from all items of all lists."""
    import pandas as pd

    items = pd.Series([item for value in present for item in value], dtype=object)
    kind = _kind(f"{wire}[]", items.dropna())
    if kind == "list" or items.isna().any():
        raise ContractError(
            f"no contract can describe column {wire!r}, whose lists hold lists or gaps",
            "make it a tensor (see Tensor), or one column per item",
        )
    return Field(name="item", wire="item", kind=kind)


# -- what the values suggest; it only ever flags -----------------------------------------------------------


def _with_range(field: Field, present: pd.Series[Any]) -> tuple[Field, str]:
    """Bounds a good way outside the observed ones, so that ordinary new values stay within."""
    if present.empty:
        return field, ""
    number = int if field.kind == "int" else float
    low, high = number(present.min()), number(present.max())
    if field.kind == "int" and present.nunique() <= EXACT_INTS:
        bounds: tuple[float | int, float | int] | None = (low, high)
    else:
        bounds = widened(low, high)
    if bounds is None:
        return field, ""
    return replace(field, ge=bounds[0], le=bounds[1], on_invalid=FLAG), f"{figure(low)} to {figure(high)}"


def widened(low: float | int, high: float | int) -> tuple[float | int, float | int] | None:
    """The range half as wide again on either side, rounded and not across zero; None where that overflows.

    Integers stay integers: ``widened(1, 74)`` is (0, 120); ``widened(0.05, 0.16)`` is (0.0, 0.3).
    """
    span = high - low or abs(high) or 1
    if not (math.isfinite(low - span) and math.isfinite(high + span)):
        return None
    step = 10.0 ** math.floor(math.log10(span)) or 1.0
    digits = max(0, -math.floor(math.log10(step)))
    bottom = round(math.floor((low - span / 2) / step) * step, digits)
    top = round(math.ceil((high + span / 2) / step) * step, digits)
    if low >= 0 > bottom:
        bottom = 0.0
    if high <= 0 < top:
        top = 0.0
    if not bottom <= low <= high <= top:
        return None
    if isinstance(low, int):
        return max(math.floor(bottom), -(2**63)), min(math.ceil(top), 2**63 - 1)
    return bottom, top


def figure(value: float | int) -> str:
    """An observed value as a person notes it: three figures, no tail of binary digits."""
    return str(value) if isinstance(value, int) else show(float(f"{value:.3g}"))


def _with_categories(field: Field, present: pd.Series[Any]) -> tuple[Field, str]:
    """A list of categories where a few values return again and again; text otherwise."""
    if not all(isinstance(value, str) for value in present):
        return field, "of several types; kept as text"
    counts = present.value_counts()
    if not 0 < len(counts) <= min(MAX_CATEGORIES, len(present) / ROWS_PER_CATEGORY):
        return field, ""
    return replace(field, kind="category", categories=tuple(sorted(counts.index)), on_unseen=FLAG), ""


def _could_be_key(values: pd.Series[Any]) -> bool:
    """Whether labels could be joined by this column: integers or text, each once, none missing."""
    import pandas as pd

    if len(values) < ROWS_PER_CATEGORY or values.isna().any():
        return False
    if pd.api.types.infer_dtype(values, skipna=False) not in ("integer", "string"):
        return False
    return bool(values.is_unique)
