"""What can be done next for a release on its way. Doing any of it twice does no harm."""

from __future__ import annotations

import msgspec


class Act(msgspec.Struct, frozen=True, tag=True):
    """Something to be done now, and why in plain words."""

    reason: str


class Load(Act, frozen=True):
    """Start replicas of a release, beside the other."""

    release: str


class Warm(Act, frozen=True):
    """Let a release answer its golden records until it is as fast as it gets, and take requests again if it was draining."""

    release: str


class Shadow(Act, frozen=True):
    """Ask the new release what the old one is asked, compare, and send the old one's answer."""


class Shift(Act, frozen=True):
    """Give the new release this share of the requests, in percent, and end the shadowing."""

    percent: float


class Bake(Act, frozen=True):
    """Keep the old release warm until then, in seconds of Unix time, and look again."""

    until: float


class Promote(Act, frozen=True):
    """Let the service's pointer mean the new release."""


class Drain(Act, frozen=True):
    """Give a release no more requests, and let it answer those that it has."""

    release: str


class Unload(Act, frozen=True):
    """End the replicas of a release."""

    release: str


class RollBack(Act, frozen=True):
    """Give the old release all requests at once, let the pointer mean it, and hold automatic deployments."""


class Wait(Act, frozen=True):
    """Look again later. Where a verdict is waited for: ``needed`` requests more to the new release, ``seconds`` at this
    traffic (None where there is none), and what a person can do about it."""

    needed: int | None = None
    seconds: float | None = None
    fix: str = ""


Action = Load | Warm | Shadow | Shift | Bake | Promote | Drain | Unload | RollBack | Wait
