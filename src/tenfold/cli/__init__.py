"""The command line: what a person types and what is printed back. ``control`` decides what a command does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

import click

from tenfold.cli import screen
from tenfold.errors import UsageError

COMMANDS = {  # in the order of a first day; modules are imported when their command runs, never for --help
    "demo": ("tenfold.cli.demo", "Train, serve and break a small real model; show the ten answers."),
    "init": ("tenfold.cli.init", "Write a service folder for a trained model, with its ten answers."),
    "check": ("tenfold.cli.check", "Everything that can be known before traffic, a line each."),
    "serve": ("tenfold.cli.serve", "Serve one or several services over HTTP."),
    "predict": ("tenfold.cli.predict", "Answer rows of a file or of standard input, once."),
    "batch": ("tenfold.cli.batch", "Answer the rows of files into files; interrupted, it goes on."),
    "bench": ("tenfold.cli.bench", "Find the highest rate that keeps the deadline, of any HTTP service."),
    "simulate": ("tenfold.cli.simulate", "What a scaling policy would have cost and missed on a traffic."),
    "scale": ("tenfold.cli.scale", "Have more replicas for a while, whatever the policy says."),
    "answers": ("tenfold.cli.answers", "Show the answer sheet: declared, measured and live."),
    "status": ("tenfold.cli.status", "Show every service of a running server, a line each."),
    "journal": ("tenfold.cli.journal", "Look up what was predicted, by time, by id or by key."),
    "record": ("tenfold.cli.record", "Record golden requests anew, and show what moved."),
    "push": ("tenfold.cli.push", "Put a service into the store as it is: a release."),
    "releases": ("tenfold.cli.releases", "List releases, and what was done, by whom and why."),
    "gates": ("tenfold.cli.gates", "Ask whether a release may take traffic, gate by gate."),
    "diff": ("tenfold.cli.diff", "Show what lies between two releases."),
    "deploy": ("tenfold.cli.deploy", "Let a release take over, step by step and by evidence."),
    "rollback": ("tenfold.cli.rollback", "Go back to the release before, at once."),
    "resume": ("tenfold.cli.resume", "Let automatic deployments go on after a roll-back."),
    "watch": ("tenfold.cli.watch", "Let changes in the code and in the model deploy themselves."),
    "keys": ("tenfold.cli.keys", "Create, list and revoke the keys of a server."),
    "store": ("tenfold.cli.store", "Back up, restore, migrate and clear up a store."),
    "render": (
        "tenfold.cli.render",
        "Write what the next system needs of a service: Kubernetes, Grafana, images, GitHub.",
    ),
    "drift": ("tenfold.cli.drift", "Say whether a model needs an update: of a service, or from two tables."),
    "feedback": ("tenfold.cli.feedback", "Send labels that came later, joined by id or by key."),
    "doctor": ("tenfold.cli.doctor", "Test this installation, from the interpreter to a served request."),
    "explain": ("tenfold.cli.explain", "Say what an error code means and what to do."),
}

WRONG_USE = 2


class Commands(click.Group):
    """The commands by name, each in a module of its own whose attribute of the same name is the command."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            near = get_close_matches(args[0], COMMANDS, n=1)
            mend = f"tenfold {near[0]}" if near else "tenfold --help lists the commands"
            raise UsageError(f"there is no command {args[0]!r}", mend)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="tenfold", message="tenfold %(version)s")
@click.option("--debug", is_flag=True, envvar="TENFOLD_DEBUG", help="Show a traceback with every error.")
@click.pass_context
def tenfold(context: click.Context, debug: bool) -> None:  # noqa: ARG001 - main looks at it where an error arrives
    """Deploy a machine-learning model by answering the ten questions that every deployment has to answer.

    Start with tenfold demo, or with tenfold init NAME --model FILE --data FILE --target COL.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        context.exit(WRONG_USE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    0 ok, 1 failure, 2 usage, 3 invalid input or contract, 4 not found, 5 conflict, 6 a deadline, gate or
    test violated, 130 interrupted.
    """
    args = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in args
    debug = False
    try:
        with tenfold.make_context("tenfold", args) as context:
            debug = context.params["debug"]
            tenfold.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        return screen.pipe_closed()
    except Exception as error:
        if debug:
            raise
        return screen.failed(error, as_json)
    return 0
