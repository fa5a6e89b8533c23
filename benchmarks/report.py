"""From the rounds to tables: medians, and ratios taken within a round, when the machine was the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from benchmarks.costs import Costs
from benchmarks.data import Library
from benchmarks.load import Load
from benchmarks.servers import BENTOML, FASTAPI, LITSERVE, YARDSTICKS, Server

NONE = "–"
SERVER_HEADS = (
    "server",
    "rows/s at 64",
    "of bare",
    "p50 at 64, ms",
    "p99 at 64, ms",
    "p50 at 1, ms",
    "of bare",
    "front, MB",
    "all, MB",
    "failed",
)
GOAL_HEADS = ("tenfold", "goal", "found", "")


@dataclass(frozen=True, slots=True)
class Measured:
    """One server in one round."""

    server: str
    round: int
    at_64: Load
    at_1: Load
    first_answer_s: float
    all_mb: float
    front_mb: float | None

    def __str__(self) -> str:
        many, one = self.at_64, self.at_1
        speed = f"{many.rows_per_s:9,.0f} rows/s, p50 {many.p50_ms:.2f}, p99 {many.p99_ms:.2f} ms"
        return f"{self.server:16}{speed}; at 1 p50 {one.p50_ms:.2f} ms; {many.failed + one.failed} failed"


@dataclass(frozen=True, slots=True)
class Goal:
    """What tenfold sets itself, and what each round found."""

    what: str
    sign: Literal["≥", "≤"]
    limit: float
    unit: str
    found: Sequence[float]

    def cells(self) -> tuple[str, ...]:
        found = median(self.found)
        met = found >= self.limit if self.sign == "≥" else found <= self.limit
        goal = f"{self.sign} {self.limit:g}{self.unit}"
        return self.what, goal, f"{found:.3g}{self.unit}", "met" if met else "open"


def rows_per_s(one: Measured) -> float:
    return one.at_64.rows_per_s


def p50_at_1(one: Measured) -> float:
    return one.at_1.p50_ms


def ratios(rounds: list[Measured], name: str, to: str, figure: Callable[[Measured], float]) -> list[float]:
    """The server's figure divided by the other's, once for each round that has both."""
    theirs = {one.round: figure(one) for one in rounds if one.server == to}
    return [figure(one) / theirs[one.round] for one in rounds if one.server == name and one.round in theirs]


def server_table(servers: Sequence[Server], rounds: list[Measured]) -> str:
    """One line for each server that was measured."""
    return _markdown(SERVER_HEADS, [_server_cells(server, rounds) for server in servers])


def goal_table(rounds: list[Measured], costs: Costs) -> str:
    """One line for each goal; nothing is said of what was not measured."""
    return _markdown(GOAL_HEADS, [goal.cells() for goal in _goals(rounds, costs) if goal.found])


def _server_cells(server: Server, rounds: list[Measured]) -> tuple[str, ...]:
    mine = [one for one in rounds if one.server == server.name]
    bare = f"bare-{server.model}" if server not in YARDSTICKS else ""
    fronts = [one.front_mb for one in mine if one.front_mb is not None]
    return (
        server.name,
        f"{median(map(rows_per_s, mine)):,.0f}",
        _spread(ratios(rounds, server.name, bare, rows_per_s)),
        f"{median(one.at_64.p50_ms for one in mine):.2f}",
        f"{median(one.at_64.p99_ms for one in mine):.2f}",
        f"{median(map(p50_at_1, mine)):.2f}",
        _spread(ratios(rounds, server.name, bare, p50_at_1)),
        f"{median(fronts):.0f}" if fronts else NONE,
        f"{median(one.all_mb for one in mine):.0f}",
        str(sum(one.at_64.failed + one.at_1.failed for one in mine)),
    )


def _goals(rounds: list[Measured], costs: Costs) -> Iterator[Goal]:
    shares: dict[Library, float] = {"sklearn": 0.8, "onnx": 0.7}
    for library, share in shares.items():
        name, bare = f"tenfold-{library}", f"bare-{library}"
        mine = [one for one in rounds if one.server == name]
        fronts = [one.front_mb for one in mine if one.front_mb is not None]
        starts = [one.first_answer_s - costs.import_s[library] for one in mine]
        throughput = ratios(rounds, name, bare, rows_per_s)
        latency = ratios(rounds, name, bare, p50_at_1)
        yield Goal(f"{library}: rows/s, of the bare program's", "≥", share, "", throughput)
        yield Goal(f"{library}: p50 at 1, of the bare program's", "≤", 1.6, "", latency)
        yield Goal(f"{library}: first answer, beyond importing {library}", "≤", 1, " s", starts)
        yield Goal(f"{library}: front, resident after the load", "≤", 60, " MB", fronts)
    for peer, times in ((FASTAPI, 10), (LITSERVE, 20), (BENTOML, 20)):
        found = ratios(rounds, "tenfold-sklearn", peer.name, rows_per_s)
        yield Goal(f"sklearn: rows/s, times those of {peer.name}", "≥", times, "", found)
    yield Goal("`tenfold --help`", "≤", 150, " ms", [costs.help_ms])


def _spread(found: Sequence[float]) -> str:
    """The median, with the least and the most where there are several rounds."""
    if not found:
        return NONE
    return f"{median(found):.3g}" + (f" ({min(found):.3g} to {max(found):.3g})" if len(found) > 1 else "")


def _markdown(heads: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    rule = ("---", *["---:"] * (len(heads) - 1))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *lines))
