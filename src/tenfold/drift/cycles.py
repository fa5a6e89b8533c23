"""What comes round by the hour, the day and the week, learnt from the rows that a service answers.

Counts are kept hour by hour until four cycles are there. If columns move less within their hour than they do otherwise,
windows are from then on compared with the same hours of those four cycles, which stay what they are: a reference that went
along with the traffic would never see a slow drift. Each change of the reference is said.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from tenfold.drift.columns import Ints
from tenfold.drift.effects import SIGMAS, Baseline, Moved, baseline_of, left_out, moved, regroup
from tenfold.drift.monitor import State
from tenfold.drift.options import Drift
from tenfold.drift.profile import ESTIMATED, REALISED, ROWS, Profile, by_group, split
from tenfold.drift.season import CYCLE, CYCLES, HOUR_S, WEEK_S, Season, Traffic, possible, restless, season_of, within
from tenfold.drift.volume import SPANS

FEWEST_ROWS = 20  # of an hour, for it to say anything
MOVES = 0.25  # of the tolerance: columns that move less than that from hour to hour need no season


class History(msgspec.Struct):
    """Live rows by the hour: which hours (h,) since 1970 these are, and their counters (h, c). ``tried`` is the last day on
    which a season was looked for."""

    hours: Ints
    cells: Ints
    tried: int = 0

    @classmethod
    def none(cls, cells: int) -> History:
        """No hour yet, of columns with so many counters."""
        return cls(np.zeros(0, dtype=np.int64), np.zeros((0, cells), dtype=np.int32))

    def add(self, hour: int, cells: Ints) -> None:
        """Take an hour that is over. One that is there already, or earlier than the last, is left as it is; of those that are
        older than four weeks nothing is known any more."""
        if len(self.hours) and hour <= self.hours[-1]:
            return
        kept = self.hours > hour - CYCLES * WEEK_S / HOUR_S
        self.hours = np.append(self.hours[kept], hour)
        self.cells = np.concatenate([self.cells[kept], cells[None].astype(np.int32)])


class Learnt(NamedTuple):
    """A profile with a season, the state in which evidence against the former reference is forgotten, and what to say."""

    profile: Profile
    state: State
    remark: str


def learn(profile: Profile, policy: Drift, state: State, history: History, anchored: Collection[str]) -> Learnt | None:
    """The season that the hours so far show, finer than the one that is known; None where there is none, or not yet.

    ``anchored`` are the columns whose reference are not live rows. They have a season only where four cycles of live rows,
    taken together, are what that reference is: else they moved, whatever the hour. So have columns of which the last cycle is
    what the cycles before it were.
    """
    traffic = _traffic(profile, history)
    if traffic is None:
        return None
    cycles = possible(float(traffic.starts[0]), traffic.end, HOUR_S)
    if profile.season is not None:
        cycles = [cycle for cycle in cycles if cycle.slots > CYCLE[profile.season.cycle].slots]
    usual = _usual(profile, traffic)
    if max(abs(base.mean) + base.spread for base in usual.values()) < MOVES * policy.drift_share:
        return None
    found = season_of(traffic, restless(usual, traffic.grouped), cycles)
    if found is None:
        return None
    steady = {
        name: base
        for name, base in found.baselines.items()
        if _comes_round(traffic, found, name, policy)
        and (name not in anchored or not _is_elsewhere(profile, traffic, name, policy))
    }
    if not steady:
        return None
    season = Season(found.cycle, found.counts, steady)
    since = CYCLE[found.cycle].length_s * CYCLES
    baselines = profile.baselines | _others(profile, state, history.hours[-1] * HOUR_S - since)
    made = msgspec.structs.replace(profile, season=season, baselines=baselines)
    remark = f"{len(steady)} of {len(profile.columns)} columns are compared with the same {found.cycle} of live rows"
    return Learnt(made, _forgetting(state), remark)


def _traffic(profile: Profile, history: History) -> Traffic | None:
    """The hours with rows enough, by column and group."""
    cells: Ints = history.cells.astype(np.int64)
    if not len(cells):
        return None
    rows = split(profile.columns, cells)[0].sum(axis=1)
    enough = rows >= FEWEST_ROWS
    if not enough.any():
        return None
    cells, starts = cells[enough], history.hours[enough] * HOUR_S
    by_column = by_group(profile.columns, cells, profile.groups)
    return Traffic(starts, float(starts[-1] + HOUR_S), HOUR_S, cells, by_column)


def _usual(profile: Profile, traffic: Traffic) -> Mapping[str, Baseline]:
    """How much columns move from hour to hour as they are compared now."""
    if profile.season is None:
        return {name: left_out(counts) for name, counts in traffic.grouped.items()}
    slots = CYCLE[profile.season.cycle].slot(traffic.starts + HOUR_S / 2)
    return {name: within(counts, slots) for name, counts in traffic.grouped.items()}


def _comes_round(traffic: Traffic, season: Season, name: str, policy: Drift) -> bool:
    """Whether the last cycle of a column is what the cycles before it were."""
    last = traffic.starts >= traffic.end - CYCLE[season.cycle].length_s
    counts = traffic.grouped[name]
    share, error = moved(counts[~last].sum(axis=0), counts[last].sum(axis=0))
    return bool(share - SIGMAS * error < policy.drift_share)


def _is_elsewhere(profile: Profile, traffic: Traffic, name: str, policy: Drift) -> bool:
    """Whether all cycles together are not what the reference of a column is."""
    place = next(k for k, column in enumerate(profile.columns) if column.name == name)
    before = regroup(split(profile.columns, profile.counts.cells)[place], profile.groups[place])
    share, error = moved(before, traffic.grouped[name].sum(axis=0))
    return bool(share - SIGMAS * error > policy.drift_share)


def _others(profile: Profile, state: State, since: float) -> dict[str, Baseline]:
    """How much directions and segments move from window to window: they have no season, but move with it."""
    columns = {column.name for column in profile.columns}
    lately = [seen for seen in state.seen if seen.start >= since] or list(state.seen)
    names = {name for seen in lately for name in seen.moved} - columns
    found = {}
    for name in names:
        known = [seen for seen in lately if name in seen.moved]
        found[name] = baseline_of([Moved(seen.moved[name], 0.5 / np.sqrt(max(seen.rows, 1))) for seen in known])
    return found


def _forgetting(state: State) -> State:
    """The state without what spoke against the former reference; what labels prove stays."""
    kept = {name: wealth for name, wealth in state.wealth.items() if name in (ESTIMATED, REALISED, ROWS, *SPANS)}
    return msgspec.structs.replace(state, wealth=kept, steps={})
