"""Files opened as one input: what they have to have in common, and what each has to have for a contract."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from tenfold.contract.form import Field, Form, leaves
from tenfold.errors import InvalidInput, UsageError, Violation
from tenfold.formats.columnar import Arrow, Columnar, Parquet
from tenfold.formats.dialect import Dialect
from tenfold.formats.lines import Csv, Ndjson
from tenfold.formats.pictures import FILE, Pictures
from tenfold.formats.places import File
from tenfold.formats.shards import Reader

ALL = "all"
DELIMITERS = ";,\t|"


def open_files(files: Sequence[File], form: Form, dialect: Dialect, keep: Sequence[str]) -> list[Reader]:
    """A reader for each file; for pictures, one for all of them.

    ``keep`` are columns that are read besides those of the contract; ``["all"]`` means each of them. Raises
    ``InvalidInput`` where a file lacks a column that every row has to have, and ``UsageError`` where it lacks one that
    is to be kept.
    """
    if files[0].kind == "pictures":
        return [Pictures(files, form)]
    readers = [_open(file, form, dialect, keep) for file in files]
    for reader in readers:
        if reader.columns:
            _require_columns(reader, form, keep, dialect)
            _require_kept(reader, keep)
    return readers


def kept(readers: Sequence[Reader], keep: Sequence[str]) -> list[str]:
    """The columns to keep, by name. Of pictures that is the file, whatever else is said."""
    first = readers[0]
    if isinstance(first, Pictures):
        return [name for name in first.columns[1:] if name == FILE or name in keep]
    if list(keep) != [ALL]:
        names = list(dict.fromkeys(keep))
        _require_one_type(readers, names)
        return names
    if not first.columns:
        raise UsageError(f"the rows of {first.name} say their own columns", "name those to keep: --keep COL,COL")
    for reader in readers:
        if set(reader.columns) != set(first.columns):
            other = sorted(set(reader.columns) ^ set(first.columns))[0]
            raise UsageError(f"{reader.name} and {first.name} differ in the column {other}", "name the columns to keep")
    _require_one_type(readers, first.columns)
    return list(first.columns)


def unused(readers: Sequence[Reader], form: Form, keep: Sequence[str]) -> list[str]:
    """The columns of the first file that are neither the contract's nor kept."""
    known = names_of(form)
    return [name for name in readers[0].columns if name not in known and name not in keep and name != FILE]


def absent(readers: Sequence[Reader], form: Form) -> list[str]:
    """The optional fields for which the first file has no column."""
    columns = readers[0].columns
    return [wire for _, wire, _, _ in leaves(form.fields) if columns and not _is_there(wire, columns)]


def _open(file: File, form: Form, dialect: Dialect, keep: Sequence[str]) -> Reader:
    match file.kind:
        case "csv":
            return Csv(file, dialect)
        case "ndjson":
            return Ndjson(file)
    known = names_of(form) | set(keep)

    def wanted(columns: Sequence[str]) -> list[str]:
        return [name for name in columns if list(keep) == [ALL] or name in known]

    return Parquet(file, wanted) if file.kind == "parquet" else Arrow(file, wanted)


def names_of(form: Form) -> set[str]:
    """Every name that a column of the contract may have in a file: nested contracts as one or taken apart."""
    names = {wire for _, wire, _, _ in leaves(form.fields)}
    for wire in list(names):
        parts = wire.split(".")
        names |= {".".join(parts[:k]) for k in range(1, len(parts))}
    return names


def _require_columns(reader: Reader, form: Form, keep: Sequence[str], dialect: Dialect) -> None:
    columns = list(reader.columns)
    known = names_of(form) | set(columns if list(keep) == [ALL] else keep)
    twice = next((name for k, name in enumerate(columns) if name in known and name in columns[:k]), None)
    if twice is not None:
        raise InvalidInput([Violation(0, f"/{twice}", "duplicate_key", f"{reader.name} has two columns named {twice}")])
    lacking = [
        (wire, pointer)
        for _, wire, pointer, field in leaves(form.fields)
        if _is_required(field) and not _is_there(wire, columns)
    ]
    if lacking:
        wire = lacking[0][0]
        violations = [
            Violation(0, pointer, "missing", f"{reader.name} has no column {wire}, which {form.name} needs")
            for wire, pointer in lacking
        ]
        if delimiter := _other_delimiter(reader, [wire for wire, _ in lacking], dialect):
            error = InvalidInput(violations[:1])  # the others are of the same cause
            error.hint = f"its columns are parted otherwise: --delimiter {delimiter}"
            raise error
        error = InvalidInput(violations)
        near = get_close_matches(wire, columns, n=1)
        listed = f"its columns are {', '.join(columns[:8])}{', …' if len(columns) > 8 else ''}"
        error.hint = f"is it {near[0]!r}? Name the column {wire!r}" if near else f"{listed}; is the delimiter right?"
        raise error


def _other_delimiter(reader: Reader, lacking: Sequence[str], dialect: Dialect) -> str:
    """The delimiter that gives a CSV file all columns that it lacks, as a shell takes it; "" where none does."""
    if not isinstance(reader, Csv):
        return ""
    header = dialect.delimiter.join(reader.columns)
    for delimiter in DELIMITERS.replace(dialect.delimiter, ""):
        columns = [name.strip() for name in header.split(delimiter)]
        if all(_is_there(wire, columns) for wire in lacking):
            return f"${delimiter!r}" if delimiter == "\t" else repr(delimiter)
    return ""


def _is_required(field: Field) -> bool:
    """Whether no row can be answered without the field."""
    if field.on_missing is not None:
        return field.on_missing.name in ("reject", "quarantine")
    return not field.nullable


def _is_there(wire: str, columns: Sequence[str]) -> bool:
    parts = wire.split(".")
    return any(".".join(parts[:k]) in columns for k in range(1, len(parts) + 1))


def _require_one_type(readers: Sequence[Reader], names: Sequence[str]) -> None:
    """Raise ``UsageError`` where two files keep a column in different types: their answers could not be read as one."""
    tables = [reader for reader in readers if isinstance(reader, Columnar)]
    for name in names:
        types = {str(reader.schema.field(name).type): reader.name for reader in tables}
        if len(types) > 1:
            (one, here), (other, there), *_ = types.items()
            raise UsageError(f"{name} is {one} in {here} and {other} in {there}", "do not keep it, or write it alike")


def _require_kept(reader: Reader, keep: Sequence[str]) -> None:
    for name in keep:
        if name not in reader.columns and list(keep) != [ALL]:
            near = get_close_matches(name, reader.columns, n=1)
            mend = f"did you mean {near[0]!r}?" if near else f"its columns are {', '.join(reader.columns)}"
            raise UsageError(f"{reader.name} has no column {name!r} to keep", mend)
