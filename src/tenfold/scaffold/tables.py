"""Tables as the person who trained has them: a DataFrame, or a file that is read as pandas reads it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.errors import NotFound, TenfoldError, UsageError

if TYPE_CHECKING:
    import pandas as pd


def read_table(data: Any, texts: Sequence[str] = ()) -> pd.DataFrame:
    """A DataFrame of a DataFrame, an Arrow table, a mapping of columns, rows as mappings, or a CSV or Parquet file.

    ``texts`` are columns of a CSV file that are text whatever they look like.
    """
    require_pandas()
    import pandas as pd

    if isinstance(data, str | Path):
        return _read_file(Path(data), texts)
    if isinstance(data, pd.DataFrame):
        return data
    if hasattr(data, "to_pandas"):
        frame: pd.DataFrame = data.to_pandas()
        return frame
    return pd.DataFrame(data)


def require_file(path: Path) -> None:
    """``NotFound`` where there is no such file."""
    if not path.exists():
        raise NotFound(f"there is no file {path}", "check the path after --data")


def _read_file(path: Path, texts: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    require_file(path)
    suffixes = path.suffixes[-2:]
    try:
        if path.suffix in (".parquet", ".pq"):
            return pd.read_parquet(path)
        if ".csv" in suffixes:
            return _with_days(pd.read_csv(path, dtype=dict.fromkeys(texts, str)), texts)
    except ImportError:
        raise UsageError("reading Parquet needs pyarrow", "pip install 'tenfold[batch]'") from None
    except (ValueError, OSError) as error:
        raise TenfoldError(f"{path} cannot be read: {error}", "is it what its name says, and whole?") from None
    raise UsageError(f"{path.name} is neither .parquet nor .csv", "write the table with DataFrame.to_parquet")


def _with_days(frame: pd.DataFrame, texts: Sequence[str]) -> pd.DataFrame:
    """The frame, with days instead of text in columns where every value is one (2026-01-15): CSV cannot say so."""
    import pandas as pd

    for name in frame.columns:
        present = frame[name].dropna()
        if name in texts or pd.api.types.infer_dtype(present) != "string":
            continue
        if present.str.fullmatch(r"\d{4}-\d\d-\d\d").all():
            with suppress(ValueError):  # the 30th of February is text
                frame[name] = pd.to_datetime(frame[name], format="%Y-%m-%d")
    return frame


def require_pandas() -> None:
    """An error that says how to get pandas, where it is not installed."""
    try:
        import pandas  # noqa: F401
    except ImportError:
        raise UsageError("reading tables needs pandas", "pip install 'tenfold[batch]'") from None
