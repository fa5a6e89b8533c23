"""How much and how long: processors, memory, probes, and the order of the times in which a pod goes.

A pod has one replica, so that replicas are pods. Its times keep an order: clients and gateways give up before a server
does, and it is done before it is killed. A pod that goes is still sent requests until every node has heard of it; so it
serves on for ``PRE_STOP_S``, then says "not ready" and serves on for the drain delay, then finishes what it has.
"""

from __future__ import annotations

import math

from tenfold.render.asked import Asked, whole

UTILISATION = 0.75  # an autoscaler looks every 15 s and knows of no deadline: a fourth is left for what comes meanwhile
PRE_STOP_S = 5.0  # after which a pod that goes is out of every node's list, as a rule
DRAIN_DELAY_S = 5.0
MARGIN_S = 5.0
LEAST_GATEWAY_S = 1.0
PROBE_S = 2  # between two looks
LEAST_START_S = 60.0
SLOWER = 4  # times that a start may take what was measured: a busy node, a cold disk
BESIDE_MILLICORES = 100  # of the supervisor and the admin process
ROWS_PER_MILLICORE = 25  # that a front reads, decides on and answers
BESIDE_BYTES = 512 * 2**20  # of all processes, without the model
SCRATCH_BYTES = 2**30
LOADED = 4  # times its file that a model takes in memory, with what its libraries make of it
MEBIBYTE = 2**20


def drain_delay_s(asked: Asked) -> float:
    """How long a pod goes on serving after it is told to stop."""
    return max(DRAIN_DELAY_S, asked.drain_delay_s)


def grace_s(asked: Asked) -> int:
    """After how many seconds a pod that goes is killed: longer than everything that it does until then may take."""
    return whole(PRE_STOP_S + drain_delay_s(asked) + asked.stop_limit_s + MARGIN_S)


def gateway_timeout_s(asked: Asked) -> float:
    """When a gateway gives up: after the server has, which knows why, and before a pod that goes is gone."""
    return min(max(LEAST_GATEWAY_S, 1.25 * asked.spec.deadline.budget_s), asked.drain_limit_s)


def startup_failures(asked: Asked) -> int:
    """How many looks in a row may find a new pod not ready."""
    return math.ceil(max(LEAST_START_S, SLOWER * asked.start_s) / PROBE_S)


def progress_s(asked: Asked) -> int:
    """How long a new release may take to have its next pod ready."""
    return 2 * startup_failures(asked) * PROBE_S + 120


def resources(asked: Asked) -> dict[str, dict[str, str]]:
    """What a pod asks for, and the memory at which it ends. Its processors have no limit: throttling would cost deadlines."""
    rate = asked.rows_per_s if asked.scales else asked.wanted.rate_per_replica or asked.measured.rows_per_s or 0.0
    millicores = math.ceil(1000 * asked.spec.scaling.cores + rate / ROWS_PER_MILLICORE) + BESIDE_MILLICORES
    memory = f"{math.ceil(memory_bytes(asked) / MEBIBYTE)}Mi"
    return {"requests": {"cpu": f"{millicores}m", "memory": memory}, "limits": {"memory": memory}}


def memory_bytes(asked: Asked) -> int:
    """The memory of a pod: as it is said, else from the ceiling of a replica, else a guess from the size of the model.

    Of replicas there may be three: the template that the others are forked of, the one that answers, and the one that takes
    its place when it has outgrown its ceiling.
    """
    if asked.wanted.memory:
        return asked.wanted.memory
    if asked.memory_bytes:
        return BESIDE_BYTES + 3 * asked.memory_bytes
    return BESIDE_BYTES + LOADED * asked.measured.model_bytes


def scratch_bytes(asked: Asked) -> int:
    """What a pod may write beside its journal: with a store, the releases that it serves from, three at a time."""
    return SCRATCH_BYTES + (3 * asked.measured.model_bytes if asked.wanted.store_secret else 0)


def room(size_bytes: int) -> str:
    """A size as Kubernetes writes it, with some room."""
    return f"{math.ceil(1.1 * size_bytes / MEBIBYTE) + 64}Mi"


def rows_per_pod(asked: Asked) -> float:
    """The rate, in rows per second and pod, around which the number of pods is kept."""
    return asked.rows_per_s * UTILISATION / (1 + asked.spec.scaling.headroom_ratio)


def waiting_per_pod(asked: Asked) -> float:
    """How many rows may wait for each pod: what it answers within the time that the service gives a backlog."""
    return max(1.0, asked.rows_per_s * asked.spec.scaling.drain_backlog_in_s)
