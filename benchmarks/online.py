"""The online benchmark: `python -m benchmarks.online`, from the root of the repository; see README.md.

Each server in turn gets one core and wrk another, round after round (A B C, A B C), started anew each time.
What is compared is compared within a round.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from benchmarks.costs import Costs, measure_costs
from benchmarks.data import Work, prepare, write_bodies
from benchmarks.environments import install, machine, versions
from benchmarks.load import drive, wrk_version
from benchmarks.report import Measured, goal_table, server_table
from benchmarks.running import RUN, running
from benchmarks.servers import HERE, OURS, PEERS, Server

ALL = (*OURS, *PEERS)
CONNECTIONS = 64
WARM_UP_S = 1
README = HERE / "README.md"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that one run found."""

    command: str
    machine: str
    versions: str
    measured: list[Measured]
    costs: Costs

    def tables(self) -> str:
        names = {one.server for one in self.measured}
        servers = server_table([server for server in ALL if server.name in names], self.measured)
        goals = goal_table(self.measured, self.costs)
        return f"`{self.command}` on {self.machine}.\n{self.versions}.\n\n{servers}\n\n{goals}\n"


@click.command()
@click.option("--rounds", default=5, show_default=True, help="How often each server is measured.")
@click.option("--seconds", default=6, show_default=True, help="Of load at 64 connections, and again at 1.")
@click.option("--only", multiple=True, type=click.Choice([one.name for one in ALL]), help="Just this one.")
@click.option("--peers", is_flag=True, help="Install and measure FastAPI, LitServe and BentoML as well.")
@click.option("--json", "kept", type=click.Path(path_type=Path), help="Keep every figure here.")
@click.option("--write", is_flag=True, help="Put the tables into benchmarks/README.md.")
def main(rounds: int, seconds: int, only: Sequence[str], peers: bool, kept: Path | None, write: bool) -> None:
    """Measure tenfold beside the limits of its machine and, with --peers, beside its peers."""
    core = _take_the_last_core()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a start reads compiled files, as on any machine
    wrk = wrk_version()
    servers = [server for server in ALL if server.name in only] or list(ALL if peers else OURS)
    for server in servers:
        if server.packages:
            install(server)
    RUN.mkdir(exist_ok=True)
    work = prepare()
    result = Result(
        command=_command(rounds, seconds, only, peers),
        machine=machine(),
        versions=f"{versions(servers)}, {wrk}",
        measured=_measure_all(servers, work, core, rounds, seconds),
        costs=measure_costs(core),
    )
    print(f"\n{result.tables()}")
    if kept:
        kept.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    if write:
        _write_tables(result.tables())


def _command(rounds: int, seconds: int, only: Sequence[str], peers: bool) -> str:
    """What somebody types to repeat the measurement."""
    words = ["python -m benchmarks.online", f"--rounds {rounds}", f"--seconds {seconds}"]
    words += [f"--only {name}" for name in only]
    return " ".join([*words, "--peers"] if peers else words)


def _take_the_last_core() -> int:
    """Keep this process, and with it wrk, on the last core that it may use; the first is for the servers."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("error: this machine gives one core; the server needs one, and wrk another.")
    os.sched_setaffinity(0, {cores[-1]})
    return cores[0]


def _measure_all(servers: Sequence[Server], work: Work, core: int, rounds: int, seconds: int) -> list[Measured]:
    measured = []
    for number in range(1, rounds + 1):
        for server in servers:
            one = _measure(server, work, core, number, seconds)
            measured.append(one)
            print(f"{number}/{rounds}  {one}", flush=True)
    return measured


def _measure(server: Server, work: Work, core: int, number: int, seconds: int) -> Measured:
    """Start it, prove it right, warm it, load it, and end it."""
    bodies = RUN / f"{server.name}.jsonl"
    write_bodies([server.body(row) for row in work.rows], bodies)
    with running(server, work, core) as process:
        process.check(work)
        drive(process.url, bodies, CONNECTIONS, WARM_UP_S)
        at_64 = drive(process.url, bodies, CONNECTIONS, seconds)
        at_1 = drive(process.url, bodies, 1, seconds)
        all_mb, front_mb = process.memory_mb()
    return Measured(server.name, number, at_64, at_1, process.first_answer_s, all_mb, front_mb)


def _write_tables(tables: str) -> None:
    """Between the marks in the README."""
    before, _, rest = README.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}")


if __name__ == "__main__":
    main()
