"""What ``import tenfold`` gives: about sixty names, lazily."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import tenfold


def test_every_name_of_the_root_loads() -> None:
    """Whatever a service file imports from tenfold is there, and editors and type checkers know the same names."""
    version, *names = tenfold.__dir__()
    assert names == sorted(names, key=str.lower)
    assert all(getattr(tenfold, name) is not None for name in (version, *names))
    tree = ast.parse(Path(tenfold.__file__).read_text("utf-8"))
    typed = [a.asname for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names if a.asname]
    assert sorted(typed, key=str.lower) == names


def test_importing_the_root_imports_nothing_else() -> None:
    """A process that needs one name does not pay for the others."""
    program = "import sys, tenfold; tenfold.Deadline; print('numpy' in sys.modules, 'tenfold.service' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
