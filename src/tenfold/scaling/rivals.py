"""The policies that others ship, to be compared with on the same traffic: Knative's and Kubernetes' own.

Both follow their sources: knative.dev/serving ``pkg/autoscaler/scaling/autoscaler.go`` (stable and panic window), and the
HorizontalPodAutoscaler of ``autoscaling/v2`` (ratio, tolerance, behaviour). Their target is a rate of rows for each
replica, as a share of what one carries.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from tenfold.scaling.policy import Replicas, Snapshot


class Knative(NamedTuple):
    """Settings of the Knative Pod Autoscaler, with its defaults."""

    utilization: float = 0.7  # target-utilization-percentage
    stable_s: int = 60  # stable-window
    panic_s: int = 6  # panic-window-percentage of it: 10 %
    panic_at: float = 2.0  # panic-threshold-percentage: 200 %
    scale_down_delay_s: float = 0.0
    max_up: float = 1000.0  # max-scale-up-rate
    max_down: float = 2.0  # max-scale-down-rate

    every_s: float = 2.0  # tick-interval


class Hpa(NamedTuple):
    """Settings of the HorizontalPodAutoscaler, with its defaults."""

    utilization: float = 0.7
    tolerance: float = 0.1
    stabilization_s: float = 300.0  # of scaling in: the highest recommendation within it
    metric_s: int = 30  # what the metric is averaged over
    max_up: float = 2.0  # behavior.scaleUp: 100 % or 4 pods each 15 s
    max_up_pods: int = 4

    every_s: float = 15.0  # horizontal-pod-autoscaler-sync-period


class KnativePolicy:
    """One autoscaler of one revision. It begins in panic mode, so that a restart scales nothing in."""

    def __init__(self, settings: Knative, low: int, high: int) -> None:
        self.every_s = settings.every_s
        self._settings, self._low, self._high = settings, low, high
        self._panic_since: float | None = 0.0
        self._panic_most = 0
        self._wants: deque[tuple[float, int]] = deque()

    def __call__(self, seen: Snapshot, now: float) -> Replicas:
        """The replicas that it wants."""
        settings = self._settings
        target = seen.rate * settings.utilization
        ready = max(seen.ready, 1)
        up, down = math.ceil(settings.max_up * ready), math.floor(ready / settings.max_down)
        panic = math.ceil(seen.past.mean(settings.panic_s) / target)
        stable = min(max(math.ceil(seen.past.mean(settings.stable_s) / target), down), up)
        if panic / ready >= settings.panic_at:
            self._panic_since = now
        elif self._panic_since is not None and now - self._panic_since > settings.stable_s:
            self._panic_since, self._panic_most = None, 0
        want = stable
        if self._panic_since is not None:
            self._panic_most = max(self._panic_most, stable, min(max(panic, down), up))
            want = self._panic_most
        self._wants.append((now, want))
        while self._wants[0][0] < now - settings.scale_down_delay_s:
            self._wants.popleft()
        n = min(max(self._low, *(want for _, want in self._wants)), self._high)
        return Replicas(n, "panic window" if self._panic_since is not None else "stable window")


class HpaPolicy:
    """One HorizontalPodAutoscaler on an average value of rows per second for each pod."""

    def __init__(self, settings: Hpa, low: int, high: int) -> None:
        self.every_s = settings.every_s
        self._settings, self._low, self._high = settings, max(low, 1), high
        self._recommended: deque[tuple[float, int]] = deque()

    def __call__(self, seen: Snapshot, now: float) -> Replicas:
        """The replicas that it wants."""
        settings = self._settings
        have = max(seen.ready + seen.starting, 1)
        ratio = seen.past.mean(settings.metric_s) / (seen.rate * settings.utilization) / have
        want = have if abs(ratio - 1) <= settings.tolerance else math.ceil(have * ratio)
        want = min(want, max(math.ceil(have * settings.max_up), have + settings.max_up_pods))
        self._recommended.append((now, want))
        while self._recommended[0][0] < now - settings.stabilization_s:
            self._recommended.popleft()
        if want < have:
            want = min(max(want for _, want in self._recommended), have)
        return Replicas(min(max(want, self._low), self._high), f"{ratio:.2f} of the target")
