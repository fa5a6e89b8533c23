"""What is asked for: a service as it is declared, what was measured of it, and what a person says of the place it goes to."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import msgspec

from tenfold.errors import GateFailed, ServiceError, UsageError
from tenfold.spec import Spec

PYTHON = "3.11"  # the oldest that tenfold runs on

_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1035, which names of Kubernetes' services keep to
_PINNED = re.compile(r"\S+(@sha256:[0-9a-f]{64}|:[A-Za-z0-9_][A-Za-z0-9_.-]*)")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of the place. Each target takes some of it."""

    image: str = ""  # that of the service, tagged with its release, where none is said
    base: str = ""  # the image that it is built on
    namespace: str = ""
    hostname: str = ""
    gateway: str = ""  # NAME, or NAMESPACE/NAME
    prometheus: str = ""  # the address that KEDA asks; without it there is an HPA
    secret: tuple[str, ...] = ()  # whose keys become variables of the environment
    store_secret: str = ""  # one that has TENFOLD_STORE among its keys
    egress: bool = False  # whether it may reach other addresses
    memory: int = 0  # bytes
    rate_per_replica: float = 0.0  # rows per second
    start: float = 0.0  # seconds


class Measured(NamedTuple):
    """What one replica carries in rows per second, how long a start takes in seconds; None where nobody measured it."""

    rows_per_s: float | None = None
    start_s: float | None = None
    model_bytes: int = 0


class Image(NamedTuple):
    """What an image is made of: the file that pins the libraries, the Python that runs them, the wheel of this tenfold, and
    the extras that are asked of it, as a requirement."""

    pins: str = ""
    python: str = PYTHON
    wheel: str = "tenfold.whl"
    tenfold: str = "tenfold"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A service on its way to another system.

    ``target`` is what ``tenfold serve`` is told in its folder, ``path`` what a person calls it; ``drain_delay_s`` and
    ``memory_bytes`` (of one replica) are what its tenfold.toml says, 0 for nothing. A server that is told to stop finishes
    requests within ``drain_limit_s``, and is gone within ``stop_limit_s``.
    """

    spec: Spec
    target: str = "."
    path: str = "."
    wanted: Wanted = Wanted()
    measured: Measured = Measured()
    image_of: Image = Image()
    env: str = ""
    drain_delay_s: float = 0.0
    memory_bytes: int = 0
    drain_limit_s: float = 30.0
    stop_limit_s: float = 35.0
    port: int = 8000
    admin_port: int = 8001
    metrics_port: int = 9100

    @property
    def name(self) -> str:
        """The service's name, if it can be one in Kubernetes."""
        if not _LABEL.fullmatch(self.spec.name):
            raise ServiceError(
                f"{self.spec.name!r} cannot be a name in Kubernetes",
                'at most 63 of a-z, 0-9 and "-", from a letter on: give the class another name = "…"',
            )
        return self.spec.name

    @property
    def version(self) -> str:
        """The release, as it is written on things."""
        return self.spec.release[:12] or "unreleased"

    @property
    def image(self) -> str:
        """The image to run. Its name has to say which one: what ``latest`` means would change behind everybody's back."""
        image = self.wanted.image or f"{self.spec.name}:{self.version}"
        if not _PINNED.fullmatch(image) or image.endswith(":latest"):
            raise UsageError(
                f"--image {image} does not say which one", "write NAME:TAG or NAME@sha256:DIGEST, and not :latest"
            )
        return image

    @property
    def start_s(self) -> float:
        """How long a start takes, in seconds."""
        start_s = self.wanted.start or self.measured.start_s
        if start_s is None:
            raise GateFailed(
                f"nobody has measured how long this release of {self.spec.name} takes to start",
                "tenfold check SERVICE does; or say it: --start '10 s'",
            )
        return start_s

    @property
    def rows_per_s(self) -> float:
        """What one replica carries, in rows per second."""
        rate = self.wanted.rate_per_replica or self.measured.rows_per_s
        if not rate:
            raise GateFailed(
                f"nobody has measured what one replica of this release of {self.spec.name} carries",
                "tenfold bench SERVICE does; or say it: --rate-per-replica '240 rows/s'; "
                "or let their number be fixed: Scaling(min_replicas=2)",
            )
        return rate

    @property
    def scales(self) -> bool:
        """Whether the number of replicas follows the traffic."""
        low, high = self.spec.scaling.bounds
        return low < high


def whole(seconds: float) -> int:
    """Seconds as systems count them that know whole ones only: rounded up."""
    return max(1, math.ceil(seconds))
