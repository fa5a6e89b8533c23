"""What an author may write for batching."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from tenfold.options import Option


class Batching(Option, frozen=True):
    """How many rows go through preprocess, model and postprocess together."""

    max_rows: Annotated[int, Meta(ge=1, le=65536, description="a batch never holds more rows than this")] = 64

    def describe(self) -> str:
        return f"up to {self.max_rows} rows" if self.max_rows > 1 else "one row at a time"
