"""The interpreter that a release runs in: the one that runs here where it has what the release asks for, else a virtual
environment made with uv, once for each set of libraries.

Such an environment holds this very tenfold beside the release's own libraries, so that its replicas speak the same wire.
"""

from tenfold.environment.building import python_of, ready, settle, tester, tidy

__all__ = ["python_of", "ready", "settle", "tester", "tidy"]
