"""Who may do what: decided from bytes, without a store, and in the same way for a stranger and a friend."""

from __future__ import annotations

import base64
import math
from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold import auth
from tenfold.auth import SCOPES, Access, Fresh, Gate, Grant, Scope

NOW_S = 1_700_000_000.0
SEEDS = count()


def new_key() -> Fresh:
    """A key like no other, and the same ones in every run."""
    return auth.fresh(Random(next(SEEDS)).randbytes)


def gate(*grants: Grant, required: tuple[Scope, ...] = SCOPES) -> Gate:
    """What a server makes of the bytes that it is sent."""
    return Access.of(Access(required=required, grants=grants).to_bytes()).gate()


def grant(key: Fresh, *scopes: Scope, until_s: float | None = None) -> Grant:
    """What the store says of a key."""
    return Grant(id=key.id, name=f"name of {key.id}", digest=key.digest, scopes=scopes, until_s=until_s)


def bearer(key: Fresh) -> str:
    """The header that a client sends."""
    return f"Bearer {key.text}"


def test_a_key_opens_its_scopes_and_no_others() -> None:
    """Without a key 401, with one of another scope 403, with the right one nothing stands in the way."""
    key = new_key()
    asked = gate(grant(key, "predict", "feedback"))
    assert [asked.refusal(bearer(key), scope, NOW_S) for scope in SCOPES] == ["", "", "forbidden"]
    assert [asked.refusal("", scope, NOW_S) for scope in SCOPES] == ["unauthorized"] * 3
    assert asked.who(bearer(key), NOW_S) == f"name of {key.id}"
    assert asked.who("", NOW_S) == ""


def test_a_person_says_a_key_as_a_password() -> None:
    """A browser that asks its user sends the key as a password with any name, which opens what the key opens; no other
    password does, and neither does anything that is no password."""
    key = new_key()
    asked = gate(grant(key, "operate"))

    def code(said: str, scheme: str = "Basic") -> str:
        header = f"{scheme} {base64.b64encode(said.encode()).decode()}"
        return asked.refusal(auth.of_person(header), "operate", NOW_S)

    assert code(f"anna:{key.text}") == code(f":{key.text}", "basic") == ""
    assert code(key.text) == code(f"{key.text}:") == code(f"anna:{key.text}x") == code("") == "unauthorized"
    assert auth.of_person(bearer(key)) == bearer(key)
    assert auth.of_person("Basic é") == "Basic é"
    assert asked.refusal(f"Basic {key.text}", "operate", NOW_S) == "unauthorized"


def test_what_needs_no_key_is_open_to_all() -> None:
    """On loopback predictions are free, and so they are where a server is anonymous; what changes things never is."""
    for anonymous, loopback in ((False, True), (True, False), (True, True)):
        asked = gate(required=auth.required(anonymous, loopback))
        assert [asked.refusal("", scope, NOW_S) for scope in SCOPES] == ["", "", "unauthorized"]
    asked = gate(required=auth.required(anonymous=False, loopback=False))
    assert all(asked.refusal("", scope, NOW_S) for scope in SCOPES)


@pytest.mark.parametrize(
    "sent",
    [
        "{text}",
        "Basic {text}",
        "Bearer",
        "Bearer ",
        "Bearer {text}x",
        "Bearer {id}",
        "Bearer tf_{id}_",
        "Bearer tf_{id}_{digest}",
        "Bearer xx_{id}_secret",
        "Bearer tf_000000000000_secret",
        "Bearer tf_{id}_é\udcff",
        "Bearer tf_{id}_" + "x" * 100_000,
    ],
)
def test_whatever_else_is_sent_opens_nothing(sent: str) -> None:
    """Half a key, a digest, another scheme or rubbish is as good as no key."""
    key = new_key()
    header = sent.format(text=key.text, id=key.id, digest=key.digest)
    assert gate(grant(key, *SCOPES)).refusal(header, "predict", NOW_S) == "unauthorized"


def test_the_scheme_is_read_as_http_says() -> None:
    """Its case and spaces after it do not matter (RFC 9110, section 11.1)."""
    key = new_key()
    for header in (f"bearer {key.text}", f"BEARER  {key.text} "):
        assert gate(grant(key, "predict")).refusal(header, "predict", NOW_S) == ""


def test_a_key_runs_out() -> None:
    """At its moment it opens nothing any more, and a server can tell until when it may remember a decision."""
    key, later = new_key(), new_key()
    asked = gate(grant(key, "predict", until_s=NOW_S + 10), grant(later, "predict", until_s=NOW_S + 20))
    assert asked.refusal(bearer(key), "predict", NOW_S + 9.9) == ""
    assert asked.refusal(bearer(key), "predict", NOW_S + 10) == "unauthorized"
    assert asked.refusal(bearer(later), "predict", NOW_S + 10) == ""
    assert [asked.lapses_s(NOW_S + s) for s in (0, 10, 20)] == [NOW_S + 10, NOW_S + 20, math.inf]


def test_keys_are_long_and_none_is_like_another() -> None:
    """256 bits of chance each, in letters that a header can carry."""
    keys = [new_key() for _ in range(100)]
    assert len({key.text for key in keys}) == len({key.id for key in keys}) == 100
    for key in keys:
        assert key.text.isascii()
        assert len(key.text.split("_", 2)[2]) == 43
        assert key.digest not in key.text


def test_what_servers_are_told_holds_no_key() -> None:
    """Whoever reads the message or the file has nothing to send."""
    key = new_key()
    told = Access(required=SCOPES, grants=(grant(key, "operate"),)).to_bytes()
    assert key.text.split("_", 2)[2].encode() not in told


@given(
    st.lists(st.lists(st.sampled_from(SCOPES), unique=True), max_size=4),
    st.lists(st.sampled_from(SCOPES), unique=True),
    st.integers(0, 4),
    st.sampled_from(SCOPES),
)
def test_a_decision_follows_the_scopes(
    scopes: list[list[Scope]], required: list[Scope], which: int, scope: Scope
) -> None:
    """Of any keys, the one that is sent decides, and only about what needs a key."""
    keys = [new_key() for _ in scopes]
    asked = gate(*(grant(key, *some) for key, some in zip(keys, scopes, strict=True)), required=tuple(required))
    header = bearer(keys[which]) if which < len(keys) else bearer(new_key())
    if scope not in required:
        expected = ""
    elif which >= len(keys):
        expected = "unauthorized"
    else:
        expected = "" if scope in scopes[which] else "forbidden"
    assert asked.refusal(header, scope, NOW_S) == expected
