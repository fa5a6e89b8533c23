"""Tells other systems of what was done, by webhook: each event as a CloudEvent, signed, and again until it is taken.

The body is CloudEvents 1.0 in JSON (structured mode); the headers are those of Standard Webhooks (webhook-id,
webhook-timestamp, webhook-signature: HMAC-SHA256 over id, time and body), by which a receiver tells ours from others', and an
event from its repetition.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import re
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tenfold.errors import TenfoldError, UsageError
from tenfold.store.records import Event

TIMEOUT_S = 10.0
TYPE = "io.tenfold"


class Webhook:
    """Where events are sent, and the secret that they are signed with; "" signs none."""

    def __init__(self, url: str, secret: str = "") -> None:
        self.shown = re.sub(r"//[^/]*@", "//…@", url)  # as it may be printed: without a password
        try:
            parts = urlsplit(url)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # half an IPv6 address, or a port beyond 65535
            is_address = False
        if not is_address:
            raise UsageError(f"--webhook {self.shown} is no address", "such as https://example.org/hooks/tenfold")
        self._parts = parts
        self._secret = secret.encode()

    def send(self, event: Event, now: float) -> None:
        """Tell of one event. ``TenfoldError`` where it was not taken: it is to be sent again, under the same id."""
        body = msgspec.json.encode(as_cloud_event(event))
        headers = {"content-type": "application/cloudevents+json; charset=utf-8", **self._signed(event.hash, now, body)}
        parts = self._parts
        connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = connect(str(parts.hostname), parts.port, timeout=TIMEOUT_S)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("POST", path, body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise TenfoldError(
                f"{self.shown} cannot be told of {event.what}: {error}", "it is told again later"
            ) from None
        finally:
            connection.close()
        if not 200 <= status < 300:
            raise TenfoldError(f"{self.shown} answers {status} to {event.what}", "it is told again later")

    def _signed(self, id_: str, now: float, body: bytes) -> dict[str, str]:
        headers = {"webhook-id": id_, "webhook-timestamp": str(int(now))}
        if self._secret:
            signed = b".".join((id_.encode(), headers["webhook-timestamp"].encode(), body))
            digest = hmac.new(self._secret, signed, hashlib.sha256).digest()
            headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
        return headers


def as_cloud_event(event: Event) -> dict[str, Any]:
    """An event as CloudEvents 1.0 has it. Its id is its hash: whoever gets it twice can tell."""
    said = {"who": event.who, "what": event.what, "from": event.from_, "to": event.to, "why": event.why}
    return {
        "specversion": "1.0",
        "id": event.hash,
        "source": f"/tenfold/{event.service}",
        "type": f"{TYPE}.{event.what.replace(' ', '_')}",
        "time": event.at.isoformat(),
        "subject": event.to,
        "datacontenttype": "application/json",
        "data": {**said, "detail": event.detail},
    }
