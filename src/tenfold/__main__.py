"""``python -m tenfold``: the command line, and the processes that servers, jobs and benchmarks start by name."""

from __future__ import annotations

import sys

PROCESSES = ("front", "replica", "admin", "deployer", "placer", "worker", "jobs", "load")


def main() -> None:
    """Run a process of a server, or the command line."""
    if len(sys.argv) > 1 and sys.argv[1] in PROCESSES:
        from tenfold.processes import run

        run(sys.argv[1], sys.argv[2:])
    else:
        from tenfold.cli import main as cli

        sys.exit(cli())


if __name__ == "__main__":
    main()
