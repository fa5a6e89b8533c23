"""The command line as a whole: help, errors with their mend, exit codes, colours, pipes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tenfold.cli import COMMANDS, main, screen
from tenfold.control.checks import numbers
from tenfold.errors import ContractError, NotFound

Capture = pytest.CaptureFixture[str]


def test_help_names_every_command(capsys: Capture) -> None:
    """``tenfold --help`` says in one line each what there is."""
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n  {name} " in said for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: Capture) -> None:
    """Every command that is listed exists, and says what it takes."""
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"tenfold {name}" in said
    assert "--json" in said


def test_no_arguments_show_the_help(capsys: Capture) -> None:
    """``tenfold`` alone shows what it can do, and is a wrong use."""
    assert main([]) == 2
    assert "Commands:" in "".join(capsys.readouterr())


def test_version(capsys: Capture) -> None:
    """``tenfold --version`` says which one is installed."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tenfold 0.")


@pytest.mark.parametrize(
    ("arguments", "message", "mend"),
    [
        (["chek"], "no command 'chek'", "tenfold check"),
        (["xyzzy"], "no command 'xyzzy'", "tenfold --help"),
        (["init"], "missing argument", "tenfold init --help"),
        (["init", "x", "--modle", "m"], "no such option", "tenfold init --help"),
        (["check", "--require", "11"], "--require '11'", "1-10"),
        (["check", "--require", "drifd"], "--require 'drifd'", "words such as drift"),
    ],
)
def test_wrong_use_is_told_how_to_mend(arguments: list[str], message: str, mend: str, capsys: Capture) -> None:
    """A command line that cannot be meant ends with 2, one error and one fix."""
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert mend in said.err.split("fix:")[1]
    assert not said.out


def test_what_does_not_exist_is_4(capsys: Capture) -> None:
    """A service folder that is not there ends with 4."""
    assert main(["check", "no-such-folder"]) == 4
    assert "fix:" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["chek", "--json"], ["check", "nowhere", "--json"], ["explain", "x", "--json"]])
def test_errors_are_json_where_json_is_asked_for(arguments: list[str], capsys: Capture) -> None:
    """A script that asks for JSON gets every error as JSON, too."""
    code = main(arguments)
    error = json.loads(capsys.readouterr().out)
    assert error["schema"] == 1
    assert error["error"]["exit"] == code
    assert error["error"]["fix"]


@pytest.mark.parametrize(
    ("error", "code"),
    [(ContractError("no", "mend it"), 3), (NotFound("no", ""), 4), (RuntimeError("oops"), 1)],
)
def test_no_error_is_without_a_fix(error: Exception, code: int, capsys: Capture) -> None:
    """Whatever happens, the last line says what to do, and no traceback is shown."""
    assert screen.failed(error, as_json=False) == code
    said = capsys.readouterr().err
    assert said.count("fix:") == 1
    assert len(said.split("fix:")[1].strip()) > 3
    assert "Traceback" not in said


def test_debug_shows_the_traceback() -> None:
    """``--debug`` lets an error through as Python shows it."""
    with pytest.raises(NotFound):
        main(["--debug", "check", "no-such-folder"])


def test_colours_are_left_out_where_nobody_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR is obeyed."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert screen.paint("ok", "green") == "ok"
    monkeypatch.setenv("NO_COLOR", "")
    assert screen.paint("ok", "green") != "ok"


def test_a_closed_pipe_is_no_error() -> None:
    """``tenfold explain | head -1`` ends without a word of complaint."""
    program = f"{sys.executable} -m tenfold explain | head -1"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("malformed")
    assert done.stderr == ""


def test_explain_lists_and_explains(capsys: Capture) -> None:
    """Every code has a page; a misspelt one is told the nearest."""
    assert main(["explain"]) == 0
    assert "out_of_range" in capsys.readouterr().out
    assert main(["explain", "rule:big_tumours_are_rough"]) == 0
    assert "fix:" in capsys.readouterr().out
    assert main(["explain", "out_of_rang"]) == 4
    assert "tenfold explain out_of_range" in capsys.readouterr().err


def test_progress_is_silent_where_nobody_watches(capsys: Capture) -> None:
    """In a script or a log there is no progress, only results."""
    with screen.Progress() as progress:
        progress("working", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_answers_are_required_by_number_or_by_word() -> None:
    """--require takes what the sheet shows: numbers, ranges of them, words."""
    assert numbers("") == set()
    assert numbers("all") == set(range(1, 11)) == numbers("1-10")
    assert numbers("drift, 5-6,transforms") == {3, 4, 5, 6, 10}
    assert numbers("preprocess") == {3}
