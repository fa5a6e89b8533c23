"""What an author may write for the deadline, and what a client may ask for."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, Literal

from msgspec import Meta

from tenfold.options import Option
from tenfold.units import duration, seconds

LONGEST_S = 86_400.0


class Deadline(Option, frozen=True):
    """How long an answer may take, from complete headers to the answer, and what is said otherwise."""

    budget: Annotated[
        str, Meta(description='the time for an answer, such as "50 ms"; a header may only shorten it')
    ] = "1 s"
    otherwise: Annotated[
        dict[str, Any] | Literal["refuse"],
        Meta(description='"refuse" (503 at once), or a fallback answer: a value for each field of the output'),
    ] = "refuse"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.budget_s <= 0:
            raise self.fault("budget", "an answer takes some time")
        if self.budget_s > LONGEST_S:
            raise self.fault("budget", "nobody waits a day; files of rows are answered by tenfold batch")

    @property
    def budget_s(self) -> float:
        """The time for an answer in seconds."""
        return self.quantity("budget", seconds)

    @property
    def fallback(self) -> dict[str, Any] | None:
        """The answer where there is no time, or where the ``fallback`` action asks for it; None refuses."""
        return None if isinstance(self.otherwise, str) else self.otherwise

    def describe(self) -> str:
        return f"{duration(self.budget_s)}, else {'refuse' if self.fallback is None else 'the fallback answer'}"


def is_background(said: str) -> bool:
    """Whether a client's ``Priority`` header calls its request background work: urgency 7 (RFC 9218, 4.1)."""
    members = [member.partition(";")[0].strip() for member in said.split(",")]
    urgencies = [member for member in members if member.startswith("u=")]
    return urgencies[-1:] == ["u=7"]


def allowed_s(said: str, unit_s: float, budget_s: float) -> float:
    """The seconds that a client gives for its answer, in a header that counts in ``unit_s``: never more than the budget.

    ValueError where that is not a positive number as JSON writes them: ``nan``, ``inf`` and ``1_000`` are numbers to
    ``float`` alone.
    """
    wanted = float(said)
    if not (wanted > 0 and isfinite(wanted)) or "_" in said:
        raise ValueError(f"{said!r} is not a positive number")
    return min(wanted * unit_s, budget_s)
