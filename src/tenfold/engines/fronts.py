"""New fronts for old, on SIGHUP: the listening socket is the supervisor's, so that no connection is refused meanwhile.

The old ones go on until the new ones can do all that they do; then they drain: each client is told with its next answer that
the connection ends, and what is in progress is finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from tenfold.engines.children import Children
from tenfold.engines.crew import STOP_LIMIT_S, Crew
from tenfold.engines.deployments import Deployments
from tenfold.engines.local import Child


class Fronts:
    """The fronts of a server. Those that are ``leaving`` answer until others can; ``retired`` ones drain."""

    def __init__(
        self, children: Children, crews: Mapping[str, Crew], deployments: Deployments, start: Callable[[], None]
    ) -> None:
        """``start`` starts one."""
        self._children = children
        self._crews = crews
        self._deployments = deployments
        self._start = start

    def renew(self) -> None:
        """Put a new front in the place of each, unless that is under way."""
        old = self._children.of("front")
        if self._children.closing or any(front.leaving for front in old):
            return
        for front in old:
            front.leaving = True
        for _ in old:
            self._start()

    def settle(self) -> bool:
        """Let the old ones go once as many others can do their work; whether that is now."""
        fronts = self._children.of("front")
        old = [front for front in fronts if front.leaving and not front.retired]
        new = [front for front in fronts if not front.leaving]
        if not old or len(new) < len(old) or not all(map(self._is_able, new)):
            return False
        for front in old:
            front.retired = True
            front.channel.send(do="drain")
            asyncio.get_running_loop().call_later(STOP_LIMIT_S, front.kill)
        return True

    def _is_able(self, front: Child) -> bool:
        """Whether it listens, and can ask every replica that answers."""
        asked = [one for crew in self._crews.values() if not crew.ended for one in crew.ready()]
        attached = all(front.pid in one.attached for one in asked)
        return front.ready and attached and self._deployments.are_known_to(front)
