"""tenfold.toml over the class."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tenfold.batching import Batching
from tenfold.deadline import Deadline
from tenfold.errors import ServiceError
from tenfold.scaling import Scaling
from tenfold.service.overlay import read

TOML = """
[deadline]
budget = "100 ms"

[production.deadline]
budget = "20 ms"

[production.scaling]
min_replicas = 2
max_replicas = 20

[server]
max_body_bytes = 65536
drain_delay = "5 s"
"""


def _write(folder: Path, text: str) -> Path:
    (folder / "tenfold.toml").write_text(text, "utf-8")
    return folder


def _read_all(folder: Path) -> tuple[Deadline, Scaling]:
    overlay = read(folder)
    return overlay.over("deadline", Deadline()), overlay.over("scaling", Scaling())


def test_general_tables_are_over_the_class_and_an_environment_over_both(tmp_path: Path) -> None:
    """The same service has a shorter deadline in production, and keeps what nobody mentions."""
    folder = _write(tmp_path, TOML)
    stated = Deadline("1 s", otherwise={"label": "unknown"})
    assert read(folder).over("deadline", stated) == Deadline("100 ms", otherwise={"label": "unknown"})
    assert read(folder, "production").over("deadline", stated).budget_s == 0.02
    assert read(folder, "production").over("scaling", Scaling(1, 8)) == Scaling(2, 20)
    assert read(folder, "production").over("batching", Batching(8)) == Batching(8)


def test_no_file_changes_nothing(tmp_path: Path) -> None:
    """A service needs no tenfold.toml."""
    assert read(tmp_path, "production").layers == ()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[deadlin]\nbudget = '1 s'", r"\[deadlin\] is none of the answers", r"did you mean \[deadline\]\?"),
        (
            "[prod.deadlin]\nbudget = '1 s'",
            r"\[prod.deadlin\] is none of the answers",
            r"did you mean \[prod.deadline\]\?",
        ),
        ("budget = '1 s'", "budget stands in no table", "keys stand in tables"),
        ("[deadline", "tenfold.toml: ", "valid TOML"),
        ("[deadline]\nbudget = 5", r"tenfold.toml \[deadline\]: Deadline\(budget=5\)", "budget: "),
        ("[scaling]\nmax = 5", r"tenfold.toml \[scaling\] has no key 'max'", "max_replicas|the keys are"),
    ],
)
def test_what_cannot_be_meant_is_an_error_with_its_place(tmp_path: Path, text: str, message: str, hint: str) -> None:
    """A misspelling in tenfold.toml is named, never silently without effect."""
    folder = _write(tmp_path, text)
    with pytest.raises(ServiceError, match=message) as caught:
        _read_all(folder)
    assert re.search(hint, caught.value.hint)


def test_an_environment_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A misspelt --env does not quietly serve with the wrong options."""
    for misspelt, mend in (("producton", "did you mean production?"), ("live", "an empty table [live] makes one")):
        with pytest.raises(ServiceError, match=f"no environment '{misspelt}'; .*tenfold.toml has production") as caught:
            read(_write(tmp_path, TOML), misspelt)
        assert caught.value.hint == mend
