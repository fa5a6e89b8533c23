"""How many bad rows a job puts up with: a count, a share, or both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tenfold.errors import UsageError
from tenfold.units import percent, ratio

SURELY = 2  # where rows are not counted beforehand, so many times the allowed share of those expected is too much


class Budget(NamedTuple):
    """The most rows, and the largest share of all rows, that may be bad."""

    most: int | None = None
    share: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing was said."""
        return self.most is None and self.share is None

    def broken(self, bad: int, total: float, *, is_sure: bool) -> str:
        """Why ``bad`` rows of ``total`` are too many, "" if they are not. Unless it ``is_sure``, ``total`` is a guess."""
        if self.most is not None and bad > self.most:
            return f"{bad:,} rows are bad, and --max-bad allows {self.most:,}"
        if self.share is not None and bad > self.share * total * (1 if is_sure else SURELY):
            about = "" if is_sure else "about "
            return f"{bad:,} of {about}{total:,.0f} rows are bad, and --max-bad allows {percent(self.share)}"
        return ""


def budget_of(texts: Sequence[str]) -> Budget:
    """What ``--max-bad 1% --max-bad 1000`` allows."""
    budget = Budget()
    for text in texts:
        digits = text.replace(",", "").replace("_", "")
        if digits.isdecimal():
            budget = budget._replace(most=int(digits))
            continue
        try:
            budget = budget._replace(share=ratio(text))
        except ValueError:
            raise UsageError(
                f"--max-bad {text!r} is neither a share nor a count", "--max-bad 1%, or --max-bad 1000"
            ) from None
    return budget
