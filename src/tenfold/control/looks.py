"""Looking at a release before it takes traffic: loaded in its own interpreter, in a process that can hurt nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from tenfold import environment
from tenfold.config import single_threaded
from tenfold.control import journals
from tenfold.errors import NotFound, ServiceError, TenfoldError
from tenfold.gates import Asked, Request, Seen
from tenfold.gates.probe import ASKED, SEEN, TROUBLE, Trouble
from tenfold.parity import golden
from tenfold.parity.observe import JSON
from tenfold.server.process import IDLE_S, come_back, go_idle
from tenfold.store import Store
from tenfold.store.records import Release

LOOK_S = 900.0  # for a release to load and to answer: it stands behind everything else on the machine
RECENT = 200  # requests of the journal that are answered once more
SINCE = ("1 min", "1 h", "1 day", "30 days")  # how far back they are looked for, in turn


def look(store: Store, release: Release, asked: Asked) -> Seen:
    """Load a release in its own interpreter, in a process of its own, and have it do what is asked.

    Raises ``TenfoldError`` where it does not load, ends or takes for ever.
    """
    folder = store.materialise(release).absolute()
    with tempfile.TemporaryDirectory(prefix="tenfold-look-") as name:
        work = Path(name)
        (work / ASKED).write_bytes(msgspec.json.encode(asked))
        command = [str(environment.python_of(store, release)), "-m", "tenfold.gates", str(folder), name]
        said = _finished(command, work, release)
        if (work / TROUBLE).is_file():
            trouble = msgspec.json.decode((work / TROUBLE).read_bytes(), type=Trouble)
            raise ServiceError(trouble.message, trouble.hint)
        try:
            return msgspec.json.decode((work / SEEN).read_bytes(), type=Seen)
        except FileNotFoundError:
            raise ServiceError(f"{release.name} {said}", f"tenfold check {folder} runs it in the foreground") from None


def _finished(command: Sequence[str], work: Path, release: Release) -> str:
    """Run a process to its end; how it ended, with the last line that it wrote."""
    with (work / "said").open("wb") as said:
        process = subprocess.Popen(
            command,
            cwd=work,
            env=single_threaded(),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            process_group=0,
        )
        try:
            code = _end_of(process)
        except subprocess.TimeoutExpired:
            raise ServiceError(f"{release.name} did not answer within {LOOK_S:.0f} s", "look at its load()") from None
        finally:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    lines = (work / "said").read_text("utf-8", "replace").strip().splitlines()
    how = f"ended with {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return f"{how}: {lines[-1]}" if lines else how


def _end_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for its exit code. It works while nobody else wants the processor, for a while; then it merely stands behind."""
    go_idle(process.pid)
    with suppress(subprocess.TimeoutExpired):
        return process.wait(IDLE_S)
    come_back(process.pid)
    return process.wait(LOOK_S - IDLE_S)


def recorded(folder: Path) -> list[Request]:
    """The golden requests in a folder; none where there are none that can be read."""
    try:
        found = golden.read(folder)
    except (NotFound, ServiceError):
        return []
    return [Request(one.media_type, body) for one, body in zip(found.golden.records, found.bodies, strict=True)]


def recent(folder: Path) -> list[Request]:
    """The last requests in the journal of a folder, as far as their inputs are kept. A busy journal is not read whole."""
    last: deque[bytes] = deque(maxlen=RECENT)
    with suppress(TenfoldError):
        for since in SINCE:
            last.clear()
            last.extend(found.input for found in journals.predictions(str(folder), journals.Wish(since)) if found.input)
            if len(last) == RECENT:
                break
    return [Request(JSON, body) for body in last]
