"""``tenfold drift``: does the model need an update?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenfold.cli import screen
from tenfold.control import servers

if TYPE_CHECKING:
    from tenfold.control.drifts import Report

FAILED = 6
WIDTH = 11
MOST_FIELDS, MOST_SEGMENTS = 5, 3
COLOURS = {"HEALTHY": "green", "WATCH": "yellow", "NEED_LABELS": "yellow"}
BARS = "▁▂▃▄▅▆▇█"

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("name", required=False)
@click.option("--server", default="", metavar="URL", help=f"The admin address of a server; {servers.ADMIN}.")
@click.option("--access", default="", metavar="KEY", envvar="TENFOLD_KEY", help="A key of the server; or TENFOLD_KEY.")
@click.option("--reference", metavar="FILE", type=FILE, help="The table that the model was trained on.")
@click.option("--current", metavar="FILE", type=FILE, help="The rows that it answered since.")
@click.option("--prediction", metavar="COL", help="The column with the model's answers.")
@click.option("--score", metavar="COL", help="The column with the probability that goes with them.")
@click.option("--label", metavar="COL", help="The column with the truth.")
@click.option("--time", metavar="COL", help="The column with the time of each row.")
@click.option(
    "--labels", metavar="FILE", type=FILE, help="The truth of current rows, where it is in a file of its own."
)
@click.option("--key", metavar="COL", help="The column by which --labels belong to rows.")
@click.option("--ignore", metavar="COL", multiple=True, help="A column that is not compared; may be given again.")
@click.option("--window", metavar="TIME", help='The length of a window, such as "1 h"; ten windows by default.')
@click.option(
    "--segment", "segments", metavar="COL", multiple=True, help="A column whose values are watched one by one."
)
@click.option("--loss-tolerance", metavar="SHARE", help='How much worse is harm, of the loss on the reference; "10 %".')
@click.option("--drift-tolerance", metavar="SHARE", help='How many rows have to move, for that to be drift; "10 %".')
@click.option("--false-alarm-probability", metavar="P", type=float, help="Of ever raising a false alarm; 0.01.")
@click.option(
    "--mean-windows-between-false-alarms", metavar="N", type=int, help="Instead of that: one in so many windows."
)
@click.option(
    "--challenger",
    metavar="RELEASE",
    help="Another release, to be tried on rows that have labels by now; of two tables, the column with its answers.",
)
@click.option("--since", default="", metavar="TIME", help="It has learnt from no row since then; when it was pushed.")
@click.option("--store", default="", metavar="PLACE", help="The store that it is in; that of the folder.")
@click.option("--html", metavar="FILE", type=FILE, help="Write a page with plots, which needs nothing else.")
@click.option("--fail-on", metavar="VERDICT", help="Exit with 6 on this verdict, or a graver one.")
@screen.json_option
def drift(name: str | None, as_json: bool, html: Path | None, fail_on: str | None, **given: Any) -> None:
    """Does the model need an update? Compare the rows of today with those it was trained on, window by window.

    NAME is a service that runs, or the folder of one that ran. With --reference and --current, two tables are compared,
    whatever system served them: .parquet or .csv, of any size. What needs no --label: whether rows and answers moved, and
    how well the model is to be expected to do on them. Verdicts, from the mildest to the gravest: HEALTHY, WATCH,
    NEED_LABELS, UPDATE_WONT_HELP, UPDATE_RECOMMENDED, FIX_DATA, ROLLBACK. There is none (null) until a window was judged.

    Would an update help? A --challenger answers the labelled rows once more, and has to lose less than what serves. NAME is
    a folder then, or a service that the --store deploys.
    """
    with screen.Progress() as progress:
        progress("starting")
        from tenfold.control import driftlive, driftpages, drifts

        failing = drifts.verdict_named(fail_on) if fail_on else None
        report = drifts.judge_files(given, progress) if name is None else driftlive.judge(name, given, progress)
    if html:
        html.write_text(driftpages.render(report), "utf-8")
    if as_json:
        screen.print_json(report.to_dict())
    else:
        print_report(report)
        if html:
            click.echo(f"wrote {html}")
    failed = failing is not None and report.verdict is not None and report.verdict.grave >= failing.grave
    if failed and not as_json:
        click.echo(f"{report.verdict} is as grave as --fail-on {failing}, or graver · exit {FAILED}", err=True)
    click.get_current_context().exit(FAILED if failed else 0)


def print_report(report: Report) -> None:
    """The verdict, sentence first, and its evidence."""
    verdict = screen.paint(report.said, COLOURS.get(report.verdict, "red") if report.verdict else "yellow")
    since = f" since {report.since}" if report.since is not None else ""
    click.echo(f"{verdict}{since}: {report.because}")
    facts = [("next", report.next)]
    facts += [("moved", line) for line in map(_field, report.features[:MOST_FIELDS]) if line]
    facts += [("where", _segment(segment)) for segment in report.segments[:MOST_SEGMENTS]]
    facts += _performance(report)
    facts += [("challenger", report.challenge.said)] if report.challenge is not None else []
    facts += [("windows", line) for line in _windows(report)]
    facts += [("ruled out", line) for line in report.ruled_out]
    facts += [("besides", line) for line in report.reasons]
    facts += [("compared", f"with {report.compared}"), ("again", report.replay)]
    screen.print_facts(facts, WIDTH)


def _field(feature: Any) -> str:
    """One field that moved: how far, since when, and its histogram then and now."""
    if not feature.proven:
        return ""
    known = [k for k, shares in enumerate(zip(feature.reference, feature.current, strict=True)) if any(shares)]
    shape = f"  {_bars(feature.reference, known)} → {_bars(feature.current, known)}" if known else ""
    importance = f", importance {feature.importance:.0%}" if feature.importance else ""
    return f"{feature.name}: {feature.share:.0%} of its rows since {feature.since}{importance}{shape}"


def _bars(shares: tuple[float, ...], known: list[int]) -> str:
    """A histogram in one line of text, of the groups that have rows then or now."""
    most = max(shares) or 1.0
    heights = [min(int(shares[k] / most * len(BARS)), len(BARS) - 1) for k in known]
    return "".join(BARS[height] if shares[k] else " " for k, height in zip(known, heights, strict=True))


def _segment(segment: Any) -> str:
    return (
        f"{segment.field} {segment.group}: {segment.share_before:.0%} → {segment.share_now:.0%} of the rows, "
        f"loss {segment.loss_before:.3f} → {segment.loss_now:.3f}"
    )


def _performance(report: Report) -> list[tuple[str, str]]:
    known = report.performance
    if known is None:
        return []
    words = [("metric", f"{known.metric} {known.reference:.4f} on the reference, tolerated to {known.tolerated:.4f}")]
    for kind, bounds in (("realised", known.realised), ("estimated", known.estimated)):
        if bounds is not None:
            words.append(("", f"{bounds[0]:.4f} {kind} ({bounds[1]:.4f} to {bounds[2]:.4f})"))
    return words + [("", f"the estimate is in doubt: {doubt}") for doubt in known.doubts]


def _windows(report: Report) -> list[str]:
    """The windows, a line each where they are few; how many had which verdict where they are many."""
    if len(report.windows) > 2 * MOST_FIELDS * 2:
        counted = Counter(line.verdict for line in report.windows)
        return [", ".join(f"{count} {verdict}" for verdict, count in counted.items())]
    return [_window(line) for line in report.windows]


def _window(line: Any) -> str:
    measured = [
        f"{value:.4f} {kind}"
        for kind, value in (("estimated", line.estimated), ("realised", line.realised))
        if value is not None
    ]
    return "  ".join([f"{line.start} to {line.end}", f"{line.rows:,} rows", line.verdict, ", ".join(measured)]).rstrip()
