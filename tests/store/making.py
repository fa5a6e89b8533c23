"""Small releases and folders for the tests of the store."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tenfold.contract.form import Field, Form
from tenfold.service.manifest import contract_listing, tree
from tenfold.store import Store, trees
from tenfold.store.records import Release
from tests.service.specs import bare

FORM = Form(name="Row", fields=(Field(name="x", wire="x", kind="float"),))


def write(folder: Path, **files: str) -> Path:
    """A folder of text files; ``__`` in a name is a dot, ``___`` a slash."""
    for name, text in files.items():
        path = folder / name.replace("___", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def push(store: Store, folder: Path, service: str = "tumour", who: str = "anna") -> Release:
    """Add a release of the files in a folder: .skops is the model, everything else is code."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parts = {
        "code": tree([path for path in files if path.suffix != ".skops"], folder),
        "model": tree([path for path in files if path.suffix == ".skops"], folder),
    }
    forms = (FORM, FORM)
    needs = [digest for part in parts.values() if part.files for digest in trees.keep(store.blobs, part)]
    needs += [store.blobs.put(form.to_json()) for form in forms]
    spec = bare(service, FORM, FORM)
    said = store.blobs.put(msgspec.json.encode(spec))
    digests = {name: part.digest for name, part in parts.items() if part.files}
    digests["contract"] = store.blobs.put(contract_listing(forms))
    release, _ = store.releases.add(
        service, digests, who=who, needs=[*needs, said, digests["contract"]], spec=said, entry="service.py:Tumour"
    )
    return release


def some_release(store: Store, folder: Path, number: int = 1, service: str = "tumour") -> Release:
    """A release like no other, by its number."""
    write(folder, service__py=f"VERSION = {number}", model__skops=f"model {number}")
    return push(store, folder, service)
