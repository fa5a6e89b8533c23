"""Which libraries a release is said to run with."""

from __future__ import annotations

from importlib.metadata import version

from tenfold.environment.libraries import Library, resolved


def test_what_is_pinned_is_said_as_it_is_pinned() -> None:
    """A bill names the version that a release asks for, and not another one that happens to be here; what is left open is
    what runs here, with what that needs."""
    asked = [Library("numpy", "==1.0"), Library("click", ">=8"), Library("nowhere", "==3"), Library("absent", ">=1")]
    assert resolved(asked) == {
        "numpy": Library("numpy", "==1.0"),
        "click": Library("click", f"=={version('click')}"),
        "nowhere": Library("nowhere", "==3"),
    }
