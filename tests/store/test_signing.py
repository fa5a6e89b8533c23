"""Signatures: whoever trusts a key gets only what was signed with it."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tenfold.errors import GateFailed, UsageError
from tenfold.store import Store, signing
from tenfold.store.records import Release, Signature
from tests.store.making import some_release


def pair(folder: Path, name: str = "key") -> tuple[Path, Path]:
    """A private and a public key in PEM files."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def release(store: Store, tmp_path: Path) -> Release:
    """A release in the store."""
    return some_release(store, tmp_path / "service")


def test_a_signed_release_is_served_to_those_who_trust_the_key(store: Store, release: Release, tmp_path: Path) -> None:
    """Signed with one of the trusted keys, it becomes a folder; without a signature it doesn't."""
    private, public = pair(tmp_path)
    _, another = pair(tmp_path, "another")
    with pytest.raises(GateFailed, match="it is not signed"):
        store.materialise(release, signed_by=(public,))
    store.releases.sign(signing.sign(release, private))
    assert store.materialise(release, signed_by=(another, public)).is_dir()
    with pytest.raises(GateFailed, match="signed by no key that is trusted"):
        store.materialise(release, signed_by=(another,))


def test_a_signature_is_of_one_release(store: Store, tmp_path: Path) -> None:
    """A signature that was copied from another release, or of another service, class or place of files, is none."""
    private, public = pair(tmp_path)
    first, second = (some_release(store, tmp_path / "service", n) for n in (1, 2))
    elsewhere = msgspec.structs.replace(first, service="fraud")
    moved = msgspec.structs.replace(first, roots={"model": "golden"})
    another = msgspec.structs.replace(first, entry="service.py:Evil")
    signature = signing.sign(first, private)
    assert signing.verify(first, [signature], [public])
    for other in (second, elsewhere, moved, another):
        with pytest.raises(GateFailed):
            signing.verify(other, [msgspec.structs.replace(signature, release=other.id)], [public])


@pytest.mark.parametrize(
    "envelope",
    ["", "{}", "[]", '{"payload": 3}', '{"payload": "!", "payloadType": "x", "signatures": []}'],
)
def test_a_broken_envelope_is_no_signature(release: Release, tmp_path: Path, envelope: str) -> None:
    """Whatever stands in the place of an envelope is refused without a word of Python."""
    private, public = pair(tmp_path)
    broken = msgspec.structs.replace(signing.sign(release, private), envelope=envelope)
    with pytest.raises(GateFailed):
        signing.verify(release, [broken], [public])


def test_an_altered_envelope_is_no_signature(release: Release, tmp_path: Path) -> None:
    """Not one bit of the signature or of what is signed may differ."""
    private, public = pair(tmp_path)
    good = signing.sign(release, private)
    envelope = msgspec.json.decode(good.envelope)
    raw = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    raw[5] ^= 1
    envelope["signatures"][0]["sig"] = base64.b64encode(bytes(raw)).decode()
    bad = msgspec.structs.replace(good, envelope=msgspec.json.encode(envelope).decode())
    with pytest.raises(GateFailed):
        signing.verify(release, [bad], [public])


def test_other_tools_can_check_it(release: Release, tmp_path: Path) -> None:
    """OpenSSL verifies the signature over DSSE's encoding of the statement, whose subject is the release."""
    private, public = pair(tmp_path)
    envelope = msgspec.json.decode(signing.sign(release, private).envelope)
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    (tmp_path / "signed").write_bytes(f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload)
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public)]
    check = [*verify, "-rawin", "-in", "signed", "-sigfile", "sig"]
    subprocess.run(check, cwd=tmp_path, check=True, capture_output=True)
    said = msgspec.json.decode(payload)
    assert said["subject"] == [{"name": "tumour", "digest": {"sha256": release.id}}]


def test_files_that_are_no_keys_are_named(release: Release, tmp_path: Path) -> None:
    """A wrong file, or the other half of the pair, is a message with the command that makes a right one."""
    private, public = pair(tmp_path)
    (tmp_path / "text").write_text("secret")
    for wrong in (tmp_path / "text", public):
        with pytest.raises(UsageError, match="is no Ed25519 private key"):
            signing.sign(release, wrong)
    signature: Signature = signing.sign(release, private)
    for wrong in (tmp_path / "text", private):
        with pytest.raises(UsageError, match="is no Ed25519 public key"):
            signing.verify(release, [signature], [wrong])
