"""Question 3, the default: the model's fields, in the model's order, as what the model takes.

Everything that can be known from the contract and the model's facts is decided once; what is left for each batch is,
for a contract of floats, a view of the block that came over the wire.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.contract.form import Form, layout_of, leaves
from tenfold.errors import ContractError, ModelError
from tenfold.transforms.pictures import shape_of

if TYPE_CHECKING:
    from tenfold.layout import Column
    from tenfold.model import Facts
    from tenfold.rows import Array, Rows

Preprocess = Callable[["Rows"], Any]

ARRAYS = ("image", "tensor")
WRITE_ONE = "write preprocess(self, rows) in the service; rows.matrix(...) and rows.frame() are there to build on"


def preprocessor(form: Form, facts: Facts | None = None) -> Preprocess:
    """The default preprocess of a contract for a model; without a model (in training), what the contract alone
    suggests.

    A contract with one picture or tensor gives that array (n, ...), flattened to (n, width) where the model takes a
    matrix of just as many numbers; one with one text field gives the texts (n,) to a model that takes texts.
    Otherwise the fields that the model knows by name, or else all but the key in the order of the class, become a
    matrix (n, k) of the model's dtype, missing numbers as NaN; or a DataFrame, where the model selects columns by
    name or a field is not a number.

    Raises ``ContractError`` where the contract does not fit the model, naming the field.
    """
    columns = model_columns(form, facts)
    wants = facts.wants if facts else _suggested(columns)
    dtype = np.dtype(facts.dtype if facts else np.float64)
    if len(columns) == 1 and columns[0].kind in ARRAYS:
        return _array(form, columns[0], facts)
    names = facts.features if facts and facts.features else tuple(column.wire for column in columns)
    match wants:
        case "column":
            return _texts(form, columns)
        case "frame":
            return _frame(names, columns, frozenset(facts.categorical if facts else ()))
        case "named":
            return _named(names, columns)
        case _:
            return _matrix(form, columns, dtype)


def model_columns(form: Form, facts: Facts | None = None) -> tuple[Column, ...]:
    """The columns that the model is given, in its order: by its feature names (first the wire's, then Python's), or,
    where it knows none, every field but the key in the order of the class."""
    layout = layout_of(form)
    if facts and facts.features:
        return tuple(_find(feature, form, layout.by_name) for feature in facts.features)
    keys = {name for name, _, _, field in leaves(form.fields) if field.key}
    columns = tuple(column for column in layout.columns if column.name not in keys)
    if facts and facts.width is not None and facts.width != len(columns) and not _is_array(columns):
        raise ContractError(
            f"{facts.name} takes {facts.width} columns, and {form.name} has {len(columns)} beside its key",
            f"give {form.name} the fields that the model was trained on, in that order; or {WRITE_ONE}",
        )
    return columns


def _find(feature: str, form: Form, by_name: dict[str, Column]) -> Column:
    if feature in by_name:
        return by_name[feature]
    near = difflib.get_close_matches(feature, by_name, n=1)
    mend = (
        f"give the field {near[0]!r} the name on the wire: Alias({feature!r})" if near else f"add the field {feature!r}"
    )
    raise ContractError(
        f"the model was trained on a feature {feature!r}, which {form.name} does not have", f"{mend}; or {WRITE_ONE}"
    )


def _suggested(columns: Sequence[Column]) -> str:
    """What a contract without a model suggests: texts for one text, a matrix for numbers, else a frame."""
    if len(columns) == 1 and columns[0].kind == "text":
        return "column"
    return "matrix" if all(_is_number(column) for column in columns) else "frame"


def _is_array(columns: Sequence[Column]) -> bool:
    return len(columns) == 1 and columns[0].kind in ARRAYS


def _is_number(column: Column) -> bool:
    listed = column.kind == "category" and all(isinstance(value, int) for value in column.categories)
    return listed or column.kind in ("float", "int", "bool")


def _array(form: Form, column: Column, facts: Facts | None) -> Preprocess:
    """A picture or tensor as it is, or flattened for a model that takes a matrix."""
    name, width = column.name, facts.width if facts else None
    dtype = np.dtype(facts.dtype) if facts and facts.dtype != "object" else None
    if width is not None:
        _check_size(form, column, width)

    def array(rows: Rows) -> Any:
        values = rows[name]
        if width is not None:
            values = values.reshape(len(values), width)
        return values if dtype is None else values.astype(dtype, copy=False)

    return array


def _check_size(form: Form, column: Column, width: int) -> None:
    image = next(field.image for name, _, _, field in leaves(form.fields) if name == column.name)
    shape = column.shape if image is None else shape_of(image, image.size) if image.size else (-1,)
    if -1 in shape or np.prod(shape) != width:
        found = "any size" if -1 in shape else f"the shape {' x '.join(map(str, shape))}"
        raise ContractError(
            f"the model takes {width} numbers a row, and {form.name}.{column.name} has {found}",
            f"declare the size that the model was trained with; or {WRITE_ONE}",
        )


def _texts(form: Form, columns: Sequence[Column]) -> Preprocess:
    if len(columns) != 1:
        raise ContractError(
            f"the model takes one text, and {form.name} has {len(columns)} fields beside its key",
            f"leave one text field; or {WRITE_ONE}",
        )
    name = columns[0].name
    return lambda rows: rows[name]


def _matrix(form: Form, columns: Sequence[Column], dtype: np.dtype[Any]) -> Preprocess:
    """A matrix (n, k): a view of the block of floats where the columns are neighbours there, else as few copies as it
    takes."""
    if columns and all(column.block == "f8" for column in columns):
        return _floats([column.index for column in columns], dtype)
    if dtype.kind == "O":
        fills = [_plain(column) for column in columns]
    else:
        _refuse_what_is_no_number(form, columns)
        fills = [_as_number(column) for column in columns]

    def matrix(rows: Rows) -> Array:
        result = np.empty((len(rows), len(fills)), dtype=dtype)
        for k, fill in enumerate(fills):
            result[:, k] = fill(rows)
        return result

    return matrix


def _floats(places: list[int], dtype: np.dtype[Any]) -> Preprocess:
    first, neighbours = places[0], slice(places[0], places[0] + len(places))
    if places == list(range(first, first + len(places))):

        def view(rows: Rows) -> Array:
            return rows.parts()[0]["f8"][:, neighbours].astype(dtype, copy=False)

        return view

    def taken(rows: Rows) -> Array:
        return rows.parts()[0]["f8"].take(places, axis=1).astype(dtype, copy=False)

    return taken


def _refuse_what_is_no_number(form: Form, columns: Sequence[Column]) -> None:
    for column in columns:
        if not _is_number(column):
            raise ContractError(
                f"the model takes a matrix of numbers, and {form.name}.{column.name} is {_a(column.kind)}",
                f"train with a ColumnTransformer on a DataFrame, which encodes it; or {WRITE_ONE}",
            )


def _a(kind: str) -> str:
    return {"image": "a picture", "datetime": "a time", "text": "text"}.get(kind, f"a {kind}")


def _plain(column: Column) -> Callable[[Rows], Array]:
    name = column.name
    return lambda rows: rows[name]


def _as_number(column: Column) -> Callable[[Rows], Array]:
    """A column as numbers. A missing int, bool or listed number becomes NaN, which only floats can hold."""
    name = column.name
    if column.kind == "category":
        listed = np.array([*column.categories, np.nan], dtype=np.float64)
        return lambda rows: listed[rows.codes(name)]
    if column.bit < 0 or column.kind == "float":
        return lambda rows: rows[name]
    return lambda rows: np.where(rows.missing(name), np.nan, rows[name])


def _named(names: Sequence[str], columns: Sequence[Column]) -> Preprocess:
    """A mapping of feature to its column (n,): numbers where they are numbers, else texts."""
    fills = {
        name: _as_number(column) if _is_number(column) else _plain(column)
        for name, column in zip(names, columns, strict=True)
    }
    return lambda rows: {name: fill(rows) for name, fill in fills.items()}


def _frame(names: Sequence[str], columns: Sequence[Column], categorical: frozenset[str]) -> Preprocess:
    """A DataFrame with the model's names. Missing ints and bools are NaN, as they are in a file that pandas reads."""
    pd = _pandas()
    index = pd.Index(names)
    if all(column.block == "f8" for column in columns):  # one block, and so one third of the time
        floats = _floats([column.index for column in columns], np.dtype(np.float64))
        return lambda rows: pd.DataFrame(floats(rows), columns=index, copy=False)
    fills = {
        name: _categorical(pd, column) if name in categorical else _in_frame(column)
        for name, column in zip(names, columns, strict=True)
    }
    return lambda rows: pd.DataFrame({name: fill(rows) for name, fill in fills.items()}, columns=index)


def _in_frame(column: Column) -> Callable[[Rows], Any]:
    name = column.name
    if _is_number(column):
        number = _as_number(column)
        return (lambda rows: _whole(number(rows))) if column.kind == "category" else number
    return (lambda rows: list(rows[name])) if column.kind in ARRAYS else (lambda rows: rows[name])


def _whole(values: Array) -> Array:
    """Integers again, unless one is missing."""
    return values if np.isnan(values).any() else values.astype(np.int64)


def _categorical(pd: Any, column: Column) -> Callable[[Rows], Any]:
    name = column.name
    if column.kind == "category":
        dtype = pd.CategoricalDtype(list(column.categories))
        return lambda rows: pd.Categorical.from_codes(rows.codes(name), dtype=dtype)
    return lambda rows: pd.Categorical(rows[name])


def _pandas() -> Any:
    try:
        import pandas
    except ModuleNotFoundError:
        raise ModelError(
            "the model selects columns by name, from a DataFrame, and pandas is not installed here",
            "pip install pandas, and name it in the service's pyproject.toml",
        ) from None
    return pandas
