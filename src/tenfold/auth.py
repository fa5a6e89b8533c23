"""Keys: who may predict, send feedback, operate. Kept as hashes, and checked without a store.

A key is ``tf_ID_SECRET``. Its secret is 256 bits of chance, so that one SHA-256 keeps it as well as a slow hash keeps a
password. The process that holds the store gives the others an ``Access`` as bytes, over a channel or in a file that only
this user may read; they ask it about each request, which takes microseconds.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

Scope = Literal["predict", "feedback", "operate"]
SCOPES: tuple[Scope, ...] = ("predict", "feedback", "operate")

PREFIX = "tf"
SECRET_BYTES = 32
ID_BYTES = 6
MOST_CHARACTERS = 200  # of a header that could be a key

_NOBODY = bytes(32)  # what an unknown key is compared with, so that it takes as long as a known one


class Fresh(NamedTuple):
    """A new key: its id, the whole text, which nobody keeps, and the digest that is kept."""

    id: str
    text: str
    digest: str


class Grant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one key allows: its scopes, until a moment in seconds of Unix time if there is one. ``digest`` is the SHA-256 of
    its secret."""

    id: str
    name: str
    digest: str
    scopes: tuple[Scope, ...]
    until_s: float | None = None


class Access(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """For which scopes a key is needed, and the keys that there are.

    ``refusal`` is all that a server has to ask. It is made from bytes by ``of`` and written by ``to_bytes``.
    """

    required: tuple[Scope, ...] = ()
    grants: tuple[Grant, ...] = ()

    @classmethod
    def of(cls, data: bytes) -> Access:
        """What ``to_bytes`` wrote."""
        return msgspec.json.decode(data, type=cls)

    def to_bytes(self) -> bytes:
        """For another process, which needs no store."""
        return msgspec.json.encode(self)

    def gate(self) -> Gate:
        """The same, ready to be asked often."""
        return Gate(self)


def why_unauthorized(authorization: str) -> str:
    """What whoever is not let in (401) is told, by whether an ``Authorization`` header was sent."""
    return (
        "This key is not known, was revoked, or has run out."
        if authorization
        else "A key is needed, and none was sent."
    )


class Gate:
    """Decides about requests by their ``Authorization`` header."""

    def __init__(self, access: Access) -> None:
        self._required = frozenset(access.required)
        self._grants = {grant.id: (grant, bytes.fromhex(grant.digest)) for grant in access.grants}

    def refusal(self, authorization: str, scope: Scope, now_s: float) -> Literal["", "unauthorized", "forbidden"]:
        """The empty text where a request may do this, else the code of the error: ``unauthorized`` (401) without a key that
        holds, ``forbidden`` (403) with one of other scopes. ``now_s`` is in seconds of Unix time."""
        if scope not in self._required:
            return ""
        grant = self._holder(authorization, now_s)
        if grant is None:
            return "unauthorized"
        return "" if scope in grant.scopes else "forbidden"

    def who(self, authorization: str, now_s: float) -> str:
        """The name of the key that a request was sent with, for the record; "" without one that holds."""
        grant = self._holder(authorization, now_s)
        return grant.name if grant else ""

    def lapses_s(self, now_s: float) -> float:
        """When the next key runs out, in seconds of Unix time: decisions about heads may be remembered until then."""
        ends = [grant.until_s for grant, _ in self._grants.values() if grant.until_s is not None]
        return min((end for end in ends if end > now_s), default=math.inf)

    def _holder(self, authorization: str, now_s: float) -> Grant | None:
        scheme, _, text = authorization.partition(" ")
        parts = text.strip().split("_", 2)
        if scheme.lower() != "bearer" or len(parts) != 3 or parts[0] != PREFIX or len(text) > MOST_CHARACTERS:
            return None
        grant, digest = self._grants.get(parts[1], (None, _NOBODY))
        same = hmac.compare_digest(hashlib.sha256(parts[2].encode("utf-8", "replace")).digest(), digest)
        if not same or grant is None or (grant.until_s is not None and now_s >= grant.until_s):
            return None
        return grant


def fresh(entropy: Callable[[int], bytes]) -> Fresh:
    """Make a key. ``entropy`` gives random bytes, as ``os.urandom`` does."""
    id_ = entropy(ID_BYTES).hex()
    secret = base64.urlsafe_b64encode(entropy(SECRET_BYTES)).rstrip(b"=").decode()
    return Fresh(id_, f"{PREFIX}_{id_}_{secret}", hashlib.sha256(secret.encode()).hexdigest())


def of_person(authorization: str) -> str:
    """What a browser sends that asked its user for a password (Basic, RFC 7617), as a program would send that as a key;
    anything else as it is. For reading alone: a browser sends it with whatever another site's page makes it ask for."""
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "basic" or len(text) > 2 * MOST_CHARACTERS:
        return authorization
    try:
        said = base64.b64decode(text.strip(), validate=True).decode()
    except ValueError:
        return authorization
    return f"Bearer {said.partition(':')[2]}"


def required(anonymous: bool, loopback: bool) -> tuple[Scope, ...]:
    """For which scopes a server asks for a key.

    Whatever changes what runs needs one everywhere, so that no page in a browser can do it; predictions and feedback need
    one where others reach the server, unless it is said to be ``anonymous``.
    """
    return ("operate",) if anonymous or loopback else SCOPES
