"""The processes of a server by name, each with the arguments that its supervisor gives it.

Kept apart from the command line so that each process imports only its own rooms: a front neither NumPy nor a click.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from typing import Any


def run(role: str, arguments: Sequence[str]) -> None:
    """Become a front, a replica, the admin process, the deployer, the placer of replicas elsewhere, the runner of jobs, a
    worker of one or the load generator of a benchmark."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # in the background of its terminal, it may print there all the same
    parser = argparse.ArgumentParser(prog=f"tenfold {role}", description="Started by tenfold serve.")
    parser.add_argument("--channel", type=int, required=True)
    if role not in ("load", "worker", "jobs", "placer"):
        parser.add_argument("--listen", type=int, required=role != "deployer")
        parser.add_argument("--log", default="text")
    match role:
        case "front":
            parser.add_argument("--run", required=True)
            parser.add_argument("--number", type=int, required=True)
            parser.add_argument("--services", type=int, required=True)
            parser.add_argument("--fronts", type=int, default=1)
            parser.add_argument("--deployed", action="store_true")
            from tenfold.server.front import main as front

            front(**begun(role, parser.parse_args(arguments)))
        case "replica":
            parser.add_argument("folder")
            parser.add_argument("--env", default="")
            parser.add_argument("--home", default="")
            parser.add_argument("--template", action="store_true")
            parser.add_argument("--handed", default="")
            parser.add_argument("--haste", choices=["first", "behind", "idle"], default="first")
            from tenfold.server.process import take_place

            asked = begun(role, parser.parse_args(arguments))
            take_place(
                asked.pop("haste")
            )  # before the imports, which beside one that answers take long enough to be felt
            from tenfold.server.replica import main as replica

            replica(**asked)
        case "admin":
            parser.add_argument("--local", type=int, required=True)
            parser.add_argument("--run", required=True)
            parser.add_argument("--metrics", type=int, default=-1)
            parser.add_argument("--store", default="")
            from tenfold.server.process import stand_aside

            stand_aside()  # before the imports: a service that starts beside it comes first
            from tenfold.console import VIEWS
            from tenfold.console.watching import Watching
            from tenfold.server.admin import main as admin

            admin(**begun(role, parser.parse_args(arguments)), views=VIEWS, aside=Watching())
        case "deployer":
            parser.add_argument("--run", required=True)
            parser.add_argument("--store", required=True)
            parser.add_argument("--replicas", type=int, default=1)
            parser.add_argument("names", nargs="*")
            from tenfold.server.process import stand_aside

            stand_aside()
            from tenfold.control.rollouts import main as deployer

            asked = begun(role, parser.parse_args(arguments))
            deployer(**{name: value for name, value in asked.items() if name != "listen"})
        case "placer":
            parser.add_argument("--address", required=True)
            from tenfold.engines.ray.placer import main as placer

            placer(**vars(parser.parse_args(arguments)))
        case "worker":
            parser.add_argument("folder")
            parser.add_argument("--alive", type=int, required=True)
            parser.add_argument("--env", default="")
            parser.add_argument("--through", action="store_true")
            from tenfold.jobs.worker import main as worker

            worker(**vars(parser.parse_args(arguments)))
        case "jobs":
            parser.add_argument("store")
            parser.add_argument("services", nargs="+")
            from tenfold.control.job_runner import main as jobs

            jobs(**vars(parser.parse_args(arguments)))
        case "load":
            parser.add_argument("url")
            from tenfold.bench.load import main as load

            load(**vars(parser.parse_args(arguments)))


def begun(role: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Begin the log, and hand on the other arguments."""
    from tenfold.server.logs import begin

    arguments = vars(asked)
    begin(role, arguments.pop("log"))
    return arguments
