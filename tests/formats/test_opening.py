"""What files have to have for a contract, told before any row is read; and pictures in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tenfold import Alias, Contract, Image, Key, on_missing
from tenfold.errors import InvalidInput, TenfoldError, UsageError
from tenfold.formats.dialect import Dialect
from tenfold.formats.opening import absent, kept, open_files, unused
from tenfold.formats.pictures import digest_of
from tenfold.formats.places import find
from tenfold.formats.shards import Limits, Place, Reader


class City(Contract):
    name: str


class Row(Contract):
    radius: Annotated[float, Alias("mean radius")]
    texture: Annotated[float, on_missing(18.84)]
    note: str | None
    city: City | None


class Picture(Contract):
    code: Annotated[str, Key()]
    picture: Annotated[Any, Image(size=(8, 8))]


def opened(path: Path, text: str, keep: tuple[str, ...] = ()) -> list[Reader]:
    """Readers of a CSV file."""
    path.write_text(text)
    return open_files(find([str(path)]), Row.form, Dialect(), keep)


def test_columns_that_nobody_wants_and_that_nobody_has_are_told(tmp_path: Path) -> None:
    """A misspelt column is noticed: it is listed as not used, and its field as absent."""
    readers = opened(tmp_path / "x.csv", "mean radius,textur,city.name,id\n")
    assert unused(readers, Row.form, ["id"]) == ["textur"]
    assert absent(readers, Row.form) == ["texture", "note"]


@pytest.mark.parametrize(
    ("text", "said", "mend"),
    [
        ("mean_radius,texture\n", "no column mean radius, which Row needs", "is it 'mean_radius'?"),
        ("mean radius;texture\n", "no column mean radius", "otherwise: --delimiter ';'"),
        ("texture\tmean radius\n", "no column mean radius", "otherwise: --delimiter $'\\t'"),
        ("a,b\n", "no column mean radius", "its columns are a, b"),
        ("mean radius,mean radius\n", "two columns named mean radius", ""),
    ],
)
def test_a_column_that_every_row_needs_is_missed_at_once(tmp_path: Path, text: str, said: str, mend: str) -> None:
    """A million rows are not refused one by one for a column that is not there."""
    with pytest.raises(InvalidInput, match=said) as caught:
        opened(tmp_path / "x.csv", text)
    assert mend in caught.value.hint
    assert caught.value.exit_code == 3


def test_columns_to_keep_have_to_be_there(tmp_path: Path) -> None:
    """A name that no column has is told with the nearest that there is."""
    with pytest.raises(UsageError) as caught:
        opened(tmp_path / "x.csv", "mean radius,customer\n", ("custmer",))
    assert "'customer'" in caught.value.hint


def test_all_columns_can_be_kept(tmp_path: Path) -> None:
    """``all`` is every column of the file; rows of NDJSON have none in common."""
    assert kept(opened(tmp_path / "x.csv", "mean radius,b\n", ("all",)), ["all"]) == ["mean radius", "b"]
    (tmp_path / "x.ndjson").write_text("{}\n")
    readers = open_files(find([str(tmp_path / "x.ndjson")]), Row.form, Dialect(), ["all"])
    with pytest.raises(UsageError, match="say their own"):
        kept(readers, ["all"])


def test_files_keep_columns_of_one_type(tmp_path: Path) -> None:
    """Parts whose columns differ could not be read as one output."""
    for name, values in (("a", [1]), ("b", ["x"])):
        parquet.write_table(pa.table({"mean radius": [1.0], "id": values}), tmp_path / f"{name}.parquet")
    readers = open_files(find([str(tmp_path)]), Row.form, Dialect(), ["id"])
    with pytest.raises(UsageError, match=r"id is int64 in .* and string in"):
        kept(readers, ["id"])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures in folders."""
    from PIL import Image as Pillow

    for name in ("cats/b.png", "cats/a.png", "dogs/c.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.new("RGB", (8, 8), "red").save(path)
    return tmp_path / "in"


def test_each_picture_of_a_folder_is_a_row(pictures: Path) -> None:
    """Its key is the file, and so is the column by which its answer is found."""
    files = find([str(pictures)])
    [reader] = open_files(files, Picture.form, Dialect(), [])
    shards = list(reader.shards(Place(), Limits(2)))
    assert [shard.content["file"].to_pylist() for shard in shards] == [["cats/a.png", "cats/b.png"], ["dogs/c.jpg"]]
    assert shards[0].content["code"].to_pylist() == ["cats/a.png", "cats/b.png"]
    assert shards[1].content["picture"][0].as_py() == (pictures / "dogs/c.jpg").read_bytes()
    assert kept([reader], []) == ["file"]
    assert [shard.start for shard in reader.shards(shards[0].end, Limits(2))] == [shards[1].start]
    before = digest_of(files)
    (pictures / "dogs/c.jpg").rename(pictures / "dogs/d.jpg")
    assert digest_of(find([str(pictures)]))[2] != before[2]


def test_pictures_need_a_field_for_them(pictures: Path) -> None:
    """A contract of numbers takes no pictures."""
    with pytest.raises(TenfoldError, match="0 fields"):
        open_files(find([str(pictures)]), Row.form, Dialect(), [])
