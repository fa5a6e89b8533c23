"""What docs/drift.md shows is what its commands print."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.test_readme import REPOSITORY, Block, blocks, commands, run_python

PAGE = REPOSITORY / "docs" / "drift.md"


def flat(text: str) -> str:
    """Text without the line breaks that a page needs."""
    return " ".join(text.split())


@pytest.mark.slow
def test_the_page_shows_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of two files comes to the very words on the page; only what it leaves out is marked with an ellipsis."""
    monkeypatch.chdir(tmp_path)
    found = list(blocks(PAGE.read_text("utf-8")))
    at = next(k for k, block in enumerate(found) if block.language == "console")
    run_python(found[at - 1], ModuleType("page"), PAGE)
    printed = flat(output(found[at], tmp_path))
    shown = [line for line in found[at].text.splitlines() if not line.startswith(("$ ", "> "))]
    place = 0
    for part in flat("\n".join(shown)).split("…"):
        assert part.strip() in printed[place:], printed
        place = printed.index(part.strip(), place) + len(part.strip())


def output(block: Block, folder: Path) -> str:
    """What the commands of a console block print."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    words = ["bash", "-euo", "pipefail", "-c", commands(block.text)]
    done = subprocess.run(
        words, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    return done.stdout
