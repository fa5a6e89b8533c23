"""Whose page asks: a browser sends what the page of any site makes it send, also to a server that only its user can reach.

Such a request names the page's site in ``Origin`` (RFC 6454), and a page cannot leave that out. Where a name was pointed at
this machine to make its page look like ours (DNS rebinding), ``Host`` still has that name.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from tenfold.server.wire import Head

FOREIGN = (
    "the page of another site may not ask this of a server without keys; ask from a program, or from its own pages"
)
ASTRAY = "this address is for this machine alone: open it as localhost or 127.0.0.1, or as what tenfold serve printed"


def is_foreign(head: Head) -> bool:
    """Whether the page of another site asks. A proxy that calls this host something else says what it was asked for."""
    origin = head.headers.get("origin")
    if origin is None or head.headers.get("sec-fetch-site") == "same-origin":
        return False
    site = origin.partition("://")[2].lower()
    return (
        site not in (head.headers.get("host", "").lower(), head.headers.get("x-forwarded-host", "").lower()) or not site
    )


def is_loopback(address: str) -> bool:
    """Whether an address, or a name without its port, leads to the machine itself wherever it is asked for."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address.lower() == "localhost" or address.lower().endswith(".localhost")


def is_astray(head: Head) -> bool:
    """Whether a request to a server on loopback was meant for a host of another name."""
    if "host" not in head.headers:
        return False
    try:
        return not is_loopback(urlsplit(f"//{head.headers['host']}").hostname or "")
    except ValueError:
        return True
