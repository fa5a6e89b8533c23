"""The answer sheet of a service folder, with the evidence kept beside it, or of a service that is running somewhere."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from tenfold.answers import Evidence, Sheet, sheet
from tenfold.control.servers import ask
from tenfold.errors import NotFound
from tenfold.service import find, spec


def answers(target: str) -> Sheet:
    """The sheet of ``target``: a folder, a file.py[:Class], or the URL of a running service."""
    return _running(target) if target.startswith(("http://", "https://")) else _declared(target)


def _declared(target: str) -> Sheet:
    service = find(target)
    stated = spec(service)
    return sheet(stated, evidence=Evidence.read(service.folder), target=target)


def _running(url: str) -> Sheet:
    where = f"{service_url(url.rstrip('/').removesuffix('/answers'))}/answers"
    reply = ask(where)
    try:
        if reply.status == 200:
            return msgspec.json.decode(reply.body, type=Sheet)
    except msgspec.MsgspecError:
        pass
    raise NotFound(f"{where} is no answer sheet (HTTP {reply.status})", "name the service: http://HOST:PORT/NAME")


def service_url(url: str) -> str:
    """The URL of a service, where that of its server is given and it has just one."""
    if urlsplit(url).path:
        return url
    try:
        names = [service["name"] for service in ask(url).json()["services"]]
    except (ValueError, KeyError, TypeError):
        raise NotFound(
            f"{url} is not the address for predictions of a tenfold server",
            "tenfold serve prints that of each service, as http://127.0.0.1:8000/NAME; --admin-port is another",
        ) from None
    if len(names) != 1:
        raise NotFound(
            f"{url} has {len(names)} services", f"choose one: {', '.join(f'{url}/{name}' for name in names)}"
        )
    return f"{url}/{names[0]}"
