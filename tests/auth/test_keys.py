"""``tenfold keys``: made, listed, revoked, and what servers are told of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tenfold.auth import SCOPES, Access
from tenfold.control import keys
from tenfold.control.stores import opened
from tenfold.errors import NotFound, UsageError
from tenfold.store.keys import access
from tests.cli.conftest import Run, run

__all__ = ["run"]

NOW_S = datetime.now(UTC).timestamp()


def refusal(place: str, text: str, scope: str = "predict", now_s: float = NOW_S) -> str:
    """What a server that asks for keys would say to a request with this one."""
    with opened(place) as store:
        told = access(store.keys.list(), SCOPES, store.clock()).to_bytes()
        return Access.of(told).gate().refusal(f"Bearer {text}", scope, now_s)  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Where the store is to be."""
    return str(tmp_path / "store")


def test_a_key_is_made_listed_and_revoked(run: Run, place: str) -> None:
    """Its text is shown once; it opens what it is for, until it is revoked."""
    made = run("keys", "create", "laboratory", "--scope", "predict", "--scope", "feedback", "--store", place)
    text = made.out.splitlines()[0]
    assert text.startswith("tf_")
    assert "predict, feedback" in made.out
    assert f"store      {place} · there was none, so it was made" in made.out
    assert [refusal(place, text, scope) for scope in SCOPES] == ["", "", "forbidden"]
    shown = run("keys", "list", "--store", place)
    assert "laboratory" in shown.out
    assert text not in shown.out
    assert run("keys", "revoke", "laboratory", "--store", place).code == 0
    assert refusal(place, text) == "unauthorized"
    assert "revoked" in run("keys", "list", "--store", place).out


def test_programs_get_json(run: Run, place: str) -> None:
    """Every answer is an object with its schema; no hash is in it."""
    made = run("keys", "create", "ci", "--scope", "operate", "--expires", "90 days", "--json", "--store", place).json()
    assert made["schema"] == 1
    assert made["scopes"] == ["operate"]
    assert (made["store"], made["store_is_new"]) == (place, True)
    until = datetime.fromisoformat(made["expires"]) - datetime.fromisoformat(made["at"])
    assert until == timedelta(days=90)
    listed = run("keys", "list", "--json", "--store", place).json()["keys"]
    assert [(key["id"], key["name"], "key" in key, "digest" in key) for key in listed] == [
        (made["id"], "ci", False, False)
    ]
    assert run("keys", "revoke", made["id"], "--json", "--store", place).json()["revoked"]
    assert run("keys", "create", "two", "--json", "--store", place).json()["store_is_new"] is False


def test_a_key_that_runs_out_is_not_handed_on(place: str) -> None:
    """Servers are told of keys that hold, with the moment at which they don't any more."""
    made = keys.create("ci", expires="1 h", place=place)
    assert refusal(place, made.text) == ""
    assert refusal(place, made.text, now_s=NOW_S + 40_000) == "unauthorized"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "--scope", "admin"], "'admin' is no scope"),
        (["x", "--expires", "soon"], '--expires "90 days"'),
        (["x", "--expires", ""], "is not a quantity"),
        (["x", "--expires", "0 s"], "never holds"),
        (["x", "--expires", "99999999 days"], "longer than a calendar"),
        ([" "], "cannot be the name of a key"),
    ],
)
def test_what_cannot_be_meant_is_refused(run: Run, place: str, arguments: list[str], message: str) -> None:
    """A misspelt scope or time makes no key and no store."""
    done = run("keys", "create", *arguments, "--store", place)
    assert done.code == 2
    assert message in done.err
    assert not Path(place).exists() or keys.listed(place) == []


def test_a_name_that_two_keys_have_is_not_guessed(place: str) -> None:
    """One of them is revoked by its id; then the name is clear."""
    made = [keys.create("laboratory", place=place) for _ in range(2)]
    with pytest.raises(UsageError, match="2 keys are named 'laboratory'"):
        keys.revoke("laboratory", place)
    keys.revoke(made[0].key.id, place)
    assert keys.revoke("laboratory", place).id == made[1].key.id


def test_a_misspelt_key_is_told_the_nearest(place: str) -> None:
    """Whoever mistypes a name is helped."""
    keys.create("laboratory", place=place)
    with pytest.raises(NotFound) as caught:
        keys.revoke("labratory", place)
    assert caught.value.hint == "did you mean laboratory?"
    with pytest.raises(NotFound) as caught:
        keys.revoke("xyz", place)
    assert caught.value.hint == f"tenfold keys list --store {place}"
