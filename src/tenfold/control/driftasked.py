"""A challenger that is asked for over HTTP: ``POST /api/challenge/NAME`` of the admin address, with which release it is.

The server looks the release up in the store that it deploys from, and goes on by itself; what came of it is in the verdict.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from tenfold.control import driftchallenge, stores
from tenfold.errors import NotFound, TenfoldError, status_of
from tenfold.server.responses import JSON, PROBLEM, problem_document
from tenfold.store import open_store, resolve

Answered = tuple[bytes, str, int]  # the body, its media type, the status


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which release is to challenge the one that serves, such as ``loans@2``; and since when it has learnt from no row."""

    challenger: str
    since: str = ""


def take(about: Mapping[str, Any], body: bytes, place: str) -> Answered:
    """The answer to a request for a challenger, of the service that the supervisor tells ``about``, from the store at
    ``place``: 202 and the challenger, which is tried from now on, or a problem."""
    try:
        wish = msgspec.json.decode(body, type=Wish)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _problem("malformed", f'a body is {{"challenger": "NAME@N", "since": "2026-02-14"}}: {error}')
    try:
        contest = _begun(about, wish, place)
    except NotFound as error:
        return _problem("not_found", error.message, error.hint)
    except TenfoldError as error:
        return _problem("invalid_option", error.message, error.hint)
    except OSError as error:  # a disk that is full: it names places on this machine, which are for the log
        logging.getLogger("tenfold").error("a challenger of %s: %s", about["service"]["name"], error)
        return _problem("not_ready", "the server cannot keep who challenges now; its log says why")
    said = {"schema": 1, "service": about["service"]["name"], "release": about["release"], "challenger": contest.told()}
    return msgspec.json.encode(said), JSON, 202


def _begun(about: Mapping[str, Any], wish: Wish, place: str) -> driftchallenge.Contest:
    with closing(open_store(place)) as store:
        release = resolve(store, stores.within(store, wish.challenger))
        contest = driftchallenge.against(store, release, about["release"], wish.since)
    driftchallenge.begin(Path(about["home"]), about["release"], contest)
    return contest


def _problem(code: str, detail: str, mend: str = "") -> Answered:
    return problem_document(code, detail, extra={"hint": mend} if mend else None), PROBLEM, status_of(code)
