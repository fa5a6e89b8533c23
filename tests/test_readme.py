"""What the README and the documentation pages show is run, so that it is true.

``python`` blocks of a page run in order, in one module; ``console`` blocks run what follows ``$ `` in bash,
with the commands of this environment at hand. Both share one empty folder per page. ``no-run`` after the
language leaves a block alone, and other languages are only shown.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).parent.parent
PAGES = [page for page in (REPOSITORY / "README.md", *sorted(REPOSITORY.glob("docs/*.md"))) if page.exists()]
FENCE = re.compile(r"^```(?P<language>\w+)(?P<options>[^\n]*)\n(?P<text>.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block to be run, and the line of the page that its text starts on, counted from 1."""

    language: str
    text: str
    line: int


def blocks(markdown: str) -> Iterator[Block]:
    """The blocks of a page that are to be run, in order."""
    for fence in FENCE.finditer(markdown):
        if fence["language"] in {"python", "console"} and "no-run" not in fence["options"].split():
            yield Block(fence["language"], fence["text"], markdown.count("\n", 0, fence.start("text")) + 1)


def commands(text: str) -> str:
    """What a console block types: the lines after ``$ ``, and after ``> `` where a command goes on."""
    typed = (line[2:] for line in text.splitlines() if line.startswith(("$ ", "> ")))
    return "\n".join(typed)


def run_python(block: Block, module: ModuleType, page: Path) -> None:
    """Run a block as part of ``module``; tracebacks name the page and its line."""
    at_its_line = "\n" * (block.line - 1) + block.text
    exec(compile(at_its_line, str(page), "exec"), module.__dict__)


def run_console(block: Block, folder: Path, page: Path) -> None:
    """Run a block's commands in ``folder``; the first that fails fails the block."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands(block.text)],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{page.name}:{block.line} exits {done.returncode}\n{done.stdout}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_what_a_page_shows_works(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who types what a page shows gets no error."""
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for block in blocks(page.read_text("utf-8")):
        if block.language == "python":
            run_python(block, module, page)
        else:
            run_console(block, tmp_path, page)


def test_blocks_are_found_in_order_with_their_lines() -> None:
    """What runs is what stands on the page, and an error is reported on the page's own line."""
    shown = "```console no-run\n$ make\n```\n```json\n{}\n```\n"
    page = f"# Title\n\n```python\na = 1\n```\n{shown}```console\n$ ls\nx\n```\n"
    assert list(blocks(page)) == [Block("python", "a = 1\n", 4), Block("console", "$ ls\nx\n", 13)]


def test_only_what_is_typed_is_run() -> None:
    """The output that a page shows below a command is not a command."""
    assert commands("$ echo a \\\n> b\na b\n$ true\n") == "echo a \\\nb\ntrue"


def test_a_failing_command_fails_its_page(tmp_path: Path) -> None:
    """A command that no longer works is noticed, by page and line."""
    with pytest.raises(AssertionError, match=r"guide\.md:7 exits 1"):
        run_console(Block("console", "$ false\n$ true\n", 7), tmp_path, Path("guide.md"))


def test_a_failing_statement_names_its_line() -> None:
    """A statement that no longer works is noticed, by page and line."""
    with pytest.raises(ZeroDivisionError) as caught:
        run_python(Block("python", "1 / 0\n", 9), ModuleType("page"), Path("guide.md"))
    last = traceback.extract_tb(caught.tb)[-1]
    assert (last.filename, last.lineno) == ("guide.md", 9)
