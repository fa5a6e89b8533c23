"""What to run, as the command line says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tenfold.errors import UsageError
from tenfold.units import seconds


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. ``fronts`` processes answer on one socket; each of ``folders`` gets ``replicas`` processes."""

    folders: Sequence[str]
    host: str = "127.0.0.1"
    port: int = 8000
    admin_host: str = "127.0.0.1"
    admin_port: int = 8001
    replicas: int = 1
    fronts: int = 1
    env: str = ""
    drain_delay: str = "0 s"
    reload: bool = False

    def __post_init__(self) -> None:
        self.drain_delay_s  # noqa: B018 -- read once, so that a wrong unit is an error now and not at the end

    @property
    def drain_delay_s(self) -> float:
        """How long to go on serving after SIGTERM, in seconds."""
        try:
            return seconds(self.drain_delay)
        except ValueError as error:
            raise UsageError(f"--drain-delay: {error}", "tenfold serve --help") from None
