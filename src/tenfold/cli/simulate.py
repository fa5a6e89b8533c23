"""``tenfold simulate``: what a scaling policy would have cost and missed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenfold.cli import screen
from tenfold.errors import NotFound

if TYPE_CHECKING:
    from tenfold.control.simulate import Line, Simulated

NOT_KEPT = 6
MOST_MOMENTS = 6

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("service", required=False)
@click.option("--trace", default="", metavar="FILE", help="The traffic.  [default: the journal of SERVICE]")
@click.option("--time", default="", metavar="COL", help="The column with the times.")
@click.option(
    "--count", "counts", default="", metavar="COL", help="The column with counts; without, each row is a request."
)
@click.option("--every", default="", metavar="TIME", help='The length of a period: "1 min".  [default: from the times]')
@click.option("--rate-per-replica", default="", metavar="R", help="Rows/s that a replica carries.  [default: measured]")
@click.option(
    "--start", default="", metavar="S", help='How long a replica takes to start: "30 s".  [default: measured]'
)
@click.option(
    "--deadline", default="", metavar="TIME", help="The time for an answer.  [default: the service's, or 1 s]"
)
@click.option("--min", "least", type=click.IntRange(0), metavar="N", help="Replicas at least.")
@click.option("--max", "most", type=click.IntRange(1), metavar="N", help="Replicas at most.")
@click.option("--env", default="", help="Options of this environment in tenfold.toml.")
@click.option("--fit", is_flag=True, help="Find the cheapest criteria that miss no more than --miss.")
@click.option("--miss", default="", metavar="SHARE", help="For --fit: the rows that may be missed.  [default: 1 %]")
@click.option("--svg", metavar="FILE", type=FILE, help="Draw the traffic and what the replicas carry.")
@click.option("--html", metavar="FILE", type=FILE, help="Write a page with all policies, which needs nothing else.")
@screen.json_option
def simulate(service: str | None, svg: Path | None, html: Path | None, as_json: bool, **wanted: Any) -> None:
    """What the scaling of SERVICE would have cost and missed on a traffic, beside what Knative and HPA would have.

    SERVICE is a folder or a file.py[:Class] that tenfold bench has measured; without it, --rate-per-replica and --start say
    what there is to know. A trace is .csv, .ndjson or .parquet: the time of each request, or counts by second, minute or
    hour. Exits with 6 where no number of replicas within the limits keeps the deadline.
    """
    for file in (svg, html):
        if file and not file.absolute().parent.is_dir():
            raise NotFound(f"there is no folder {file.parent} for {file.name}", "make it, or name another")
    if service is None and not wanted["rate_per_replica"] and Path("service.py").exists():
        service = "."
    with screen.Progress() as progress:
        progress("starting")
        from tenfold.control import simulate as simulation
        from tenfold.control import simulate_plot

        found = simulation.run(service, simulation.Wanted(**wanted), progress)
        if svg:
            svg.write_text(simulate_plot.svg(found, found.lines[0]), "utf-8")
        if html:
            html.write_text(simulate_plot.html(found), "utf-8")
    code = NOT_KEPT if found.broken else 0
    if as_json:
        screen.print_json({**document(found), "exit": code})
    else:
        setting = simulate_plot.setting(found)
        screen.print_facts(facts(found, setting, [str(file) for file in (svg, html) if file]), width=10)
    click.get_current_context().exit(code)


# -- for people --------------------------------------------------------------------------------------------------------


def facts(found: Simulated, setting: str, wrote: list[str]) -> Iterator[tuple[str, str]]:
    """What is printed, a word and a text for each line."""
    yield "trace", f"{found.trace.name}: {found.trace.describe()}"
    yield "replica", setting
    yield "ideal", f"{found.ours.ideal_s / 3600:,.1f} replica-hours, by somebody who knew what comes"
    yield "", f"{'hours':>22}{'× ideal':>10}{'late':>10}{'refused':>10}{'changes a day':>15}"
    for line in found.lines:
        yield line.name, figures(line)
    if found.fitted:
        yield "fitted", screen.paint(criteria(found), "green")
    for moment in found.ours.moments[:MOST_MOMENTS]:
        yield "why", moment.reason
    if len(found.ours.moments) > MOST_MOMENTS:
        yield "why", f"… {len(found.ours.moments) - MOST_MOMENTS:,} more changes (--html has them)"
    for remark in found.remarks:
        yield "note", screen.paint(remark, "yellow")
    if found.broken:
        yield "broken", screen.paint(found.broken, "red")
        yield "fix", found.mend
    for file in wrote:
        yield "wrote", file


def figures(line: Line) -> str:
    """The line of a policy."""
    ours = line.outcome
    late, refused = (share(ratio) for ratio in (ours.late_ratio, ours.refused_ratio))
    hours = f"{ours.replica_s / 3600:,.1f}"
    return f"{hours:>22}{ours.cost_ratio:>10.2f}{late:>10}{refused:>10}{ours.changes_per_day:>15,.0f}   {line.words}"


def share(ratio: float) -> str:
    """A share to the digits that mean something."""
    return f"{100 * ratio:.2g} %" if ratio else "0"


def criteria(found: Simulated) -> str:
    """Criteria as they are written in the class."""
    scaling = found.scaling
    high = f"max_replicas={scaling.max_replicas}, " if found.name else ""
    return (
        f"Scaling(min_replicas={scaling.min_replicas}, {high}headroom={scaling.headroom!r}, "
        f"scale_in_after={scaling.scale_in_after!r})"
    )


# -- for programs ------------------------------------------------------------------------------------------------------


def document(found: Simulated) -> dict[str, Any]:
    """The same as JSON; times in seconds, shares of one."""
    return {
        "service": found.name or None,
        "trace": {
            "name": found.trace.name,
            "begins": found.trace.begins.isoformat(),
            "seconds": found.trace.seconds,
            "rows": found.ours.rows,
        },
        "rate_per_replica": found.setting.rate,
        "startup_s": found.setting.startup_s,
        "deadline_s": found.setting.budget_s,
        "ideal_replica_hours": found.ours.ideal_s / 3600,
        "policies": [policy(line) for line in found.lines],
        "fitted": criteria(found) if found.fitted else None,
        "changes": [moment._asdict() for moment in found.ours.moments],
        "notes": list(found.remarks),
        "because": found.broken,
        "fix": found.mend,
    }


def policy(line: Line) -> dict[str, Any]:
    """One policy with its figures."""
    ours = line.outcome
    return {
        "name": line.name,
        "words": line.words,
        "cost_ratio": ours.cost_ratio,
        "late_ratio": ours.late_ratio,
        "refused_ratio": ours.refused_ratio,
        "changes_per_day": ours.changes_per_day,
        "changes": len(ours.moments),
        "replica_hours": ours.replica_s / 3600,
        "held_rows": ours.held,
        "most_replicas": max(ours.replicas),
    }
