"""How often canaries are wrong, and how soon they are right: the promises, in short."""

from __future__ import annotations

from statistics import median

import pytest

from benchmarks.canaries import Traffic, peeking, rollout, with_one_worse
from tenfold.releases import Releases
from tenfold.releases.evidence import Guard
from tenfold.releases.rollout import Stage

QUICK = Releases(bake="10 s", shadow_requests=0)


@pytest.mark.slow
@pytest.mark.parametrize("client_share", [0.0, 0.4])
def test_good_releases_are_promoted(client_share: float) -> None:
    """A release that is as good as the old one gets there, while shares of bad requests double and halve within minutes,
    and even where one client's key brings two fifths of the traffic to one side."""
    ends = [rollout(Traffic(client_share=client_share), QUICK, seed).stage for seed in range(2)]
    assert ends == [Stage.PROMOTED] * 2


@pytest.mark.slow
def test_bad_releases_are_rolled_back() -> None:
    """A release with five times as many bad requests of any kind doesn't get there."""
    ends = [rollout(with_one_worse(5.0, seed), QUICK, seed).stage for seed in range(8)]
    assert ends == [Stage.ROLLED_BACK] * 8


@pytest.mark.slow
def test_very_bad_releases_are_found_soon() -> None:
    """Ten times one per cent, at a quarter of the traffic, is found within a hundred requests to the new release."""
    traffic = Traffic({Guard.ERRORS: 0.01, Guard.LATE: 0.0}, {Guard.ERRORS: 10.0})
    policy = Releases(steps=("25%",), shadow_requests=0)
    assert median(rollout(traffic, policy, seed).new_requests for seed in range(51)) <= 100


@pytest.mark.slow
def test_the_usual_test_cries_wolf() -> None:
    """A fixed threshold that is looked at again and again calls equal releases unequal: why there is another one here."""
    assert sum(peeking(Traffic(), seed) for seed in range(20)) >= 3
