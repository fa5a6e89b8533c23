"""What to run, as the command line says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from tenfold.config import ray_address
from tenfold.errors import UsageError
from tenfold.units import seconds


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. ``fronts`` processes answer on one socket; each of ``folders`` gets ``replicas`` processes, or begins with
    them and then gets as many as its ``Scaling`` decides, where the plan ``scales``.
    ``store`` is the place of the store whose keys are asked for, if there is one; ``anonymous`` asks nobody for a key.
    Replicas are started ``on`` a Ray cluster: "ray", or "ray://host:port"; "" for this machine.
    ``home`` is where journal, counts and dead letters of the folders are kept, "" for beside each."""

    folders: Sequence[str]
    host: str = "127.0.0.1"
    port: int = 8000
    admin_host: str = "127.0.0.1"
    admin_port: int = 8001
    replicas: int = 1
    scales: bool = False
    fronts: int = 1
    env: str = ""
    drain_delay: str = "0 s"
    reload: bool = False
    metrics: str = ""
    log: str = "text"
    store: str = ""
    deployed: bool = False
    names: Sequence[str] = ()
    anonymous: bool = False
    home: str = ""
    on: str = ""

    def __post_init__(self) -> None:
        self.drain_delay_s  # noqa: B018 -- read once, so that a wrong unit is an error now and not at the end
        self.metrics_address  # noqa: B018 -- likewise
        self.cluster  # noqa: B018

    @property
    def drain_delay_s(self) -> float:
        """How long to go on serving after SIGTERM, in seconds."""
        try:
            return seconds(self.drain_delay)
        except ValueError as error:
            raise UsageError(f"--drain-delay: {error}", "tenfold serve --help") from None

    @property
    def cluster(self) -> str:
        """The address of the cluster, host:port; "auto" for the one that this machine belongs to, "" for none."""
        if not self.on:
            return ""
        if find_spec("ray") is None:
            raise UsageError("--on ray needs Ray", "pip install 'tenfold[ray]'")
        if self.on == "ray":
            if "://" in (named := ray_address()):
                mend = "RAY_ADDRESS=HOST:6379 with the address of its head, on one of its machines"
                raise UsageError(f"RAY_ADDRESS={named} is for Ray's clients, and a server is on a node", mend)
            return "auto"
        kind, _, address = self.on.partition("://")
        host, _, port = address.rpartition(":")
        if not (kind == "ray" and host and port.isdecimal() and int(port) <= 65535):
            raise UsageError(
                f"--on {self.on!r} is no cluster", "--on ray, or --on ray://HOST:6379 with the address of its head"
            )
        return address

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port for /metrics alone; None where it is not to be opened."""
        if not self.metrics:
            return None
        host, colon, port = self.metrics.rpartition(":")
        if not (colon and host and port.isdecimal() and int(port) <= 65535):
            raise UsageError(f"--metrics {self.metrics!r} is no address", "--metrics HOST:PORT, such as 0.0.0.0:9100")
        return host.strip("[]"), int(port)
