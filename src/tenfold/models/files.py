"""What can be told of a model's file without reading it as a model: that it is there, whole, and what it says it is."""

from __future__ import annotations

from pathlib import Path

from tenfold.errors import ModelError

PICKLES = frozenset({".joblib", ".pkl", ".pickle"})
OURS = PICKLES | {".onnx", ".skops"}
POINTER = b"version https://git-lfs"
# How files begin that are no models of ours, or only with some of our suffixes.
SIGNATURES: dict[bytes, tuple[str, frozenset[str]]] = {
    b"<": ("a web page", frozenset()),
    b"PK\x03\x04": ("a zip archive, as .skops files are", frozenset({".skops"})),
    b"\x1f\x8b": ("gzip data", PICKLES),
    b"\x80": ("a pickle", PICKLES),
}


def examine(path: Path) -> None:
    """Raise ``ModelError`` where no model of the file's suffix can be in it."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelError(f"the model {path} {what}", _instead(path))
    try:
        with path.open("rb") as file:
            start = file.read(32)
    except OSError as error:
        raise ModelError(f"the model {path} cannot be read: {error.strerror}", "look at who may read it") from error
    if not start:
        raise ModelError(f"the model {path} is empty", "save it again; it was cut off before anything was written")
    if start.startswith(POINTER):
        raise ModelError(f"{path.name} is a Git LFS pointer, not the model itself", "git lfs pull")
    for signature, (what, suffixes) in SIGNATURES.items():
        if start.startswith(signature) and path.suffix in OURS - suffixes:
            raise ModelError(
                f"{path.name} is {what}", f"the suffix says what a file is; save the model as {path.suffix}"
            )


def unreadable(path: Path, error: BaseException) -> ModelError:
    """The error for a file that its own library cannot read."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ModelError(f"{path.name} cannot be read: {reason}", "the file is damaged or truncated; save the model again")


def _instead(path: Path) -> str:
    """The mend for a file that is not there: the files that are, as far as they could be models."""
    if not path.parent.is_dir():
        return f"there is no folder {path.parent} either; a path is relative to the service's folder"
    there = sorted(file.name for file in path.parent.iterdir() if file.suffix in OURS)
    if there:
        return f"{path.parent.name}/ has {', '.join(there[:5])}: name one of these as model in the service"
    train = " with train.py" if (path.parent / "train.py").exists() else ""
    return f"make it{train}, or copy it there"
