"""The search for rows that end the process: all of them are found, and nobody else is blamed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.jobs.suspects import PIECES, TRIES, Hopeless, Probe, Suspects, Whole


def search(suspects: Suspects, killers: set[int], unlucky: int = 0) -> tuple[Whole | Hopeless, int]:
    """Carry out what is asked for, where some rows kill and the first ``unlucky`` attempts die of nothing; what comes of
    it, and how many processes ended."""
    deaths = 0
    while True:
        todo = suspects.next()
        match todo:
            case Hopeless():
                return todo, deaths
            case Whole(without) if deaths >= unlucky and not killers - without.keys():
                return todo, deaths
            case Whole():
                suspects.died("signal SIGKILL")
                deaths += 1
            case Probe(first, stop, size):
                assert 0 <= first < stop <= suspects.rows
                assert -(-(stop - first) // size) <= PIECES
                for at in range(first, stop, size):
                    piece = range(at, min(at + size, stop))
                    if killers - suspects.guilty.keys() & set(piece):
                        suspects.died_at(piece.start, piece.stop, "signal SIGKILL")
                        deaths += 1
                        break
                else:
                    suspects.passed()


@given(st.integers(1, 500), st.data())
def test_exactly_the_guilty_are_left_out(rows: int, data: st.DataObject) -> None:
    """However many rows kill and wherever they stand, those and no others are put aside."""
    killers = data.draw(st.sets(st.integers(0, rows - 1), max_size=5))
    done, deaths = search(Suspects(rows), killers)
    assert isinstance(done, Whole)
    assert done.without.keys() == killers
    assert deaths <= TRIES + 5 * len(killers)


def test_one_row_of_a_hundred_thousand_is_found_in_six_deaths() -> None:
    """Each death narrows the search by a factor of 64."""
    done, deaths = search(Suspects(100_000), {77_777})
    assert isinstance(done, Whole)
    assert (list(done.without), deaths) == ([77_777], 6)


def test_a_process_that_was_killed_for_nothing_blames_nobody() -> None:
    """Once, twice or three times: the same rows are then answered together, as ever."""
    for unlucky in (1, 2, 3):
        done, _ = search(Suspects(10), set(), unlucky)
        assert done == Whole({})


def test_a_process_that_is_killed_while_a_row_is_tried_does_not_blame_it() -> None:
    """A row has to end its process twice, alone."""
    suspects = Suspects(1)
    for _ in range(TRIES):
        suspects.died("signal SIGKILL")
    assert suspects.next() == Probe(0, 1, 1)
    suspects.died_at(0, 1, "signal SIGKILL")
    assert suspects.next() == Probe(0, 1, 1)
    suspects.passed()
    assert suspects.next() == Whole({})


def test_rows_that_only_kill_together_are_told() -> None:
    """Where no row is to blame, nobody is, and the job says so."""
    done, deaths = search(Suspects(10), set(), unlucky=100)
    assert done == Hopeless("signal SIGKILL")
    assert deaths == 2 * TRIES


def test_slow_rows_get_their_time_once_none_of_them_hangs() -> None:
    """A block that takes too long, of rows that do not, is answered without a limit."""
    suspects = Suspects(10)
    assert suspects.next() == Whole({})
    suspects.died("no answer in 1 s", late=True)
    assert isinstance(suspects.next(), Probe)
    suspects.passed()
    assert suspects.next() == Whole({}, hurried=False)


def test_a_shard_that_cannot_even_be_read_is_told() -> None:
    """Where the process ends before any row is tried, the search ends, too."""
    suspects = Suspects(10)
    for _ in range(TRIES):
        suspects.died("signal SIGSEGV")
    for _ in range(TRIES):
        assert isinstance(suspects.next(), Probe)
        suspects.lost("signal SIGSEGV")
    assert suspects.next() == Hopeless("signal SIGSEGV")


@pytest.mark.parametrize("rows", [1, 2, 63, 64, 65])
def test_shards_of_any_size_are_searched(rows: int) -> None:
    """A single row can be the guilty one, and so can all."""
    done, _ = search(Suspects(rows), set(range(rows)))
    assert isinstance(done, Whole)
    assert len(done.without) == rows
