"""How a store is named, and how commands that are printed mean the same one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.store.places import at, missing, place_of

SHARED = "postgres://anna:secret@db.example/tenfold?blobs=s3://models/tenfold"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a service's folder in it, and nothing else said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENFOLD_STORE", raising=False)
    (tmp_path / "tumour").mkdir()
    (tmp_path / "tumour" / "service.py").write_text("")


@pytest.mark.parametrize(
    ("place", "name", "said"),
    [
        (".tenfold", "", ""),
        (".tenfold", "wine@2", ""),
        ("tumour/.tenfold", "tumour@2", ""),
        ("tumour", "tumour@2", ""),
        ("tumour/.tenfold", "tumour-2@1", " --store tumour/.tenfold"),
        ("tumour/.tenfold", "", " --store tumour/.tenfold"),
        ("the fleet", "wine", " --store 'the fleet'"),
        ("sqlite:///fleet.db", "wine", " --store sqlite:///fleet.db"),
        (SHARED, "wine", " --store postgres://anna@db.example/tenfold"),
    ],
)
def test_a_command_says_the_store_where_it_would_not_be_found(place: str, name: str, said: str) -> None:
    """And says nothing where it is found by the name alone; never a password."""
    assert at(place, name) == said


def test_whoever_says_the_store_by_a_variable_need_not_say_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What TENFOLD_STORE names counts for every command; another store is said."""
    monkeypatch.setenv("TENFOLD_STORE", SHARED)
    assert at("postgres://anna@db.example/tenfold", "wine") == ""
    assert at("tumour/.tenfold", "tumour") == " --store tumour/.tenfold"
    monkeypatch.setenv("TENFOLD_STORE", "mysql://nothing")
    assert at("fleet", "wine") == " --store fleet"


@pytest.mark.parametrize(
    ("place", "mend"),
    [
        (".tenfold", "tenfold push SERVICE makes one"),
        ("tumour/.tenfold", "tenfold push tumour makes one"),
        ("fleet", "tenfold push SERVICE --store fleet makes one"),
        ("/srv/.tenfold", "tenfold push SERVICE --store /srv/.tenfold makes one"),
    ],
)
def test_a_store_that_is_not_there_is_made_by_a_push(place: str, mend: str) -> None:
    """The very one that was asked for."""
    assert missing(place).hint == mend


def test_the_store_that_is_meant_is_beside_what_is_named(tmp_path: Path) -> None:
    """A folder, a file in it, a release by the name of the folder; and none but the one that is said."""
    for target in ("tumour", "tumour@3", "tumour/service.py", "tumour/service.py:Tumour"):
        assert place_of("", target) == "tumour/.tenfold"
    assert place_of("", "wine@3") == ".tenfold"
    assert place_of("fleet", "tumour") == "fleet"
    assert (tmp_path / "tumour").is_dir()
