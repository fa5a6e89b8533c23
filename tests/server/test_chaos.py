"""The promise in short: replicas are killed and stopped under load, and every request is answered or refused, in time."""

from __future__ import annotations

import pytest

from benchmarks.chaos import Plan, run


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("forkable", [True, False], ids=["forked", "alone"])
def test_nothing_is_lost(forkable: bool) -> None:
    """While replicas are killed and stopped, no request is lost or late, and none gets another's answer."""
    plan = Plan(
        requests=1_500, rate=250, connections=16, kill_every_s=0.7, stop_every_s=1.2, seed=20, forkable=forkable
    )
    outcome = run(plan)
    assert outcome.requests == plan.requests
    assert (outcome.lost, outcome.mixed_up, outcome.late, dict(outcome.odd)) == (0, 0, 0, {})
    assert outcome.answered >= 0.95 * plan.requests
    assert outcome.killed >= 4
    assert outcome.stopped >= 2
    assert outcome.died >= outcome.killed
