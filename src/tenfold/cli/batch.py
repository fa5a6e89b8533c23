"""``tenfold batch``: files in, files out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenfold.cli import screen
from tenfold.cli.store import store_option
from tenfold.errors import UsageError

if TYPE_CHECKING:
    from tenfold.control.jobs import Batch, Outcome, Progress

EXITS = {"asked": 130, "budget": 6, "nothing": 3}
SOON_S = 90.0
MOST_NAMED = 8


@click.command()
@click.argument("service")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("-o", "--out", metavar="FOLDER", help="Where the answers go; the same command again goes on there.")
@click.option("--format", type=click.Choice(["parquet", "csv", "ndjson"]), default="parquet", show_default=True)
@click.option("--keep", default="", metavar="COL,COL|all", help="Columns of the input that stand beside the answers.")
@click.option("--max-bad", multiple=True, metavar="1%|N", help="Stop, with exit code 6, once more rows are bad.")
@click.option(
    "--workers", type=click.IntRange(0, 256), default=0, help="Processes; by default one per core, at most 4."
)
@click.option(
    "--timeout", default="10 min", show_default=True, help="Time for a block of rows; rows that take longer are bad."
)
@click.option("--shard-rows", type=click.IntRange(1), default=100_000, show_default=True, help="Rows of a part.")
@click.option("--delimiter", default="", metavar="CHAR", help="What parts the cells of CSV: a comma, in .tsv a tab.")
@click.option("--quote", default='"', metavar="CHAR", help="What CSV quotes with; '' takes quotes for text.")
@click.option("--escape", default="", metavar="CHAR", help="What CSV escapes with; by default quotes are doubled.")
@click.option("--decimal", default=".", metavar="CHAR", help="The decimal point of CSV.")
@click.option("--encoding", default="utf-8", show_default=True, help="The encoding of CSV.")
@click.option("--null", "nulls", multiple=True, metavar="TEXT", help="A cell of CSV that stands for nothing, as NA.")
@click.option("--reference", metavar="FILE", help="Has it drifted from this table? Else: from the service's profile.")
@click.option("--on", type=click.Choice(["here", "ray"]), default="here", help="Answer here, or on a Ray cluster.")
@click.option("--through", default=None, metavar="URL", help="Let a live service answer, behind its own requests.")
@click.option("--access", default="", metavar="KEY", envvar="TENFOLD_KEY", help="A key of the server; or TENFOLD_KEY.")
@click.option("--env", default="", help="Options of this environment in tenfold.toml.")
@click.option("--dry-run", is_flag=True, help="Validate every row; answer none and write nothing.")
@store_option
@screen.json_option
def batch(out: str | None, keep: str, reference: str | None, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Answer the rows of files by a SERVICE, on the very path of a request.

    SERVICE is a folder, file.py:Class, or NAME@N of a store. INPUT is .parquet, .arrow, .csv, .ndjson, a folder of these or
    of pictures, a glob or s3://…; text may be compressed (.gz .zst .bz2 .lz4). FOLDER gets part-*.parquet in the order of the
    input, quarantine/ with every row that has no answer and why, manifest.jsonl and a summary. Whatever interrupts it, the
    same command goes on where it was.

    Exits with 6 where more rows are bad than --max-bad allows, and with 3 where none could be answered.
    """
    options["store"] = options.pop("place")
    if options["through"] == "":
        raise UsageError("--through names no service", "--through http://HOST:PORT; or leave it out")
    options["through"] = options["through"] or ""
    if out is None and not dry_run:
        raise UsageError("where shall the answers go?", "-o FOLDER; or --dry-run, which validates only")
    if out is not None and "://" in out:
        raise UsageError(f"answers are written to this machine, not to {out}", "-o FOLDER, and copy it from there")
    with screen.Progress() as progress:
        progress("starting")
        from tenfold.control.jobs import Batch, Plan

        names = [name for name in keep.split(",") if name]
        plan = Plan(
            out=Path(out) if out else None,
            keep=names,
            reference=Path(reference) if reference else None,
            dry_run=dry_run,
            **options,
        )
        with Batch(plan) as job:
            if not as_json:
                screen.print_facts(beginning(job))
            outcome = job.run(Teller(progress), lambda: click.echo(STOPPING, err=True), progress)
    code = EXITS[outcome.stopped.kind] if outcome.stopped else 0
    if outcome.stopped is None and outcome.summary.rows and not outcome.summary.answered:
        code = EXITS["nothing"]
    if as_json:
        rate = outcome.rows / outcome.seconds if outcome.seconds else 0.0
        took = {"seconds": outcome.seconds, "loading_s": outcome.loading_s, "rows_per_s": rate}
        screen.print_json({**as_dict(outcome), **took, "out": out, "exit": code})
    else:
        screen.print_facts(ending(outcome, job, out))
    click.get_current_context().exit(code)


STOPPING = "stopping   what is in work is kept; once more ends it at once"


class Teller:
    """Says how far a job is: rows, rows a second, bad rows, and when it will be done."""

    def __init__(self, progress: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._progress = progress
        self._clock = clock
        self._since: tuple[float, Progress] | None = None

    def __call__(self, now: Progress) -> None:
        at = self._clock()
        if self._since is None:
            self._since = at, now
        began, first = self._since
        seconds = at - began
        words = [f"{now.rows:,} rows", f"{now.share:.0%}"]
        if seconds > 0 and now.share > first.share:
            words.append(f"{(now.rows - first.rows) / seconds:,.0f} rows/s")
            words.append(f"{left(seconds * (1 - now.share) / (now.share - first.share))} left")
        words.append(f"{now.bad:,} bad")
        self._progress(" · ".join(words))


def left(seconds: float) -> str:
    """A time that is only guessed."""
    return f"{seconds:.0f} s" if seconds < SOON_S else f"{seconds / 60:.0f} min"


def beginning(job: Batch) -> Iterator[tuple[str, str]]:
    """What a job is about to do."""
    readers = job.source.readers
    rows = "" if job.source.rows is None else f", {job.source.rows:,} rows"
    names = readers[0].name if len(readers) == 1 else f"{len(readers)} files, {readers[0].name} first"
    workers = "1 process" if job.workers == 1 else f"{job.workers} processes"
    yield "service", f"{job.spec.name}@{job.spec.release[:7]} · {workers}"
    yield "input", f"{names}{rows}"
    if job.unused:
        yield "not used", listed(job.unused)
    if job.absent:
        yield "no column", f"{listed(job.absent)}: missing in every row"
    if job.safe:
        yield "goes on", f"behind {job.safe:,} rows that are safe"


def ending(outcome: Outcome, job: Batch, out: str | None) -> Iterator[tuple[str, str]]:
    """What became of a job, and what to do next."""
    summary, stopped = outcome.summary, outcome.stopped
    verb = "valid" if job.plan.dry_run else "answered"
    remarks = [f"{getattr(summary, word):,} {word}" for word in ("changed", "flagged") if getattr(summary, word)]
    fallbacks = [f"{summary.fallbacks:,} by the fallback"] if summary.fallbacks else []
    yield verb, " · ".join([f"{summary.answered:,} of {summary.rows:,} rows", *remarks, *fallbacks])
    if summary.quarantined:
        codes = ", ".join(f"{count:,} {code}" for code, count in summary.codes.items())
        where = "" if job.plan.dry_run else f" · {out}/quarantine"
        yield "bad", f"{summary.quarantined:,}: {codes}{where}"
    if (drift := summary.drift) is not None:
        last = f"{drift.sampled:,} rows sampled" if drift.verdict else drift.fix
        yield "drift", f"{drift.verdict or 'not judged'} · {drift.because} · {last}"
    if outcome.rows and outcome.seconds:
        rate = outcome.rows / outcome.seconds
        yield "took", f"{outcome.seconds:,.1f} s · {rate:,.0f} rows/s, after {outcome.loading_s:,.1f} s of loading"
    elif job.safe and not stopped:
        yield "took", "nothing: it was finished before"
    if stopped is not None:
        yield "stopped", stopped.why
        yield "fix:", fix(stopped.kind, summary.codes)
    elif out is not None and not job.plan.dry_run:
        yield "written", f"{out}/{job.plan.parts} · {out}/summary.html"


def fix(kind: str, codes: dict[str, int]) -> str:
    """How a job that stopped goes on."""
    if kind == "asked":
        return "the same command goes on from here"
    look = f"tenfold explain {next(iter(codes))}" if codes else "look into the quarantine"
    return f"{look}; with --max-bad 100% the same command goes on from here"


def listed(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """The summary as ``--json`` has it."""
    import json

    summary: dict[str, Any] = json.loads(outcome.summary.to_json())
    return summary
