"""Labels that were joined to what was predicted: a file for each hour of predictions, a line for each label.

Files are only ever appended to. Of several labels for one prediction the last counts, so that a label that comes twice
changes nothing, and a correction holds; a label of some fields alone leaves the others as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(".tenfold") / "labels"
HOUR_S = 3600.0


class Label(msgspec.Struct, frozen=True):
    """What turned out to be true of a prediction: its ``id``, when it was made in seconds since 1970, by which release, what
    it ``said`` and what is ``true``, by field."""

    id: str
    time: float
    release: str
    said: dict[str, Any]
    true: dict[str, Any]


_decode = msgspec.json.Decoder(Label).decode


def append(home: Path, labels: Iterable[Label]) -> None:
    """Keep labels in a service's folder. They are on the disk once this returns."""
    by_file: dict[Path, list[bytes]] = {}
    for label in labels:
        by_file.setdefault(_file(home, label.time), []).append(msgspec.json.encode(label))
    for path, lines in by_file.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            if file.tell() and not _ends(path):  # of a process that was killed
                file.write(b"\n")
            file.write(b"\n".join((*lines, b"")))


def between(home: Path, start: float, end: float, release: str) -> Mapping[str, Label]:
    """The labels of what a release predicted from ``start`` on and before ``end``, by id."""
    found: dict[str, Label] = {}
    for label in _read(home, start, end):
        if label.release == release and start <= label.time < end:
            before = found.get(label.id)
            found[label.id] = msgspec.structs.replace(label, true={**before.true, **label.true}) if before else label
    return found


def touched(home: Path, start: float, end: float) -> float | None:
    """When the last label came of what was predicted in the hours from ``start`` to ``end``; None where none did."""
    files = [_file(home, hour * HOUR_S) for hour in range(int(start // HOUR_S), int(max(end - 1, start) // HOUR_S) + 1)]
    return max((path.stat().st_mtime for path in files if path.exists()), default=None)


def forget(home: Path, before: float) -> None:
    """Delete the labels of what was predicted in hours that ended before then."""
    last = _file(home, before - HOUR_S).name
    for path in (home / FOLDER).glob("*.ndjson"):
        if path.name < last:
            path.unlink(missing_ok=True)


def _read(home: Path, start: float, end: float) -> Iterator[Label]:
    hour = start // HOUR_S
    while hour * HOUR_S < end:
        path = _file(home, hour * HOUR_S)
        hour += 1
        if not path.exists():
            continue
        for line in path.read_bytes().splitlines():
            try:
                yield _decode(line)
            except msgspec.MsgspecError:  # half a line
                continue


def _file(home: Path, time: float) -> Path:
    return home / FOLDER / f"{datetime.fromtimestamp(time // HOUR_S * HOUR_S, UTC):%Y%m%dT%H}.ndjson"


def _ends(path: Path) -> bool:
    """Whether the last line is whole."""
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
