"""What a system cannot do of what a service declares, said by name: nothing that was asked for is left out silently."""

from __future__ import annotations

import re
from collections.abc import Collection

import msgspec

from tenfold.errors import ServiceError, UsageError
from tenfold.options import Option
from tenfold.render.asked import Asked
from tenfold.scaling import Scaling
from tenfold.units import duration, throughput

SCALING = frozenset({"min_replicas", "max_replicas", "headroom", "scale_in_after", "drain_backlog_in", "cores"})
LONGEST_WINDOW_S = 3600  # of stabilisation, in Kubernetes

_ADDRESS = re.compile(r"(?P<scheme>https?)://([^/@]*@)?(?P<host>\[[^]]*\]|[^/:?#]*)(:(?P<port>\d+))?")


def require_scaling(asked: Asked, system: str) -> None:
    """Raise for criteria of scaling that a system's autoscaler does not have."""
    stated = asked.spec.scaling
    known = SCALING | ({"schedule"} if asked.wanted.prometheus else frozenset())
    if stated.schedule and "schedule" not in known:
        raise ServiceError(
            "Scaling(schedule=…) needs KEDA: Kubernetes' own autoscaler knows no hours",
            "--prometheus http://ADDRESS:9090 writes a ScaledObject in place of the HPA",
        )
    if stated.bounds[0] == 0:
        raise ServiceError(
            f"Scaling(min_replicas=0): in {system} nobody holds a request while there is no pod",
            "min_replicas=1; for this environment alone: [production.scaling] in tenfold.toml, and --env production",
        )
    if stated.resources:
        raise ServiceError(
            f"Scaling(resources={stated.resources!r}): a Ray cluster has these, and {system} has no resources of such names",
            "leave it out for this environment: [production.scaling] in tenfold.toml, and --env production; then add what "
            'it is called there to the limits of the container, as "nvidia.com/gpu: 1"',
        )
    _require_known(stated, Scaling(min_replicas=stated.min_replicas, max_replicas=stated.max_replicas), known, system)
    if any(entry.begin == entry.end for entry in stated.entries):
        raise ServiceError(
            "Scaling(schedule=…): KEDA knows no hours that end when they begin", "raise min_replicas instead"
        )
    if stated.scale_in_after_s > LONGEST_WINDOW_S:
        raise ServiceError(
            f'Scaling(scale_in_after="{stated.scale_in_after}"): {system} waits for an hour at most', 'at most "1 h"'
        )


def require_releases(asked: Asked, system: str) -> None:
    """Raise where releases are to be judged on some of the traffic first, and nobody would do that."""
    stated = asked.spec.releases
    if asked.wanted.store_secret or stated.external:
        return
    if stated.ratios or stated.auto:
        raise ServiceError(
            f"Releases(steps={stated.steps!r}): {system} replaces pods, whatever their answers are worth",
            'leave it to Argo CD or its like: Releases("external"), or [production.releases] steps = "external" in '
            "tenfold.toml with --env production; or let servers share a store, which do it themselves: --store-secret NAME",
        )


def require_capacity(asked: Asked) -> None:
    """Raise where even the most pods would not carry what is promised."""
    promised, most = asked.spec.capacity.rows_per_s, asked.spec.scaling.bounds[1]
    carried = asked.wanted.rate_per_replica or asked.measured.rows_per_s
    if promised and carried and carried * most < promised:
        raise ServiceError(
            f'Capacity("{asked.spec.capacity.at_least}"): {most} replicas carry {throughput(carried * most)}, '
            f"at {throughput(carried)} each",
            f"Scaling(max_replicas={-(-promised // carried):.0f}), or promise less",
        )


def require_draining(asked: Asked) -> None:
    """Raise where an answer may take longer than a pod that goes has for it."""
    if asked.spec.deadline.budget_s > asked.drain_limit_s:
        raise ServiceError(
            f'Deadline("{asked.spec.deadline.budget}"): a server that is told to stop finishes what it has within '
            f"{duration(asked.drain_limit_s)}, and answers would be lost whenever a pod goes",
            "a shorter deadline; what takes longer is a job: tenfold batch",
        )


def require_training(asked: Asked) -> None:
    """Raise where a pod is to train, and what it trained would be gone with it."""
    if asked.spec.drift.retrain and not asked.wanted.store_secret:
        raise ServiceError(
            f"Drift(retrain={asked.spec.drift.retrain!r}): what a pod trains is gone with the pod",
            "servers that share a store deploy it: --store-secret NAME; or leave it out for this environment: "
            "[production.drift] in tenfold.toml, and --env production",
        )


def require_way_out(asked: Asked, open_ports: Collection[int]) -> None:
    """Raise where somebody is to be told of verdicts who cannot be reached by one of the ports that are open."""
    told = _ADDRESS.match(asked.spec.drift.webhook or "")
    if told is None or asked.wanted.egress:
        return
    if int(told["port"] or {"http": 80, "https": 443}[told["scheme"]]) not in open_ports:
        raise UsageError(
            f"Drift(webhook=…): the NetworkPolicy that is written lets no pod ask {told['host']}",
            "--egress opens the way to others",
        )


def require_gateway(asked: Asked) -> None:
    """Raise where only half of a route is said."""
    if bool(asked.wanted.hostname) != bool(asked.wanted.gateway):
        raise UsageError(
            "a route needs both --hostname and --gateway", "--hostname models.example --gateway infra/public"
        )


def _require_known(stated: Option, usual: Option, known: Collection[str], system: str) -> None:
    """Raise for an option that says something of which nothing is known here."""
    for field in msgspec.structs.fields(type(stated)):
        value = getattr(stated, field.name)
        if field.name not in known and value != getattr(usual, field.name):
            raise ServiceError(
                f"{type(stated).__name__}({field.name}={value!r}) means nothing in {system}",
                f"leave it out for this environment: [production.{type(stated).__name__.lower()}] in tenfold.toml, "
                "and --env production",
            )
