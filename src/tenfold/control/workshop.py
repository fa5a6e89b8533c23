"""Where releases are made ready, aside: their folders, their environments, their gates. That takes seconds to minutes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tenfold.control import gates
from tenfold.control.beside import origin
from tenfold.environment import python_of
from tenfold.errors import TenfoldError
from tenfold.store import Store, open_store
from tenfold.store.database import EMBEDDED
from tenfold.store.records import Gate, Release

THREADS = 2
RETRY_S = 30.0  # after which what could not be made ready is tried again


class Placed(NamedTuple):
    """A release that can be run: the target that its replicas are given, and what their crew has to know."""

    folder: str
    deployed: dict[str, str]


class Examined(NamedTuple):
    """What the gates say of a release: why it gets no traffic ("" where it may), and whether it and the one that answers fit
    into memory at once."""

    refusal: str
    fits_beside: bool = True


class Workshop:
    """Makes releases ready on threads, each with a store of its own, since those are for one thread."""

    def __init__(self, place: str, replicas: int) -> None:
        self._place = place
        self._replicas = replicas
        self._threads = ThreadPoolExecutor(THREADS)
        self._placed: dict[tuple[str, str], Future[Placed]] = {}
        self._failed: dict[tuple[str, str], tuple[float, str]] = {}
        self._examined: dict[str, Future[Examined]] = {}

    def placed(self, release: Release, now: float) -> Placed | str | None:
        """Where a release is, why it cannot be made ready, or None while that is being done.

        What could not be made ready is tried again after a while.
        """
        key = release.service, release.id
        when, why = self._failed.get(key, (0.0, ""))
        if why and now - when < RETRY_S:
            return why
        future = self._placed.get(key)
        if future is None:
            future = self._placed[key] = self._start(self._place_one, release)
        if not future.done():
            return None
        del self._placed[key]
        self._failed.pop(key, None)
        try:
            return future.result()
        except (TenfoldError, OSError) as error:
            self._failed[key] = now, str(error)
            return str(error)

    def failure(self, service: str, release: str) -> str:
        """Why a release could not be made ready when that was last tried; "" otherwise."""
        return self._failed.get((service, release), (0.0, ""))[1]

    def examined(self, rollout: str, release: Release, current: Release | None) -> Examined | None:
        """What the gates say for a rollout; None while they are asked."""
        future = self._examined.get(rollout)
        if future is None:
            future = self._examined[rollout] = self._start(self._examine, release, current)
        if not future.done():
            return None
        del self._examined[rollout]
        try:
            return future.result()
        except (TenfoldError, OSError) as error:
            return Examined(f"the gates could not be asked: {error}")

    def _start(self, work: Callable[..., Any], *of: Any) -> Future[Any]:
        def with_store() -> Any:
            store = open_store(self._place)
            try:
                return work(store, *of)
            finally:
                store.close()

        return self._threads.submit(with_store)

    def _place_one(self, store: Store, release: Release) -> Placed:
        folder = store.materialise(release)
        home = home_of(store, release.service)
        home.mkdir(parents=True, exist_ok=True)
        deployed = {
            "service": release.service,
            "release": release.id,
            "name": release.name,
            "home": str(home),
            "python": str(python_of(store, release)),
        }
        return Placed(f"{folder}/{release.entry}" if release.entry else str(folder), deployed)

    def _examine(self, store: Store, release: Release, current: Release | None) -> Examined:
        """What they said before of just this change, they need not say again."""
        said: Sequence[Gate] = store.gates.of(release.service, release.id)
        against = current.id if current else ""
        if not said or any(gate.verdict == "failed" or gate.against not in ("", against) for gate in said):
            replicas, home = self._replicas, home_of(store, release.service)
            said = gates.run(store, release, current, replicas=replicas, journal=home if home.is_dir() else None)
        held = "; ".join(f"{gate.name}: {gate.because}" for gate in gates.held_up(said))
        return Examined(held, gates.swap(store, said) == "overlap")


def home_of(store: Store, service: str) -> Path:
    """Where the journal and the dead letters of a service are kept that a store deploys: in the folder of its own that the
    store is in, if it answers beside no other."""
    folder = store.folder
    is_own = folder.name == EMBEDDED and (folder.parent / "service.py").is_file() and not origin(store, service)
    return folder.parent if is_own else folder / "services" / service
