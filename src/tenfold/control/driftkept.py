"""The verdict on a service's folder, whether a server runs or not: what is kept of a release, and what is said of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tenfold.control import driftchallenge, driftlessons
from tenfold.control.driftchallenge import Contest
from tenfold.control.driftlessons import Lesson
from tenfold.drift.folder import PROFILE, folder_of, profile_in
from tenfold.drift.following import Following, Release
from tenfold.drift.monitor import FEWEST_ROWS
from tenfold.drift.options import Drift
from tenfold.drift.profile import Profile, unpack
from tenfold.drift.reporting import report
from tenfold.drift.verdicts import Report
from tenfold.drift.windows import moment
from tenfold.errors import NotFound

log = logging.getLogger("tenfold")


class Kept(msgspec.Struct):
    """What is written down: what is known, under which policy, and the pieces that are in it and may still lie in the
    spool."""

    now: Following
    policy: Drift
    taken: list[str] = []


def challenged(about: Release, contest: Contest | None, lesson: Lesson | None, time_s: float) -> Release:
    """What a release is followed by, with what a challenger has shown, or else what labels teach: for as long as none would
    be trained again."""
    fresh = [one for one in (contest, lesson) if one and time_s - one.at < about.policy.retrain_at_most_every_s]
    result = next((one.result for one in fresh if one.result is not None), None)
    if about.around.challenge == result:
        return about
    return about._replace(around=msgspec.structs.replace(about.around, challenge=result))


def report_of(
    now: Following, profile: Profile | None, about: Release, name: str, time_s: float, contest: Contest | None = None
) -> Report:
    """The verdict on a release that is watched, and what is to be said besides."""
    if profile is None or not any(seen.rows >= FEWEST_ROWS or seen.rules for seen in now.state.seen):
        waiting = sum(some.answered for some in now.opened)
        because = (
            f"{waiting:,} rows in the first window"
            if profile is None
            else f"no window of {FEWEST_ROWS} rows or more is over yet"
        )
        found = Report(
            verdict=None,
            since=None,
            because=because,
            next="wait for a window to be over",
            windows=(),
            source=_source(profile, about.training),
        )
    else:
        found = report(profile, about.policy, now.state, about.around, moment)
    reasons = [*found.reasons, *_besides(now, profile, about, time_s)]
    if contest is not None and contest.said:
        reasons.append(contest.said)
    return msgspec.structs.replace(found, reasons=tuple(reasons), replay=f"tenfold drift {name}")


def _source(profile: Profile | None, training: Profile | None) -> str:
    """What rows will be compared with, as far as it is there."""
    if profile is not None:
        return profile.source
    if training is not None:
        return f"{training.source}; answers with the first live window, once it is over"
    return "nothing yet: the first live window becomes the reference"


def _besides(now: Following, profile: Profile | None, about: Release, time_s: float) -> Iterator[str]:
    yield from now.remarks
    if now.counted < now.answered:
        yield f"{now.counted:,} of {now.answered:,} rows were counted, chosen by a hash: they came too fast for all"
    if now.late:
        yield f"{now.late:,} rows are of windows that were over: a clock went back, or a piece came late"
    if now.strange:
        yield f"{now.strange:,} rows are dated in the future: a clock jumped"
    if now.judged:
        yield f"{now.labelled:,} of {now.judged:,} rows whose label is due have one"
    if about.policy.labels_after is None and not now.labelled:
        yield "no label has come, and nobody says when one does: Drift(labels_after=…)"
    if now.state.volume.is_young:
        yield "how many rows are usual is not known before a week and a day were watched"
    if profile is not None and now.last_row and time_s - now.last_row > 3 * (about.policy.window_s or 3600.0):
        yield f"no row since {moment(now.last_row)}"


def read(path: Path, kind: type[Any]) -> Any:
    """What ``pack`` wrote to a file; None where there is none, or one that this version cannot read."""
    try:
        return unpack(path.read_bytes(), kind)
    except (FileNotFoundError, NotADirectoryError):
        return None  # any other trouble is raised: what is there must not be overwritten
    except (msgspec.MsgspecError, ValueError) as error:
        log.warning("%s cannot be read, and is begun anew: %s", path, error)
        return None


def kept(home: Path, name: str) -> Report:
    """The verdict that was reached last in a service's folder, whether a server runs or not. Raises ``NotFound``."""
    serving, found = latest(home)
    profile, training = read(profile_in(folder_of(home, serving)), Profile), read(home / PROFILE, Profile)
    contest, time_s = driftchallenge.read(home, serving), time.time()
    about = challenged(Release(found.policy, (), training), contest, driftlessons.read(home, serving), time_s)
    return report_of(found.now, profile, about, name, time_s, contest)


def latest(home: Path) -> tuple[str, Kept]:
    """The release that was watched last in a service's folder, by its label, and what is known of it. Raises ``NotFound``."""
    states = sorted((home / ".tenfold" / "drift").glob("*/state"), key=lambda path: path.stat().st_mtime)
    found = read(states[-1], Kept) if states else None
    if found is None:
        raise NotFound(f"{home} has not been watched", f"tenfold serve {home} counts the rows that it answers")
    return states[-1].parent.name, found
