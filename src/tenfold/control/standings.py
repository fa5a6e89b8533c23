"""How it stands with the releases of a service: what answers, what is on its way, what was refused, and the mend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from tenfold.control import beside as besides
from tenfold.control.releases import last_changes
from tenfold.control.stores import opened
from tenfold.store import Store
from tenfold.store.records import ROLLOUT, Event, Gate, Release, Rollout

UNTOUCHED = ("pending",)
NEARLY_DONE = ("baking", "retiring")
REFUSED = "refused"
HOLD, RESUME = "rollback", "resume"


class Progress(NamedTuple):
    """How far a rollout is: in plain words, what can be done about it, its share of the requests in percent, what comparing
    its answers with those of the former one has shown, and whether the service's pointer means it."""

    rollout: Rollout
    service: str
    release: str
    former: str
    said: str
    fix: str
    percent: float
    compared: str
    is_current: bool

    @property
    def answers(self) -> bool:
        """Whether the new release answers everything, and would after a restart."""
        return self.is_current and self.rollout.state in (*NEARLY_DONE, "promoted")


def last(release: Release, place: str = "") -> Progress | None:
    """How far a release is that was deployed, under its own name or beside; None for one that never was."""
    with opened(place) as store:
        services = {release.service, *besides.beside(store, release.service)}
        found = [one for one in store.rollouts.list() if one.to == release.id and one.service in services]
        return progress_of(store, found[0]) if found else None


def standing(store: Store, service: str) -> dict[str, Any]:
    """How it stands with the releases of a service, for a page: what answers, what is on its way, who changed what last."""
    current = current_of(store, service)
    if current is None:
        return {}
    under_way, hold = store.rollouts.open(service), held(store, service)
    return {
        **_refused(store, service),
        "release": current.name,
        "rollout": as_object(progress_of(store, under_way)) if under_way else None,
        "held": _as_held(store, service, hold) if hold else None,
        "changes": {
            part: {"who": event.who, "at": event.at.isoformat(), "why": event.why}
            for part, event in last_changes(store, service).items()
        },
        "gates": verdicts(store.gates.of(service, current.id)),
    }


def standings(place: str = "") -> dict[str, dict[str, Any]]:
    """How it stands with the releases of each service of a store; empty for one of which none was deployed."""
    with opened(place) as store:
        found = {service: standing(store, service) for service in store.releases.services()}
        for service in [service for service, about in found.items() if not about]:
            under_way = store.rollouts.open(service)
            found[service] = {"rollout": as_object(progress_of(store, under_way))} if under_way else {}
            found[service] |= _refused(store, service)
        return found


def awaited(services: Sequence[str] = (), place: str = "") -> list[str]:
    """The releases that are to answer: of each of these services, or of all, the one on its way or else the deployed one."""
    with opened(place) as store:
        found = []
        for service in services or store.releases.services():
            under_way, current = store.rollouts.open(service), current_of(store, service)
            if under_way is not None:
                found.append(name_of(store, service, under_way.to))
            elif current is not None:
                found.append(current.name)
        return found


def held(store: Store, service: str) -> Event | None:
    """The roll-back since which automatic deployments wait; None where they don't."""
    last = store.events.list(service, what=(HOLD, RESUME), most=1)
    return last[0] if last and last[0].what == HOLD else None


def current_of(store: Store, service: str) -> Release | None:
    """The release that the service's pointer means."""
    pointer = store.pointers.get(service)
    return store.releases.by_id(service, pointer.release) if pointer else None


def progress_of(store: Store, rollout: Rollout) -> Progress:
    """How far a rollout is."""
    kept: dict[str, Any] = {}
    for one in store.evidence.of(rollout.service, rollout.to, ROLLOUT):
        if (one.content["rollout"], one.content["version"]) == (rollout.id, rollout.version):
            kept = one.content
    said = kept.get("reason") or (rollout.detail.get("last") or ["", "", ""])[2] or _why(store, rollout)
    names = [name_of(store, rollout.service, release) for release in (rollout.to, rollout.from_)]
    fix = f"{kept['fix']}{store.at(rollout.service)}" if kept.get("fix") else ""
    pointer = store.pointers.get(rollout.service)
    return Progress(
        rollout,
        rollout.service,
        names[0],
        names[1],
        said,
        mend(store, names[0], said) if rollout.state == REFUSED else fix,
        kept.get("percent", rollout.detail.get("percent", 0.0)),
        kept.get("compared", ""),
        pointer is not None and pointer.release == rollout.to,
    )


def mend(store: Store, name: str, refusal: str) -> str:
    """What can be done about a release that its gates refuse, a command first. One that breaks others may answer beside
    the old one, as a service of another name."""
    at = store.at(name)
    if refusal.startswith("contract: "):
        return f"tenfold deploy {name} --accept-breaking{at}"
    return f"tenfold gates {name} --last{at} · says more; mend it, and push again"


def shown_by(store: Store, name: str, refusal: str) -> str:
    """The command that shows all of what a refusal is about; "" where there is none but the mend."""
    if not refusal.startswith("contract: "):
        return ""
    return f" · tenfold diff {name.partition('@')[0]}@current {name}{store.at(name)}"


def as_object(at: Progress) -> dict[str, Any]:
    """How far a rollout is, for a program."""
    return {
        "release": at.release,
        "former": at.former,
        "state": at.rollout.state,
        "percent": at.percent,
        "said": at.said,
        "fix": at.fix,
        "compared": at.compared,
    }


def verdicts(said: Sequence[Gate]) -> dict[str, Any]:
    """How many gates passed, failed and were left unproven, and when the last one spoke; empty where none did."""
    if not said:
        return {}
    counts = Counter(gate.verdict for gate in said)
    at = max(gate.at for gate in said).isoformat()
    return {"passed": counts["passed"], "failed": counts["failed"], "unproven": counts["unproven"], "at": at}


def _refused(store: Store, service: str) -> dict[str, Any]:
    """The release that was deployed last, where its gates refused it and it doesn't answer beside: when, why, and the mend;
    empty otherwise."""
    last = next(iter(store.rollouts.list(service)), None)
    if last is None or last.state != REFUSED:
        return {}
    when = last.ended or last.changed
    if besides.was_put(store, service, last.to, when):
        return {}
    at = progress_of(store, last)
    return {
        "refused": {
            "release": at.release,
            "at": when.isoformat(),
            "why": at.said,
            "fix": at.fix,
        }
    }


def _as_held(store: Store, service: str, hold: Event) -> dict[str, Any]:
    """Since when automatic deployments wait, and what lets them go on."""
    fix = f"tenfold resume {service}{store.at(service)}"
    return {"who": hold.who, "why": hold.why, "at": hold.at.isoformat(), "fix": fix}


def _why(store: Store, rollout: Rollout) -> str:
    """What the last event of a rollout says, where it took no step yet."""
    if rollout.state in UNTOUCHED:
        return "no server has begun with it yet"
    events = [event for event in store.events.list(rollout.service) if event.to == rollout.to and event.what != "push"]
    return events[-1].why if events else rollout.state


def name_of(store: Store, service: str, release: str) -> str:
    """How people call a release, by its id."""
    found = store.releases.by_id(service, release) if release else None
    return found.name if found else release[:7]
