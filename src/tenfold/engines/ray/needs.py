"""What a replica takes of a machine: asked on one of the cluster, since the server's own need not have the libraries.

To ask a service means to run its code. So a process of its own does that, with the interpreter that will run the replica:
``python -m tenfold.engines.ray.needs FOLDER ENV``.
"""

from __future__ import annotations

import subprocess
import sys
from tempfile import TemporaryDirectory

import msgspec

from tenfold.config import server, single_threaded
from tenfold.engines.ray.orders import Needs, unpack_folder
from tenfold.service import find


def needs_of(folder: bytes, name: str, env: str, python: str) -> bytes:
    """The encoded ``Needs`` of a packed service; of one that cannot be read, the usual: its replica will say why."""
    with TemporaryDirectory(prefix="tenfold-needs-") as home:
        target = unpack_folder(folder, home, name)
        command = [python or sys.executable, "-m", __name__, target, env]
        asked = subprocess.run(command, capture_output=True, env=single_threaded(), check=False)
    lines = asked.stdout.splitlines()
    return lines[-1] if lines and not asked.returncode else msgspec.json.encode(Needs())


def main(folder: str, env: str) -> None:
    """Print what a service declares, after whatever it prints itself."""
    service = find(folder, env)
    scaling = service.scaling
    needs = Needs(scaling.cores, server(service.folder, env).memory_bytes, scaling.amounts)
    sys.stdout.write(f"\n{msgspec.json.encode(needs).decode()}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
