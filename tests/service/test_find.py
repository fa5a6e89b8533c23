"""From a path to a service: folders, files, classes, and what goes wrong on the way."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold import ContractError, NotFound, Service, ServiceError
from tenfold.service import find, folder_of, spec, started

CONTRACTS = """
from typing import Annotated
from tenfold import Contract, Deadline, Ge, Service

class Row(Contract):
    x: Annotated[float, Ge(0)]

class Out(Contract):
    y: float

def double(inputs):
    return inputs[:, 0] * 2
"""
SERVICE = (
    CONTRACTS
    + """
class Doubler(Service):
    input, output, model = Row, Out, double
    deadline = Deadline("50 ms")
"""
)


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    """Each test has its own service.py; none of them is left in this process."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if "pytest-of" in (getattr(sys.modules[name], "__file__", "") or ""):
            del sys.modules[name]


def _folder(folder: Path, text: str = SERVICE, file: str = "service.py") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / file).write_text(text, "utf-8")
    return folder


def test_a_folder_is_its_service(tmp_path: Path) -> None:
    """``tenfold serve FOLDER`` serves the class in its service.py."""
    service = find(_folder(tmp_path / "doubler"))
    assert (type(service).__name__, service.folder.name) == ("Doubler", "doubler")
    assert spec(service).places["deadline"] == "service.py:16"


def test_a_file_and_a_class_may_be_named(tmp_path: Path) -> None:
    """Several services may stand in a file, and one is chosen by its name."""
    text = SERVICE + "\nclass Second(Doubler):\n    pass\n"
    file = _folder(tmp_path, text, "both.py") / "both.py"
    assert type(find(f"{file}:Second")).__name__ == "Second"
    with pytest.raises(ServiceError, match=r"both.py has several services: Doubler, Second") as caught:
        find(file)
    assert caught.value.hint == "choose one: both.py:Doubler"
    with pytest.raises(NotFound, match=r"both.py has no service 'Secnd'") as missing:
        find(f"{file}:Secnd")
    assert missing.value.hint == "did you mean Second?"


def test_a_base_class_of_the_same_file_is_no_service(tmp_path: Path) -> None:
    """A class without a model is there to be shared."""
    text = CONTRACTS + "\nclass Base(Service):\n    deadline = Deadline('1 s')\n\n"
    text += "class Doubler(Base):\n    input, output, model = Row, Out, double\n"
    assert type(find(_folder(tmp_path, text))).__name__ == "Doubler"


def test_files_beside_it_are_importable(tmp_path: Path) -> None:
    """Classes that a model needs stand in features.py beside service.py."""
    _folder(tmp_path, "FACTOR = 3\n", "features.py")
    service = find(_folder(tmp_path, "from features import FACTOR\n" + SERVICE))
    assert sys.modules[type(service).__module__].FACTOR == 3


def test_two_folders_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    """Each service gets the service.py and the features.py of its own folder."""
    found = []
    for name, factor in (("one", 1), ("two", 2)):
        folder = _folder(tmp_path / name, f"FACTOR = {factor}\n", "features.py")
        _folder(folder, "from features import FACTOR\n" + SERVICE + "    factor = FACTOR\n")
        found.append(find(folder))
    assert [vars(type(service))["factor"] for service in found] == [1, 2]
    assert [folder_of(type(service)).name for service in found] == ["one", "two"]


def test_a_changed_file_is_read_anew_by_a_new_process_only(tmp_path: Path) -> None:
    """The same folder twice is the same class."""
    folder = _folder(tmp_path)
    assert type(find(folder)) is type(find(folder))


def test_the_environment_overrides_options(tmp_path: Path) -> None:
    """tenfold.toml changes an option for one environment, and the spec says what holds."""
    folder = _folder(tmp_path)
    (folder / "tenfold.toml").write_text('[production.deadline]\nbudget = "20 ms"\n')
    assert find(folder).deadline.budget_s == 0.05
    production = spec(find(folder, env="production"))
    assert (production.deadline.budget_s, production.places["deadline"]) == (0.02, "tenfold.toml")
    assert production.defaults == spec(find(folder)).defaults == (3, 4, 5, 7, 8, 9, 10)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("x = = 1", r"service.py:1: invalid syntax", "not valid Python"),
        (
            "\nimport nothing_of_the_kind",
            "service.py:2 imports 'nothing_of_the_kind', which is not installed",
            "uv pip",
        ),
        ("\n\n1 / 0", "service.py:3: ZeroDivisionError: division by zero", "whole traceback"),
        ("import sys\nsys.exit(1)", "service.py:2 ends the program", "__main__"),
        ("x = 1", "service.py has no service", "class Name"),
        (CONTRACTS + "class Half(Service):\n    input = Row\n", "service.py:13: Half has no output", "add output"),
        (
            "from tenfold import Batching\nBatching(maxrows=3)",
            "service.py:2: there is no option 'maxrows'",
            "did you mean max_rows",
        ),
        ("from tenfold import Deadline\nDeadline('50')", r"service.py:2: Deadline\(budget='50'\)", "budget"),
    ],
)
def test_a_file_with_an_error_is_one_message(tmp_path: Path, text: str, message: str, hint: str) -> None:
    """File, line and mend, and no traceback of ours to read through."""
    with pytest.raises(ServiceError, match=message) as caught:
        spec(find(_folder(tmp_path, text)))
    assert hint in caught.value.hint


def test_an_error_in_a_file_beside_it_names_that_file(tmp_path: Path) -> None:
    """The line that is named is the user's innermost one."""
    _folder(tmp_path, "def broken():\n    raise ValueError('no table')\n", "features.py")
    with pytest.raises(ServiceError, match=r"features.py:2: ValueError: no table"):
        find(_folder(tmp_path, "import features\nfeatures.broken()\n"))


@pytest.mark.parametrize("path", ["nowhere", "nowhere.py:Thing"])
def test_a_path_that_is_not_there_is_said(tmp_path: Path, path: str) -> None:
    """A typing mistake ends with exit code 4 and a hint."""
    with pytest.raises(NotFound, match="there is no folder or file"):
        find(tmp_path / path)


def test_a_folder_without_a_service_says_how_to_make_one(tmp_path: Path) -> None:
    """The way out is the command that writes the file."""
    with pytest.raises(NotFound, match=r"has no service.py") as caught:
        find(tmp_path)
    assert "tenfold init" in caught.value.hint


def test_starting_loads_the_model_and_then_calls_load(tmp_path: Path) -> None:
    """Tables and tokenizers are read once per replica, from the service's folder, with the model there."""
    text = (
        SERVICE + "    def load(self):\n        self.table = (self.folder / 'table.txt').read_text(), self.facts.name\n"
    )
    folder = _folder(tmp_path, text)
    (folder / "table.txt").write_text("seven")
    service = started(folder)
    assert service.table == ("seven", "double")  # type: ignore[attr-defined]
    assert started(service) is service
    service.close()
    assert service.predictor is None


def test_a_load_that_fails_is_one_message(tmp_path: Path) -> None:
    """A table that is not there is named with the line that opens it."""
    text = SERVICE + "    def load(self):\n        open('no-such-table.csv')\n"
    with pytest.raises(ServiceError, match=r"service.py:18: load raised FileNotFoundError: .*no-such-table") as caught:
        started(_folder(tmp_path, text))
    assert "self.folder / name" in caught.value.hint


def test_making_an_instance_loads_nothing(tmp_path: Path) -> None:
    """The training script calls preprocess before there is a model."""
    text = SERVICE.replace("Out, double", 'Out, "model.skops"')
    service = find(_folder(tmp_path, text))
    assert isinstance(service, Service)
    rows = type(service).input.read([{"x": 1.5}, {"x": 2.5}])
    assert service.preprocess(rows).tolist() == [[1.5], [2.5]]


def test_a_contract_that_does_not_fit_the_model_is_no_surprise_for_a_request(tmp_path: Path) -> None:
    """The misfit is named when the service starts."""
    text = SERVICE.replace("Out, double", "Out, Model()").replace(
        "class Doubler",
        "class Model:\n    feature_names_in_ = ['width']\n    def predict(self, x):\n        return x\n\nclass Doubler",
    )
    with pytest.raises(ContractError, match="trained on a feature 'width', which Row does not have"):
        started(_folder(tmp_path, text))
