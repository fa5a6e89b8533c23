"""Compiles ``_hot.c`` into the package where there are a C compiler and the headers of Python; else all of it is Python."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("src", "tenfold", "server")
OPTIONS = ("-O3", "-DNDEBUG", "-fPIC", "-shared", "-Wall", "-Wextra", "-Wno-missing-field-initializers")
LATER = ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()


class Compile(BuildHookInterface):  # type: ignore[type-arg]
    """Makes ``_hot`` beside its source, for this Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; in a wheel that is not editable, the result goes along, and the wheel is for this platform."""
        made = Path(self.root, FOLDER, f"_hot{sysconfig.get_config_var('EXT_SUFFIX')}")
        if compiled(Path(self.root, FOLDER, "_hot.c"), made) and version != "editable":
            build_data["artifacts"].append((FOLDER / made.name).as_posix())
            build_data["pure_python"], build_data["infer_tag"] = False, True


def compiled(source: Path, made: Path) -> bool:
    """Whether a module could be compiled; if not, it is said why. One that was compiled before from something else is of no
    use to anybody, and goes."""
    said = ""
    for compiler in dict.fromkeys(filter(None, (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc"))):
        try:
            made.unlink(missing_ok=True)
            said = run(shlex.split(compiler), source, made)
        except (OSError, ValueError) as error:
            said = str(error)
        if not said:
            return True
    sys.stderr.write(f"note:  {source.name} is not compiled, its twin in Python is used: {said}\n")
    return False


def run(compiler: list[str], source: Path, made: Path) -> str:
    """Compile; what the compiler has against that."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    headers = {sysconfig.get_path("include"), sysconfig.get_path("platinclude")}
    done = subprocess.run(
        [
            *compiler,
            *OPTIONS,
            *LATER,
            f'-DSOURCE="{digest}"',
            *(f"-I{path}" for path in headers),
            str(source),
            "-o",
            str(made),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0 and made.is_file():
        return ""
    return done.stderr.strip().partition("\n")[0] or f"{compiler[0]} made nothing"
