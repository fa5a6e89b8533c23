"""What the surroundings say: the environment variable, and the server's own table of ``tenfold.toml``.

The only room that reads os.environ: whatever a variable decides is handed down from here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from tenfold.errors import UsageError
from tenfold.options import Option
from tenfold.service.overlay import FILE, read
from tenfold.units import seconds, size_bytes

STORE = "TENFOLD_STORE"  # the variable that says where the store is


class Server(Option, frozen=True):
    """The limits of the server itself."""

    max_body_bytes: Annotated[int, Meta(ge=1024, description="bytes that the body of a request may have")] = 8 * 2**20
    drain_delay: Annotated[
        str, Meta(description='how long it goes on serving, "not ready", after it is told to stop: "5 s"')
    ] = "0 s"
    jobs_from: Annotated[
        tuple[str, ...], Meta(description='folders and prefixes that jobs asked for over HTTP may read: "s3://bucket/"')
    ] = ()
    memory: Annotated[
        str | None, Meta(description='memory of one replica, above which another takes its place: "2 GiB"; Linux only')
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.drain_delay_s  # noqa: B018 -- read once, so that a wrong unit is an error here and not at the end
        self.memory_bytes  # noqa: B018

    @property
    def drain_delay_s(self) -> float:
        """The delay in seconds."""
        return self.quantity("drain_delay", seconds)

    @property
    def memory_bytes(self) -> int:
        """The memory in bytes; 0 where it has no limit."""
        return 0 if self.memory is None else self.quantity("memory", size_bytes)

    def describe(self) -> str:
        return f"bodies of up to {self.max_body_bytes:,} bytes"


def environment(named: str = "") -> str:
    """The environment to serve in: the one named, else that of TENFOLD_ENV, else none ("")."""
    return named or os.environ.get("TENFOLD_ENV", "")


def ray_address() -> str:
    """The Ray cluster that RAY_ADDRESS names, as HOST:PORT; "" where it leaves that to Ray."""
    named = os.environ.get("RAY_ADDRESS", "")
    return "" if named in ("auto", "local") else named


def require_environment(named: str, *targets: str) -> None:
    """Raise ``UsageError`` where an environment is named, and no ``tenfold.toml`` of these services has any: it would say
    nothing. A variable, which holds for whatever runs on a machine, may say it of a service that has none."""
    folders = [Path(target if Path(target).exists() else target.rpartition(":")[0]).resolve() for target in targets]
    beside = [folder if folder.is_dir() else folder.parent for folder in folders]
    if named and not any(read(folder, named).environments for folder in beside):
        raise UsageError(
            f"there is no environment {named!r}: {beside[0] / FILE} has none",
            f'write its tables there, such as [{named}.deadline], or leave "--env {named}" out',
        )


def store() -> str:
    """The store that TENFOLD_STORE names; "" where it names none."""
    return os.environ.get(STORE, "")


def trusted_keys() -> tuple[Path, ...]:
    """The public keys of TENFOLD_SIGNED_BY, of which one has to have signed whatever is served from a store; none where the
    variable is not set."""
    return tuple(Path(path) for path in os.environ.get("TENFOLD_SIGNED_BY", "").split(os.pathsep) if path)


def server(folder: Path, env: str = "") -> Server:
    """The limits that a folder's ``tenfold.toml`` states for an environment, and the usual ones for the rest."""
    return read(folder, env).over("server", Server())


def cache() -> Path:
    """The folder of this user for what can be made again: XDG_CACHE_HOME, or .cache at home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tenfold"
    except RuntimeError:
        raise UsageError("this user has no home, and so no folder for a cache", "set XDG_CACHE_HOME to one") from None


def single_threaded() -> dict[str, str]:
    """The environment of a replica: ours, with one thread for each numerical library unless a variable says otherwise.

    Replicas are what uses the cores. A process forked from one with OpenMP threads would hang besides. ONNX Runtime sends
    telemetry, from threads and a database of its own, unless it is told not to. The place of the store, which may have a
    password in it, is nothing that a model has to know.
    """
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    ours = {name: value for name, value in os.environ.items() if name != STORE}
    return {**single, "ORT_DISABLE_TELEMETRY": "1", **ours}
