"""A batch in the making: the blocks of a layout, filled column by column and corrected cell by cell, before it is Rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from tenfold.contract.cells import Cells, element_of, empty_column
from tenfold.contract.columns import Array, Mask
from tenfold.contract.leaf import Leaf
from tenfold.layout import Layout
from tenfold.rows import NO_BITS, Rows


class Draft:
    """``size`` rows of blanks to begin with.

    ``columns[k]`` is the column of leaf k, a view of its block where it has one; ``blank[k]`` is True where it has no value.
    """

    def __init__(self, leaves: tuple[Leaf, ...], layout: Layout, size: int) -> None:
        self.leaves = leaves
        self.layout = layout
        self.size = size
        self.blocks: dict[str, Array] = {
            block: np.empty((size, layout.widths[block]), dtype=block) for block in layout.blocks
        }
        self.columns: list[Array] = [
            self.blocks[place.block][:, place.index] if place.block else empty_column(leaf, size)
            for leaf, place in zip(leaves, layout.columns, strict=True)
        ]
        self.blank: list[Mask] = [np.ones(size, dtype=bool) for _ in leaves]

    @classmethod
    def of(cls, leaves: tuple[Leaf, ...], rows: Rows) -> Draft:
        """A copy of rows, to be corrected."""
        draft = cls(leaves, rows.layout, len(rows))
        blocks, bits, own = rows.parts()
        for name, block in blocks.items():
            draft.blocks[name][:] = block
        for k, place in enumerate(rows.layout.columns):
            if not place.block:
                draft.columns[k] = own[place.index].copy()
            draft.blank[k][:] = bits[:, place.bit] if place.bit >= 0 else False
        return draft

    def fill(self, k: int, cells: Cells) -> None:
        """Put in the whole column of leaf k; what is unfit stays blank."""
        if self.layout.columns[k].block:
            self.columns[k][:] = cells.values
        else:
            self.columns[k] = cells.values
        self.blank[k][:] = cells.missing
        self.blank[k][list(cells.unfit)] = True

    def put(self, k: int, row: int, stored: Any) -> None:
        """Put in one stored value, or None for none."""
        self.columns[k][row] = element_of(self.leaves[k], stored)
        self.blank[k][row] = stored is None

    def rows(self) -> Rows:
        """The batch as it stands."""
        places = self.layout.columns
        gaps = [blank for blank, place in zip(self.blank, places, strict=True) if place.bit >= 0]
        own = [values for values, place in zip(self.columns, places, strict=True) if not place.block]
        return Rows(self.layout, self.size, self.blocks, np.stack(gaps, axis=1) if gaps else NO_BITS, own)
