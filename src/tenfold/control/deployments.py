"""What people and programs ask of deployments: deploy, take back, go on; and how far a release on its way is.

What is asked is written to the store; the servers of that store do it. So it is on record at once, also where none runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from tenfold.control import beside as besides
from tenfold.control import gates
from tenfold.control.beside import Beside
from tenfold.control.composing import taken_back
from tenfold.control.former import TAKES_BACK, former, refusal
from tenfold.control.standings import (
    HOLD,
    NEARLY_DONE,
    REFUSED,
    RESUME,
    UNTOUCHED,
    Progress,
    current_of,
    held,
    mend,
    name_of,
    progress_of,
    shown_by,
)
from tenfold.control.stores import opened, who, within
from tenfold.errors import Conflict, GateFailed, NotFound, UsageError
from tenfold.gates import Word
from tenfold.releases import Releases
from tenfold.store import Act, Store, resolve
from tenfold.store.records import Event, Gate, Release, Rollout
from tenfold.units import seconds

LOOK_S = 0.1
TAKEN_UP_S = 3.0  # a server that runs has taken a rollout up by then
MAKE_ROOM_S = 60.0  # for a rollout that bakes to come to its end, where the next one waits for it
TRIES = 20
EXAMINED = (*UNTOUCHED, "gating")  # nothing has been started yet

Told = Callable[[str], None]


class Asked(NamedTuple):
    """What was asked of the store: the release that is to answer, the one that does, the rollout (None: there is nothing to
    do), the store as it is shown and as it is opened, the release that is taken ``back`` while it is on its way, and the one
    of another service that it answers ``beside``."""

    release: Release
    current: Release | None
    rollout: Rollout | None
    place: str
    url: str
    back: str = ""
    beside: Release | None = None


class Plan(NamedTuple):
    """What a deployment would do. ``gates`` is what they said last, ``foreseen`` what the cheap ones would say now, and
    ``mend`` what can be done where one of these would refuse it. ``asked`` is what the release was pushed as: with
    ``beside``, all of this is about a service of another name. ``place`` is the store."""

    release: Release
    current: Release | None
    changed: tuple[str, ...]
    policy: Releases
    held: Event | None
    under_way: Rollout | None
    gates: Sequence[Gate]
    foreseen: Mapping[str, Word]
    mend: str
    asked: str
    place: str
    beside: Beside | None = None


def plan(name: str, place: str = "", *, now: bool = False, accept_breaking: bool = False, other_name: str = "") -> Plan:
    """Exactly what ``deploy`` would do."""
    with opened(place, name) as store:
        release = meant(store, name)
        current, asked = current_of(store, release.service), release.name
        beside = besides.proposed(store, release, current, other_name) if accept_breaking else None
        if beside is not None:
            release, current = beside.release, current_of(store, beside.release.service)
        service = release.service
        was = current.parts if current else {}
        changed = tuple(sorted(part for part in was | release.parts if was.get(part) != release.parts.get(part)))
        under_way = store.rollouts.open(service)
        said = store.gates.of(service, release.id)
        policy, hold = policy_of(store, release, now), held(store, service)
        expected = gates.foreseen(store, release, current)
        held_up = "; ".join(f"{gate}: {word.because}" for gate, word in expected.items() if word.verdict == "failed")
        fix = mend(store, asked, held_up) if held_up else ""
        return Plan(release, current, changed, policy, hold, under_way, said, expected, fix, asked, store.place, beside)


def deploy(
    name: str,
    place: str = "",
    *,
    now: bool = False,
    why: str = "",
    base: str = "",
    automatic: bool = False,
    accept_breaking: bool = False,
    other_name: str = "",
) -> Asked:
    """Let a release take over from what answers, as its service says; at once with ``now``.

    ``base`` is what has to answer at present: ``Conflict`` where something else does. ``automatic`` ones are refused after a
    roll-back, until somebody says ``resume``. ``Conflict`` where another release is on its way. With ``accept_breaking``, one
    whose contract breaks those who ask takes over from nothing, and answers beside, as ``other_name`` or one that is free.
    """
    with opened(place, name) as store:
        release = meant(store, name)
        if release.collected:
            raise NotFound(f"the files of {release.name} were given up", "push the same folder again")
        current = current_of(store, release.service)
        if base and (current is None or resolve(store, base).id != current.id):
            answers = current.name if current else "nothing"
            look = f"look again: tenfold deploy {release.name} --plan{store.at(release.name)}"
            raise Conflict(f"{answers} answers, and not {base}", look)
        beside = besides.proposed(store, release, current, other_name) if accept_breaking else None
        stays, service = (beside.stays, beside.release.service) if beside else (None, release.service)
        if automatic:
            _require_free(store, dict.fromkeys((release.service, service)))
        current, under_way = current_of(store, service), store.rollouts.open(service)
        is_under_way = under_way is not None and under_way.to == release.id
        if under_way is not None and not is_under_way:
            _make_room(store, under_way)
            current = current_of(store, service)
        if beside is not None:
            _withdraw(store, release, f"it is to answer beside {beside.stays.name}, as {beside.release.name}")
            release = besides.put(store, release, beside, why)
        if under_way is not None and is_under_way:
            if under_way.detail.get("asked") == HOLD and not now:
                look = f"tenfold status --store {store.place} says when it was"
                raise Conflict(f"{release.name} is being taken back", look)
            only_bakes = current is not None and current.id == release.id
            rollout = _ask(store, service, "promote", why) if now else None if only_bakes else under_way
            return Asked(release, current, rollout, store.place, store.url, beside=stays)
        if current is not None and current.id == release.id:
            return Asked(release, current, None, store.place, store.url, beside=stays)
        rollout = _begin(store, release, current, Act(who(), "deploy", why), policy_of(store, release, now))
        return Asked(release, current, rollout, store.place, store.url, beside=stays)


def rollback(name: str, place: str = "", *, part: str = "", why: str = "") -> Asked:
    """Take back the release that is on its way, or else the one that answers; automatic deployments wait from then on.
    ``Conflict`` where that is being done already, or where all that answered before was taken back.

    With ``part``, just the ``code`` or the ``model`` of what answers goes back: a new release of the old part and of all else
    as it is, which passes its gates and takes over at once.
    """
    with opened(place, name) as store:
        service = meant(store, name.partition("@")[0]).service
        current = current_of(store, service)
        under_way = store.rollouts.open(service)
        if part:
            release = taken_back(store, service, part)
            if under_way is not None:
                _make_room(store, under_way)
            act = Act(who(), HOLD, why or f"the {part} goes back: {release.name}")
            rollout = _begin(store, release, current, act, policy_of(store, release, now=True))
            return Asked(release, current, rollout, store.place, store.url)
        if under_way is not None and under_way.plan.get(TAKES_BACK):
            to = name_of(store, service, under_way.to)
            raise refusal(store, under_way.from_, under_way, f"{to} answers or is about to")
        if under_way is not None:
            stays = store.releases.by_id(service, under_way.from_ or under_way.to)
            assert stays is not None
            asked, name = _ask(store, service, "rollback", why), name_of(store, service, under_way.to)
            return Asked(stays, current, asked, store.place, store.url, back=name)
        release = former(store, service)
        act = Act(who(), HOLD, why or f"back to {release.name}")
        rollout = _begin(store, release, current, act, policy_of(store, release, now=True), back=True)
        return Asked(release, current, rollout, store.place, store.url)


def resume(name: str, place: str = "", *, why: str = "") -> tuple[str, Event | None]:
    """Let automatic deployments go on; the service, and the roll-back that held them, None where there was none."""
    with opened(place, name) as store:
        service = meant(store, name.partition("@")[0]).service
        hold = held(store, service)
        if hold is not None:
            store.events.append(Act(who(), RESUME, why), service=service)
        return service, hold


def ended(asked: Asked) -> Progress | None:
    """How a rollout came to its end; None while it is on its way."""
    assert asked.rollout is not None
    with opened(asked.url) as store:
        rollout = store.rollouts.by_id(asked.rollout.id)
        return progress_of(store, rollout) if rollout.ended is not None else None


def progress(name: str = "", place: str = "") -> list[Progress]:
    """The rollouts that are on their way: of one service, or of all."""
    with opened(place, name) as store:
        service = meant(store, name.partition("@")[0]).service if name else ""
        return [progress_of(store, one) for one in store.rollouts.list(service, ended=False)]


def wait(asked: Asked, limit_s: float, told: Told = lambda _: None) -> Progress:
    """Until the release answers everything, or was turned back, or waits for more than can be waited for here.

    ``GateFailed`` where it was turned back, or where ``limit_s`` seconds were too few; ``told`` hears of each step.
    """
    assert asked.rollout is not None
    said, until = "", time.monotonic() + limit_s
    with opened(asked.url) as store:
        while True:
            rollout = store.rollouts.by_id(asked.rollout.id)
            at = progress_of(store, rollout)
            if at.said != said:
                said = at.said
                told(said)
            if at.rollout.state == "rolled_back" if asked.back else at.answers:
                return at
            if rollout.ended is not None:
                refused = at.rollout.state == REFUSED
                look = f"tenfold releases {at.service} --events{store.at(at.service)}"
                fix = at.fix if refused else look
                raise GateFailed(f"{at.release} did not take over: {said}{shown_by(store, at.release, said)}", fix)
            if time.monotonic() > until:
                raise GateFailed(f"{at.release} is still on its way: {said}", at.fix or _look(store, rollout))
            time.sleep(LOOK_S)


def _look(store: Store, rollout: Rollout) -> str:
    """What to do about a rollout that takes longer than somebody waited."""
    if rollout.state in UNTOUCHED:
        return f"tenfold serve --store {store.place} · no server of this store runs"
    return f"tenfold status --store {store.place} · shows how far it is; --wait 30m waits longer"


def taken_up(asked: Asked) -> bool:
    """Whether a server of the store has begun with it: one that runs does within a moment."""
    assert asked.rollout is not None
    until = time.monotonic() + TAKEN_UP_S
    with opened(asked.url) as store:
        while time.monotonic() < until:
            rollout = store.rollouts.open(asked.rollout.service)
            if rollout is None or rollout.id != asked.rollout.id or rollout.state not in UNTOUCHED:
                return True
            time.sleep(LOOK_S)
    return False


def limit_s(wait: str | None) -> float:
    """What ``--wait`` says in seconds; 0 where nobody waits."""
    try:
        return seconds(wait) if wait else 0.0
    except ValueError as error:
        raise UsageError(f"--wait: {error}", "such as --wait 30m") from None


def require(names: Sequence[str], place: str = "") -> str:
    """The store that is to be served from, in which each of the named services has a release."""
    with opened(place) as store:
        for name in names:
            if "@" in name:
                mend_it = f"tenfold deploy {name}{store.at(name)}; what is deployed is served"
                raise UsageError(f"{name} is one release", mend_it)
            resolve(store, f"{name}@latest")
        return store.place


def meant(store: Store, name: str) -> Release:
    """The release that is to be deployed: the one that was pushed last, unless another one is named."""
    known = within(store, name)
    return resolve(store, known if "@" in known else f"{known}@latest")


def policy_of(store: Store, release: Release, now: bool) -> Releases:
    """How a release takes over: as it says itself; or all at once, while the old one stays warm for as long as it says."""
    stated = store.spec(release).releases
    return replace(stated, steps=(), shadow_requests=0) if now else stated


def _begin(
    store: Store, release: Release, current: Release | None, act: Act, policy: Releases, *, back: bool = False
) -> Rollout:
    """One that goes ``back`` is not examined again."""
    plan = {"policy": msgspec.to_builtins(policy), "back": back, TAKES_BACK: act.what == HOLD}
    return store.rollouts.begin(release.service, release.id, act, from_=current.id if current else "", plan=plan)


def _require_free(store: Store, services: Iterable[str]) -> None:
    """Raise where a roll-back holds automatic deployments: also of what would answer beside."""
    for service in services:
        if hold := held(store, service):
            said = f"{service} is held since {hold.who} took a release back: {hold.why}"
            raise Conflict(said, f"tenfold resume {service}{store.at(service)}")


def _withdraw(store: Store, release: Release, why: str) -> None:
    """End the examination of a release under its own name, which will refuse it: it is to answer under another one."""
    for _ in range(TRIES):
        rollout = store.rollouts.open(release.service)
        if rollout is None or rollout.to != release.id or rollout.state not in EXAMINED:
            return
        with suppress(Conflict):  # it took a step at that moment
            store.rollouts.change(rollout, "replaced", Act(who(), "replace", why), ended=True)


def _ask(store: Store, service: str, what: str, why: str) -> Rollout:
    """Ask something of the release that is on its way. What nobody has begun with is simply over."""
    for _ in range(TRIES):
        rollout = store.rollouts.open(service)
        if rollout is None:
            look = f"tenfold releases {service} --events{store.at(service)}"
            raise Conflict(f"no release of {service} is on its way any more", look)
        untouched = rollout.state in UNTOUCHED and what == "rollback"
        state = "rolled_back" if untouched else rollout.state
        act = Act(who(), HOLD if what == "rollback" else what, why or "it was asked for")
        try:
            return store.rollouts.change(
                rollout, state, act, detail={**rollout.detail, "asked": what, "asked_by": act.who}, ended=untouched
            )
        except Conflict:  # it took a step at that moment
            time.sleep(LOOK_S / 10)
    raise Conflict(f"the rollout of {service} changes all the time", "try again")


def _make_room(store: Store, rollout: Rollout) -> None:
    """Let a rollout that has all but ended come to its end; ``Conflict`` where another one is under way."""
    service, name, at = rollout.service, name_of(store, rollout.service, rollout.to), store.at(rollout.service)
    if rollout.state in UNTOUCHED:
        act = Act(who(), "replace", "another release is deployed before it began")
        store.rollouts.change(rollout, "replaced", act, ended=True)
        return
    if rollout.state not in NEARLY_DONE:
        raise Conflict(
            f"{name} is on its way",
            f"wait for it, or tenfold rollback {service}{at} takes it back; "
            f"tenfold deploy {name} --now{at} gives it everything",
        )
    with suppress(Conflict):  # it came to its end at that moment
        _ask(store, service, "promote", "the next release is deployed")
    until = time.monotonic() + MAKE_ROOM_S
    while (under_way := store.rollouts.open(service)) is not None and under_way.id == rollout.id:
        if time.monotonic() > until:
            raise Conflict(f"{name} has not come to its end", f"is the server of {store.place} running?")
        time.sleep(LOOK_S)
