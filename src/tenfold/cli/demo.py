"""``tenfold demo``: a small real model, trained, served and broken before your eyes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenfold.cli import screen

if TYPE_CHECKING:
    from tenfold.control.demo import Shown, Trained
    from tenfold.control.servers import Server

FOLDER = Path("demo")
NEXT = "tenfold init NAME --model FILE --data FILE --target COL"


@click.command()
@click.option("--once", is_flag=True, help="End after the demonstration; otherwise go on serving.")
@click.option("--port", default=8000, show_default=True, help="Port of the service; the next free one, if it is taken.")
@screen.json_option
def demo(once: bool, port: int, as_json: bool) -> None:
    """Train a small real model, serve it, send it good rows and bad ones, and show the ten answers.

    Writes the folder demo/, which is yours: its service.py is left as it is when you run this again.
    """
    with screen.Progress() as progress:
        progress("training")
        from tenfold.control import checks, servers
        from tenfold.control import demo as demonstration

        trained = demonstration.train(FOLDER)
        progress("checking")
        checks.check(str(FOLDER))
    say = (lambda *_: None) if as_json else click.echo
    say(training_words(trained))
    with servers.serving(FOLDER, port, port + 1 if port else 0) as server:
        url = f"{server.url}/{demonstration.NAME}"
        say(f"serving    {url} · ready in {server.ready_s:.1f} s")
        shown = []
        for one in demonstration.show(server):
            shown.append(one)
            say(line(one))
        try:
            conclude(url, server, shown, once, as_json)
        except KeyboardInterrupt:
            if once:
                raise


def training_words(trained: Trained) -> str:
    """What was trained, and which file to read."""
    file = FOLDER / "service.py"
    wrote = f"wrote {file} ({trained.lines} lines, yours to read)" if trained.lines else f"{file} is as you left it"
    return f"trained    a classifier on {trained.rows} tumours, {trained.seconds:.2g} s · {wrote}"


def line(shown: Shown) -> str:
    """One request: what it was, the status, how long it took, and what came back in words."""
    reply = shown.reply
    took = f"{reply.seconds * 1000:.1f} ms" if reply.status == 200 else ""
    return f"  {shown.what:<23}{reply.status}  {took:<9}{reply_words(reply.json())}"


def reply_words(body: dict[str, Any]) -> str:
    """What an answer says: the label, or how many rows, or why not; and what was changed or flagged."""
    if "outputs" in body:
        return f"{body['answered']} answered, {body['refused']} refused with reasons"
    if "output" not in body:
        return str(body["detail"])
    words = f"{body['output']['label']} {body['output']['probability']:.2f}"
    changed = [f"{change['pointer'][1:]} → {change['value']:g}" for change in body.get("changes", ())]
    flagged = [flag["code"] for flag in body.get("flags", ())]
    words += f" · changed: {', '.join(changed)}" if changed else ""
    return words + (f" · flagged: {', '.join(flagged)}" if flagged else "")


def conclude(url: str, server: Server, shown: list[Shown], once: bool, as_json: bool) -> None:
    """The answer sheet and the addresses; then serve on, unless this was to end by itself."""
    from tenfold.answers import render_text
    from tenfold.control import sheets

    sheet = sheets.answers(url)
    if as_json:
        requests = [{"what": one.what, "status": one.reply.status, "seconds": one.reply.seconds} for one in shown]
        answers = [{"n": answer.n, "word": answer.word, "state": answer.state} for answer in sheet.answers]
        screen.print_json({"url": url, "admin": server.admin_url, "requests": requests, "answers": answers})
    else:
        click.echo(f"\n{render_text(sheet)}")
        look = [("look at it", "make demo")] if once else [("page", url), ("console", server.admin_url)]
        screen.print_facts([*look, ("next", NEXT)], width=12 if once else 11)
    if not once:
        if not as_json:
            click.echo("serving on · Ctrl-C stops", err=True)
        while True:  # until Ctrl-C, or a signal to end, which is how a person ends this, and no failure
            time.sleep(3600)
