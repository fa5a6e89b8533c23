"""Signatures over releases: Ed25519, in envelopes that other tools can check.

The envelope is DSSE (https://github.com/secure-systems-lab/dsse, protocol.md), its payload an in-toto statement
(https://in-toto.io/Statement/v1) whose subject is the service with the id of the release as SHA-256, and which says the
digest of each part, where its files stand, and which class is served. Keys are PEM files as
``openssl genpkey -algorithm ed25519`` writes them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tenfold.errors import GateFailed, TenfoldError, UsageError
from tenfold.store.records import Release, Signature

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:tenfold:release:v1"


def sign(release: Release, key: Path) -> Signature:
    """Sign a release with the private key in a PEM file. ``UsageError`` where the file holds none."""
    private = _private(key)
    payload = statement(release)
    public = private.public_key()
    signature = base64.b64encode(private.sign(_encoded(payload))).decode()
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key_id(public), "sig": signature}],
    }
    return Signature(
        service=release.service,
        release=release.id,
        key=key_id(public),
        envelope=msgspec.json.encode(envelope).decode(),
    )


def verify(release: Release, signatures: Sequence[Signature], trusted: Sequence[Path]) -> str:
    """The id of the trusted key that signed a release. ``GateFailed`` where none of those in the PEM files did."""
    keys = {key_id(public): public for public in map(_public, trusted)}
    for signature in signatures:
        public = keys.get(signature.key)
        if public is not None and _holds(release, signature, public):
            return signature.key
    signed = f"it is signed by {', '.join(one.key[:16] for one in signatures)}" if signatures else "it is not signed"
    raise GateFailed(
        f"{release.name} is signed by no key that is trusted here: {signed}",
        f"push it with --sign KEY.pem, whose public half is trusted; tenfold releases {release.service} shows who pushed it",
    )


def statement(release: Release) -> bytes:
    """What is signed: an in-toto statement in canonical JSON."""
    said: dict[str, Any] = {
        "_type": STATEMENT,
        "subject": [{"name": release.service, "digest": {"sha256": release.id}}],
        "predicateType": PREDICATE,
        "predicate": {"parts": release.parts, "roots": release.roots, "entry": release.entry},
    }
    return msgspec.json.encode(said, order="sorted")


def key_id(public: Ed25519PublicKey) -> str:
    """The SHA-256 of a public key's 32 bytes."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()


def _holds(release: Release, signature: Signature, public: Ed25519PublicKey) -> bool:
    """Whether the envelope is over this very release, and by this key."""
    from cryptography.exceptions import InvalidSignature

    try:
        envelope = msgspec.json.decode(signature.envelope, type=dict[str, Any])
        payload = base64.b64decode(envelope["payload"], validate=True)
        if envelope["payloadType"] != PAYLOAD_TYPE or payload != statement(release):
            return False
        public.verify(base64.b64decode(envelope["signatures"][0]["sig"], validate=True), _encoded(payload))
    except (InvalidSignature, KeyError, IndexError, TypeError, ValueError):  # msgspec's errors are ValueErrors
        return False
    return True


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what the signature itself is over."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _private(path: Path) -> Ed25519PrivateKey:
    serialization, ed25519 = _library()
    try:
        key: Ed25519PrivateKey | None = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        key = None
    if key is None or not isinstance(key, ed25519.Ed25519PrivateKey):
        raise UsageError(
            f"{path} is no Ed25519 private key without a password", f"openssl genpkey -algorithm ed25519 -out {path}"
        )
    return key


def _public(path: Path) -> Ed25519PublicKey:
    serialization, ed25519 = _library()
    try:
        key: Ed25519PublicKey | None = serialization.load_pem_public_key(path.read_bytes())
    except ValueError:
        key = None
    if key is None or not isinstance(key, ed25519.Ed25519PublicKey):
        raise UsageError(f"{path} is no Ed25519 public key", f"openssl pkey -in KEY.pem -pubout -out {path}")
    return key


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise TenfoldError("signatures need the library cryptography", "pip install 'tenfold[sign]'") from None
    return serialization, ed25519
