"""The house keeps its shape: what the linters cannot say about where things stand and how they are named."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
PACKAGE = REPOSITORY / "src" / "tenfold"

# Ten questions, nine words: what happens before and after the model (3 and 4) is one room.
WORDS = [
    "contract",
    "validation",
    "transforms",
    "batching",
    "deadline",
    "capacity",
    "scaling",
    "releases",
    "drift",
]
DECIDERS = {"deadline", "batching", "capacity", "scaling", "releases", "drift"}
ANSWER = {"contract", "validation", "transforms", "model", "models", "service", "pipeline", "parity"}

CLOCKS = {"time", "monotonic", "perf_counter", "process_time", "thread_time"}
CLOCKS |= {f"{clock}_ns" for clock in CLOCKS} | {"sleep", "now", "utcnow", "today"}
VAGUE_NAMES = {"common", "core", "helper", "helpers", "manager", "misc", "util", "utils"}
MOST_LINES = 600

# What must stay light, and what its import may not bring along.
HEAVY = {"numpy", "pandas", "pyarrow", "sklearn", "onnxruntime", "PIL"}
USER_CODE = {"tenfold.service", "tenfold.pipeline", "tenfold.transforms", "tenfold.models"}
LIGHT = {
    "tenfold": HEAVY | {"asyncio", "click"},
    "tenfold.cli": HEAVY | {"asyncio"},
    "tenfold.contract.form": HEAVY,
    "tenfold.validation.scalar": HEAVY | USER_CODE,
    "tenfold.journal.writer": HEAVY | USER_CODE,
    "tenfold.server.front": HEAVY | USER_CODE,
}


def _room_path(name: str) -> Path | None:
    """The file of a module or the folder of a package; None where it is not built yet."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    candidates = (path, path.with_suffix(".py"))
    return next((found for found in candidates if found.exists()), None)


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _name(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def _room(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every absolute import, wherever it stands, as the full name of what is taken and its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def _clock_calls(tree: ast.AST) -> Iterator[int]:
    """Lines that read a clock: a clock may be an argument's default, since that is where it is handed in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            named = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
            if named in {"time", "datetime", "date"} and node.func.attr in CLOCKS:
                yield node.lineno


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    """Every module of the package, parsed."""
    return {module: ast.parse(module.read_text("utf-8"), str(module)) for module in _modules()}


@pytest.mark.parametrize("word", WORDS)
def test_a_question_has_the_same_word_everywhere(word: str) -> None:
    """Whoever knows the word of a question finds its module, its tests and its page."""
    if _room_path(f"tenfold.{word}") is None:
        pytest.skip(f"{word} is not built yet")
    assert any((REPOSITORY / "tests" / word).glob("test_*.py")), f"no tests in tests/{word}/"
    assert (REPOSITORY / "docs" / f"{word}.md").exists(), f"no page docs/{word}.md"


def test_every_module_says_what_it_is_for(trees: dict[Path, ast.Module]) -> None:
    """The first line of every file is a sentence about its subject."""
    silent = [
        _name(module)
        for module, tree in trees.items()
        if not ast.get_docstring(tree) or not module.read_text("utf-8").startswith(('"""', 'r"""'))
    ]
    assert not silent


def test_names_say_what_is_inside() -> None:
    """No file is a drawer for whatever fits nowhere else, and none is the second of its name."""
    vague = [
        _name(module)
        for module in _modules()
        if VAGUE_NAMES & set(module.stem.split("_")) or module.stem.endswith(tuple("23456789"))
    ]
    assert not vague


def test_modules_are_short() -> None:
    """A module can be read in one sitting."""
    lengths = {_name(module): len(module.read_text("utf-8").splitlines()) for module in _modules()}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_rooms_import_each_other_and_not_the_root(trees: dict[Path, ast.Module]) -> None:
    """``tenfold`` itself is what users import; through it every room would depend on every other."""
    rooms = {_room(module) for module in _modules()}
    through_the_root = [
        f"{_name(module)}:{line}"
        for module, tree in trees.items()
        for name, line in _imports(tree)
        if (name + ".").startswith("tenfold.") and name.partition(".")[2].split(".")[0] not in rooms
    ]
    assert not through_the_root


def test_clocks_are_handed_in(trees: dict[Path, ast.Module]) -> None:
    """The answer path and the deciders give the same answer at any time of day."""
    readings = [
        f"{_name(module)}:{line}"
        for module, tree in trees.items()
        if _room(module) in ANSWER | DECIDERS
        for line in _clock_calls(tree)
    ]
    assert not readings


@pytest.mark.parametrize("room", LIGHT)
def test_light_rooms_stay_light(room: str) -> None:
    """The front holds no user code and no numerics, and ``--help`` does not wait for libraries."""
    if _room_path(room) is None:
        pytest.skip(f"{room} is not built yet")
    program = f"import sys, {room}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert LIGHT[room].isdisjoint(done.stdout.split())


def test_the_lock_is_the_same_everywhere() -> None:
    """Everything that is installed is checked against a hash, and may come from any host."""
    lock = (REPOSITORY / "requirements.lock").read_text("utf-8")
    assert not [word for word in ("://", "--index", "--extra-index", "--find-links") if word in lock]
    requirements = [line for line in lock.splitlines() if line[:1].isalnum()]
    assert lock.count("    --hash=sha256:") >= len(requirements)


def test_the_lock_has_what_the_project_declares() -> None:
    """A dependency that is added to pyproject.toml is added to the lock, too."""
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    extras = declared["project"].get("optional-dependencies", {})
    wanted = [
        *declared["project"]["dependencies"],
        *(name for names in extras.values() for name in names),
        *declared["dependency-groups"]["dev"],
    ]
    names = {requirement.split(">")[0].split("[")[0].strip() for requirement in wanted}
    lock = (REPOSITORY / "requirements.lock").read_text("utf-8")
    locked = {line.split("==")[0] for line in lock.splitlines() if "==" in line}
    assert names <= locked
