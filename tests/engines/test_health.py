"""What is decided of a process from what was seen of it: no process takes part."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.engines.health import (
    DELAYS_S,
    LOOK_S,
    MOST_DEATHS,
    RETRIES_S,
    Deaths,
    Memory,
    Pulse,
    Signs,
    patience_s,
    restart,
)

BATCH = (1, 7)
ASLEEP = Signs(BATCH, sleeps=True, cpu_s=3.0)
GIB = 2**30


def looks(seen: Iterable[Signs], every_s: float = LOOK_S) -> Pulse:
    """The pulse after these looks."""
    pulse = Pulse()
    for one in seen:
        pulse = pulse.after(one, every_s)
    return pulse


def test_a_deadlock_is_a_hang() -> None:
    """A replica that sleeps over one batch is past help a second after the deadline, and not before."""
    limit_s = patience_s(budget_s=0.05, batch_s=0.001)
    assert limit_s == pytest.approx(1.05)
    assert looks([ASLEEP] * 6).hangs(limit_s) == ""
    assert looks([ASLEEP] * 7).hangs(limit_s) == "it slept over one batch for 1.2 s"


def test_a_long_call_is_no_hang() -> None:
    """Whoever uses the processor works, however long it takes."""
    assert looks([Signs(BATCH, sleeps=True, cpu_s=k / 100) for k in range(1000)]).hangs(1.05) == ""


def test_waiting_for_the_processor_is_no_hang() -> None:
    """On a machine that is busy with something else a replica does not get on, and is not to blame."""
    assert looks([Signs(BATCH, sleeps=False, cpu_s=3.0)] * 1000).hangs(1.05) == ""


def test_idling_is_no_hang() -> None:
    """A replica that nobody asks sleeps all day."""
    assert looks([Signs((0, 0), sleeps=True)] * 1000).hangs(1.05) == ""


def test_one_batch_after_the_other_is_no_hang() -> None:
    """Batches that follow each other are told apart, even where each look finds the replica asleep over one."""
    assert looks([Signs((1, k), sleeps=True, cpu_s=3.0) for k in range(1000)]).hangs(1.05) == ""


def test_a_late_supervisor_blames_nobody() -> None:
    """After a laptop was asleep for an hour, nothing has hung for an hour."""
    assert looks([ASLEEP, ASLEEP], every_s=3600.0).hangs(1.05) == ""


def test_slow_models_get_time() -> None:
    """A batch that takes two seconds in the best of cases may be held for twenty beyond the deadline."""
    assert patience_s(budget_s=5.0, batch_s=2.0) == 25.0


@given(
    st.lists(
        st.tuples(
            st.sampled_from([(0, 0), (1, 1), (1, 2), (2, 1)]), st.booleans(), st.floats(0, 1e6), st.floats(0, 1e4)
        ),
        max_size=60,
    )
)
def test_no_pulse_outruns_the_clock(seen: list[tuple[tuple[int, int], bool, float, float]]) -> None:
    """Whatever is seen, a batch is never held for longer than the looks at it took, nor slept over for longer than held."""
    pulse, passed_s = Pulse(), 0.0
    for held, sleeps, cpu_s, elapsed_s in seen:
        pulse = pulse.after(Signs(held, sleeps, cpu_s), elapsed_s)
        passed_s += elapsed_s
        assert 0 <= pulse.slept_s <= pulse.held_s <= passed_s


def test_what_is_of_use_is_replaced_at_once() -> None:
    """Replicas that did something are replaced without delay: it is not they who cannot live."""
    deaths = Deaths()
    assert [deaths.another(True, 2, now=5.0 * k).delay_s for k in range(100)] == [0.0] * 100


def test_a_crash_loop() -> None:
    """A replica that ends before it has answered anything is tried less and less often, then given up, and still tried."""
    deaths = Deaths()
    found = [deaths.another(False, 1, now=100.0 * k) for k in range(20)]
    assert [then.delay_s for then in found[: len(DELAYS_S)]] == list(DELAYS_S)
    assert not any(then.loop for then in found[: len(DELAYS_S)])
    assert [then.delay_s for then in found[len(DELAYS_S) :][: len(RETRIES_S)]] == list(RETRIES_S)
    assert found[len(DELAYS_S)].loop == "7 in a row ended before they answered anything"
    assert found[-1].delay_s == RETRIES_S[-1]
    assert deaths.another(True, 1, now=1e6).delay_s == 0.0


def test_a_replica_that_keeps_dying() -> None:
    """More than one death a second and replica is a crash loop, even if something is answered between."""
    deaths = Deaths()
    found = [deaths.another(True, 2, now=k / 4) for k in range(200)]
    assert next(k for k, then in enumerate(found) if then.loop) == 2 * MOST_DEATHS
    assert found[-1].loop == "200 ended within a minute"


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(1, 256))
def test_restarts_are_bounded(useless: int, deaths: int, replicas: int) -> None:
    """However often something died, it is tried again within five minutes; and one more useless death never hastens it."""
    then = restart(useless, deaths, replicas)
    assert 0 <= then.delay_s <= RETRIES_S[-1]
    assert bool(then.loop) == (then.delay_s >= RETRIES_S[0])
    assert restart(useless + 1, 1, replicas).delay_s >= restart(useless, 1, replicas).delay_s


@pytest.mark.parametrize(
    ("at_start", "now", "ceiling", "what"),
    [(1, 5, 0, ""), (1, 2, 2, ""), (1, 3, 2, "grown"), (3, 4, 2, "large"), (2, 3, 2, "grown")],
)
def test_the_memory_ceiling(at_start: int, now: int, ceiling: int, what: str) -> None:
    """A replica that outgrew its ceiling is replaced, unless the next one would be too large as well."""
    memory = Memory()
    memory.weigh(at_start * GIB, 0.0)
    memory.weigh(now * GIB, 1.0)
    assert memory.outgrew(ceiling * GIB) == what


def test_a_leak_shows() -> None:
    """Memory that grows by a megabyte a minute grows by sixty an hour; a peak, or a step at the start, is no growth."""
    leak, peak, step = Memory(), Memory(), Memory()
    for minute in range(60):
        leak.weigh(GIB + minute * 10**6, minute * 60.0)
        peak.weigh(GIB + (minute == 30) * GIB, minute * 60.0)
        step.weigh(GIB + (minute > 3) * GIB, minute * 60.0)
    assert leak.growth_bytes_per_h == pytest.approx(60e6)
    assert (peak.growth_bytes_per_h, step.growth_bytes_per_h) == (0.0, 0.0)
    young = Memory()
    for minute in range(59):
        young.weigh(GIB + minute * 10**6, minute * 60.0)
    assert young.growth_bytes_per_h == 0.0
