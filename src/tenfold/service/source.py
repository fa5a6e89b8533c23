"""Where in the user's files each answer stands, so that messages and the answer sheet can say "service.py:22"."""

from __future__ import annotations

import ast
import sys
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def file_of_module(name: str) -> Path | None:
    """The file of an imported module; None for what was typed into an interpreter or a notebook."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return Path(file).resolve() if file and Path(file).is_file() else None


def file_of(cls: type) -> Path | None:
    """The file that a service class was written in, as it was noted then: its module may have made way for another."""
    file: Path | None = vars(cls).get("_file")
    return file


def folder_of(cls: type) -> Path:
    """The folder of a service class's file, else the current one."""
    file = file_of(cls)
    return file.parent if file else Path.cwd()


def places(cls: type, until: type) -> dict[str, str]:
    """Where each attribute of a class and its bases below ``until`` is stated: {"preprocess": "service.py:22"}."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__[: cls.__mro__.index(until)]):
        file = file_of(base)
        if file is not None:
            lines = _lines(file, file.stat().st_mtime_ns).get(base.__qualname__, {})
            found |= {name: f"{file.name}:{line}" for name, line in lines.items() if name}
    return found


def place(cls: type, attribute: str = "") -> str:
    """Where a class, or one of its attributes, is stated, for the head of a message: "service.py:22"."""
    file = file_of(cls)
    if file is None:
        return cls.__name__
    lines = _lines(file, file.stat().st_mtime_ns).get(cls.__qualname__, {})
    line = lines.get(attribute, lines.get(""))
    return f"{file.name}:{line}" if line else file.name


def line_of(error: BaseException, folder: Path) -> str:
    """The user's innermost line that an error came through, "service.py:12"; "" where it was none in the folder."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).resolve().parent == folder:
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return ""


@cache
def _lines(file: Path, changed_ns: int) -> dict[str, dict[str, int]]:  # noqa: ARG001 -- part of the key
    """The line of each class of a file ("") and of each of its attributes, by qualified name."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, OSError):
        return {}
    return {name: {"": node.lineno} | dict(_stated(node)) for name, node in _classes(tree, "")}


def _classes(tree: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield prefix + node.name, node
            yield from _classes(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            yield from _classes(node, f"{prefix}{node.name}.<locals>.")
        else:
            yield from _classes(node, prefix)


def _stated(node: ast.ClassDef) -> Iterator[tuple[str, int]]:
    """The attributes that a class body states, ``input, output, model = …`` included, and their lines."""
    for statement in node.body:
        match statement:
            case ast.FunctionDef(name=name, lineno=line):
                yield name, line
            case ast.AnnAssign(target=ast.Name(id=name), lineno=line):
                yield name, line
            case ast.Assign(targets=targets):
                for target in targets:
                    for part in ast.walk(target):
                        if isinstance(part, ast.Name):
                            yield part.id, part.lineno
