"""What validation refused and changed, by rule: a feed that breaks shows there first, since its rows never come further.

The rates of the first windows are what is usual. A rule that is broken more often since is a fault of the feed, and none of
the model: nothing that was refused could be compared otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from tenfold.drift.effects import score
from tenfold.drift.eprocess import Wealth, wager
from tenfold.drift.monitor import CHANNELS, State
from tenfold.drift.options import Drift
from tenfold.drift.verdicts import Fault

RULE = "rule "  # before the names of what is watched
REFUSED, CHANGED, CAME = "violation:", "change:", "came"
FEWEST_ROWS = 20  # in a window, for its rates to say anything


class Rates(msgspec.Struct):
    """How many rows came, and how often each rule refused or changed one."""

    rows: int = 0
    hits: dict[str, int] = {}

    def plus(self, other: Rates) -> Rates:
        """Both together."""
        names = self.hits.keys() | other.hits.keys()
        return Rates(self.rows + other.rows, {n: self.hits.get(n, 0) + other.hits.get(n, 0) for n in names})

    def minus(self, other: Rates) -> Rates:
        """What came since: nothing where counters began anew."""
        hits = {name: max(count - other.hits.get(name, 0), 0) for name, count in self.hits.items()}
        return Rates(max(self.rows - other.rows, 0), {name: count for name, count in hits.items() if count})


def rates_of(counters: Mapping[str, int], ours: Sequence[str] = ()) -> Rates:
    """The rates in a server's counters. ``ours`` are the codes of faults that are the service's own."""
    hits: dict[str, int] = {}
    for name, count in counters.items():
        for prefix, verb in ((REFUSED, "refused"), (CHANGED, "changed")):
            pointer, _, code = name.removeprefix(prefix).partition(":")
            if name.startswith(prefix) and code and code not in ours:
                hits[f"{pointer} {code} {verb}".strip()] = count
    return Rates(counters.get(CAME, 0), hits)


def watch(policy: Drift, state: State, usual: Rates, now: Rates) -> State:
    """The state after the rates of a window: each rule bets that it is broken more often than is usual and tolerated."""
    if now.rows < FEWEST_ROWS or usual.rows < FEWEST_ROWS or not state.seen:
        return state
    renewing = policy.mean_windows_between_false_alarms is not None
    wealth, shares = dict(state.wealth), {}
    for name in {*now.hits, *(known.removeprefix(RULE) for known in wealth if known.startswith(RULE))}:
        share, before = (min(rates.hits.get(name, 0) / rates.rows, 1.0) for rates in (now, usual))
        error = math.sqrt(sum((p * (1 - p) + 1 / n) / n for p, n in ((share, now.rows), (before, usual.rows))))
        z = score(share - before - policy.drift_share, error, 0.0, 0)
        key = f"{RULE}{name}"
        wealth[key] = wager(wealth.get(key, Wealth()), z, state.number - 1, policy.threshold * CHANNELS, renewing)
        shares[name] = (before, share)
    last = msgspec.structs.replace(state.seen[-1], rules=shares)
    return msgspec.structs.replace(state, wealth=wealth, seen=(*state.seen[:-1], last))


def faults_of(state: State, moved: Sequence[str]) -> list[Fault]:
    """The rules among what is proven to have moved."""
    rules = state.seen[-1].rules
    found = [name for name in moved if name.startswith(RULE) and name.removeprefix(RULE) in rules]
    return [Fault("rule", (name,), _said(name.removeprefix(RULE), *rules[name.removeprefix(RULE)])) for name in found]


def _said(name: str, before: float, now: float) -> str:
    return f"{name}: {now:.0%} of the rows, {before:.1%} in the first windows"
