"""The right to move a service: of the servers of a store, one has it at a time."""

from __future__ import annotations

from tenfold.errors import Conflict
from tenfold.store import Store
from tenfold.store.records import Lease

LEASE_S, RENEW_S = 10.0, 3.0


class Leases:
    """Those of one server, each renewed as long as it is asked for."""

    def __init__(self, store: Store, holder: str) -> None:
        """``holder`` is what this server is told from others by."""
        self._store = store
        self._holder = holder
        self._held: dict[str, tuple[Lease, float]] = {}

    def of(self, service: str, now: float) -> Lease | None:
        """The right to move this service; None while another server has it. One that ran out while this process stood still
        is taken again, if nobody else has: what is on its way need not begin anew."""
        lease, renewed = self._held.get(service, (None, 0.0))
        if lease is not None and now - renewed < RENEW_S:
            return lease
        leases = self._store.leases
        if lease is not None:
            try:
                lease = leases.renew(lease, LEASE_S)
            except Conflict:
                lease = None
        lease = lease or leases.acquire(f"rollout:{service}", self._holder, LEASE_S)
        if lease is None:
            self._held.pop(service, None)
        else:
            self._held[service] = lease, now
        return lease

    def give_back(self, service: str) -> None:
        """Let others move this service."""
        if held := self._held.pop(service, None):
            self._store.leases.release(held[0])

    def forget(self, service: str) -> None:
        """Somebody else may have it by now."""
        self._held.pop(service, None)
