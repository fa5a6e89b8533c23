"""Which release a service goes back to: the newest one that answered before, and that nobody took back since."""

from __future__ import annotations

from tenfold.errors import Conflict
from tenfold.store import Store, resolve
from tenfold.store.history import MOVES
from tenfold.store.nouns import CURRENT
from tenfold.store.records import Release, Rollout

TAKES_BACK = "takes_back"  # the key in a rollout's plan that says that what answered before it was taken back


def former(store: Store, service: str) -> Release:
    """The release to go back to. What was taken back is passed over until somebody deploys it again, so that two people who
    roll back in the same minute don't bring the harmful release back.

    ``Conflict`` where all that answered before was taken back, ``NotFound`` where nothing answered before.
    """
    current, back = resolve(store, f"{service}@current"), taken_back(store, service)
    answered = [one.to for one in store.events.list(service) if one.detail.get(MOVES, {}).get("name") == CURRENT]
    for id_ in reversed(answered):
        release = store.releases.by_id(service, id_)
        if release and id_ not in (current.id, *back) and not release.collected:
            return release
    if not back:
        return resolve(store, f"{service}@previous")  # which says what there is instead
    id_, last = list(back.items())[-1]
    raise refusal(store, id_, last, f"nothing else answered before {current.name}")


def taken_back(store: Store, service: str) -> dict[str, Rollout]:
    """The releases that were taken back and not deployed since, by their ids, each with the rollout that did so; in order."""
    back: dict[str, Rollout] = {}
    for rollout in reversed(store.rollouts.list(service)):
        takes_back = rollout.plan.get(TAKES_BACK, False)
        if rollout.state == "promoted":
            back.pop(rollout.to, None)
        if rollout.state == "rolled_back" and not takes_back:
            back[rollout.to] = rollout
        elif rollout.state == "promoted" and takes_back and rollout.from_:
            back[rollout.from_] = rollout
    return back


def refusal(store: Store, release: str, by: Rollout, because: str) -> Conflict:
    """What somebody is told who would bring back what was taken back."""
    found = store.releases.by_id(by.service, release)
    name = found.name if found else release[:7]
    person = by.detail.get("asked_by") or (by.who if by.plan.get(TAKES_BACK) else "its server")
    at = by.at if by.plan.get(TAKES_BACK) else by.ended or by.changed
    return Conflict(
        f"{name} was taken back at {at:%H:%M} UTC by {person}, and {because}",
        f"tenfold deploy {name}{store.at(name)} if you mean it",
    )
