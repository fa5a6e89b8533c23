"""A worker: a process that holds one service and answers one shard after the other, until its job hangs up.

It says hello once the service is loaded and has answered a row, and what it begins before it begins it, so that the job
knows which rows a process died of. Whatever the user's code prints goes to standard error: standard output is the job's.
"""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial

import msgspec

from tenfold.errors import TenfoldError
from tenfold.formats.batches import Content, Reading, unpack
from tenfold.formats.shards import Layout, arrow, pack
from tenfold.jobs.answering import Answering, Order
from tenfold.jobs.line import Line, Message, contents, parcel_of
from tenfold.jobs.tasks import Setup, Task
from tenfold.jobs.through import Through
from tenfold.parity import rehearse
from tenfold.pipeline import Failure, Pipeline, log
from tenfold.service import Service, find, spec


class Worker:
    """One started service and the line to its job."""

    def __init__(self, service: Service, line: Line) -> None:
        self._service = service
        self._line = line
        self._spec = spec(service)

    def serve(self) -> None:
        """Say hello, and do what the job asks for until it hangs up."""
        self._line.send({"ready": self._spec})
        while (messages := self._line.receive()) is not None:
            for message, parcel in messages:
                if "setup" in message:
                    setup = msgspec.convert(message["setup"], Setup)
                    self._try(partial(self._prepare, setup), "the service cannot be made ready")
                else:
                    self._begin(msgspec.convert(message["task"], Task, strict=False), parcel)

    def _prepare(self, setup: Setup) -> None:
        """Be ready for rows, and warm: the time that rows may take is theirs, and no import's."""
        self._reading = Reading(self._spec.input, setup.keep, setup.dialect)
        self._answering = Answering(self._pipeline(setup), self._spec, self._reading, setup)
        nothing = io.BytesIO()
        pack(arrow().table({name: [] for name in setup.keep}), nothing)
        self._answering.answer(unpack(nothing.getvalue(), Layout("table"), self._reading), Order("", 0, 0, 0, {}))

    def _pipeline(self, setup: Setup) -> Pipeline | Through:
        if not setup.through:
            return Pipeline(self._service, report=Told())
        return Through(
            self._service, self._spec, setup.through, setup.access, alive=lambda: self._line.send({"block": -1})
        )

    def _begin(self, task: Task, parcel: int) -> None:
        self._line.send({"began": task.number})
        self._try(partial(self._do, task, parcel), f"the rows of {task.file} from {task.row} on cannot be answered")

    def _try(self, work: Callable[[], None], otherwise: str) -> None:
        """Do it, or say what is wrong with the service or with us: a row alone raises nothing here."""
        try:
            work()
        except MemoryError:
            raise  # and end: a new process has its memory to itself
        except TenfoldError as error:
            self._line.send({"failed": _told(error)})
        except Exception as error:
            logging.getLogger("tenfold").exception("%s", otherwise)
            said = f"{otherwise}: tenfold itself failed: {type(error).__name__}: {error}"
            self._line.send({"failed": {"message": said, "hint": "please report it with the log", "code": 1}})

    def _do(self, task: Task, parcel: int) -> None:
        data = contents(parcel)
        os.close(parcel)
        content = unpack(data, task.layout, self._reading)
        order = Order(task.file, task.row, task.before, task.line, task.without)
        match task.verb:
            case "answer":
                done = self._answering.answer(content, order, lambda: self._line.send({"block": task.number}))
                result: Message = {**done.counts(), "bytes": [len(piece) for piece in done.pieces]}
                reply = parcel_of(lambda file: file.writelines(done.pieces))
                self._line.send({"done": task.number, "result": result}, reply)
                os.close(reply)
            case "check":
                result = self._answering.check(content, order).counts()
                self._line.send({"done": task.number, "result": result})
            case _:
                self._probe(content, task)

    def _probe(self, content: Content, task: Task) -> None:
        for first in range(task.first, task.stop, task.size):
            stop = min(first + task.size, task.stop)
            self._line.send({"piece": [first, stop], "number": task.number})
            self._answering.probe(content, first, stop, task.without)
        self._line.send({"done": task.number, "result": {}})


class Told:
    """Reports what the service's own code raised, each kind once: a job may have a million rows that raise it."""

    def __init__(self) -> None:
        self._told: set[tuple[str, type[Exception]]] = set()

    def __call__(self, failure: Failure) -> None:
        kind = failure.stage, type(failure.error)
        if kind not in self._told:
            self._told.add(kind)
            log(failure)


def main(folder: str, channel: int, alive: int, env: str, through: bool) -> None:
    """Run a worker on inherited descriptors. It ends as soon as the other end of ``alive`` is gone, whatever it does.

    Where rows go ``through`` a live service, no model is loaded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_follow, args=(alive,), daemon=True).start()
    logging.basicConfig(format="%(message)s")
    job = Line.inherited(channel)
    try:
        service = find(folder, env)
        if not through:
            rehearse(Pipeline(service.start(), report=Told()))
        worker = Worker(service, job)
    except TenfoldError as error:
        job.send({"failed": _told(error)})
        sys.exit(error.exit_code)
    worker.serve()


def _told(error: TenfoldError) -> Message:
    return {"message": error.message, "hint": error.hint, "code": error.exit_code}


def _follow(alive: int) -> None:
    os.read(alive, 1)
    os._exit(1)
