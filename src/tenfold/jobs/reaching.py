"""The way to a Ray cluster, and what is said where there is none."""

from __future__ import annotations

import socket
from typing import Any

from tenfold.config import ray_address
from tenfold.errors import UsageError

REACH_S = 5.0  # for the head of a cluster to accept a connection
NO_NODE = "No node info found"  # what Ray says where no process of this machine is a node of that cluster


def connected(address: str) -> Any:
    """Ray, connected to the cluster at ``host:port``, or, for "auto", to the one that RAY_ADDRESS names or that this machine
    belongs to. Raises ``TenfoldError`` where there is none."""
    import ray

    ray._private.worker._worker_logs_enabled = False  # its messages go to standard output, which is ours
    named = _named(address)
    try:
        if named and "://" not in named:  # an address of Ray's clients, who need be no node
            _require_listening(named)
            nodes_here = getattr(ray._private.services, "find_node_ids", None)  # without, Ray looks for half a minute
            if nodes_here is not None and not nodes_here():
                raise RuntimeError(NO_NODE)
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        if NO_NODE in str(error):
            raise _stranger(named) from None
        because = str(error).strip().splitlines() or [type(error).__name__]
        first = because[0].partition(". ")[0]  # what follows names options of Ray's own
        raise unreachable(address, first) from None
    return ray


def unreachable(address: str, because: str) -> UsageError:
    """What is said where there is no cluster at an address, as ``connected`` takes it."""
    named = _named(address)
    where = f"at {named}" if named else "on this machine"
    hint = "ray start --head starts a cluster here; ray start --address=HOST:6379 has this machine join one"
    return UsageError(f"there is no Ray cluster to be reached {where}: {because}", hint)


def _named(address: str) -> str:
    return ray_address() if address == "auto" else address


def _stranger(named: str) -> UsageError:
    """What is said on a machine that is none of a cluster's: Ray talks to nobody else."""
    there = named or "HOST:6379"
    return UsageError(
        f"this machine is no node of the Ray cluster at {there}, and this has to run on one",
        f"ray start --address={there} --num-cpus=0 has it join, without replicas of its own; or serve on one that is a node",
    )


def _require_listening(address: str) -> None:
    """Where nobody does, Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise UsageError(f"RAY_ADDRESS={address} is no address of a cluster's head", "RAY_ADDRESS=HOST:6379")
    socket.create_connection((host.strip("[]"), int(port)), REACH_S).close()
