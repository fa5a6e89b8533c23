"""The template: a process that loaded a release, answers nothing, and of which replicas are forked in milliseconds.

A replica that is started for a release becomes its template where a fork of it can answer as well as it could itself. What a
fork would miss or have to share, without anybody noticing, rules that out: further threads, connections, open files.

Each replica is forked twice, and its parent ends at once: so it is the supervisor's child like any other (which adopts
orphans), and outlives its template.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import NamedTuple, Never

from tenfold.server.channel import Channel
from tenfold.server.process import open_files, rename, threads
from tenfold.service import Service

HARMLESS = ("/dev/null", "/dev/urandom")


def unfit(service: Service, opened: Mapping[int, str]) -> str:
    """Why no replica can be forked of this process; "" if one can. ``opened`` is what it had open before it ran any code of
    the service."""
    if service.predictor is None or not service.predictor.forkable:
        return "the model does not say that it can be forked (forkable)"
    if further := threads():
        return f"{len(further)} further threads run ({', '.join(sorted(set(further)))})"
    left = [name for fd, name in open_files().items() if opened.get(fd) != name and name not in HARMLESS]
    return f"the service keeps {left[0]} open" if left else ""


class Birth(NamedTuple):
    """What a fork is given: its line to the supervisor, the socket that it listens on, and when it was asked for."""

    line: Channel
    listening: socket.socket
    began: float


def fork_replicas(line: Channel) -> Birth:
    """Fork a replica whenever the supervisor asks for one, and return in each of them. In the template this never returns:
    the process ends when the supervisor hangs up."""
    rename("replica", "template")
    while (fds := line.handed()) is not None:
        began = time.perf_counter()
        if _is_fork():
            line.close()
            rename("replica", "replica")
            birth = Birth(Channel.inherited(fds[0]), socket.socket(fileno=fds[1]), began)
            birth.line.send(event="born", pid=os.getpid())
            _forget_the_dice()
            return birth
        for fd in fds:
            os.close(fd)
    sys.exit()


def _is_fork() -> bool:
    """Fork a grandchild, and say in which of the two we are."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        child = os.fork()
    except OSError:  # no memory, or too many processes: the line closes, by which the supervisor knows
        traceback.print_exc()
        return False
    if child:
        os.waitpid(child, 0)
        return False
    with contextlib.suppress(OSError):
        if os.fork() == 0:
            os.setpgid(0, 0)
            return True
    os._exit(0)


def _forget_the_dice() -> None:
    """Draw other random numbers than the other forks; the module ``random`` does so by itself."""
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def run_apart(serve: Callable[[], None]) -> Never:
    """Run a fork to its end. What was registered to be done at exit (files to be removed, say) is the template's to do."""
    code = 1
    try:
        serve()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
