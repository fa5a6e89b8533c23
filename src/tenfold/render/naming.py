"""Whether the words of a person can stand where a cluster wants a name or an address: what cannot, it would refuse later.

Names are those of RFC 1123, as https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tenfold.errors import UsageError
from tenfold.render.asked import Wanted

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
SUBDOMAIN = rf"(?=.{{1,253}}$){LABEL}(\.{LABEL})*"
LEAST_BYTES = 64 * 2**20  # a Python that serves anything takes more

_FORMS = {
    "namespace": (LABEL, "a-z, 0-9 and hyphens, as in models"),
    "secret": (SUBDOMAIN, "a-z, 0-9, hyphens and dots, as in tumour-keys"),
    "store-secret": (SUBDOMAIN, "a-z, 0-9, hyphens and dots, as in tumour-store"),
    "hostname": (rf"(\*\.)?{SUBDOMAIN}", "a name of the DNS in lower case, as in models.example"),
    "gateway": (rf"({LABEL}/)?{SUBDOMAIN}", "[NAMESPACE/]NAME, as in infra/public"),
    "prometheus": (r"https?://[^\s/]+(/\S*)?", "an address, as in http://prometheus.monitoring:9090"),
    "base": (r"\S+", "an image, as in python:3.12-slim"),
}


def require_forms(wanted: Wanted) -> None:
    """Raise ``UsageError`` for a name or an address that no cluster takes, and for a pod without memory."""
    for option, said in _said(wanted):
        form, meant = _FORMS[option]
        if said and not re.fullmatch(form, said):
            raise UsageError(f"--{option} {said!r} cannot be that in a cluster", f"write {meant}")
    if 0 < wanted.memory < LEAST_BYTES:
        raise UsageError(f"--memory: {wanted.memory} bytes are too few for any server", 'write --memory "1 GiB"')


def _said(wanted: Wanted) -> Iterator[tuple[str, str]]:
    for option in _FORMS:
        value = getattr(wanted, option.replace("-", "_"))
        yield from ((option, one) for one in (value if isinstance(value, tuple) else (value,)))
