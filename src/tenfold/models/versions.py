"""The versions of libraries that a model was trained with, as far as loading it brings them to light."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tenfold.errors import ModelError

LIBRARIES = {"sklearn": "scikit-learn"}  # the module's name -> the distribution's


class Versions:
    """The warnings of one loading, and what they tell."""

    known = frozenset(LIBRARIES)

    def __init__(self, caught: list[warnings.WarningMessage]) -> None:
        self._caught = caught

    @property
    def found(self) -> dict[str, str]:
        """The version that the model was trained with, of each library whose version here is another."""
        trained = [version for warning in self._caught if (version := _trained_with(warning))]
        return {"scikit-learn": trained[0]} if trained else {}

    def blamed(self, path: Path) -> ModelError | None:
        """The error for a file that a library of another version wrote, since the one here cannot read it."""
        if not self.found:
            return None
        library, trained = next(iter(self.found.items()))
        return ModelError(
            f"{path.name} was saved with {library} {trained}, and {library} {installed(library)} cannot read it",
            f"pin {library}=={trained} in the service's pyproject.toml; or train and save it again",
        )


@contextmanager
def recorded() -> Iterator[Versions]:
    """Collect the versions that scikit-learn warns of while a model is loaded. Such a warning is ours to report, in
    ``check``, and shown nowhere else; other warnings are shown as ever."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield Versions(caught)
    for warning in caught:
        if not _trained_with(warning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _trained_with(warning: warnings.WarningMessage) -> str:
    return str(getattr(warning.message, "original_sklearn_version", ""))


def installed(library: str) -> str:
    """The version that is installed here, "" if none is."""
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
