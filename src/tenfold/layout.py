"""Where each column stands in a batch: one row-major block per dtype, then a part for each column that has no fixed width.

The front packs requests by it without NumPy, the replica reads them as ``Rows`` without copying. The parts of a batch of n
rows, in this order, each left out where the contract has no such column:

    f8   (n, a) float64    floats
    i8   (n, b) int64      integers; datetimes as microseconds since 1970 in UTC; dates as days since 1970
    i4   (n, c) int32      categories as codes into the column's list; -1 where missing
    u1   (n, d) uint8      booleans
    bits (n, ceil(m/8))    one bit for each optional column, little-endian, set where the value is missing
    then for each further column in order: text and image (offsets and bytes), list (offsets and child), tensor (a block of
    its own), ragged (tensors of varying shape: shapes, offsets and child)
"""

from __future__ import annotations

from dataclasses import dataclass, field

BLOCK_OF = {"float": "f8", "int": "i8", "datetime": "i8", "date": "i8", "category": "i4", "bool": "u1"}
BLOCKS = ("f8", "i8", "i4", "u1")
ITEM_DTYPES = {
    "float": "f8",
    "int": "i8",
    "bool": "u1",
    "text": "text",
    "category": "text",
    "datetime": "i8",
    "date": "i8",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its names, its kind, and where it stands.

    ``index`` is the column within its ``block``, or the position among the parts of their own where ``block`` is "".
    ``bit`` is its position among the optional columns, -1 where it cannot be missing. ``dtype`` is that of a tensor's
    elements, or of a list's items ("text" for strings).
    """

    name: str
    wire: str
    pointer: str
    kind: str
    block: str
    index: int
    bit: int
    categories: tuple[str | int, ...] = ()
    shape: tuple[int, ...] = ()
    dtype: str = ""


@dataclass(frozen=True)
class Layout:
    """All columns of a contract in the order of its class, and the widths of the blocks.

    Made of these: ``by_name`` finds a column by either name, ``blocks`` are the dtypes that have a block, ``own`` the columns
    that are parts of their own, ``bit_bytes`` the bytes of a row's missing-value bits (0 where nothing is optional).
    """

    columns: tuple[Column, ...]
    widths: dict[str, int]
    optional: int
    by_name: dict[str, Column] = field(init=False, repr=False, compare=False)
    blocks: tuple[str, ...] = field(init=False, repr=False, compare=False)
    own: tuple[Column, ...] = field(init=False, repr=False, compare=False)
    bit_bytes: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {column.wire: column for column in self.columns}
        index |= {column.name: column for column in self.columns}
        object.__setattr__(self, "by_name", index)
        object.__setattr__(self, "blocks", tuple(block for block in BLOCKS if self.widths.get(block)))
        object.__setattr__(self, "own", tuple(column for column in self.columns if not column.block))
        object.__setattr__(self, "bit_bytes", (self.optional + 7) // 8)


class Plan:
    """Hands out places to columns, one after the other."""

    def __init__(self) -> None:
        self._columns: list[Column] = []
        self._widths: dict[str, int] = {}
        self._optional = 0

    def add(
        self,
        *,
        name: str,
        wire: str,
        pointer: str,
        kind: str,
        optional: bool,
        categories: tuple[str | int, ...] = (),
        shape: tuple[int, ...] = (),
        dtype: str = "",
    ) -> None:
        """Give the next column its place."""
        block = BLOCK_OF.get(kind, "")
        index = self._widths.get(block, 0)
        self._widths[block] = index + 1
        bit = -1
        if optional:
            bit, self._optional = self._optional, self._optional + 1
        self._columns.append(Column(name, wire, pointer, kind, block, index, bit, categories, shape, dtype))

    def layout(self) -> Layout:
        """The finished plan."""
        return Layout(tuple(self._columns), self._widths, self._optional)
