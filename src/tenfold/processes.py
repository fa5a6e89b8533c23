"""The processes of a server by name, each with the arguments that its supervisor gives it.

Kept apart from the command line so that each process imports only its own rooms: a front neither NumPy nor a click.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def run(role: str, arguments: Sequence[str]) -> None:
    """Become a front, a replica or the admin process."""
    parser = argparse.ArgumentParser(prog=f"tenfold {role}", description="Started by tenfold serve.")
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--listen", type=int, required=True)
    match role:
        case "front":
            parser.add_argument("--run", required=True)
            parser.add_argument("--number", type=int, required=True)
            parser.add_argument("--services", type=int, required=True)
            from tenfold.server.front import main as front

            front(**vars(parser.parse_args(arguments)))
        case "replica":
            parser.add_argument("folder")
            parser.add_argument("--env", default="")
            from tenfold.server.replica import main as replica

            replica(**vars(parser.parse_args(arguments)))
        case "admin":
            parser.add_argument("--local", type=int, required=True)
            parser.add_argument("--run", required=True)
            from tenfold.console import VIEWS
            from tenfold.server.admin import main as admin

            admin(**vars(parser.parse_args(arguments)), views=VIEWS)
