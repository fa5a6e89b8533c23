"""Processes that die while a release takes over: what was asked for is done all the same."""

from __future__ import annotations

import sys

import pytest

from benchmarks.rollout_kills import run


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found under /proc")
def test_rollouts_survive_the_death_of_any_process() -> None:
    """The whole server, its deployer and a front are killed at random moments of three deployments: the record holds, each
    deployment comes to its end, and what answers is what the pointer means."""
    outcome = run(3, seed=1, roles=("supervisor", "deployer", "front"))
    assert outcome.broken == []
    assert outcome.killed.total() == outcome.ended.total() == 3
