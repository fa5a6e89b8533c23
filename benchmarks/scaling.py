"""What does scaling cost, and what does it miss, beside Knative and HPA? `python -m benchmarks.scaling`.

Traffics are generated from a fixed seed; `--traces DIR` adds two that were recorded: the day of the highest peak and the
median day of the World Cup site of 1998, and an hour of a language-model service. On each, with replicas that take 5, 30
and 120 s to start, our policy as it comes is replayed, and 70 settings of Knative's and HPA's (`--grid`). It is
dominated where a setting with at most 400 changes a day costs no more and misses no more, and one of the two is less.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from tenfold.control.simulate_trace import read_trace
from tenfold.scaling import Scaling
from tenfold.scaling.rivals import Hpa, HpaPolicy, Knative, KnativePolicy
from tenfold.scaling.simulation import Ours, Outcome, Policy, Setting, simulate

STARTS_S = (5.0, 30.0, 120.0)
MOST_COST = {5.0: 1.6, 30.0: 1.6, 120.0: 2.0}
STEADY = 400  # changes a day
MOST = 100_000
DAY = 86_400
BEGIN, END = "<!-- results of scaling -->", "<!-- end of results of scaling -->"
README = Path(__file__).parent / "README.md"

Rows = NDArray[np.float64]

GRIDS = {  # shares of what a replica carries; Knative's stable windows and scale-down delays, HPA's stabilisation, in seconds
    "few": ((0.5, 0.7, 0.8, 0.9), (60, 300), (300,), (60, 300)),
    "usual": ((0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), (60, 300, 600), (120, 300, 600), (0, 60, 300, 600)),
    "between": ((0.65, 0.75, 0.85, 0.95), (60, 120, 300, 600), (60, 120, 300, 600, 900), (0, 60, 120, 300, 600)),
}


class Traffic(NamedTuple):
    """Rows of each second, and how many of them a replica carries."""

    name: str
    counts: list[float]
    rate: float


class Result(NamedTuple):
    """Our policy on a traffic, and the settings of others that dominate it."""

    traffic: str
    start_s: float
    cost: float
    missed: float
    changes: float
    dominated_by: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether it costs as little as it may, and nobody does better."""
        return self.cost <= MOST_COST[self.start_s] and not self.dominated_by


def generated() -> Iterator[Traffic]:
    """Daily cycles, bursts, ramps and steps, as Poisson processes."""
    random = np.random.default_rng(1)
    time = np.arange(DAY)
    daily = 200 * (1 - 0.8 * np.cos(2 * np.pi * time / DAY))
    yield _poisson("a daily cycle", daily, 20.0, random)
    yield _poisson("a small daily cycle", daily / 20, 5.0, random)
    yield _poisson("24 bursts a day", _bursts(daily), 20.0, random)
    yield _poisson("8 ramps a day", _ramps(), 20.0, random)
    steps = np.full(DAY // 2, 100.0)
    for hour in range(12):
        steps[hour * 3600 + 1000 : hour * 3600 + 2200] = 300
    yield _poisson("an hourly step", steps, 20.0, random)


def _poisson(name: str, rates: Rows, rate: float, random: np.random.Generator) -> Traffic:
    return Traffic(name, random.poisson(rates).astype(float).tolist(), rate)


def _bursts(daily: Rows) -> Rows:
    """Two to five times the traffic, for one to ten minutes, at 24 random moments."""
    random, rates = np.random.default_rng(7), daily.copy()
    for start in random.integers(0, DAY - 400, 24):
        rates[start : start + random.integers(60, 600)] *= random.uniform(2, 5)
    return rates


def _ramps() -> Rows:
    """From 50 to 500 rows/s within 5 to 30 minutes, half an hour there, and back."""
    rates = np.full(DAY, 50.0)
    for number in range(8):
        start, width = number * 10_800 + 1800, (300, 600, 900, 1800)[number % 4]
        end = start + width + 1800
        rates[start : start + width] = np.linspace(50, 500, width)
        rates[start + width : end] = 500
        rates[end : end + width] = np.linspace(500, 50, width)
    return rates


def recorded(folder: Path) -> Iterator[Traffic]:
    """The World Cup's day of the highest peak, its median day, and a language-model service."""
    cup = np.array(read_trace(folder / "worldcup98_per_minute.csv").counts)
    peak = int(np.argmax(cup.reshape(-1, 60).sum(axis=1))) * 60
    day = cup[peak - 60_000 : peak + 26_400].tolist()
    yield Traffic("World Cup, peak day", day, 40.0)
    yield Traffic("World Cup, peak day, large replicas", day, 400.0)
    days = cup[: len(cup) // DAY * DAY].reshape(-1, DAY)
    median = int(np.argsort(days.sum(axis=1))[len(days) // 2])
    yield Traffic("World Cup, median day", days[median].tolist(), 20.0)
    llm = read_trace(folder / "azure_llm_conversation.csv").counts
    yield Traffic("language model, one hour", llm, 1.0)
    yield Traffic("language model, ten times", [10 * count for count in llm], 10.0)


def rivals(grid: str) -> Iterator[tuple[str, Policy]]:
    """Settings of Knative and of HPA, from wasteful to tight and from nervous to calm."""
    for name in ("usual", "between") if grid == "dense" else (grid,):
        shares, windows_s, delays_s, stable_s = GRIDS[name]
        for share in shares:
            for one in windows_s:
                knative = Knative(share, one, max(one // 10, 6))
                yield f"Knative {share:.0%}, window {one} s", KnativePolicy(knative, 1, MOST)
            for one in delays_s:
                knative = Knative(share, scale_down_delay_s=one)
                yield f"Knative {share:.0%}, delay {one} s", KnativePolicy(knative, 1, MOST)
            for one in stable_s:
                yield f"HPA {share:.0%}, stable {one} s", HpaPolicy(Hpa(share, stabilization_s=one), 1, MOST)


def judge(traffic: Traffic, start_s: float, budget_s: float, grid: str) -> Result:
    """Our policy beside all others, on one traffic."""
    setting = Setting(traffic.rate, start_s, budget_s)
    ours = simulate(traffic.counts, Ours(Scaling(1, MOST)), setting)
    others = [(name, simulate(traffic.counts, policy, setting)) for name, policy in rivals(grid)]
    steady = [(name, other) for name, other in others if other.changes_per_day <= STEADY]
    better = tuple(name for name, other in steady if dominates(other, ours))
    return Result(traffic.name, start_s, ours.cost_ratio, ours.missed_ratio, ours.changes_per_day, better)


def dominates(one: Outcome, other: Outcome) -> bool:
    """Whether it costs and misses no more, and one of them less."""
    no_more = one.cost_ratio <= other.cost_ratio and one.missed_ratio <= other.missed_ratio
    return no_more and (one.cost_ratio < other.cost_ratio or one.missed_ratio < other.missed_ratio)


def table(results: Sequence[Result]) -> str:
    """The results for the README."""
    lines = [
        "| traffic | start, s | cost, × ideal | missed | changes a day | who costs and misses no more |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for one in results:
        cells = (
            one.traffic,
            f"{one.start_s:.0f}",
            f"{one.cost:.2f}",
            f"{100 * one.missed:.2g} %",
            f"{one.changes:,.0f}",
        )
        lines.append(f"| {' | '.join(cells)} | {', '.join(one.dominated_by) or 'nobody'} |")
    return "\n".join(lines)


@click.command()
@click.option(
    "--traces", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder of recorded traces."
)
@click.option("--budget", "budget_s", default=0.05, show_default=True, help="Seconds in which a row is to be answered.")
@click.option(
    "--grid",
    type=click.Choice(["few", "usual", "dense"]),
    default="usual",
    show_default=True,
    help="20, 70 or 126 settings of the others.",
)
@click.option("--processes", default=os.cpu_count() or 1, show_default=True)
@click.option("--save", is_flag=True, help="Put the table into benchmarks/README.md.")
def main(traces: Path | None, budget_s: float, grid: str, processes: int, save: bool) -> None:
    """Replay every traffic, and exit with 1 where our policy costs too much or is dominated."""
    traffics = [*generated(), *(recorded(traces) if traces else ())]
    pairs = [(traffic, start_s, budget_s, grid) for traffic in traffics for start_s in STARTS_S]
    results = []
    with ProcessPoolExecutor(processes) as pool:
        for one in pool.map(judge, *zip(*pairs, strict=True)):
            results.append(one)
            by = f"; dominated by {', '.join(one.dominated_by)}" if one.dominated_by else ""
            print(
                f"{one.traffic:36} {one.start_s:4.0f} s  cost {one.cost:.3f}  missed {one.missed:.4%}{by}", flush=True
            )
    if save:
        text = README.read_text("utf-8")
        before, rest = text.split(BEGIN)
        README.write_text(f"{before}{BEGIN}\n\n{table(results)}\n\n{END}{rest.split(END)[1]}", "utf-8")
    worst = max(result.cost for result in results)
    kept = all(result.kept for result in results)
    print(
        f"{'kept' if kept else 'not kept'}: {len(results)} traffics and starts, cost at most {worst:.2f} times the ideal"
    )
    raise SystemExit(not kept)


if __name__ == "__main__":
    main()
