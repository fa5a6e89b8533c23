"""``tenfold deploy``: a release from the store takes over from the one that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tenfold.cli import screen
from tenfold.cli.store import store_option
from tenfold.errors import UsageError

if TYPE_CHECKING:
    from tenfold.control.deployments import Asked, Plan
    from tenfold.control.standings import Progress


FORESEEN = ("now", "accept_breaking", "other_name")  # options that make a difference to what would happen


@click.command()
@click.argument("name", default="")
@click.option("--now", is_flag=True, help="Give it all requests at once; the old release stays warm.")
@click.option("--wait", metavar="DURATION", help='Wait until it answers everything, so long at most: "30m".')
@click.option("--plan", "only_plan", is_flag=True, help="Say what would happen, and do nothing.")
@click.option(
    "--from", "base", default="", metavar="NAME@N", help="Refuse where another release than this one answers."
)
@click.option("--why", default="", metavar="TEXT", help="The reason, for the record.")
@click.option(
    "--accept-breaking",
    is_flag=True,
    help="Where its contract breaks those who ask, let it answer beside, under another name.",
)
@click.option(
    "--as", "other_name", default="", metavar="NAME", help="That name; else NAME-2, or the next that is free."
)
@store_option
@screen.json_option
def deploy(name: str, wait: str | None, only_plan: bool, place: str, as_json: bool, **how: Any) -> None:
    """Let NAME@N take over from what answers; without @N, the release that was pushed last.

    The servers of the store (tenfold serve --store) do it, as the Releases of the service say: in steps, by evidence, and
    back on evidence of harm. Exit 5 where another release is on its way, 6 where --wait sees it turned back, or runs
    out: it goes on then.
    """
    from tenfold.control import deployments

    if how["other_name"] and not how["accept_breaking"]:
        raise UsageError("--as names what --accept-breaking deploys beside", "say --accept-breaking, too")
    if only_plan:
        show_plan(deployments.plan(name, place, **{word: how[word] for word in FORESEEN}), as_json, how["other_name"])
        return
    limit_s = deployments.limit_s(wait)
    report(deployments.deploy(name, place, **how), "deploying", limit_s, as_json)


def report(asked: Asked, word: str, limit_s: float, as_json: bool) -> None:
    """What was asked, and what came of it."""
    from tenfold.control import deployments

    release = asked.release
    if asked.rollout is None:
        if as_json:
            screen.print_json({**as_object(asked), "state": "promoted", "because": "it answers already"})
        else:
            click.echo(f"nothing    {release.name} ({release.id[:7]}) answers already")
        return
    if not as_json:
        click.echo(begun(asked, word))
    if asked.beside is not None and not as_json:
        click.echo(
            f"beside     {asked.beside.name}, which goes on at /{asked.beside.service}; this is /{release.service}"
        )
    if limit_s:
        at = deployments.wait(
            asked, limit_s, (lambda _: None) if as_json else (lambda said: click.echo(f"{'':11}{said}"))
        )
        if as_json:
            screen.print_json({**as_object(asked), **progress_object(at)})
        else:
            click.echo(f"{screen.paint('answers', 'green')}    {release.name}")
        return
    taken = deployments.taken_up(asked)
    if as_json:
        screen.print_json({**as_object(asked), "state": asked.rollout.state, "taken_up": taken})
    elif taken:
        click.echo(f"next       tenfold status --store {asked.place} shows how far it is")
    else:
        click.echo(f"waiting    no server of this store runs · tenfold serve --store {asked.place}")


def begun(asked: Asked, word: str) -> str:
    """What is being done. What answers already stays, while the release that is on its way is taken back."""
    release, current = asked.release, asked.current
    if asked.back == release.name:
        return f"taken back {release.name}; nothing answered before it"
    if current is not None and current.id == release.id:
        return f"stays with {release.name} ({release.id[:7]})" + (f"; {asked.back} is taken back" if asked.back else "")
    return f"{word:<11}{release.name} ({release.id[:7]}){f', after {current.name}' if current else ''}"


def show_plan(plan: Plan, as_json: bool, other_name: str = "") -> None:
    """What a deployment would do."""
    release, current, beside = plan.release, plan.current, plan.beside
    if as_json:
        screen.print_json({
            "service": release.service,
            "release": release.name,
            "id": release.id,
            "from": current.name if current else None,
            "beside": {"stays": beside.stays.name, "because": beside.because} if beside else None,
            "changed": plan.changed,
            "gates": {gate.name: gate.verdict for gate in plan.gates},
            "foreseen": {name: {"verdict": word.verdict, "because": word.because} for name, word in plan.foreseen.items()},
            "fix": plan.mend,
            "policy": plan.policy.describe(),
            "held": plan.held.why if plan.held else None,
            "under_way": plan.under_way.state if plan.under_way else None,
        })  # fmt: skip
        return
    screen.print_facts(list(facts(plan, other_name)), width=11)


def facts(plan: Plan, other_name: str = "") -> list[tuple[str, str]]:
    """The lines of a plan."""
    from tenfold.control import stores

    release, current, beside = plan.release, plan.current, plan.beside
    told = [
        (
            "release",
            f"{plan.asked} ({release.id[:7]}), {release.at:%Y-%m-%d %H:%M}, {release.who} {release.why}".rstrip(),
        )
    ]
    if beside is not None:
        told += [
            ("breaks", beside.because),
            ("beside", f"{beside.stays.name} ({beside.stays.id[:7]}), which goes on at /{beside.stays.service}"),
            ("as", f"{release.name}, at /{release.service}, with releases and roll-backs of its own"),
        ]
    if current is not None and current.id == release.id:
        return [*told, ("nothing", "it answers already")]
    told.append(("after", f"{current.name} ({current.id[:7]})" if current else "nothing: it is the first"))
    if current is not None:
        told.append(("changed", ", ".join(plan.changed)))
    spoken = [f"{gate.name} {gate.verdict}" for gate in plan.gates]
    told += [(name, f"{word.verdict}: {word.because}") for name, word in plan.foreseen.items()]
    told.append(("gates", f"asked first; they said last: {', '.join(spoken)}" if spoken else "asked first"))
    if plan.mend:
        return [*told, ("refused", "it would take no traffic"), ("fix", plan.mend)]
    told.append(("steps", plan.policy.describe() if current else "all at once"))
    if current is not None:
        told.append(("bake", f"{current.name} stays warm for {plan.policy.bake}"))
    if plan.held:
        resume = f"tenfold resume {release.service}{stores.at(plan.place, release.service)}"
        told.append(("held", f"automatic deployments wait: {plan.held.why} · {resume}"))
    if plan.under_way:
        told.append(("first", f"another release is {plan.under_way.state}"))
    base = beside.stays if beside else current
    options = f" --from {base.name}" if base else ""
    options += " --accept-breaking" if beside else ""
    options += f" --as {other_name}" if beside and other_name else ""
    return [*told, ("next", f"tenfold deploy {plan.asked}{options}{stores.at(plan.place, plan.asked)}")]


def as_object(asked: Asked) -> dict[str, Any]:
    """What was asked, for a program."""
    release, current = asked.release, asked.current
    return {
        "service": release.service,
        "number": release.number,
        "release": release.name,
        "id": release.id,
        "from": current.name if current else None,
        "beside": asked.beside.name if asked.beside else None,
        "store": asked.place,
    }


def progress_object(at: Progress) -> dict[str, Any]:
    """How far a rollout is, for a program."""
    return {"state": at.rollout.state, "because": at.said, "percent": at.percent, "fix": at.fix}
