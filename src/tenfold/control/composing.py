"""A release that is made of two others: the code of one, the model of the other, so that either is taken back alone."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tenfold.control.former import former
from tenfold.control.releases import push
from tenfold.errors import NotFound, UsageError
from tenfold.service.manifest import RELEASED
from tenfold.store import Store, resolve, trees
from tenfold.store.records import Release


def composed(store: Store, base: Release, model_of: Release) -> Release:
    """All of ``base`` but its model, and the model of another release of the service; pushed as a release of its own."""
    for release in (base, model_of):
        if "model" not in release.parts:
            raise UsageError(
                f"the model of {release.name} is an object in its code",
                f"tenfold rollback {base.service}{store.at(base.service)} takes back both",
            )
    with tempfile.TemporaryDirectory(prefix="tenfold-composed-") as work:
        folder = store.materialise(base, Path(work) / base.service)
        shutil.rmtree(folder / RELEASED.parts[0])
        for name in model_files(store, base):
            (folder / name).unlink()
        for name, digest in model_files(store, model_of).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            store.blobs.copy(digest, path)
        target = f"{folder}/{base.entry}" if base.entry else str(folder)
        why = f"the model of {model_of.name}, all else of {base.name}"
        return push(target, store.url, why=why, service=base.service).release


def model_files(store: Store, release: Release) -> dict[str, str]:
    """The files of its model by their place in the service's folder, with their digests."""
    root = release.roots.get("model", "")
    found = trees.files(store.blobs, release.parts["model"])
    return {f"{root}/{name}" if root else name: digest for name, digest in found.items()}


def taken_back(store: Store, service: str, part: str) -> Release:
    """The release to go back to where just the ``code`` or the ``model`` is taken back."""
    now, before = resolve(store, f"{service}@current"), former(store, service)
    if now.parts.get(part) == before.parts.get(part):
        look = f"tenfold diff {before.name} {now.name}{store.at(before.name)}"
        raise NotFound(f"{before.name} has the same {part} as {now.name}", look)
    return composed(store, now, before) if part == "model" else composed(store, before, now)
