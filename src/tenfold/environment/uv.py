"""What is asked of uv (https://docs.astral.sh/uv/): whether an interpreter has some libraries, and a new one that has them.

The files of an environment stand in a folder, in which uv is run, so that what they say to uv (an index, say) holds.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from tenfold.environment import wheel
from tenfold.errors import ServiceError, TenfoldError

LIMIT_S = 1800.0  # libraries may be large, and lines slow
MOST_SAID = 600  # characters of what uv said, which may be the whole output of a compiler
LOCKS = ("uv.lock", "pylock.toml")  # these say all there is to say; others are resolved
OPEN = ("requirements.lock", "requirements.txt", "pyproject.toml")
PINS = "resolved.txt"

_EXTRAS = re.compile(r"(?i)\btenfold\s*\[([^]\n]*)]")


def found() -> str:
    """Where uv is: beside this interpreter, else on the path; "" where it is not."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.is_file() else shutil.which("uv") or ""


def requirements(folder: Path) -> list[str]:
    """The options by which uv is told which libraries the files in a folder ask for. ``PINS`` holds them to versions that
    they were resolved to before. Raises ``ServiceError`` where a lock cannot be read."""
    names = {path.name for path in folder.iterdir()}
    pinned = ["--constraint", PINS] if PINS in names else []
    if "uv.lock" in names:
        frozen = ["--frozen", "--no-emit-project", "--no-default-groups", "--no-emit-package", wheel.NAME]
        (folder / "locked.txt").write_text(run(folder, "export", *frozen, "--no-header", "--no-annotate"), "utf-8")
        return ["--requirements", "locked.txt"]
    for name in ("pylock.toml", *OPEN):
        if name in names:
            return ["--requirements", name, *([] if name in LOCKS else pinned)]
    return []


def has(python: Path, folder: Path, asked: Sequence[str]) -> bool:
    """Whether an interpreter has what is asked for, whichever tenfold that may be."""
    (folder / "any.txt").write_text(f"{_with_extras(folder)}\n", "utf-8")
    words = ["--python", str(python), *asked, "--overrides", "any.txt"]
    done = _run(folder, "pip", "install", "--dry-run", "--offline", *words, wheel.NAME)
    return done.returncode == 0 and "Would make no changes" in done.stderr


def create(target: Path, python: str, folder: Path, asked: Sequence[str]) -> None:
    """Make a virtual environment of what is asked for, with this very tenfold. Raises ``ServiceError``."""
    run(folder, "venv", "--relocatable", "--python", python, str(target))
    own = f"{_with_extras(folder)} @ {wheel.write(folder).as_uri()}\n"
    (folder / "own.txt").write_text(own, "utf-8")
    words = ["--python", str(target / "bin" / "python"), *asked, "--overrides", "own.txt"]
    run(folder, "pip", "install", *words, "--requirements", "own.txt")


def resolved(python: str, folder: Path) -> str:
    """The versions that the files in a folder ask for as things are, as a requirements file. Raises ``ServiceError`` where
    there are none."""
    name = next(name for name in OPEN if (folder / name).is_file())
    (folder / "own.txt").write_text(f"{_with_extras(folder)} @ {wheel.write(folder).as_uri()}\n", "utf-8")
    plain = ["--no-header", "--no-annotate", "--quiet"]
    lines = run(folder, "pip", "compile", name, "--python", python, "--overrides", "own.txt", *plain).splitlines()
    return "".join(f"{line}\n" for line in lines if "==" in line)


def freeze(python: Path, folder: Path, without: Collection[str] = (wheel.NAME,)) -> str:
    """What an interpreter has of indexes, as a requirements file."""
    lines = run(folder, "pip", "freeze", "--python", str(python)).splitlines()
    return "".join(f"{line}\n" for line in lines if "==" in line and line.partition("==")[0] not in without)


def run(folder: Path, *words: str) -> str:
    """Have uv do something, and return what it printed. Raises ``ServiceError`` with what it said where it fails."""
    done = _run(folder, *words)
    if done.returncode:
        full = "No space left" in done.stderr
        mend = "uv pip compile in the service's folder says the same; mend its files there"
        raise ServiceError(told(done.stderr), "df shows what is free; nothing was changed" if full else mend)
    return done.stdout


def told(said: str) -> str:
    """The gist of what uv said: from its error on, the beginning."""
    lines = [line.strip(" ×╰─▶│├") for line in said.splitlines()]
    lines = [line for line in lines if line and not line.startswith("Using Python")]
    first = next((k for k, line in enumerate(lines) if line.startswith(("error", "No solution", "Failed"))), 0)
    gist = " ".join(line.removeprefix("error: ").removeprefix("cause: ") for line in lines[first:])
    return gist if len(gist) <= MOST_SAID else f"{gist[:MOST_SAID]}…"


def _with_extras(folder: Path) -> str:
    """The requirement of tenfold, with the extras that the files ask of it: whatever overrides it overrides these, too."""
    texts = [path.read_text("utf-8", "replace") for path in folder.iterdir() if path.suffix in (".toml", ".txt")]
    extras = {word.strip() for text in texts for said in _EXTRAS.findall(text) for word in said.split(",")}
    return f"{wheel.NAME}[{','.join(sorted(extras - {''}))}]"


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    uv = found()
    if not uv:
        raise TenfoldError(
            "what runs here is not what the release asks for, and uv, which would install that, is missing",
            "pip install uv; or serve it where its libraries are installed",
        )
    try:
        return subprocess.run(
            [uv, "--color", "never", "--no-progress", *words],
            cwd=folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TenfoldError(
            f"uv {words[0]} took more than {LIMIT_S:.0f} s", "look at the connection to the index"
        ) from None
