"""What a person sees of a job that is at work."""

from __future__ import annotations

import pytest

from tenfold.cli.batch import Teller, fix, left, listed
from tenfold.jobs.run import Progress


def test_progress_says_how_fast_and_how_long_still() -> None:
    """Rows, their share, rows a second, the time left and bad rows; those of an earlier run do not count as fast."""
    said: list[str] = []
    times = iter([100.0, 110.0, 120.0])
    tell = Teller(said.append, lambda: next(times))
    for now in (Progress(1_000, 0, 0.1), Progress(3_000, 2, 0.3), Progress(5_000, 2, 0.5)):
        tell(now)
    assert said == [
        "1,000 rows · 10% · 0 bad",
        "3,000 rows · 30% · 200 rows/s · 35 s left · 2 bad",
        "5,000 rows · 50% · 200 rows/s · 25 s left · 2 bad",
    ]


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (6000, "100 min")])
def test_a_guess_is_told_as_one(seconds: float, said: str) -> None:
    """Nobody needs the seconds of an hour."""
    assert left(seconds) == said


def test_what_to_do_next_depends_on_why_it_stopped() -> None:
    """Somebody who pressed Ctrl-C knows why; somebody with bad rows has to look at them."""
    assert fix("asked", {"missing": 3}) == "the same command goes on from here"
    assert fix("budget", {"missing": 3}).startswith("tenfold explain missing")


def test_long_lists_are_cut() -> None:
    """A table of a thousand columns does not fill the screen."""
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(k) for k in range(20)]).endswith("6, 7 and 12 more")
