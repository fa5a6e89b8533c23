"""A replica elsewhere, as the supervisor sees it, and the orders by which the placer has it started.

Each has a line of its own, whose other end the placer holds: it says there what the replica says, and ends it when the
replica has ended. So whatever becomes of the placer, of Ray or of a machine is heard of as the end of a line.
"""

from __future__ import annotations

import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from tenfold.engines.folder import home
from tenfold.engines.health import Signs
from tenfold.engines.local import Child
from tenfold.engines.ray.orders import LOST, Order
from tenfold.server.channel import Channel, Message


@dataclass(slots=True, eq=False)
class Far(Child):
    """A replica on another machine. Whether it hangs is seen, and done something about, by who started it there."""

    code: int = 0
    weighs_bytes: int = 0
    machine: str = ""

    @property
    def elsewhere(self) -> bool:
        return True

    @property
    def is_innocent(self) -> bool:
        return not self.code

    def take(self, message: Message) -> None:
        match message["event"]:
            case "born":
                self.address, self.machine = f"{message['host']}:{message['port']}", message["machine"]
            case "vitals":
                self.weighs_bytes = message["size_bytes"]
                self.answered |= message["answered"]
            case "ended":
                self.code, self.because = message["code"], self.because or message["because"]

    def look(self) -> Signs:
        return Signs((0, int(self.answered)))

    def size_bytes(self, ceiling: int) -> int:  # noqa: ARG002 -- its pages are its own
        return self.weighs_bytes

    def last_words(self) -> tuple[int, str]:
        because = self.because or ("" if self.code else LOST)
        return self.code, f"{because} ({self.machine})" if because and self.machine else because

    def kill(self, because: str = "") -> None:
        self.because = self.because or because
        if not self.ended:
            self.channel.send(do="kill", because=because)


class Cluster:
    """The machines, by way of the placer. What is ordered while there is none waits for it."""

    def __init__(self) -> None:
        self._placer: Child | None = None
        self._waiting: list[socket.socket] = []
        self._placed = 0

    def place(self, folder: str, generation: int, options: Mapping[str, str], python: str) -> Child:
        """Have a replica started somewhere. It has no address before it is."""
        ours, theirs = Channel.pair()
        self._placed += 1
        replica = Far("replica", ours, folder=folder, generation=generation, address=f"ray-{self._placed}")
        replica.secret = secrets.token_hex(32)
        order = Order(
            folder,
            generation,
            {name: value for name, value in options.items() if name != "--home"},
            options["--home"] or home(folder),
            replica.secret,
            "" if python == sys.executable else python,
        )
        ours.send(do="place", order=msgspec.to_builtins(order))
        self._waiting.append(theirs)
        self._hand_over()
        return replica

    def connected(self, placer: Child) -> None:
        """The placer has reached the cluster."""
        self._placer = placer
        self._hand_over()

    def lost(self) -> None:
        """The placer is gone, and with it all that it placed."""
        self._placer = None

    def forget(self) -> None:
        """What still waits is not needed any more: its lines end."""
        while self._waiting:
            self._waiting.pop().close()

    def _hand_over(self) -> None:
        while self._placer is not None and self._waiting:
            theirs = self._waiting.pop(0)
            self._placer.channel.hand(theirs.fileno())
            theirs.close()
