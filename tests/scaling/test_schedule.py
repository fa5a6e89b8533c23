"""Replicas by the clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tenfold.errors import ServiceError
from tenfold.scaling import Scaling
from tenfold.scaling.schedule import Floor, entries, scheduled

OFFICE = "Mon-Fri 08:00-18:00 Europe/Berlin: 4"


def asked(moment: str, *schedule: str) -> int:
    """The floor at a moment in UTC."""
    return scheduled(entries(schedule), datetime.fromisoformat(moment).replace(tzinfo=UTC)).n


def test_hours_hold_in_their_own_zone() -> None:
    """Eight o'clock in Berlin is six in UTC in summer and seven in winter; weekends are free."""
    assert asked("2026-07-01 06:00", OFFICE) == 4
    assert asked("2026-07-01 05:59", OFFICE) == 0
    assert asked("2026-01-07 06:30", OFFICE) == 0
    assert asked("2026-01-07 16:59", OFFICE) == 4
    assert asked("2026-07-04 10:00", OFFICE) == 0  # a Saturday


def test_a_night_ends_on_the_next_day() -> None:
    """Hours may pass midnight, and days a weekend."""
    assert asked("2026-07-03 23:00", "Fri 22:00-04:00: 2") == 2
    assert asked("2026-07-04 03:59", "Fri 22:00-04:00: 2") == 2
    assert asked("2026-07-04 22:30", "Fri 22:00-04:00: 2") == 0
    assert asked("2026-07-05 12:00", "Sat-Mon 10:00-14:00: 3") == 3
    assert asked("2026-07-07 12:00", "Sat-Mon 10:00-14:00: 3") == 0


def test_the_most_of_what_holds_counts_and_is_named() -> None:
    """Where entries overlap, the highest is kept, and the reason quotes it."""
    at_noon = datetime(2026, 7, 1, 10, tzinfo=UTC)
    floor = scheduled(entries(("00:00-23:59: 2", OFFICE)), at_noon)
    assert floor == Floor(4, f"the schedule has {OFFICE}")


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("always: 4", "is no entry of a schedule"),
        ("Mon-Fry 08:00-18:00: 4", "names a day that is none of Mon, Tue"),
        ("25:00-26:00: 4", "no such hour"),
        ("08:00-18:00 Europe/Atlantis: 4", "no such hour or time zone"),
        ("08:00-18:00: 9", "more than the 8 replicas that there may be"),
    ],
)
def test_an_entry_that_cannot_hold_is_an_error(entry: str, fault: str) -> None:
    """A slip in a schedule is said where it is written, and not on Monday morning."""
    with pytest.raises(ServiceError, match=fault):
        Scaling(1, 8, schedule=(entry,))
