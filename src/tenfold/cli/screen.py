"""How all that is printed looks: colours, JSON, progress; and the one place that prints errors."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from tenfold.errors import InvalidInput, TenfoldError

SCHEMA = 1
PATIENCE_S = 1.0  # work that takes longer shows its progress
MOST_VIOLATIONS = 10  # are listed; there may be one for every row of a table
MARKS = {"ok": "green", "open": "yellow", "broken": "red"}

json_option = click.option("--json", "as_json", is_flag=True, help='Print JSON (with "schema": 1).')


def service_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument that nearly every command takes: a folder or ``file.py[:Class]``, here by default."""
    return click.argument("service", default=".")(command)


def failed(error: Exception, as_json: bool) -> int:
    """Print an error and how to mend it; the exit code. With ``--json``, print an object instead."""
    message, hint, code = _told(error)
    violations = error.violations if isinstance(error, InvalidInput) else ()
    if as_json:
        listed = {"errors": [violation._asdict() for violation in violations]} if violations else {}
        print_json({"error": {"message": message, "fix": hint, "exit": code, **listed}})
    else:
        click.echo(f"{paint('error:', 'red')} {message}", err=True)
        for row, pointer, code_word, detail in violations[:MOST_VIOLATIONS]:
            reason = "" if message.startswith(detail) else f": {detail}"  # the message is the first of them
            click.echo(f"       row {row} {pointer} {code_word}{reason}", err=True)
        click.echo(f"{paint('fix:', 'cyan')}   {hint}", err=True)
    return code


def _told(error: Exception) -> tuple[str, str, int]:
    """An error in words: what happened, the mend, the exit code."""
    match error:
        case TenfoldError():
            return error.message, error.hint or "tenfold doctor tests this installation", error.exit_code
        case click.UsageError():
            command = error.ctx.command_path if error.ctx else "tenfold"
            return _sentence(error.format_message()), f"{command} --help shows what it takes", 2
        case click.ClickException():
            return _sentence(error.format_message()), "tenfold --help shows the commands", error.exit_code
        case OSError() if error.filename is not None:
            return f"{error.filename}: {error.strerror}", "check the path and its permissions", 1
        case _:
            return (
                f"tenfold itself failed: {type(error).__name__}: {error}",
                "TENFOLD_DEBUG=1 shows the traceback; please report it",
                1,
            )


def _sentence(text: str) -> str:
    """Click's sentence in the tone of ours: no capital, no full stop."""
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:]


def pipe_closed() -> int:
    """Whoever read our output has gone (``| head``): end without a word, as the shell's own tools do."""
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - the interpreter's last flush goes there
    return 1


# -- words and colours -------------------------------------------------------------------------------------


def paint(text: str, colour: str) -> str:
    """Coloured text; plain where NO_COLOR is set (https://no-color.org), and in a pipe (click strips it)."""
    plain = os.environ.get("NO_COLOR")
    return text if plain else click.style(text, fg=colour)


def print_json(value: dict[str, Any]) -> None:
    """One object with the version of its schema, on standard output."""
    click.echo(json.dumps({"schema": SCHEMA, **value}, ensure_ascii=False, default=str))


def print_facts(facts: Iterable[tuple[str, str]], width: int = 9) -> None:
    """Lines of a word and what is to be said about it; a word that goes on is said once."""
    before = ""
    for word, text in facts:
        click.echo(f"{'' if word == before else word:<{width}}{text}")
        before = word


def print_marked(word: str, mark: str, text: str, fix: str = "") -> None:
    """A line of ``ok``, ``open`` or ``broken``, its word, what is the case, and the mend."""
    mend = f" · {paint('fix:', 'cyan')} {fix}" if fix else ""
    click.echo(f"{paint(f'{mark:<7}', MARKS[mark])}{word:<13}{text}{mend}")


class Progress:
    """What is being done, on standard error, once it has taken a second and somebody is there to see it.

    ``progress("parity", 300, 891)`` says how far; it costs nothing to call often. A thread draws, so that
    a step which says nothing for long (importing a library, loading a model) is seen all the same.
    """

    def __init__(self) -> None:
        self._label = ""
        self._since = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._draw, daemon=True)

    def __call__(self, label: str, done: int = 0, total: int = 0) -> None:
        self._label = f"{label}, {done:,} of {total:,}" if total else label

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _draw(self) -> None:
        wait_s = PATIENCE_S
        while not self._over.wait(wait_s):
            wait_s = 0.2
            seconds = time.monotonic() - self._since
            click.echo(f"\r\x1b[K{self._label} … {seconds:.0f} s", nl=False, err=True)
        if wait_s != PATIENCE_S:
            click.echo("\r\x1b[K", nl=False, err=True)
